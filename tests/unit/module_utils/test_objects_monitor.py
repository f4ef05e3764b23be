# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster monitor and its rights."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, objects

ROLE = "nanoagent-nanoagent-monitor"


def monitored(facts=None, rbac="read_only", **monitor):
    return objects(facts, profile="spyderbat", rbac=rbac, monitor={"enabled": True, **monitor})


def test_it_is_the_vendor_s():
    found = monitored({"cluster_uid": "uid"})["Deployment/clustermonitor-deployment"]
    spec = found["spec"]["template"]["spec"]
    env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
    assert env["K8SMONITOR"] == env["SPYDERBAT_K8S_DEPLOYMENT"] == "yes" and env["SPYDERBAT_INSTALL_ID"] == "uid"
    assert "SPYDERBAT_EPHEMERAL_NODE" not in env and "AGENT_REGISTRATION_CODE" in env
    assert found["spec"]["selector"]["matchLabels"].items() <= found["spec"]["template"]["metadata"]["labels"].items()
    assert found["spec"]["replicas"] == 1 and found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["serviceAccountName"] == "nanoagent-monitor" and spec["automountServiceAccountToken"] is True
    assert "hostNetwork" not in spec and "hostPID" not in spec and not spec["containers"][0]["securityContext"].get("privileged")


def test_the_daemon_set_does_not_see_its_pods_as_its_own():
    found = monitored()
    pods = found["Deployment/clustermonitor-deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (found["DaemonSet/nanoagent"]["spec"]["selector"]["matchLabels"], objects()["DaemonSet/nanoagent"]["spec"]["selector"]["matchLabels"]):
        assert not selector.items() <= pods.items()


@pytest.mark.parametrize(("rbac", "verbs"), [("read_only", {"get", "list", "watch"}), ("respond", {"get", "list", "watch", "delete"})])
def test_its_rights(rbac, verbs):
    found = monitored(rbac=rbac)
    rules = found[f"ClusterRole/{ROLE}"]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == verbs
    assert [rule["resources"] for rule in rules if "delete" in rule["verbs"]] == ([["pods"]] if rbac == "respond" else [])
    named = {resource for rule in rules for resource in rule["resources"]}
    assert not named & {"*", "secrets", "configmaps", "pods/exec"} and {"pods", "nodes", "daemonsets"} <= named
    assert found[f"ClusterRoleBinding/{ROLE}"]["subjects"] == [{"kind": "ServiceAccount", "name": "nanoagent-monitor", "namespace": "nanoagent"}]


def test_cluster_admin_is_bound_and_not_made():
    found = monitored(rbac="cluster_admin")
    assert found[f"ClusterRoleBinding/{ROLE}"]["roleRef"]["name"] == "cluster-admin" and f"ClusterRole/{ROLE}" not in found


def test_the_node_agent_gets_no_rights():
    for found in (monitored(rbac="cluster_admin"), objects()):
        subjects = [subject["name"] for obj in found.values() for subject in obj.get("subjects") or []]
        account = found["DaemonSet/nanoagent"]["spec"]["template"]["spec"]["serviceAccountName"]
        assert account not in subjects
        assert found["DaemonSet/nanoagent"]["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("monitor", "budget"), [({}, False), ({"replicas": 2}, True), ({"replicas": 2, "pod_disruption_budget": False}, False)])
def test_a_budget_where_it_helps(monitor, budget):
    found = monitored(**monitor).get("PodDisruptionBudget/clustermonitor-deployment")
    assert bool(found) is budget
    if budget:
        assert found["spec"]["maxUnavailable"] == 1


def test_its_own_image_resources_and_place():
    image = "r.example/monitor@sha256:" + "ef" * 32
    toleration, size = {"operator": "Exists"}, {"limits": {"memory": "1Gi"}}
    spec = monitored(image=image, resources=size, tolerations=[toleration], node_selector={"pool": 1})["Deployment/clustermonitor-deployment"]["spec"][
        "template"
    ]["spec"]
    assert spec["containers"][0]["image"] == image and spec["containers"][0]["resources"] == size
    assert spec["tolerations"] == [toleration] and spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "1"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"monitor": {"enabled": True}}, "our own cluster monitor is not in this release"),
        ({"profile": "custom", "monitor": {"enabled": True}}, "the profile custom has no cluster monitor"),
        ({"rbac": "respond"}, "rbac respond is the cluster monitor's, which is off"),
        ({"profile": "spyderbat", "monitor": {"enabled": True, "replicas": 0}}, "monitor.replicas 0"),
        ({"profile": "spyderbat", "monitor": {"enabled": True, "name": "A"}}, "monitor.name 'A'"),
        ({"profile": "spyderbat", "monitor": {"enabled": True, "image": "r.example/m:1"}}, "monitor.image r.example/m:1 is not pinned"),
        ({"profile": "spyderbat", "monitor": {"enabled": True, "resources": {"limits": {"cpu": "x"}}}}, "monitor.resources.limits.cpu 'x'"),
        ({"profile": "spyderbat", "monitor": {"enabled": True}, "extra_env": [{"name": "K8SMONITOR", "value": "no"}]}, "variable K8SMONITOR is there twice"),
        ({"profile": "spyderbat", "monitor": {"enabled": True, "tolerations": [{"value": "x"}]}}, "monitor.tolerations[0] has no key"),
    ],
)
def test_what_is_refused(given, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**given))
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
