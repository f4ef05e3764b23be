# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our rendered manifests in the forms that the peers take."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import yaml

from benchmark.kubernetes import NAME
from benchmark.surroundings import import_collection, options_of

# Stands where a value is that the benchmark changes; a label's value as it is.
CHANGE = "to-be-changed"
RANDOM = "to-be-random"


def rendered(namespace: str, image: str, create_namespace: bool, change: str = CHANGE, **options) -> list[dict]:
    """The objects that the agent module would apply; the label `change` of the pods has this value."""
    import_collection()
    from ansible_collections.nanoagent.k8s.plugins.module_utils.render import rendered as render
    from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

    given = {"name": NAME, "namespace": namespace, "image": image, "create_namespace": create_namespace, "pod_labels": {"change": change}}
    options = options_of(argument_spec(), **given, **options)
    return render(options)["manifests"]


def manifest_file(folder: Path, objects: list[dict]) -> Path:
    """One file for kubectl."""
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(objects, sort_keys=True))
    return path


def chart(folder: Path, objects: list[dict], rolls: bool = False) -> Path:
    """A Helm chart whose templates are the objects; the value `change` is a label of the pods.

    rolls: whether each rendering changes the pods, by a random annotation as the vendor's chart has one.
    """
    path = folder / "chart"
    (path / "templates").mkdir(parents=True, exist_ok=True)
    (path / "values.yaml").write_text(yaml.safe_dump({"change": "one"}))
    (path / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": NAME, "version": "0.1.0"}))
    for obj in objects:
        if rolls and obj["kind"] == "DaemonSet":
            obj = copy.deepcopy(obj)
            obj["spec"]["template"]["metadata"]["annotations"] = {"rollme": RANDOM}
        text = yaml.safe_dump(obj, sort_keys=True)
        # Nothing in the objects is meant for Helm's template language.
        escaped = text.replace("{{", '{{ "{{" }}').replace(CHANGE, "{{ .Values.change }}").replace(RANDOM, "{{ randAlphaNum 5 | quote }}")
        (path / "templates" / f"{obj['kind']}-{obj['metadata']['name']}.yaml".lower()).write_text(escaped)
    return path


def kubernetes_core_playbook(folder: Path, objects: list[dict], state: str, wait: bool = True) -> Path:
    """A playbook with one task for each object; wait: whether it waits for the DaemonSet, and for the namespace's end."""
    tasks = [
        {
            "name": f"{obj['kind']} {obj['metadata']['name']}",
            "kubernetes.core.k8s": {
                "state": state,
                "definition": obj,
                "wait": wait and (obj["kind"] == "DaemonSet" or (state == "absent" and obj["kind"] == "Namespace")),
                "wait_timeout": 900,
                **({"apply": True} if state == "present" else {}),
            },
        }
        for obj in objects
    ]
    path = folder / "kubernetes-core.json"
    path.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    return path
