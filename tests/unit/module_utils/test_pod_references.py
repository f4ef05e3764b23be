# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import references, wanted_by
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options


def test_every_way_to_need_something():
    spec = {
        "serviceAccountName": "account",
        "priorityClassName": "urgent",
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [
            {"name": "a", "configMap": {"name": "map"}},
            {"name": "b", "secret": {"secretName": "mounted"}},
            {"name": "c", "csi": {"driver": "d", "volumeAttributes": {"secretProviderClass": "provider"}}},
            {"name": "d", "projected": {"sources": [{"configMap": {"name": "part"}}, {"secret": {"name": "piece"}}, {"serviceAccountToken": {"path": "t"}}]}},
            {"name": "e", "emptyDir": {}},
        ],
        "initContainers": [{"name": "i", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "early", "key": "k"}}}]}],
        "containers": [
            {
                "name": "c",
                "env": [{"name": "B", "valueFrom": {"configMapKeyRef": {"name": "value", "key": "k"}}}, {"name": "C", "value": "plain"}],
                "envFrom": [{"secretRef": {"name": "whole"}}, {"configMapRef": {"name": "all"}}],
            }
        ],
    }
    assert references(spec, "home") == {
        ("ServiceAccount", "home", "account"),
        ("PriorityClass", "", "urgent"),
        ("SecretProviderClass", "home", "provider"),
        *(("Secret", "home", name) for name in ("pull", "mounted", "piece", "early", "whole")),
        *(("ConfigMap", "home", name) for name in ("map", "part", "value", "all")),
    }


def test_a_pod_that_names_nothing_needs_nothing():
    assert references({"containers": [{"name": "c"}]}, "home") == set()


def test_the_workloads_of_an_installation():
    needed = wanted_by(desired_objects(agent_options(priority_class={"name": "p"})))
    assert {("ServiceAccount", "nanoagent", "nanoagent"), ("PriorityClass", "", "p")} <= needed
    assert any(kind == "ConfigMap" and name.startswith("nanoagent-collector-") for kind, _namespace, name in needed)
