# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests as text and as files, the same bytes for the same options."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import traceback

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import check_canary
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import given_version
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import synchronise
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import KEY as MEMORY
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import recall
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import adjust, note_line
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import choose
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults

try:
    import yaml

    YAML_IMPORT_ERROR = None
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

# The first line of every file; a file without it is never replaced or removed.
MARK = "# Made by nanoagent.k8s; what is changed here is lost at the next rendering."
BUNDLE = "bundle.yaml"
KUSTOMIZATION = "kustomization.yaml"
# What the set's parent remembers, as it stands in a file: the key, and below it lines that are further in.
_REMEMBERED = re.compile(rf"^(?P<head>(?P<indent> *){re.escape(MEMORY)}: \|\n)(?P<lines>(?:(?P=indent) +\S.*\n)+)", re.MULTILINE)


def rendered(options: dict, check_mode: bool = False, want_diff: bool = False) -> dict:
    """The module's result for state rendered; with options["render_dir"] that folder is brought up to date.

    {"changed", "manifests": [object], "manifest": multi-document YAML, "left_out": [line], "notes": [line]}, in apply order;
    with a folder also "files": [{"action": create|update|keep|delete, "path"}], and "diff" where it is wanted. Secrets are
    left out: their values must not stand in files; `left_out` says for each how to make it. notes: what the platform that
    options["platform"] names asks for; none is recognised here, as no cluster is asked.
    """
    platforms = choose(options["platform"], [])
    options, notes = adjust(with_profile_defaults(options), platforms)
    check_canary(options)
    desired = desired_objects(options, {"platforms": platforms, "kubernetes": given_version(options["kubernetes_version"])})
    # A Secret that somebody makes by hand is no member: it would be told as changed, and an uninstall would miss its label.
    objects = applyset.of_these([obj for obj in desired if obj["kind"] != "Secret"])
    left_out = [how_to_make(obj) for obj in desired if obj["kind"] == "Secret"]
    result = {"changed": False, "manifests": objects, "manifest": manifest_text(objects), "left_out": left_out}
    result["notes"] = [note_line(note) for note in notes]
    if options["render_dir"]:
        steps = synchronise(options["render_dir"], rendered_files(objects, left_out), MARK, check_mode)
        result["changed"] = any(step["action"] != "keep" for step in steps)
        result["files"] = [{"action": step["action"], "path": step["path"]} for step in steps]
        if want_diff:
            result["diff"] = [_diff(step) for step in steps if step["action"] != "keep"]
    return result


def manifest_text(objects: list[dict]) -> str:
    """The objects as YAML documents with sorted keys, read alike by YAML 1.1 and 1.2 readers. Pure."""
    return "".join("---\n" + _dump(obj) for obj in objects)


def rendered_files(objects: list[dict], left_out: list[str]) -> dict[str, str]:
    """File name -> text: a numbered file for each object in apply order, the bundle, and the kustomization. Pure."""
    numbered = {_file_name(number, obj): f"{MARK}\n{manifest_text([obj])}" for number, obj in enumerate(objects, 1)}
    notes = "".join(f"# Left out: {line}\n" for line in left_out)
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(numbered)}
    return {
        **numbered,
        BUNDLE: f"{MARK}\n{notes}{manifest_text(objects)}",
        KUSTOMIZATION: f"{MARK}\n{notes}---\n{_dump(kustomization)}",
    }


def how_to_make(secret: dict) -> str:
    """One line: which Secret is not in the files, and the command that makes it from files of the user's. Pure."""
    metadata = secret["metadata"]
    keys = sorted({**(secret.get("data") or {}), **(secret.get("stringData") or {})})
    sources = " ".join(f"--from-file={key}=FILE" for key in keys)
    command = f"kubectl create secret generic {metadata['name']} --namespace={metadata['namespace']} --type={secret.get('type') or 'Opaque'} {sources}"
    return f"{title(secret)}: {command.rstrip()}"


def _file_name(number, obj):
    name = re.sub(r"[^a-z0-9.-]+", "-", obj["metadata"]["name"].lower())
    return f"{number:03d}-{obj['kind'].lower()}-{name}.yml"


def _diff(step):
    return {"before": _readable(step["before"]), "after": _readable(step["after"]), "before_header": step["path"], "after_header": step["path"]}


def _readable(text):
    """A file's text with each object that the set's parent remembers as its name and digest; what changed of it is told where it stands itself."""
    return _REMEMBERED.sub(_by_digest, text)


def _by_digest(found):
    objects = recall({"data": {MEMORY: textwrap.dedent(found["lines"])}})
    if objects is None:
        return found[0]
    lines = (f"{found['indent']}  {_name(obj)} sha256:{hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:16]}\n" for obj in objects)
    return found["head"] + "".join(lines)


def _name(obj):
    # Whoever edited a file may have put any kind there.
    metadata = obj["metadata"]
    return f"{obj['kind']} {metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else f"{obj['kind']} {metadata['name']}"


def _dump(data):
    if YAML_IMPORT_ERROR:
        raise Failure(missing_required_lib("PyYAML"), "install it for that Python", exception=YAML_IMPORT_ERROR)
    return yaml.dump(data, Dumper=_dumper(), sort_keys=True, default_flow_style=False, width=120, allow_unicode=True)


def _dumper():
    """SafeDumper without anchors, with text of many lines as a block, and with quotes where Go's YAML reader needs them."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    def text(dumper, value):
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    # Plain scalars that PyYAML takes for text and gopkg.in/yaml.v2, which kubectl reads with, for something else
    # (resolve.go there: y and n are booleans, a float needs no point, 0o starts an octal number, 0X and 0B are 0x and 0b, and _ is
    # left out of a number wherever it stands).
    Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))
    Dumper.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"(?=.*[0-9])[-+_]*(\.[0-9_]+|[0-9_]+(\.[0-9_]*)?)([eE][-+]?[0-9_]+)?\Z"), list("-+._0123456789")
    )
    Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+_]*0_*([oO][0-7_]+|[xX][0-9a-fA-F_]+|[bB][01_]+)\Z"), list("-+_0"))
    return Dumper
