# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes with no machine behind them, against the DaemonSet that we make: affinity, verdict, platform and plan say the same of each."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decider
from ansible_collections.nanoagent.k8s.plugins.module_utils.expected_nodes import expected_nodes
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import node_notes, note_line
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import detect, names
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import judge
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import expressions, signs, takes_them, who_is
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, daemon_set
from ansible_collections.nanoagent.k8s.tests.unit.fakes.cluster_objects import NEWEST, NOW, node, pending, pod
from ansible_collections.nanoagent.k8s.tests.unit.fakes.unreal_nodes import SAMPLES

PLATFORM = {"Fargate": {"eks-fargate"}, "virtual kubelet": {"virtual-kubelet"}}
CASES = [pytest.param(*sample, id=what) for what, sample in SAMPLES.items()]


def ours(**given):
    """Our DaemonSet as its API server gives it, its controller up to date."""
    made = daemon_set(**given)
    status = {"observedGeneration": 1}
    return {**made, "metadata": {**made["metadata"], "uid": "uid-of-nanoagent", "generation": 1}, "status": status}


def judged(nodes, pods, **given):
    return verdicts(ours(**given), nodes, pods, NEWEST, [], NOW)


def notes(nodes, **given):
    made = ours(**given)
    decide = decider(made)
    return [note_line(note) for note in node_notes(agent_options(**given), detect(nodes), made, nodes, lambda one: decide(one)["run"])]


def test_the_affinity_is_the_same_every_time():
    assert expressions() == [
        {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
        {"key": "liqo.io/type", "operator": "NotIn", "values": ["virtual-node"]},
        {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet", "kwok"]},
        {"key": "virtualization", "operator": "NotIn", "values": ["virtualnode2"]},
        {"key": "kwok.x-k8s.io/node", "operator": "DoesNotExist"},
    ]


@pytest.mark.parametrize(("who", "by_label", "sample"), CASES)
def test_all_say_the_same_of_a_node(who, by_label, sample):
    assert who_is(sample) == node_facts(sample)["not_real"] == who
    assert names(detect([sample])) & {"eks-fargate", "virtual-kubelet"} == PLATFORM.get(who, set())
    # Every default toleration is there: what has no label is not left out by our DaemonSet.
    assert decider(ours())(sample)["run"] is not by_label
    assert decider(ours(real_nodes_only=False))(sample)["run"] is True


@pytest.mark.parametrize("there", [[], [pending()], [pod()]], ids=["no pod", "a pod that never starts", "a pod that seems to run"])
@pytest.mark.parametrize(("who", "by_label", "sample"), CASES)
def test_a_node_without_a_machine_is_neither_waited_for_nor_counted(who, by_label, sample, there):
    nodes = [sample, node("real", labels={"kubernetes.io/arch": "amd64"})]
    rows = {row["node"]: row for row in judged(nodes, [*there, pod("real")])}
    if not who:
        assert rows["n1"]["eligible"] and rows["n1"]["state"] != "not a real node"
        return
    assert (rows["n1"]["state"], rows["n1"]["eligible"], rows["n1"]["not_real"]) == ("not a real node", False, who)
    assert judge(ours(), list(rows.values())) == "done"
    assert [row["eligible"] for row in expected_nodes(ours(), nodes)] == [False, True]


@pytest.mark.parametrize(("who", "by_label", "sample"), CASES)
def test_where_ours_was_told_to_take_them_they_count(who, by_label, sample):
    given = {"real_nodes_only": False}
    [row] = judged([sample], [pending()], **given)
    assert row["eligible"] and row["state"] == "rolling" and judge(ours(**given), [row]) == "waiting"
    assert [row["eligible"] for row in expected_nodes(ours(**given), [sample])] == [True]


def test_who_was_told_to_take_them():
    assert takes_them(ours(real_nodes_only=False)) and not takes_them(ours())
    terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}]
    own = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    assert takes_them(ours(real_nodes_only=False, affinity=own)) and not takes_them(ours(affinity=own))
    # Made by a version that did not know all of them, and by somebody else.
    earlier = ours()
    affinity = earlier["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    affinity["nodeSelectorTerms"][0]["matchExpressions"] = [one for one in expressions() if one["key"] != "liqo.io/type"]
    assert not takes_them(earlier)
    assert not takes_them({"metadata": {"labels": {}}, "spec": ours(real_nodes_only=False)["spec"]}) and not takes_them({})


def test_of_several_signs_the_first_says_who_it_is():
    both = node(labels={"type": "virtual-kubelet", "liqo.io/type": "virtual-node"}, taints=[("virtual-kubelet.io/provider", "NoSchedule")])
    assert who_is(both) == "Liqo" and len(signs(both)) == 3


def test_what_is_no_node_is_no_sign():
    assert signs({}) == signs({"metadata": {"labels": [], "annotations": "x"}, "spec": {"taints": [None, {"key": 5}]}}) == []


def test_the_plan_says_how_many_are_left_out_and_which_cannot_be():
    assert notes([sample for _who, _by_label, sample in SAMPLES.values()]) == [
        "eks-fargate: 1 node left out: Fargate runs no DaemonSet and no privileged container",
        "liqo: 1 node left out: a node of Liqo's stands for another cluster, which has agents of its own or none",
        "virtual-kubelet: 2 nodes left out: there is no machine behind a virtual node that an agent could watch",
        "virtual-kubelet: 1 node cannot be left out: only a taint says so; pods there will never run and are not counted; label them type=virtual-kubelet",
        "kwok: 3 nodes left out: a node of kwok's exists in the API only, and its pods only seem to run",
        "kwok: 1 node cannot be left out: only an annotation says so; pods there will only seem to run and are not counted; label them type=kwok",
    ]
    assert notes([node()]) == []


def test_a_taint_that_is_not_tolerated_leaves_a_node_out():
    assert notes([SAMPLES["virtual kubelet by its taint"][2]], tolerations=[]) == [
        "virtual-kubelet: 1 node left out: there is no machine behind a virtual node that an agent could watch"
    ]


def test_the_plan_says_what_becomes_of_pods_on_nodes_that_are_taken_all_the_same():
    assert notes([SAMPLES["Fargate"][2], SAMPLES["kwok by its type"][2]], real_nodes_only=False) == [
        "eks-fargate: real_nodes_only = left as it is: pods for 1 node will never run: Fargate runs no DaemonSet and no privileged container",
        "kwok: real_nodes_only = left as it is: pods for 1 node will only seem to run: a node of kwok's exists in the API only, and its pods only seem to run",
    ]
