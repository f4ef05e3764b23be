# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.quotas import quota_findings, workload


def quota(hard, used=None, **spec):
    return {"kind": "ResourceQuota", "metadata": {"namespace": "n", "name": "q"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used or {}}}


def limits(*rules):
    return {"kind": "LimitRange", "metadata": {"namespace": "n", "name": "l"}, "spec": {"limits": list(rules)}}


def pod(requests=None, bounds=None, **spec):
    return {"containers": [{"name": "c", "resources": {"requests": requests or {}, "limits": bounds or {}}}], **spec}


AGENT = pod({"cpu": "100m", "memory": "512Mi"}, {"cpu": "1", "memory": "1Gi"})


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
    found = quota_findings([one], [], [workload(AGENT, 3)], created)
    if expected is None:
        assert [each["result"] for each in found] == ["ok"]
    else:
        assert found[0]["result"] == "error" and expected in found[0]["evidence"] and found[0]["object"] == "ResourceQuota n/q"


def test_pods_that_are_there_are_counted_already():
    full = quota({"requests.cpu": "300m"}, {"requests.cpu": "300m"})
    assert quota_findings([full], [], [workload(AGENT, 3, [AGENT] * 3)], [])[0]["result"] == "ok"
    assert quota_findings([full], [], [workload(AGENT, 3, [AGENT] * 2)], [])[0]["result"] == "error"


def test_a_quota_wants_amounts_to_be_set():
    [found] = quota_findings([quota({"limits.memory": "10Gi"})], [], [workload(pod({"memory": "1Gi"}), 1)], [])
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
    found = quota_findings([], [limits(rule)], [workload(AGENT, 1)], [])
    if word is None:
        assert found[0]["result"] == "ok"
    else:
        assert found[0]["result"] == "error" and word in found[0]["evidence"] and found[0]["object"] == "LimitRange n/l"


LIMITS_ONLY = pod(None, {"cpu": "1", "memory": "1Gi"})
CONTAINER = {"type": "Container"}


@pytest.mark.parametrize(
    ("spec", "quotas", "rules", "word"),
    [
        # A limit that a LimitRange gives.
        (pod({"cpu": "100m", "memory": "512Mi"}, {"memory": "1Gi"}), [quota({"limits.cpu": "3"})], [{**CONTAINER, "default": {"cpu": "1"}}], None),
        (pod({"cpu": "100m", "memory": "512Mi"}, {"memory": "1Gi"}), [quota({"limits.cpu": "2"})], [{**CONTAINER, "default": {"cpu": "1"}}], "limits.cpu: 3"),
        (pod({"cpu": "100m", "memory": "512Mi"}, {"memory": "1Gi"}), [], [{**CONTAINER, "default": {"cpu": "1"}}, {"type": "Pod", "max": {"cpu": "1"}}], None),
        # A container requests what it limits.
        (LIMITS_ONLY, [quota({"requests.cpu": "3", "requests.memory": "3Gi"})], [], None),
        (LIMITS_ONLY, [quota({"requests.cpu": "2"})], [], "requests.cpu: 3 more wanted, 2 of 2 left"),
        (LIMITS_ONLY, [], [{**CONTAINER, "min": {"cpu": "50m"}}], None),
        (LIMITS_ONLY, [], [{"type": "Pod", "min": {"cpu": "50m"}}], None),
        (LIMITS_ONLY, [], [{**CONTAINER, "min": {"cpu": "2"}}], "a request of 1 of cpu, at least 2"),
        # That comes first, so what a LimitRange would have a container request does not count any more.
        (LIMITS_ONLY, [], [{**CONTAINER, "defaultRequest": {"cpu": "50m"}, "maxLimitRequestRatio": {"cpu": "10"}}], None),
        (
            pod({"cpu": "50m"}, {"cpu": "1"}),
            [],
            [{**CONTAINER, "defaultRequest": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "10"}}],
            "20.0 times its request",
        ),
        # What has nothing set is not of the best effort any more.
        (pod(), [quota({"pods": "0"}, scopes=["BestEffort"])], [{**CONTAINER, "default": {"cpu": "1"}}], None),
        (pod(initContainers=[{"name": "i"}]), [quota({"requests.cpu": "1"})], [{**CONTAINER, "defaultRequest": {"cpu": "100m"}}], None),
    ],
)
def test_the_pod_is_judged_as_it_would_be_admitted(spec, quotas, rules, word):
    found = quota_findings(quotas, [limits(*rules)], [workload(spec, 3)], [])
    assert [each["result"] for each in found] == ["error" if word else "ok"] and (word or "") in found[0]["evidence"]


