# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduling, sizing, priority, updates."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import remembering
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import facts_of_nodes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import has_local_storage, smallest_node
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, container, daemon_set, objects, pod

REQUIRED, PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
GIB = 1 << 30
LARGE = 2**31


def required(*terms):
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}}


def expression(**given):
    return required({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"], **given}]})


def node(**labels):
    return {"metadata": {"name": "n", "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", **labels}}, "spec": {}, "status": {}}


def test_affinity_of_the_user_narrows_ours_and_never_widens_it():
    terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": [pool]}]} for pool in ("a", "b")]
    apart = {REQUIRED: [{"topologyKey": "rack"}]}
    workload = daemon_set(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}, "podAntiAffinity": apart}, control_plane=False)
    assert [decide(workload, node(pool=pool))["run"] for pool in ("a", "b", "c")] == [True, True, False]
    assert not decide(workload, node(pool="a", **{"node-role.kubernetes.io/control-plane": ""}))["run"]
    assert not decide(workload, node(pool="a", **{"kubernetes.io/arch": "s390x"}))["run"]
    assert not decide(workload, node(pool="a", **{"eks.amazonaws.com/compute-type": "fargate"}))["run"]
    assert workload["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"] == apart


def test_a_term_of_fields_only_keeps_ours_too():
    fields = [{"key": "metadata.name", "operator": "In", "values": ["n"]}]
    workload = daemon_set(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": fields}]}}})
    assert decide(workload, node())["run"] and not decide(workload, node(**{"kubernetes.io/arch": "s390x"}))["run"]


def test_a_label_without_a_value_is_the_empty_one():
    workload = daemon_set(node_selector={"node-role.kubernetes.io/worker": None})
    assert decide(workload, node(**{"node-role.kubernetes.io/worker": ""}))["run"] and not decide(workload, node())["run"]
    found = objects(profile="spyderbat", monitor={"enabled": True, "node_selector": {"pool": None}}, labels={"a": None}, namespace_labels={"b": None})
    assert found["Deployment/clustermonitor-deployment"]["spec"]["template"]["spec"]["nodeSelector"]["pool"] == ""
    assert found["Namespace/nanoagent"]["metadata"]["labels"].items() >= {"a": "", "b": ""}.items()


def test_tolerations_are_text_and_hold_nothing_empty():
    given = [
        {"key": "a", "value": True, "effect": None},
        {"key": "b", "operator": "Exists", "value": None, "effect": ""},
        {"key": "c", "effect": "NoExecute", "tolerationSeconds": "0"},
    ]
    wanted = [{"key": "a", "value": "true"}, {"key": "b", "operator": "Exists"}, {"key": "c", "effect": "NoExecute", "tolerationSeconds": 0}]
    assert pod(tolerations=given)["tolerations"] == wanted
    found = objects(profile="spyderbat", monitor={"enabled": True, "tolerations": given})
    assert found["Deployment/clustermonitor-deployment"]["spec"]["template"]["spec"]["tolerations"] == wanted


def test_affinity_holds_no_nulls():
    term = {"matchExpressions": [{"key": "pool", "operator": "Exists", "values": None}], "matchFields": []}
    found = pod(affinity={"podAffinity": None, "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}, PREFERRED: None}})["affinity"]
    assert found.keys() == {"nodeAffinity"} and found["nodeAffinity"].keys() == {REQUIRED}
    [merged] = found["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert merged.keys() == {"matchExpressions"} and merged["matchExpressions"][-1] == {"key": "pool", "operator": "Exists"}


def test_without_a_real_node_s_label_none_is_left_out_on_demand():
    workload = daemon_set(real_nodes_only=False)
    assert decide(workload, node(**{"eks.amazonaws.com/compute-type": "fargate"}))["run"]
    assert not decide(workload, node(**{"kubernetes.io/os": "windows"}))["run"]


@pytest.mark.parametrize(
    ("percent", "cpu", "memory", "limits", "requests"),
    [
        (3, 4.0, 16 * GIB, {"cpu": "120m", "memory": "491Mi"}, {"cpu": "100m", "memory": "491Mi"}),
        (5, 64.0, 256 * GIB, {"cpu": "3200m", "memory": "13107Mi"}, {"cpu": "100m", "memory": "512Mi"}),
        (4.5, 1.9, 2 * GIB, {"cpu": "85m", "memory": "92Mi"}, {"cpu": "85m", "memory": "92Mi"}),
    ],
)
def test_limits_as_a_share_of_the_smallest_node(percent, cpu, memory, limits, requests):
    found = container({"smallest_node": {"cpu": cpu, "memory": memory}}, limit_percent=percent)["resources"]
    assert found == {"limits": limits, "requests": requests}


def test_the_smallest_node_is_the_least_of_each():
    def sized(cpu, memory):
        return {"status": {"allocatable": {"cpu": cpu, "memory": memory}}}

    assert smallest_node([sized("4", "8Gi"), sized("1930m", "16Gi")]) == {"cpu": 1.93, "memory": 8 * GIB}
    assert smallest_node([{"status": {}}]) is None


@pytest.mark.parametrize(
    ("given", "facts", "requests"),
    [
        ({}, {}, {"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "128Mi"}),
        ({}, {"local_storage": True}, {"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "128Mi"}),
        ({}, {"local_storage": False}, {"cpu": "100m", "memory": "512Mi"}),
        ({"profile": "custom"}, {"local_storage": True}, {"cpu": "100m", "memory": "512Mi"}),
        ({"resources": {"requests": {"cpu": 1}}}, {"local_storage": True}, {"cpu": "1"}),
        ({"resources": {"requests": {"ephemeral-storage": "1Gi"}}}, {"local_storage": False}, {"ephemeral-storage": "1Gi"}),
    ],
)
def test_local_storage_is_asked_for_by_the_collectors_default_only(given, facts, requests):
    assert container(facts, **given)["resources"]["requests"] == requests


def accounting(*names, up=True):
    condition = {"type": "Ready", "status": "True" if up else "Unknown"}
    return {"metadata": {"name": "n"}, "status": {"conditions": [condition], "allocatable": dict.fromkeys(names, "1")}}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([], True),
        ([accounting("cpu", "ephemeral-storage")], True),
        ([accounting("cpu", "ephemeral-storage"), accounting("cpu")], False),
        # A node that joins has not reported yet; what one that is down would take, nobody knows.
        ([accounting("cpu", "ephemeral-storage"), accounting(up=False)], True),
        ([{"status": None}, accounting("ephemeral-storage")], True),
    ],
)
def test_local_storage_needs_nodes_that_account_for_it(nodes, expected):
    assert has_local_storage(nodes, None) is expected


def test_what_was_left_out_stays_out():
    nodes = [accounting("ephemeral-storage")]
    without, with_it = ([daemon_set({"local_storage": known})] for known in (False, True))
    assert not has_local_storage(nodes, without)
    assert has_local_storage(nodes, with_it)
    # Another choice of the user's says nothing of nodes.
    assert has_local_storage(nodes, [daemon_set(resources={"requests": {"cpu": "1"}})])
    assert has_local_storage(nodes, [{"kind": "DaemonSet", "metadata": {"name": "x"}, "spec": None}, {"kind": "ConfigMap"}])


@pytest.mark.parametrize("known", [False, True])
def test_the_sets_parent_tells_what_was_left_out(known):
    options = agent_options()
    applied = remembering(desired_objects(options, {"local_storage": known}))
    parent = next(obj for obj in applied if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == "nanoagent")
    assert facts_of_nodes(options, [accounting("ephemeral-storage")], parent)["local_storage"] is known
    assert facts_of_nodes(options, [accounting("ephemeral-storage")], None)["local_storage"]
    assert not facts_of_nodes(options, [accounting("cpu")], parent)["local_storage"]


def test_amounts_become_text():
    assert container(resources={"limits": {"cpu": 2, "memory": "1Gi"}})["resources"] == {"limits": {"cpu": "2", "memory": "1Gi"}}


@pytest.mark.parametrize(
    ("priority", "namespace", "kinds"),
    [
        ({"name": "mine"}, "a", {"PriorityClass"}),
        ({"name": "mine", "create": False}, "a", set()),
        ({"name": "mine", "resource_quota": True}, "a", {"PriorityClass", "ResourceQuota"}),
        ({"name": "system-node-critical"}, "a", {"ResourceQuota"}),
        ({"name": "system-node-critical"}, "kube-system", set()),
        ({"name": "system-cluster-critical", "resource_quota": False}, "a", set()),
    ],
)
def test_priority_classes(priority, namespace, kinds):
    found = objects(priority_class=priority, namespace=namespace)
    assert {obj["kind"] for obj in found.values()} & {"PriorityClass", "ResourceQuota"} == kinds
    assert pod(priority_class=priority, namespace=namespace)["priorityClassName"] == priority["name"]
    for obj in found.values():
        if obj["kind"] == "ResourceQuota":
            [scope] = obj["spec"]["scopeSelector"]["matchExpressions"]
            assert scope == {"scopeName": "PriorityClass", "operator": "In", "values": [priority["name"]]}


def test_preemption():
    assert objects(priority_class={"name": "p", "preemption_policy": "Never"})["PriorityClass/p"]["preemptionPolicy"] == "Never"


@pytest.mark.parametrize(
    ("given", "strategy"),
    [
        ({}, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}),
        ({"max_unavailable": "3"}, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 3}}),
        ({"max_surge": "25%"}, {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}),
        ({"update_strategy": "OnDelete"}, {"type": "OnDelete"}),
    ],
)
def test_update_strategies(given, strategy):
    assert daemon_set(**given)["spec"]["updateStrategy"] == strategy


def test_times_and_revisions():
    spec = daemon_set(min_ready_seconds=5, revision_history_limit=0, termination_grace_period=0)["spec"]
    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"], spec["template"]["spec"]["terminationGracePeriodSeconds"]) == (5, 0, 0)
    assert not {"minReadySeconds", "revisionHistoryLimit"} & set(daemon_set()["spec"])


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, None),
        ({"profile": "custom"}, 3),
        ({"profile": "custom", "min_ready_seconds": 0}, None),
        ({"profile": "custom", "min_ready_seconds": 1}, 1),
        ({"profile": "custom", "probes": {"readiness": {"command": ["/ready"]}}}, None),
        ({"profile": "custom", "probes": {"liveness": {"command": ["/live"]}}}, 3),
        ({"profile": "spyderbat", "registration_code": "x"}, 3),
    ],
)
def test_an_agent_without_a_readiness_probe_has_to_stay(given, seconds):
    assert daemon_set(**given)["spec"].get("minReadySeconds") == seconds


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"limit_percent": 2.9}, "limit_percent 2.9 is out of bounds"),
        ({"limit_percent": 6}, "limit_percent 6 is out of bounds"),
        ({"limit_percent": 5, "resources": {"limits": {"cpu": "1"}}}, "limit_percent and resources exclude each other"),
        ({"limit_percent": 5}, "limit_percent needs the cluster's nodes"),
        ({"resources": {"limits": {"cpu": "lots"}}}, "resources.limits.cpu 'lots'"),
        ({"resources": {"limits": {"cpu": "-1"}}}, "resources.limits.cpu '-1'"),
        ({"resources": {"limits": {"cpu": "1ki"}}}, "resources.limits.cpu '1ki'"),
        ({"resources": {"limits": {"Cores": "1"}}}, "resources.limits.Cores is no resource"),
        ({"resources": {"limits": "1"}}, "resources.limits is no mapping"),
        ({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "2000Mi"}}}, "resources.requests.memory is above"),
        ({"priority_class": {"name": "system-mine"}}, "priority_class.name 'system-mine'"),
        ({"priority_class": {"name": "Mine"}}, "priority_class.name 'Mine'"),
        ({"priority_class": {"name": "p", "create": False, "preemption_policy": "Never"}}, "preemption_policy is given for p"),
        ({"priority_class": {"name": "p", "value": -2_147_483_649}}, "priority_class.value"),
        ({"max_unavailable": "0"}, "let no agent be replaced"),
        ({"max_unavailable": "1", "max_surge": "1"}, "exclude each other"),
        ({"max_unavailable": "101%"}, "max_unavailable '101%'"),
        ({"max_surge": "-1"}, "max_surge '-1'"),
        ({"update_strategy": "OnDelete", "max_unavailable": "1"}, "mean nothing to update_strategy OnDelete"),
        ({"update_strategy": "OnDelete", "max_surge": "1"}, "mean nothing to update_strategy OnDelete"),
        ({"max_surge": "1", "host_network": True, "metrics": {"scrape": "annotations"}}, "max_surge cannot work"),
        ({"min_ready_seconds": -1}, "min_ready_seconds -1"),
        ({"revision_history_limit": -1}, "revision_history_limit -1"),
        ({"termination_grace_period": -1}, "termination_grace_period -1"),
        ({"tolerations": [{"operator": "Exist"}]}, "tolerations[0].operator 'Exist'"),
        ({"tolerations": [{"operator": "Exists"}, {"value": "x"}]}, "tolerations[1] has no key"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}, "tolerations[0] has a value"),
        ({"tolerations": [{"key": "a", "effect": "No"}]}, "tolerations[0].effect 'No'"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, "tolerations[0] has tolerationSeconds"),
        ({"tolerations": [{"key": "a", "efect": "x"}]}, "tolerations[0].efect is not known"),
        ({"node_selector": {"a": "b c"}}, "node_selector.a"),
        ({"node_selector": {"kubernetes.io/os": "windows"}}, "node_selector must not set kubernetes.io/os"),
        ({"affinity": {"nodes": {}}}, "affinity.nodes is not known"),
        ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}, "has no nodeSelectorTerms"),
        ({"affinity": {"nodeAffinity": "x"}}, "affinity.nodeAffinity is no mapping"),
        ({"affinity": {"podAffinity": []}}, "affinity.podAffinity is no mapping"),
        ({"affinity": {"nodeAffinity": {"required": {}}}}, "affinity.nodeAffinity.required is not known"),
        ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": {"matchExpressions": []}}}}}, "nodeSelectorTerms is no list"),
        ({"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 1}]}}}, f"{PREFERRED}[0].preference is no mapping"),
        (required("x"), "nodeSelectorTerms[0] is no mapping"),
        (required({}), "nodeSelectorTerms[0] is empty, which matches no node"),
        (required({"matchExpressions": "x"}), "matchExpressions is no list"),
        (expression(key=None), "matchExpressions[0] has no key"),
        (expression(operator="is"), "operator 'is' is not known"),
        (expression(values=[1]), "values is no list of texts"),
        (expression(values=[]), "values is missing beside operator In"),
        (expression(operator="Exists"), "values mean nothing to operator Exists"),
        ({"tolerations": [{"key": "a", "value": ["x"]}]}, "tolerations[0].value has the malformed value"),
        ({"tolerations": [{"key": "a", "effect": ["x"]}]}, "tolerations[0].effect ['x']"),
        ({"tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": "5m"}]}, "tolerations[0].tolerationSeconds '5m'"),
        ({"min_ready_seconds": LARGE}, f"min_ready_seconds {LARGE} is more than the API takes"),
        ({"revision_history_limit": LARGE}, f"revision_history_limit {LARGE}"),
        ({"termination_grace_period": LARGE}, f"termination_grace_period {LARGE}"),
        ({"max_unavailable": f"{LARGE}"}, f"max_unavailable {LARGE}"),
        ({"max_surge": f"{LARGE}"}, f"max_surge {LARGE}"),
        ({"node_selector": {"a": {"b": 1}}}, "node_selector.a has the malformed value"),
        ({"node_selector": {None: "a"}}, "node_selector has the malformed key"),
        ({"architectures": []}, "architectures is empty"),
    ],
)
def test_what_is_refused(given, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**given))
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
