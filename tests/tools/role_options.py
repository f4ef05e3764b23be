# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the roles' argument specs, their defaults and the arguments of their module calls from the modules' documentation.

Of tasks/main.yml only the arguments below the module's name are written, all else there is kept. --check writes nothing and
fails where a file would change. A new role needs an entry in ROLES, meta/main.yml and tasks/main.yml with that call.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import import_module

import yaml
from checkout import CHECKOUT, collections_folder

COLLECTION = "nanoagent.k8s"
COMMAND = "python tests/tools/role_options.py"
# Of the options that reach the cluster only these are variables: module_defaults and K8S_AUTH_* set the others for every role at once.
REACHED_BY_VARIABLE = {"kubeconfig", "context"}
# What an argument spec and its documentation both say; ansible-test sanity sees to it that they say the same.
_SPECIFIED = ("type", "elements", "choices", "required", "default")


@dataclass(frozen=True)
class Role:
    """A role that calls one module; its variables are <role>_<option>.

    only: the options that have a variable, all when empty. fixed: arguments that the role sets itself, without a variable.
    defaults: where another than the module's holds. values: another expression for the argument, of an option that the role so
    makes optional. follows: options that are the agent role's where it has them set. borrows: a role whose variables hold for
    every option that it has too, so that there are none here. own: variables that are no option of the module, as in an argument
    spec.
    """

    module: str
    short_description: str
    description: list[str]
    only: tuple[str, ...] = ()
    fixed: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, object] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    follows: tuple[str, ...] = ()
    borrows: str = ""
    own: dict[str, dict] = field(default_factory=dict)


