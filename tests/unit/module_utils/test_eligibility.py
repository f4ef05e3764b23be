# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide, decider, tolerates


def node(labels=None, taints=None, name="n1"):
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": {"taints": taints or []}}


def daemon_set(**spec):
    return {"spec": {"template": {"spec": spec}}}


def affinity(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def taint(key, effect, value=None):
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


RUN, STAY, GO = (True, True), (False, True), (False, False)


@pytest.mark.parametrize(
    ("taints", "tolerations", "expected"),
    [
        ([taint("a", "NoSchedule")], [], STAY),
        ([taint("a", "NoExecute")], [], GO),
        ([taint("a", "NoSchedule"), taint("b", "NoExecute")], [], GO),
        ([taint("a", "PreferNoSchedule")], [], RUN),
        ([taint("a", "NoSchedule")], [{"operator": "Exists"}], RUN),
        ([taint("a", "NoExecute", "v")], [{"key": "a", "value": "v"}], RUN),
        ([taint("a", "NoExecute", "v")], [{"key": "a", "value": "w"}], GO),
        ([taint("a", "NoExecute")], [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}], GO),
        ([taint("node.kubernetes.io/unschedulable", "NoSchedule")], [], RUN),
        ([taint("node.kubernetes.io/not-ready", "NoExecute")], [], RUN),
        ([taint("node.kubernetes.io/not-ready", "NoSchedule")], [], STAY),
        ([taint("node.kubernetes.io/network-unavailable", "NoSchedule")], [], STAY),
    ],
)
def test_taints(taints, tolerations, expected):
    decision = decide(daemon_set(tolerations=tolerations), node(taints=taints))
    assert (decision["run"], decision["keep"]) == expected
    assert bool(decision["blockers"]) is not expected[0]


def test_host_network_tolerates_a_missing_network():
    bare = node(taints=[taint("node.kubernetes.io/network-unavailable", "NoSchedule")])
    assert decide(daemon_set(hostNetwork=True), bare)["run"]


