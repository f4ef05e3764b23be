# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""What README.md and docs/ say of options, variables, examples, links, rights and messages is what the code does."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.access_rights import needed_rights
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import check_canary
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec, effective_options
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER, KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options, desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import PROFILES
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import selectors
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options, objects

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = ROOT / "docs/options.md"
INSTALL = ROOT / "docs/install.md"
UPGRADE = ROOT / "docs/upgrade_and_rollback.md"
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
MODULE = "nanoagent.k8s.agent"
SPEC = argument_spec()
# Options of the connection that the role leaves to module_defaults and the K8S_AUTH_* variables.
WITHOUT_VARIABLE = set(connection_argument_spec()) - {"kubeconfig", "context"}
# What a lookup or a variable stands for in an example, where not any text will do.
STAND_INS = {
    "image": IMAGE,
    "ca_bundle": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "content": '{"defaultAction": "SCMP_ACT_ERRNO"}',
}
# Words that begin like the variables of a role and are none: modules, what a task registers, a folder.
NO_VARIABLES = {"agent_info", "agent_options", "agent_result", "collector_image_result", "verify_result", "uninstall_result", "verify_ssl"}
NO_VARIABLES |= {"mirror_result", "bundle_result", "bundle_load_result", "registry_configuration_result"}
NO_VARIABLES |= {path.stem for folder in ("modules", "module_utils") for path in (ROOT / "plugins" / folder).glob("*.py")}
# Words with a capital in the code that judges pods, which are conditions, phases and what the cluster says, and no reasons of ours.
NO_REASONS = {"Ready", "True", "False", "In", "PodScheduled", "Running", "Succeeded", "Unhealthy", "Always", "ReadinessGatesNotReady"}
NO_REASONS |= {"Preempting", "OutOfpods", "OutOfcpu", "OutOfmemory", "TaintToleration", "NodeAffinity", "UnexpectedAdmissionError", "Terminated", "Shutdown"}
NO_REASONS |= {"NodeLost", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady"}

named = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] if line.startswith("|") else []


def rows(path):
    """The cells of each row of the document's tables, headers and rules left out."""
    lines = path.read_text().splitlines()
    heads = {number for number, line in enumerate(lines[1:]) if re.fullmatch(r"\|[-| ]+\|", line)}
    return [cells(line) for number, line in enumerate(lines) if line.startswith("|") and number not in heads and number - 1 not in heads]


def code(cell):
    """The text of the cell's first piece of code; None without one."""
    found = re.search(r"`([^`]+)`", cell)
    return found[1] if found else None


def blocks(path):
    """The indented blocks of code."""
    found, block = [], []
    for line in [*path.read_text().splitlines(), "end"]:
        if line.startswith("    ") or (block and not line.strip()):
            block.append(line[4:])
        elif block:
            found.append("\n".join(block).strip() + "\n")
            block = []
    return found


def is_ours(text):
    """Whether a block of code speaks of the module, of its variables, or of options alone."""
    keys = re.findall(r"^([a-z_]+):", text, re.MULTILINE)
    speaks = f"{MODULE}:" in text or re.search(r"^\s*agent_[a-z_]+: ", text, re.MULTILINE)
    return bool(speaks or (keys and keys[0] in SPEC and not text.startswith("apiVersion")))