# An image that the role collector_image has built is our collector.
BUILT_IMAGE = "collector_image_result.image | default('') if agent_profile | default('bundled') != 'spyderbat' and not agent_values_file | default('') else ''"
# A number 0 and a boolean false are answers here, an empty text is none.
ANY_BUT_EMPTY = {option: f"agent_{option} if agent_{option} | default('') | string else omit" for option in ("max_unavailable", "omit_environment")}
LOCK_FILE = "agent_lock_file | default(mirror_lock_file | default(omit, true), true)"
WHICH_AGENT = ("kubeconfig", "context", "profile", "name", "namespace")
ROLES = {
    "agent": Role(
        module="agent",
        short_description="Install the eBPF agent on a Kubernetes cluster",
        description=["Puts the collector on every eligible node with one call of the module P(nanoagent.k8s.agent#module)."],
        # One table and one lock file serve both.
        defaults={"image": f"{{{{ {BUILT_IMAGE} }}}}"},
        # Nothing here means the profile's image, or that of a values file.
        values={
            "image": "agent_image | default(omit, true)",
            **ANY_BUT_EMPTY,
            "monitor": "agent_monitor_with_image if agent_monitor is defined else omit",
            "rewrites": "agent_rewrites | default(mirror_rewrites | default([]))",
            "lock_file": LOCK_FILE,
        },
    ),
    "bundle": Role(
        module="bundle",
        short_description="Gather images and files into a signed bundle that fits on media",
        description=[
            "Makes a bundle with the module P(nanoagent.k8s.bundle#module), and shows one line an image and a file.",
            "The result is in the variable C(bundle_result), as the module returns it.",
            "Without C(bundle_registries) those of C(mirror_registries) hold, the variable of the role P(nanoagent.k8s.mirror#role).",
        ],
        values={"registries": "bundle_registries | default(mirror_registries | default([]))"},
    ),
    "bundle_load": Role(
        module="bundle_load",
        short_description="Push the images of a bundle to registries and unpack its files",
        description=[
            "Brings in a bundle with the module P(nanoagent.k8s.bundle_load#module), which verifies it first, and shows one line an image and a file.",
            "The result is in the variable C(bundle_load_result), as the module returns it; C(bundle_load_result.images[0].image) is the first image's "
            "name by digest.",
            "The table, the registries and the lock file are those of the role P(nanoagent.k8s.mirror#role), where there are none here.",
        ],
        # One table and one lock file serve all.
        values={
            "rewrites": "bundle_load_rewrites | default(mirror_rewrites | default([]))",
            "registries": "bundle_load_registries | default(mirror_registries | default([]))",
            "lock_file": "bundle_load_lock_file | default(mirror_lock_file | default(omit, true), true)",
        },
    ),
    "collector_image": Role(
        module="collector_image",
        short_description="Build the collector's image, and the cluster monitor's, and push them to a registry or write them as archives",
        description=[
            "Makes the multi-architecture image from the binaries that the collection ships, and pushes it where it is missing.",
            "The result is in the variable C(collector_image_result), as the module M(nanoagent.k8s.collector_image) returns it; "
            "C(collector_image_result.image) is the name by digest. That of the cluster monitor's image is in C(collector_image_monitor_result).",
            "The module runs on the host of the play, which needs the binaries. That is the controller when hosts stand for "
            "clusters and have C(ansible_connection=local).",
        ],
        fixed={"program": "collector"},
        values={"binaries": "collector_image_binaries | default({'amd64': collector_image_shipped_amd64, 'arm64': collector_image_shipped_arm64}, true)"},
        own={
            "monitor": {
                "description": [
                    "Whether to make the cluster monitor's image too. By default where the variables of the role P(nanoagent.k8s.agent#role) "
                    "ask for our own monitor and name no image of it.",
                ],
                "type": "bool",
            },
            "monitor_name": {
                "description": ["Where to push the monitor's image, by default O(collector_image_name) with C(-monitor) added to the tag."],
                "type": "str",
            },
            "monitor_archive": {
                "description": ["Path of an OCI archive of the monitor's image to write, in an existing folder."],
                "type": "path",
            },
        },
    ),
    "mirror": Role(
        module="image_mirror",
        short_description="Copy images to where the nodes of a closed network can pull them",
        description=[
            "Copies images between registries, OCI layouts and archives with the module P(nanoagent.k8s.image_mirror#module), and shows one line an image.",
            "The result is in the variable C(mirror_result), as the module returns it; C(mirror_result.images[0].image) is the first copy's name by digest.",
        ],
    ),
    "registry_configuration": Role(
        module="registry_configuration",
        short_description="Write what container runtimes need to pull images from mirrors",
        description=[
            "Writes files for containerd, CRI-O, Podman and OpenShift with the module P(nanoagent.k8s.registry_configuration#module), and shows what to know.",
            "The table and the registries are those of the role P(nanoagent.k8s.mirror#role), where there are none here.",
            "The result is in the variable C(registry_configuration_result), as the module returns it.",
        ],
        values={
            "rewrites": "registry_configuration_rewrites | default(mirror_rewrites | default([]))",
            "registries": "registry_configuration_registries | default(registry_configuration_of_mirror)",
        },
    ),
    "preload": Role(
        module="node_image",
        short_description="Load images into the container runtimes of nodes, for clusters without a registry",
        description=[
            "Runs on the nodes, as hosts by SSH, and loads images from an archive with the module P(nanoagent.k8s.node_image#module).",
            "The result is in the variable C(preload_result), as the module returns it.",
        ],
        only=("remote_src", "images", "runtime", "reported_runtime", "address"),
        # What another node has handed on is on the node already.
        fixed={"archive": "\"{{ preload_there | default('') | default(preload_archive, true) }}\""},
        defaults={"remote_src": False, "reported_runtime": "{{ (k8s_node | default({})).runtime | default('') }}"},
        values={
            "remote_src": "preload_remote_src | bool or preload_there | default('') | length > 0",
            "reported_runtime": "preload_reported_runtime | default(omit, true)",
        },
        own={
            "archive": {
                "description": [
                    "Path of the archive on the controller, of M(nanoagent.k8s.image_mirror) or M(nanoagent.k8s.collector_image); for Docker one of "
                    "C(docker save).",
                ],
                "type": "path",
                "required": True,
            },
            "from": {
                "description": [
                    "Who sends the archive. V(controller) sends it to each node that lacks an image, V(peers) to the first one of a batch only; "
                    "each node that has it hands it to four others by HTTP. Needs the strategy linear.",
                ],
                "type": "str",
                "choices": ["controller", "peers"],
                "default": "controller",
            },
            "peer_address": {
                "description": ["The address at which other nodes reach this one; by default C(ansible_host), or the host's name."],
                "type": "str",
            },
            "peer_folder": {
                "description": [
                    "An existing folder of the node, below which the archive is kept while it is handed on; by default the system's temporary one."
                ],
                "type": "path",
            },
            "port": {"description": ["The port at which a node hands the archive on; V(0) is any that is free."], "type": "int", "default": 0},
            "time_limit": {"description": ["Seconds after which a node ceases to hand it on, where the run was cut short."], "type": "int", "default": 3600},
        },
    ),
    "preflight": Role(
        module="preflight",
        short_description="What an installation of the eBPF agent would meet, before there is one",
        description=[
            "Looks ahead with the module P(nanoagent.k8s.preflight#module), shows one line a finding, and fails where one is an error.",
            "What is to be installed, and where, is said by the variables of the role P(nanoagent.k8s.agent#role), so that the same ones serve both.",
        ],
        borrows="agent",
        defaults={"egress_image": "{{ collector_image_result.image | default('') }}"},
        values={
            **ANY_BUT_EMPTY,
            "image": "agent_image | default(preflight_built_image, true) | default(omit, true)",
            "monitor": "preflight_monitor if agent_monitor is defined else omit",
            "rewrites": "agent_rewrites | default(mirror_rewrites | default(omit))",
            "lock_file": LOCK_FILE,
            "egress_image": "preflight_egress_image | default(omit, true)",
        },
        own={"fail": {"description": ["Whether the play fails where a check found an error."], "type": "bool", "default": True}},
    ),
    "uninstall": Role(
        module="agent",
        short_description="Remove the eBPF agent",
        description=["Removes what the collection installed, and the namespace where the collection made it."],
        only=(*WHICH_AGENT, "wait", "wait_timeout"),
        fixed={"state": "absent"},
        follows=WHICH_AGENT,
    ),
    "verify": Role(
        module="agent_info",
        short_description="A verdict for every node, with live proof",
        description=["Asks every node with the module P(nanoagent.k8s.agent_info#module), shows one line a node, and fails where one is not well."],
        # What reads the nodes of thousands are programs, and these have the reports.
        defaults={"nodes_returned": "not_well"},
        # Only our own collector can prove itself.
        values={"live": "verify_live | default(verify_profile == 'bundled')"},
        follows=WHICH_AGENT,
        own={
            "fail": {"description": ["Whether the play fails where the policy does not accept the result."], "type": "bool", "default": True},
            "set_stats": {
                "description": [
                    "Whether to hand a few numbers on with M(ansible.builtin.set_stats), as AWX takes them from one job of a workflow to the next.",
                    "They are in C(nanoagent_verify), by host; C(ok), C(nodes), C(eligible), C(ready), C(proven), C(failures) and C(reports).",
                ],
                "type": "bool",
                "default": False,
            },
        },
    ),
}


