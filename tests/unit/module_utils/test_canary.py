# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import (
    as_before,
    changes_pods,
    check_canary,
    choose,
    holders,
    is_trial,
    note_before,
    trial,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_view


def nodes_of(*arches, zone="z"):
    return [
        {"metadata": {"name": f"n{i}", "labels": {"kubernetes.io/arch": arch, "topology.kubernetes.io/zone": zone, "pool": f"p{i % 2}"}}}
        for i, arch in enumerate(arches)
    ]


def rows_of(nodes, down=(), outside=()):
    return [
        {"node": node["metadata"]["name"], "eligible": node["metadata"]["name"] not in outside, "up": node["metadata"]["name"] not in down} for node in nodes
    ]


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ({"nodes": "1"}, ["n0"]),
        ({"nodes": "2"}, ["n0", "n3"]),
        ({"nodes": "3"}, ["n0", "n1", "n3"]),
        ({"nodes": "10%"}, ["n0"]),
        ({"nodes": "100%"}, ["n0", "n1", "n2", "n3"]),
        ({"nodes": "99"}, ["n0", "n1", "n2", "n3"]),
        ({"selector": {"pool": "p1"}}, ["n1", "n3"]),
    ],
)
def test_a_number_is_spread_over_architectures(canary, expected):
    nodes = nodes_of("amd64", "amd64", "amd64", "arm64")
    assert choose(canary, rows_of(nodes), nodes) == expected


def test_nodes_that_are_down_or_not_eligible_do_not_go_first():
    nodes = nodes_of("amd64", "amd64", "amd64")
    assert choose({"nodes": "1"}, rows_of(nodes, down=["n0"], outside=["n1"]), nodes) == ["n2"]
    with pytest.raises(Failure, match="pool=p1"):
        choose({"selector": {"pool": "p1"}}, rows_of(nodes, outside=["n1"]), nodes)


def test_a_label_without_a_value_is_the_empty_one():
    nodes = nodes_of("amd64", "amd64")
    nodes[1]["metadata"]["labels"]["first"] = ""
    assert choose({"selector": {"first": None}}, rows_of(nodes), nodes) == ["n1"]


