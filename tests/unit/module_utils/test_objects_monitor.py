# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster monitor and its rights."""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options, objects

ROLE = "nanoagent.nanoagent-monitor"
MONITOR_IMAGE = "registry.example/monitor@sha256:" + "ef" * 32
OURS = {"enabled": True, "image": MONITOR_IMAGE}


def monitored(facts=None, rbac="read_only", **monitor):
    return objects(facts, profile="spyderbat", rbac=rbac, monitor={"enabled": True, **monitor})


def ours(facts=None, monitor=None, **options):
    return objects(facts, monitor={**OURS, **(monitor or {})}, **options)


def our_pod(*arguments, **options):
    return ours(*arguments, **options)["Deployment/nanoagent-monitor"]["spec"]["template"]["spec"]


def config(found):
    [made] = [obj for key, obj in found.items() if key.startswith("ConfigMap/nanoagent-monitor-")]
    return json.loads(made["data"]["monitor.json"])


def test_it_is_the_vendor_s():
    found = monitored({"cluster_uid": "uid"})["Deployment/clustermonitor-deployment"]
    spec = found["spec"]["template"]["spec"]
    env = {variable["name"]: variable.get("value") for variable in spec["containers"][0]["env"]}
    assert env["K8SMONITOR"] == env["SPYDERBAT_K8S_DEPLOYMENT"] == "yes" and env["SPYDERBAT_INSTALL_ID"] == "uid"
    assert "SPYDERBAT_EPHEMERAL_NODE" not in env and "AGENT_REGISTRATION_CODE" in env
    assert found["spec"]["selector"]["matchLabels"].items() <= found["spec"]["template"]["metadata"]["labels"].items()
    assert found["spec"]["replicas"] == 1 and found["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert found["spec"]["minReadySeconds"] == 3 and "readinessProbe" not in spec["containers"][0]
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


@pytest.mark.parametrize("known", [None, True, False])
def test_it_asks_for_local_storage_where_all_nodes_account_for_it(known):
    found = our_pod({"local_storage": known})["containers"][0]["resources"]
    storage = {key: amounts.get("ephemeral-storage") for key, amounts in found.items()}
    assert storage == ({"requests": None, "limits": None} if known is False else {"requests": "64Mi", "limits": "1Gi"})
    assert our_pod(monitor={"resources": {"requests": {"cpu": "1"}}})["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert "ephemeral-storage" not in json.dumps(monitored()["Deployment/clustermonitor-deployment"])


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


def test_our_own_runs_with_the_least_that_it_needs():
    pod = our_pod()
    [container] = pod["containers"]
    assert container["command"] == ["/monitor"] and container["args"] == ["run"] and container["image"] == MONITOR_IMAGE
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    limits = container["securityContext"]
    assert limits["readOnlyRootFilesystem"] and limits["allowPrivilegeEscalation"] is False and limits["capabilities"] == {"drop": ["ALL"]}
    assert "ports" not in container and {"startupProbe"}.isdisjoint(container)
    assert all("hostPath" not in volume for volume in pod["volumes"])


def test_our_own_has_the_rights_that_it_uses_and_no_others():
    found = ours()
    rules = found[f"ClusterRole/{ROLE}"]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    assert not {resource for rule in rules for resource in rule["resources"]} & {"*", "secrets", "configmaps", "endpoints"}
    [rule] = found["Role/nanoagent-monitor"]["rules"]
    assert rule["resourceNames"] == ["nanoagent-monitor"] and rule["verbs"] == ["get", "update"]
    assert "spec" not in found["Lease/nanoagent-monitor"]
    subjects = [found[f"{kind}/{name}"]["subjects"] for kind, name in (("RoleBinding", "nanoagent-monitor"), ("ClusterRoleBinding", ROLE))]
    assert subjects == [[{"kind": "ServiceAccount", "name": "nanoagent-monitor", "namespace": "nanoagent"}]] * 2


def test_its_lease_follows_its_name():
    found = ours(monitor={"name": "watch"})
    assert config(found)["lease"] == {"namespace": "nanoagent", "name": "watch"}
    assert found["Role/watch"]["rules"][0]["resourceNames"] == ["watch"] and {"Lease/watch", "RoleBinding/watch", "Deployment/watch"} <= set(found)


def test_its_configuration_is_named_by_its_content():
    plain, tagged = ours(), ours(cluster_name="c", tags={"a": 1})
    assert config(tagged) == {**config(plain), "cluster": "c", "tags": {"a": "1"}}
    for found in (plain, tagged):
        [volume] = [volume for volume in our_pod_of(found)["volumes"] if volume["name"] == "config"]
        assert f"ConfigMap/{volume['configMap']['name']}" in found


def our_pod_of(found):
    return found["Deployment/nanoagent-monitor"]["spec"]["template"]["spec"]


def test_its_policy_lets_it_reach_the_api_server_and_nobody_else_s_changes():
    found = ours()
    policy = found["NetworkPolicy/nanoagent-monitor"]["spec"]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "cluster-monitor" and policy["policyTypes"] == ["Egress"]
    assert [port["port"] for port in policy["egress"][0]["ports"]] == [443, 6443]
    assert found["NetworkPolicy/nanoagent"]["spec"] == objects()["NetworkPolicy/nanoagent"]["spec"]
    assert "NetworkPolicy/nanoagent-monitor" not in ours(network_policy=False)
    on_microk8s = ours({"platforms": [{"platform": "microk8s"}]})["NetworkPolicy/nanoagent-monitor"]["spec"]
    assert 16443 in [port["port"] for port in on_microk8s["egress"][0]["ports"]]


def test_openshift_chooses_its_user():
    context = our_pod({"platforms": [{"platform": "openshift"}]})["securityContext"]
    assert "runAsUser" not in context and context["runAsNonRoot"] is True


def test_replicas_of_our_own_keep_apart():
    assert "podAntiAffinity" not in our_pod()["affinity"]
    assert "podAntiAffinity" in our_pod(monitor={"replicas": 2})["affinity"]
    assert "PodDisruptionBudget/nanoagent-monitor" in ours(monitor={"replicas": 2})


def test_metrics_of_our_own():
    served = {"served": {"PodMonitor.monitoring.coreos.com"}}
    found = ours(served, metrics={"scrape": "pod_monitor", "port": 9777})
    assert config(found)["listen"] == ":9777" and our_pod_of(found)["containers"][0]["ports"][0]["containerPort"] == 9777
    chosen = found["PodMonitor/nanoagent-metrics"]["spec"]["selector"]["matchLabels"]
    for workload in ("DaemonSet/nanoagent", "Deployment/nanoagent-monitor"):
        assert chosen.items() <= found[workload]["spec"]["template"]["metadata"]["labels"].items()
    noted = ours(metrics={"scrape": "annotations", "port": 9777})["Deployment/nanoagent-monitor"]["spec"]["template"]["metadata"]["annotations"]
    assert noted["prometheus.io/port"] == "9777"


def test_the_agent_s_role_at_a_cloud_is_not_our_monitor_s():
    aws = {"aws_secrets_manager": {"secret_id": "a/b", "role_arn": "arn:aws:iam::1:role/x"}}
    given = {"orc_url": "https://orc.example.com", "credentials": aws, "service_account_annotations": {"team": "x"}}
    found = ours({"served": {"SecretProviderClass.secrets-store.csi.x-k8s.io"}}, **given)
    assert "eks.amazonaws.com/role-arn" in found["ServiceAccount/nanoagent"]["metadata"]["annotations"]
    assert found["ServiceAccount/nanoagent-monitor"]["metadata"]["annotations"] == {"team": "x"}
    assert not [volume for volume in our_pod_of(found)["volumes"] if "csi" in volume or "secret" in volume]


def test_the_agent_s_own_pods_are_the_same_with_and_without_it():
    assert ours()["DaemonSet/nanoagent"] == objects()["DaemonSet/nanoagent"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"monitor": {"enabled": True}}, "monitor.image is missing"),
        ({"monitor": {"enabled": True, "image": IMAGE}}, "monitor.image is the collector's image"),
        ({"monitor": {"enabled": True, "image": "r.example/m:1"}}, "monitor.image r.example/m:1 is not pinned"),
        ({"monitor": OURS, "rbac": "respond"}, "rbac respond grants what our own cluster monitor never does"),
        ({"monitor": OURS, "rbac": "cluster_admin"}, "rbac cluster_admin grants what our own cluster monitor never does"),
        ({"monitor": {**OURS, "replicas": 0}}, "monitor.replicas 0"),
        ({"monitor": {"enabled": False, "replicas": -3}}, "monitor.replicas -3"),
        ({"monitor": {"enabled": False, "tolerations": [{"value": "x"}]}}, "monitor.tolerations[0] has no key"),
        ({"monitor": {**OURS, "replicas": 2**31}}, "monitor.replicas 2147483648"),
        ({"monitor": OURS, "extra_env": [{"name": "POD_NAME", "value": "no"}]}, "variable POD_NAME is there twice"),
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