def argument_specs(name: str, role: Role, documented: dict, spec: dict) -> dict:
    """The content of meta/argument_specs.yml. documented: the module's options as ansible-doc gives them; spec: its argument spec."""
    options = {f"{name}_{option}": _variable(name, role, option, documented[option], spec) for option in variables(role, spec)}
    options |= {f"{name}_{option}": dict(own) for option, own in role.own.items()}
    main = {"short_description": role.short_description, "description": role.description, "author": ["The nanoagent.k8s maintainers"], "options": options}
    return {"argument_specs": {"main": main}}


def variables(role: Role, spec: dict) -> list[str]:
    """The options that have a variable of the role, in the order of the module's argument spec."""
    borrowed = set(_borrowed(role))
    return [option for option in _asked(role, spec) if option not in borrowed]


def _asked(role, spec):
    """The options that a variable of any role may give."""
    elsewhere = set(_connection_options()) - REACHED_BY_VARIABLE if "kubeconfig" in spec else set()
    return [option for option in spec if option not in elsewhere and option not in role.fixed and option in (role.only or spec)]


def _borrowed(role):
    """The options of which another role has the variable."""
    if not role.borrows:
        return []
    other = ROLES[role.borrows]
    return variables(other, import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{other.module}").argument_spec())


def defaults(specs: dict) -> dict:
    """The content of defaults/main.yml, from that of meta/argument_specs.yml."""
    return {name: option["default"] for name, option in specs["argument_specs"]["main"]["options"].items() if "default" in option}


def arguments(name: str, role: Role, specs: dict, spec: dict) -> dict[str, str]:
    """The arguments of the module call, as they stand in the task."""
    options = specs["argument_specs"]["main"]["options"]
    call = dict(role.fixed)
    borrowed = set(_borrowed(role))
    for option in _asked(role, spec):
        variable = f"{name}_{option}"
        if option in role.values:
            expression = role.values[option]
        elif option in borrowed:
            expression = f"{role.borrows}_{option} | default(omit{_or_empty(spec[option])})"
        elif "default" in options[variable] or options[variable].get("required"):
            expression = variable
        else:
            empty = _or_empty(spec[option])
            otherwise = f"agent_{option} | default(omit{empty})" if option in role.follows else "omit"
            expression = f"{variable} | default({otherwise}{empty})"
        call[option] = f'"{{{{ {expression} }}}}"'
    return call


def _or_empty(option):
    # An empty text is no answer, as from a survey; an empty list, false and 0 are.
    return ", true" if option["type"] in ("str", "path") else ""


def files(name: str, role: Role, documented: dict, spec: dict, tasks: str) -> dict[str, str]:
    """The texts of the role's files by path within it. tasks: the present tasks/main.yml.

    :raises SystemExit: tasks holds no call of the module, or more than one
    """
    specs = argument_specs(name, role, documented, spec)
    lines = [f"# These arguments are written by `{COMMAND}`."]
    lines += [f"{option}: {value}" for option, value in arguments(name, role, specs, spec).items()]
    # The call may stand in a block.
    task, count = re.subn(
        rf"^( +)({COLLECTION}\.{role.module}:\n)(?:\1  .*\n)*",
        lambda match: match[1] + match[2] + "".join(f"{match[1]}  {line}\n" for line in lines),
        tasks,
        flags=re.MULTILINE,
    )
    if count != 1:
        raise SystemExit(f"roles/{name}/tasks/main.yml must call {COLLECTION}.{role.module} once, it does {count} times")
    header = f"---\n# Written by `{COMMAND}` from the documentation of the module {role.module}.\n"
    return {"meta/argument_specs.yml": header + _text(specs), "defaults/main.yml": header + _text(defaults(specs)), "tasks/main.yml": task}


def _variable(name, role, option, documented, spec):
    references = _References(f"{COLLECTION}.{role.module}", {each: f"{name}_{each}" for each in variables(role, spec)})
    variable = _option(documented, spec[option], references)
    if option in role.values:
        variable.pop("required", None)
        variable.pop("default", None)
    if option in role.defaults:
        variable["default"] = role.defaults[option]
    elif option == "profile" and option in role.follows:
        # The chart's values are the vendor's agent.
        chosen = "agent_profile | default('bundled')"
        variable["default"] = f"{{{{ 'spyderbat' if agent_values_file | default('') and {chosen} == 'bundled' else {chosen} }}}}"
    elif option in role.follows and "default" in variable:
        variable["default"] = f"{{{{ agent_{option} | default({variable['default']!r}) }}}}"
    elif option in role.follows:
        variable["description"].append(f"Without it C(agent_{option}) holds, the variable of the role P(nanoagent.k8s.agent#role).")
    return variable


def _option(documented, spec, references):
    description = documented["description"]
    option = {"description": [references.replace(text) for text in ([description] if isinstance(description, str) else description)]}
    option |= {key: spec[key] for key in _SPECIFIED if key in spec}
    if spec.get("no_log"):
        option["no_log"] = True
    if "options" in spec:
        option["options"] = {name: _option(documented["suboptions"][name], sub, references) for name, sub in spec["options"].items()}
    return option


@dataclass(frozen=True)
class _References:
    """Turns what a module's documentation says of its own options into what a role's can say."""

    module: str
    names: dict[str, str]

    def replace(self, text: str) -> str:
        # A fragment that several modules share names the options of one of them in full.
        return re.sub(r"\b(O|RV)\((\w+)((?:[.=\[][^)#]*)?\))", self._replace, text.replace(f"({self.module}#module:", "("))

    def _replace(self, match):
        kind, name, rest = match.groups()
        if kind == "O" and name in self.names:
            return f"O({self.names[name]}{rest}"
        return f"{kind}({self.module}#module:{name}{rest}"


def _connection_options():
    return import_module(f"ansible_collections.{COLLECTION}.plugins.module_utils.connection").connection_argument_spec()


class _Dumper(yaml.SafeDumper):
    """As ansible-lint wants it: lists are indented, templates stand in double quotes."""

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data):
        return True


