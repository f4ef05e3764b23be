# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.quotas import quota_findings


def quota(hard, used=None, **spec):
    return {"kind": "ResourceQuota", "metadata": {"namespace": "n", "name": "q"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used or {}}}


def limits(*rules):
    return {"kind": "LimitRange", "metadata": {"namespace": "n", "name": "l"}, "spec": {"limits": list(rules)}}


def template(requests=None, bounds=None, **spec):
    return {"spec": {"containers": [{"name": "c", "resources": {"requests": requests or {}, "limits": bounds or {}}}], **spec}}


AGENT = template({"cpu": "100m", "memory": "512Mi"}, {"cpu": "1", "memory": "1Gi"})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (quota({"requests.cpu": "300m"}), None),
        (quota({"requests.cpu": "299m"}), "requests.cpu: 300m more wanted, 299m of 299m left"),
        (quota({"cpu": "1"}, {"cpu": "800m"}), "cpu: 300m more wanted, 200m of 1 left"),
        (quota({"limits.memory": "2Gi"}), "limits.memory: 3072Mi more wanted, 2048Mi of 2048Mi left"),
        (quota({"pods": "5"}, {"pods": "3"}), "pods: 3 more wanted, 2 of 5 left"),
        (quota({"count/pods": "2"}), "count/pods: 3 more wanted"),
        (quota({"configmaps": "1"}, {"configmaps": "1"}), "configmaps: 1 more wanted, 0 of 1 left"),
        (quota({"count/daemonsets.apps": "0"}), "count/daemonsets.apps: 1 more wanted"),
        (quota({"services": "0"}), None),
        # A scope that the agent's pods are not in.
        (quota({"pods": "0"}, scopes=["BestEffort"]), None),
        (quota({"pods": "0"}, scopes=["NotBestEffort"]), "pods: 3"),
        (quota({"pods": "0"}, scopes=["Terminating"]), None),
        (quota({"pods": "0"}, scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["p"]}]}), None),
        (quota({"pods": "0"}, scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}), "pods: 3"),
    ],
)
def test_a_quota(one, expected):
    created = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "n"}},
    ]
    found = quota_findings([one], [], [(AGENT, 3, [])], created)
    if expected is None:
        assert [each["result"] for each in found] == ["ok"]
    else:
        assert found[0]["result"] == "error" and expected in found[0]["evidence"] and found[0]["object"] == "ResourceQuota n/q"


def test_pods_that_are_there_are_counted_already():
    full = quota({"requests.cpu": "300m"}, {"requests.cpu": "300m"})
    assert quota_findings([full], [], [(AGENT, 3, [AGENT["spec"]] * 3)], [])[0]["result"] == "ok"
    assert quota_findings([full], [], [(AGENT, 3, [AGENT["spec"]] * 2)], [])[0]["result"] == "error"


def test_a_quota_wants_amounts_to_be_set():
    [found] = quota_findings([quota({"limits.memory": "10Gi"})], [], [(template({"memory": "1Gi"}), 1, [])], [])
    assert "a container of the agent does not set it" in found["evidence"]


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"type": "Container", "max": {"cpu": "500m"}}, "container c has a limit of 1 of cpu, at most 500m"),
        ({"type": "Container", "min": {"memory": "1Gi"}}, "a request of 512Mi of memory, at least 1024Mi"),
        ({"type": "Container", "max": {"ephemeral-storage": "1Gi"}}, "has no limit of ephemeral-storage"),
        ({"type": "Container", "max": {"ephemeral-storage": "1Gi"}, "default": {"ephemeral-storage": "1Gi"}}, None),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "5"}}, "10.0 times its request, at most 5"),
        ({"type": "Pod", "max": {"cpu": "500m"}}, "the pod has a limit of 1 of cpu"),
        ({"type": "PersistentVolumeClaim", "max": {"storage": "1"}}, None),
    ],
)
def test_a_limit_range(rule, word):
    found = quota_findings([], [limits(rule)], [(AGENT, 1, [])], [])
    if word is None:
        assert found[0]["result"] == "ok"
    else:
        assert found[0]["result"] == "error" and word in found[0]["evidence"] and found[0]["object"] == "LimitRange n/l"


def test_nothing_there_is_well():
    assert quota_findings([], [], [(AGENT, 1, [])], [])[0]["evidence"] == "the namespace has no ResourceQuota and no LimitRange"