def test_of_several_limit_ranges_the_first_one_that_has_a_default_counts():
    ranges = [limits({**CONTAINER, "default": {"cpu": cpu}}) for cpu in ("1", "5")]
    assert quota_findings([quota({"limits.cpu": "1"})], ranges, [workload(pod(), 1)], [])[0]["result"] == "ok"


SMALL = pod({"cpu": "50m"})
LARGE = pod({"cpu": "100m"})


@pytest.mark.parametrize(
    ("one", "spec", "live", "beside", "evidence", "fix"),
    [
        (quota({"pods": "3"}, {"pods": "3"}), LARGE, LARGE, 0, None, ""),
        (quota({"pods": "4"}, {"pods": "3"}), LARGE, LARGE, 1, None, ""),
        (quota({"pods": "3"}, {"pods": "3"}), LARGE, LARGE, 1, "pods: 1 more wanted, 0 of 3 left, while new pods run beside", "raise the quota by 1, or do it"),
        (quota({"pods": "5"}, {"pods": "3"}), LARGE, LARGE, 3, "pods: 3 more wanted, 2 of 5 left", "raise the quota by 1, or do it"),
        # No more stand beside another than there are.
        (quota({"pods": "6"}, {"pods": "3"}), LARGE, LARGE, 100, None, ""),
        # Before the last former one goes, and before the first one does.
        (quota({"cpu": "349m"}, {"cpu": "150m"}), LARGE, SMALL, 1, "cpu: 200m more wanted", "raise the quota by 1m"),
        (quota({"cpu": "350m"}, {"cpu": "150m"}), LARGE, SMALL, 1, None, ""),
        (quota({"cpu": "349m"}, {"cpu": "300m"}), SMALL, LARGE, 1, "cpu: 50m more wanted", "raise the quota by 1m"),
        (quota({"cpu": "350m"}, {"cpu": "300m"}), SMALL, LARGE, 1, None, ""),
        # What is lacking in the end, too, is not of the moment.
        (quota({"cpu": "200m"}, {"cpu": "150m"}), LARGE, SMALL, 1, "cpu: 200m more wanted, 50m of 200m left", "raise the quota, lower resources"),
    ],
)
def test_pods_that_stand_beside_their_successors_count_twice(one, spec, live, beside, evidence, fix):
    [found] = quota_findings([one], [], [workload(spec, 3, [live] * 3, beside, "do it otherwise")], [])
    assert found["result"] == ("error" if evidence else "ok") and (evidence or "") in found["evidence"] and found["fix"].startswith(fix)
    assert ("beside" in found["evidence"]) is ("do it" in fix or "1m" in fix)


def test_pods_that_the_quota_does_not_count_give_nothing_back():
    scope = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["p"]}]}
    agents = workload({**AGENT, "priorityClassName": "p"}, 3, [AGENT] * 3)
    [found] = quota_findings([quota({"pods": "2"}, scopeSelector=scope)], [], [agents], [])
    assert found["result"] == "error" and "pods: 3 more wanted, 2 of 2 left" in found["evidence"]


@pytest.mark.parametrize("beside", [0, 1])
def test_templates_stand_for_the_pods_that_were_made_of_them(beside):
    spec, rule = pod(bounds={"cpu": "200m"}), {"type": "Container", "default": {"memory": "1Gi"}}
    monitor = workload(spec, 1, [spec], beside, admitted=False)
    for one in (quota({"requests.cpu": "1"}, {"requests.cpu": "900m"}), quota({"limits.memory": "10Gi"}, {"limits.memory": "9728Mi"})):
        [found] = quota_findings([one], [limits(rule)], [monitor], [])
        assert found["result"] == ("error" if beside else "ok")
        assert not beside or found["evidence"].endswith("while new pods run beside the former ones")


def test_nothing_there_is_well():
    assert quota_findings([], [], [workload(AGENT, 1)], [])[0]["evidence"] == "the namespace has no ResourceQuota and no LimitRange"
