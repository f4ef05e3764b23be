# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide, tolerates


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
        ({}, {}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}, {}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]}, {}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1", "n2"]}]}, {}, False),
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