class UniqueKeys(yaml.SafeLoader):
    """Refuses what YAML readers take in silence: a key that is there twice."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _value in node.value]
        assert len(keys) == len(set(keys)), keys
        return super().construct_mapping(node, deep)


def parsed(text):
    return yaml.load(text.replace("sha256:...", "sha256:" + "ab" * 32), Loader=UniqueKeys)  # noqa: S506 (a safe loader)


def options_in(data):
    """Every mapping of options of the module, or of variables of its role, in a playbook, a task or a plain mapping."""
    if isinstance(data, list):
        return [options for item in data for options in options_in(item)]
    if not isinstance(data, dict):
        return []
    variables = {key.removeprefix("agent_"): value for key, value in data.items() if str(key).startswith("agent_") and key not in NO_VARIABLES}
    found = [variables] if variables else []
    if MODULE in data:
        found.append(data[MODULE])
    elif data and set(data) <= set(SPEC) and "hosts" not in data:
        return [data]
    return found + [options for key, value in data.items() if key != MODULE for options in options_in(value)]


def stood_in(value, option=""):
    """The value with every Jinja expression replaced by what it might give."""
    if isinstance(value, dict):
        return {key: stood_in(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [stood_in(item, option) for item in value]
    return STAND_INS.get(option, "text") if isinstance(value, str) and "{{" in value else value


def company(options):
    """The options with the profile that takes them, and with what they cannot do without."""

    def takes(profile):
        return not any(option in other.OWN and option not in profile.OWN for option in options for other in PROFILES.values())

    fitting = [name for name, profile in PROFILES.items() if takes(profile)]
    full = {"profile": fitting[0] if fitting else "bundled", **options}
    if full["profile"] == "spyderbat" and not {"registration_code", "credentials", "values_file"} & set(full):
        full["registration_code"] = "code"
    if full["profile"] == "bundled" and {"registration_code", "credentials"} & set(full):
        full.setdefault("orc_url", "https://orc.example")
    return {"image": IMAGE, **full}


def check_example(options):
    """Fails where the module would refuse the options."""
    full = company(stood_in(options))
    result = ArgumentSpecValidator(SPEC).validate(full)
    assert not result.error_messages, f"{options}: {result.error_messages}"
    effective_options(result.validated_parameters, {})
    if result.validated_parameters["state"] == "absent" or full.get("values_file"):
        return
    try:
        check_options(result.validated_parameters)
        check_canary(result.validated_parameters)
    except Exception as failure:
        raise AssertionError(f"{options}: {failure}") from failure


def documented():
    """option, with dots for suboptions -> its row in docs/options.md."""
    return {code(row[0]): row for row in rows(OPTIONS)}


def all_options(spec, prefix=""):
    """(dotted name as the document writes it, its spec) of every option and suboption."""
    for name, option in spec.items():
        dotted = re.sub(r"^probes\.(startup|readiness|liveness)\.", "probes.<kind>.", f"{prefix}{name}")
        yield dotted, option
        yield from all_options(option.get("options") or {}, f"{dotted}[]." if option.get("elements") else f"{dotted}.")


def default_with(profile, cell):
    """The default that a cell says for one profile, as in `10%`; spyderbat `1`."""
    for part in cell.lower().split("; "):
        named = re.fullmatch(r"([a-z, ]+?):? `([^`]*)`", part)
        if named and profile in named[1].split(", "):
            return named[2]
    return code(cell.lower().split("; ")[0])


def test_every_option_has_its_row_and_every_row_its_option():
    assert set(documented()) == {name for name, _option in all_options(SPEC)}
    assert [len(row) for row in rows(OPTIONS)] == [4] * len(rows(OPTIONS))


@pytest.mark.parametrize(("name", "option"), sorted(dict(all_options(SPEC)).items()), ids=lambda value: value if isinstance(value, str) else "")
def test_the_default_is_the_one_of_the_code(name, option):
    _name, default, meaning, _example = documented()[name]
    if option.get("required"):
        assert default == "required"
    elif option.get("default") is not None:
        assert option["default"] in (code(default), yaml.safe_load(code(default)))
    else:
        assert default != "required"
        for profile, knowledge in PROFILES.items():
            value = knowledge.DEFAULTS.get(name)
            if isinstance(value, (str, bool, int)):
                assert default_with(profile, default) == str(value).lower()
    # The platforms have a document of their own.
    assert name == "platform" or all(choice in f"{default} {meaning}" for choice in option.get("choices") or [])


@pytest.mark.parametrize("name", sorted(SPEC))
def test_every_option_has_an_example(name):
    example = documented()[name][3]
    if example == "below":
        assert any(name in options for text in blocks(OPTIONS) if is_ours(text) for options in options_in(parsed(text)))
    elif example.startswith("see "):
        assert name in yaml.safe_load(code(documented()[code(example)][3]))
    else:
        options = parsed(code(example))
        assert name in options
        check_example(options)


@named
def test_every_example_is_one_that_the_module_takes(document):
    for text in blocks(document):
        if is_ours(text):
            found = options_in(parsed(text))
            assert found, text
            for options in found:
                assert set(options) <= set(SPEC), set(options) - set(SPEC)
                check_example(options)


def test_examples_are_seen_at_all():
    seen = {document.name: len([text for text in blocks(document) if is_ours(text)]) for document in DOCUMENTS}
    assert {name for name, count in seen.items() if count} >= {"README.md", "options.md", "install.md", "upgrade_and_rollback.md", "migrate_from_helm.md"}
    with pytest.raises(AssertionError, match="ring_bytes"):
        check_example({"ring_bytes": 5})
    with pytest.raises(AssertionError, match="imagee"):
        check_example({"imagee": IMAGE})


def slug(title):
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


@named
def test_every_link_into_the_project_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        path, _sharp, anchor = target.partition("#")
        there = document.parent / path if path else document
        assert there.exists(), target
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)}, target


@cache
def role_variables(role):
    return frozenset(yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"])


def test_an_option_s_variable_is_its_name_behind_agent():
    assert role_variables("agent") == {f"agent_{name}" for name in set(SPEC) - WITHOUT_VARIABLE}


@named
@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_every_variable_that_is_named_exists(document, role):
    words = set(re.findall(rf"(?<![\w./]){role}_[a-z_]*[a-z](?![\w/(])", document.read_text()))
    others = [path.name for path in (ROOT / "roles").iterdir() if path.name.startswith(f"{role}_")]
    assert words - NO_VARIABLES <= role_variables(role).union(*map(role_variables, others))


def unmoved():
    """The options of which docs/upgrade_and_rollback.md says that a change does nothing to the agents."""
    return next(re.findall(r"`([a-z_]+)`", row[0]) for row in rows(UPGRADE) if row[1:] == ["nothing"])


@pytest.mark.parametrize("name", unmoved())
def test_what_is_said_to_leave_the_agents_alone_changes_no_pod_template(name):
    example = company(parsed(code(documented()[name][3])))
    base = {key: value for key, value in example.items() if key not in (name, "image")}
    templates = [
        {key: obj["spec"]["template"] for key, obj in objects(**given).items() if obj["kind"] == "DaemonSet"}
        for given in (example, {**base, "image": example["image"]})
    ]
    assert templates[0] == templates[1] and objects(**example) != objects(**base, image=example["image"])


# -- rights


@cache
def rights():
    """The (verb, resource) pairs that the manifests in docs/install.md grant."""
    granted = set()
    for text in blocks(INSTALL):
        for obj in yaml.safe_load_all(text) if text.startswith("apiVersion: rbac") else []:
            for rule in obj.get("rules") or []:
                for group in rule["apiGroups"]:
                    granted |= {(verb, f"{resource}.{group}" if group else resource) for resource in rule["resources"] for verb in rule["verbs"]}
    return frozenset(granted)


def test_the_least_rights_let_the_installer_look_for_everything():
    needed = {("list", KINDS[kind].resource) for kind in INSTALL_ORDER if kind != "Namespace"} | {("get", "namespaces")}
    needed |= {(verb, KINDS[kind].resource) for kind in [*selectors("any"), "Node"] for verb in ("list", "watch")}
    assert needed <= rights()


def test_the_least_rights_let_the_installer_make_everything():
    login = {"registry": "registry.example", "username": "puller", "password": "secret"}
    made = objects(registry_login=login, priority_class={"name": "system-node-critical"}, network_policy=True, create_namespace=False)
    made |= objects(priority_class={"name": "agent", "create": True, "resource_quota": True}, create_namespace=False)
    needed = {(verb, KINDS[obj["kind"]].resource) for obj in made.values() for verb in ("get", "create", "patch", "delete")}
    assert needed <= rights()


@pytest.mark.parametrize("given", [{}, {"network_policy": False}, {"canary": {"nodes": "1"}}, {"priority_class": {"name": "system-node-critical"}}])
def test_the_least_rights_are_all_that_a_look_ahead_asks_for(given):
    options = agent_options(create_namespace=False, **given)
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": options["namespace"]}}
    specs = needed_rights(options, plan(desired_objects(options), {}, [], "nanoagent.k8s"), {"namespace": home, "parent": None})
    for attributes in (spec["resourceAttributes"] for spec in specs):
        resource = "/".join(filter(None, (attributes["resource"], attributes.get("subresource"))))
        assert (attributes["verb"], f"{resource}.{attributes['group']}".rstrip(".")) in rights()


def test_the_least_rights_hold_what_the_installer_hands_on():
    roles = [obj for obj in objects().values() if obj["kind"] in ("Role", "ClusterRole")]
    assert roles
    for role in roles:
        for rule in role["rules"]:
            for resource in rule["resources"]:
                full = f"{resource}.{rule['apiGroups'][0]}".rstrip(".")
                assert {(verb, full) for verb in rule["verbs"]} <= rights()


# -- messages

_ANY = "\0"


@cache
def templates(files="*.py"):
    """Every text in the code of these files, docstrings left out; what is filled in is one _ANY."""
    found = set()
    for path in sorted((ROOT / "plugins").rglob(files)):
        tree = ast.parse(path.read_text())
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(part.value if isinstance(part, ast.Constant) else _ANY for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                found.add(node.value)
    return found


def begins(message, template):
    """How many letters at the beginning of the message are the code's own; -1 where the message does not begin as the template does.

    What is filled in is _ANY in the message too, or a whole text of the code.
    """

    @cache
    def best(here, there):
        if here == len(message):
            return 0
        if there == len(template):
            return -1
        if template[there] == _ANY:
            ends = [end for end in range(here + 1, len(message) + 1) if message[here:end] == _ANY or message[here:end] in templates()]
            tries = [(best(end, there + 1), len(message[here:end].replace(_ANY, ""))) for end in ends]
            return max((rest + own for rest, own in tries if rest >= 0), default=-1)
        rest = best(here + 1, there + 1) if template[there] == message[here] else -1
        return rest + 1 if rest >= 0 else -1

    return best(0, 0)


def is_said(quoted):
    """Whether the code has a text that begins like this; <words> stand for what is filled in."""
    message = re.sub(r"<[^<>]+>", _ANY, quoted)
    return message in templates() or any(begins(message, template) >= 12 for template in templates())


def quotations():
    """The first column of the tables but of the first one, which has questions."""
    return [code(row[0]) for row in rows(TROUBLESHOOTING) if code(row[0])]


@pytest.mark.parametrize("quoted", quotations())
def test_a_message_in_troubleshooting_is_one_of_the_code(quoted):
    assert is_said(quoted)


def test_a_message_of_nobody_is_noticed():
    assert not is_said("the namespace <name> is made of cheese")
    assert not is_said("NoSuchReason")
    assert is_said("the namespace <name> does not exist")


def test_every_reason_of_a_node_is_explained():
    words = {template for file in ("pod_status.py", "refusals.py") for template in templates(file) if re.fullmatch(r"[A-Z][A-Za-z]+", template)}
    reasons = words - NO_REASONS
    for call in ast.walk(ast.parse((ROOT / "plugins/module_utils/verdict.py").read_text())):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "outcome" and isinstance(call.args[1], ast.Constant):
            reasons |= {call.args[1].value} - {"Ready"}
    assert len(reasons) > 50 and reasons - set(quotations()) == set()