@pytest.mark.parametrize(
    ("term", "labels", "matches"),
    [
        (expression("k", "In", "a", "b"), {"k": "b"}, True),
        (expression("k", "In", "a"), {}, False),
        (expression("k", "NotIn", "a"), {}, True),
        (expression("k", "NotIn", "a"), {"k": "a"}, False),
        (expression("k", "Exists"), {"k": ""}, True),
        (expression("k", "DoesNotExist"), {}, True),
        (expression("k", "DoesNotExist"), {"k": "x"}, False),
        (expression("k", "Gt", "5"), {"k": "6"}, True),
        (expression("k", "Gt", "5"), {"k": "5"}, False),
        (expression("k", "Lt", "5"), {"k": "-7"}, True),
        (expression("k", "Lt", "5"), {"k": "four"}, False),
        (expression("k", "Gt", "9223372036854775808"), {"k": "1"}, False),
        (expression("k", "Gt", "1", "2"), {"k": "3"}, False),
        (expression("k", "Gt", "5"), {"k": "+6"}, True),
        (expression("k", "Gt", "0" * 40 + "5"), {"k": "0" * 40 + "6"}, True),
        (expression("k", "Gt", "5"), {"k": "6\n"}, False),
        (expression("k", "Gt", "5"), {"k": "\u0666"}, False),
        (expression("k", "Gt", "5"), {"k": "1_000"}, False),
        (expression("k", "Gt", "5"), {"k": "9" * 5000}, False),
        (expression("k", "Gt", "-1"), {"k": "3"}, False),
        (expression("k", "NotIn", "-1"), {}, False),
        (expression("k", "NotIn", "a" * 64), {}, False),
        (expression("k", "NotIn", "a\n"), {}, False),
        (expression("k", "NotIn", ""), {"k": "a"}, True),
        (expression("k", "NotIn"), {}, False),
        (expression("k", "Exists", "v"), {"k": "v"}, False),
        (expression("k", "Sometimes"), {"k": "v"}, False),
        (expression("", "DoesNotExist"), {}, False),
        (expression("a/b/c", "DoesNotExist"), {}, False),
        (expression("/c", "DoesNotExist"), {}, False),
        (expression("Example.com/c", "DoesNotExist"), {}, False),
        (expression("example.com/c", "DoesNotExist"), {}, True),
        (expression("a" * 253 + "/" + "c" * 63, "DoesNotExist"), {}, True),
        (expression("a" * 254 + "/c", "DoesNotExist"), {}, False),
        (expression("c" * 64, "DoesNotExist"), {}, False),
        ({}, {}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}, {}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}, {}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1", "n2"]}]}, {}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "Exists", "values": ["n1"]}]}, {}, False),
        ({"matchFields": [{"key": "metadata.uid", "operator": "In", "values": [""]}]}, {}, True),
        ({"matchFields": [{"key": "metadata.uid", "operator": "NotIn", "values": ["n1"]}]}, {}, True),
        ({**expression("k", "Exists"), "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}, {"k": ""}, False),
    ],
)
def test_affinity_terms(term, labels, matches):
    assert decide(daemon_set(affinity=affinity(term)), node(labels))["run"] is matches


def test_terms_are_alternatives_and_no_terms_match_nothing():
    either = affinity(expression("k", "Exists"), expression("j", "Exists"))
    assert decide(daemon_set(affinity=either), node({"j": "1"}))["run"]
    assert not decide(daemon_set(affinity=affinity()), node())["run"]


def test_every_reason_is_named():
    decision = decide(
        daemon_set(nodeName="other", nodeSelector={"pool": "gpu"}, affinity=affinity(expression("z", "Exists"))),
        node({"pool": "cpu"}, [taint("t", "NoExecute")]),
    )
    assert [blocker["kind"] for blocker in decision["blockers"]] == ["nodeName", "selector", "affinity", "taint"]
    assert decision["keep"] is False
    assert "the node has pool=cpu" in decision["blockers"][1]["detail"]


def test_an_unknown_toleration_operator_tolerates_nothing():
    assert not tolerates({"key": "a", "operator": "Sometimes"}, taint("a", "NoSchedule"))


@pytest.mark.parametrize(
    ("operator", "value", "has", "expected"),
    [
        ("Gt", "5", "6", True),
        ("Gt", "5", "5", False),
        ("Lt", "5", "-6", True),
        ("Lt", "5", "-0", False),
        ("Lt", "5", "04", False),
        ("Gt", "+5", "6", False),
        ("Gt", "5", "9223372036854775807", True),
        ("Gt", "5", "9223372036854775808", False),
        ("Gt", "", "6", False),
        ("Gt", "5", None, False),
    ],
)
def test_comparing_tolerations(operator, value, has, expected):
    toleration = {"key": "a", "operator": operator, "value": value}
    assert tolerates(toleration, taint("a", "NoSchedule", has)) is expected
    assert not tolerates(toleration, taint("a", "NoSchedule", has), comparison_operators=False)


def test_a_node_without_a_name_is_not_held_against_fields():
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    assert decide(daemon_set(affinity=affinity(term)), {"metadata": {"labels": {}}})["run"]


def test_a_term_that_is_skipped_says_why():
    decision = decide(daemon_set(affinity=affinity(expression("k", "Gt", "-1"))), node({"k": "3"}))
    assert decision["blockers"][0]["detail"] == "node affinity does not match: k Gt (-1) [matches nothing: -1 cannot be a label's value]"


@pytest.mark.parametrize("absent", [{}, None, {"spec": None}, {"metadata": None, "spec": {"taints": None, "template": None}}])
def test_absence_and_null_are_the_same(absent):
    assert decide(absent, absent) == {"run": True, "keep": True, "blockers": []}


def test_null_items_are_empty_items():
    tolerates_all_without_value = daemon_set(tolerations=[None])
    assert decide(tolerates_all_without_value, node(taints=[None, taint("a", "NoExecute")]))["run"]
    assert not decide(tolerates_all_without_value, node(taints=[taint("a", "NoExecute", "v")]))["run"]
    assert not decide(daemon_set(affinity=affinity(None, {"matchExpressions": [None]})), node())["run"]


@pytest.mark.parametrize(
    ("daemon_set_", "node_", "where"),
    [
        ([], {}, "DaemonSet is not an object"),
        ({}, "n1", "Node is not an object"),
        ({"spec": {"template": []}}, {}, "DaemonSet.spec.template is not an object"),
        (daemon_set(nodeName=5), {}, "DaemonSet.spec.template.spec.nodeName is not a string"),
        (daemon_set(hostNetwork="false"), {}, "DaemonSet.spec.template.spec.hostNetwork is not true or false"),
        (daemon_set(nodeSelector={"a": 1}), {}, "DaemonSet.spec.template.spec.nodeSelector.a is not a string"),
        (daemon_set(tolerations={"key": "a"}), {}, "DaemonSet.spec.template.spec.tolerations is not a list"),
        (daemon_set(tolerations=[{"key": ["a"]}]), {}, "DaemonSet.spec.template.spec.tolerations[0].key is not a string"),
        ({}, node(labels=["a"]), "Node.metadata.labels is not an object"),
        ({}, node(labels={7: "a"}), "the name 7 in labels is not a string"),
        ({}, node(taints=["a"]), "Node.spec.taints[0] is not an object"),
    ],
)
def test_an_object_that_no_api_holds_is_undecided(daemon_set_, node_, where):
    assert decide(daemon_set_, node_) == {"run": None, "keep": None, "blockers": [{"kind": "unreadable", "detail": where}]}


def test_values_of_affinity_are_read_even_where_another_term_matches():
    terms = affinity(expression("k", "Exists"), expression("k", "In", 5))
    decision = decide(daemon_set(affinity=terms), node({"k": "1"}))
    assert decision["run"] is None
    assert decision["blockers"][0]["detail"].endswith("nodeSelectorTerms[1].matchExpressions[0].values[0] is not a string")


def test_one_reading_of_a_daemon_set_serves_many_nodes():
    template = {"tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"k": "v"}}
    wanted = {"spec": {"template": {"spec": template}}}
    nodes = [
        {"metadata": {"name": "fits", "labels": {"k": "v"}}, "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
        {
            "metadata": {"name": "tainted", "labels": {"k": "v"}},
            "spec": {"taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]},
        },
        {"metadata": {"name": "other"}},
        {"metadata": []},
    ]
    decide_one = decider(wanted)
    decisions = [decide_one(node) for node in nodes]
    assert decisions == [decide(wanted, node) for node in nodes]
    assert [decision["run"] for decision in decisions] == [True, False, False, None]
    # The taint is named by its place among the node's.
    assert decisions[1]["blockers"] == [{"kind": "taint", "detail": "taint b:NoExecute is not tolerated", "taint": 1}]
    assert decider({"spec": []})(nodes[0])["run"] is None