def _represent_text(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "{{" in text else None)


_Dumper.add_representer(str, _represent_text)


def _text(content):
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _documentation(modules):
    """The options of each module as ansible-doc gives them, fragments and all."""
    names = [f"{COLLECTION}.{module}" for module in modules]
    command = [sys.executable, "-m", "ansible", "doc", "--type", "module", "--json", *names]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections_folder())}
    answer = json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)
    return {module: answer[name]["doc"]["options"] for module, name in zip(modules, names)}


def _all_files():
    """Every file of every role by its path in the checkout."""
    documentation = _documentation(sorted({role.module for role in ROLES.values()}))
    texts = {}
    for name, role in ROLES.items():
        spec = import_module(f"ansible_collections.{COLLECTION}.plugins.modules.{role.module}").argument_spec()
        folder = CHECKOUT / "roles" / name
        undocumented = [option for option in variables(role, spec) if option not in documentation[role.module]]
        if undocumented:
            raise SystemExit(f"plugins/modules/{role.module}.py does not document {', '.join(undocumented)}")
        made = files(name, role, documentation[role.module], spec, (folder / "tasks/main.yml").read_text())
        texts |= {folder / path: text for path, text in made.items()}
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file would change")
    check = parser.parse_args().check
    sys.path.insert(0, str(collections_folder()))
    stale = {path: text for path, text in _all_files().items() if not path.exists() or path.read_text() != text}
    if check and stale:
        names = " ".join(str(path.relative_to(CHECKOUT)) for path in sorted(stale))
        sys.exit(f"not what the modules document: {names}; run `{COMMAND}`")
    for path, text in stale.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(CHECKOUT))


if __name__ == "__main__":
    main()