def daemon_set():
    terms = [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    return {"spec": {"updateStrategy": {"type": "RollingUpdate"}, "template": {"spec": {"affinity": affinity}}}}


def test_a_first_install_is_bound_to_the_chosen_nodes():
    wanted = daemon_set()
    changed = trial(wanted, ["n0", "n2"], exists=False)
    assert [decide(changed, node)["run"] for node in nodes_of("amd64", "amd64", "amd64", "arm64")] == [True, False, True, False]
    assert wanted == daemon_set()


def test_an_update_leaves_the_pods_of_other_nodes_alone():
    changed = trial(daemon_set(), ["n0"], exists=True)
    assert changed["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert changed["spec"]["template"] == daemon_set()["spec"]["template"]


def pods_on(*nodes, uid="u", **metadata):
    owners = [{"uid": uid, "controller": True}]
    return [{"metadata": {"ownerReferences": owners, **metadata}, "spec": {"nodeName": node}, "status": {"phase": "Running"}} for node in nodes]


def test_only_a_pod_that_stays_keeps_a_node():
    live = {**daemon_set(), "metadata": {"uid": "u"}}
    ended = [{**pod, "status": {"phase": "Failed"}} for pod in pods_on("n3")]
    pods = [*pods_on("n0", "n1"), *pods_on("n2", uid="other"), *ended, *pods_on("n4", deletionTimestamp="2026-01-01T00:00:00Z"), *pods_on("")]
    assert holders(live, pods) == {"n0", "n1"}


@pytest.mark.parametrize(
    ("holding", "expected"),
    [
        # A first install's trial, or one of its chosen nodes is another one now: bound to where a pod is or is to be.
        ([], ["n1"]),
        (["n0"], ["n0", "n1"]),
        # Most have a pod: the rest is kept out.
        (["n0", "n1", "n2"], ["n0", "n1", "n2"]),
        (["n0", "n1", "n2", "n3", "n4"], ["n0", "n1", "n2", "n3", "n4"]),
    ],
)
def test_no_node_without_a_pod_gets_the_new_template_but_the_chosen(holding, expected):
    nodes = nodes_of(*["amd64"] * 5)
    changed = trial(daemon_set(), ["n1"], True, holding, [node["metadata"]["name"] for node in nodes])
    assert [node["metadata"]["name"] for node in nodes if decide(changed, node)["run"]] == expected
    assert changed["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_a_trial_of_thousands_of_nodes_stays_a_small_object():
    names = [f"a-node-with-a-name-{number:04}.of.a.zone.example" for number in range(5000)]
    for chosen, holding in ((names[:500], names), (names[:500], names[:2400]), (names[:2500], [])):
        assert len(json.dumps(trial(daemon_set(), chosen, True, holding, names))) < 400_000
    assert trial(daemon_set(), names[:5], True, names, names)["spec"]["template"] == daemon_set()["spec"]["template"]


def ours(strategy):
    fields = {"f:spec": {"f:updateStrategy": {f"f:{key}": {} for key in strategy}, "f:template": {"f:spec": {}}}}
    return {"uid": "u", "annotations": {"a": "b"}, "managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": fields}]}


def test_a_trial_that_was_cut_short_tells_what_was_before():
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    live = {**daemon_set(), "metadata": ours(strategy)}
    live["spec"]["updateStrategy"] = strategy
    revisions = [
        {
            "metadata": {"labels": {"controller-revision-hash": name}, "ownerReferences": [{"uid": "u"}]},
            "data": {"spec": {"template": {"$patch": "replace", "spec": {"is": name}}}},
        }
        for name in ("old", "new")
    ]
    wanted = {**daemon_set(), "metadata": {"name": "d"}}
    left = trial(wanted, ["n0"], True, before=note_before(live, "old", "m"))
    left["metadata"] = {**ours({"type": ""}), **left["metadata"]}
    assert is_trial(left) and not is_trial(live)
    # A second trial, over the first one, knows no better.
    assert note_before(left, "new", "m") == note_before(live, "old", "m")
    before = as_before(left, revisions, "m")
    assert (before["spec"]["template"], before["spec"]["updateStrategy"]) == ({"spec": {"is": "old"}}, strategy) and not is_trial(before)
    # It is ours as a whole, so that all of it is given back.
    assert owned_view(before, "m")["spec"] == {"template": {"spec": {"is": "old"}}, "updateStrategy": strategy}
    assert as_before(left, revisions[1:], "m") == left
    nonsense = {**left, "metadata": {**left["metadata"], "annotations": {"nanoagent.k8s/before-canary": "no JSON"}}}
    assert as_before(nonsense, revisions, "m") == nonsense


def test_a_canary_needs_a_node_that_is_up():
    nodes = nodes_of("amd64")
    with pytest.raises(Failure, match="no eligible node is up"):
        choose({"nodes": "1"}, rows_of(nodes, down=["n0"]), nodes)


SENSELESS = [{}, {"nodes": "0"}, {"nodes": "many"}, {"nodes": "101%"}, {"nodes": "1", "selector": {"a": "b"}}]


@pytest.mark.parametrize("canary", [*SENSELESS, {"nodes": "1", "pause": -1}, {"selector": {"a b": "c"}}])
def test_senseless_canaries_are_refused(canary):
    with pytest.raises(Failure):
        check_canary({"canary": canary, "wait": True, "update_strategy": "RollingUpdate"})


@pytest.mark.parametrize("other", [{"wait": False}, {"update_strategy": "OnDelete"}])
def test_a_canary_has_to_be_awaited(other):
    options = {"canary": {"nodes": "1"}, "wait": True, "update_strategy": "RollingUpdate"}
    check_canary(options)
    with pytest.raises(Failure, match="canary needs"):
        check_canary({**options, **other})


@pytest.mark.parametrize(
    ("action", "fields", "expected"),
    [
        ("create", [], True),
        ("keep", [], False),
        ("patch", ["spec.template.spec.containers[collector].image"], True),
        ("patch", ["spec.updateStrategy.type"], False),
    ],
)
def test_only_changes_of_pods_need_a_canary(action, fields, expected):
    assert changes_pods({"action": action, "fields": fields, "live": daemon_set(), "desired": daemon_set()}) is expected


def test_a_trial_that_was_cut_short_is_made_again():
    step = {"action": "patch", "fields": ["spec.updateStrategy.type"], "live": trial(daemon_set(), ["n0"], exists=True), "desired": daemon_set()}
    assert changes_pods(step)
