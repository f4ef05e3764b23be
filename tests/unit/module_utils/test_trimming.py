# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of an object is kept, and that all that judges a pod is kept."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import diagnose, is_ready, target_node
from ansible_collections.nanoagent.k8s.plugins.module_utils.trimming import trimmed

AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker1"]}]}]
        }
    }
}


def pod(**spec):
    container = {
        "name": "collector",
        "image": "registry.example/collector",
        "resources": {"requests": {"cpu": "100m"}},
        "readinessProbe": {"periodSeconds": 10},
        "livenessProbe": {"periodSeconds": 30},
        "env": [{"name": "A", "value": "b"}],
        "args": ["run"],
        "volumeMounts": [{"name": "run", "mountPath": "/run"}],
    }
    return {
        "kind": "Pod",
        "metadata": {"name": "a", "labels": {"app": "x"}, "managedFields": [{"manager": "m"}]},
        "spec": {
            "containers": [container],
            "initContainers": [dict(container)],
            "volumes": [{"name": "run"}],
            "tolerations": [{}],
            "affinity": AFFINITY,
            **spec,
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_what_judges_a_pod_is_kept():
    whole = pod(nodeName="worker1")
    short = trimmed(copy.deepcopy(whole))
    assert short["metadata"] == {"name": "a", "labels": {"app": "x"}}
    kept = {key: whole["spec"]["containers"][0][key] for key in ("name", "image", "resources", "readinessProbe")}
    assert short["spec"] == {"nodeName": "worker1", "containers": [kept], "initContainers": [kept]}
    assert short["status"] == whole["status"]
    for judge in (is_ready, target_node, diagnose):
        assert judge(short) == judge(whole)


def test_a_pod_without_a_node_keeps_what_names_it():
    assert target_node(trimmed(pod())) == "worker1"


def test_a_node_keeps_all_but_its_bookkeeping_and_images():
    node = {"kind": "Node", "metadata": {"name": "n", "managedFields": []}, "spec": {"taints": []}, "status": {"images": [{}], "conditions": []}}
    assert trimmed(node) == {"kind": "Node", "metadata": {"name": "n"}, "spec": {"taints": []}, "status": {"conditions": []}}


@pytest.mark.parametrize("kind", ["Node", "Pod"])
def test_what_is_missing_is_no_error(kind):
    assert trimmed({"kind": kind}) == {"kind": kind}


def test_other_kinds_stay_whole():
    config_map = {"kind": "ConfigMap", "metadata": {"name": "c", "managedFields": [{"manager": "m"}]}, "data": {"a": "b"}}
    assert trimmed(copy.deepcopy(config_map)) == config_map


def test_an_event_loses_its_bookkeeping():
    assert trimmed({"kind": "Event", "metadata": {"name": "e", "managedFields": [{}]}, "reason": "R"}) == {
        "kind": "Event",
        "metadata": {"name": "e"},
        "reason": "R",
    }


@pytest.mark.parametrize("odd", [{"spec": []}, {"metadata": "m", "status": 5}, {"spec": {"containers": [None, "c"], "initContainers": {}}}])
def test_an_object_of_a_shape_that_no_server_has_stays_as_it_is(odd):
    assert trimmed({"kind": "Pod", **copy.deepcopy(odd)}) == {"kind": "Pod", **odd}
