# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import orphans
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import parent
from ansible_collections.nanoagent.k8s.plugins.module_utils.orphans import NOTE, left_behind, note, plan_notes, replaceable, turns
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import judge

LABELS = {"name": "old"}
RECREATE = {"action": "recreate", "live": {"kind": "DaemonSet", "spec": {"selector": {"matchLabels": LABELS}}}}


def pod(name, node, controlled=False, revision="x", ending=False, ready=True, port=0):
    metadata = {
        "name": name,
        "ownerReferences": [{"controller": True, "uid": "u"}] if controlled else [],
        "labels": {"controller-revision-hash": revision} if revision else {},
        **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if ending else {}),
    }
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": node, **spec(port)}, "status": status}


def spec(port):
    # As in the host's network, where the API server fills in the port of the node.
    return {"hostNetwork": True, "containers": [{"ports": [{"containerPort": port}]}] if port else []}


def test_the_parent_remembers_until_told_otherwise():
    assert left_behind([RECREATE], None) == LABELS
    spec = {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "template": {"metadata": {"labels": {"a": "b"}}}}
    assert left_behind([{**RECREATE, "live": {**RECREATE["live"], "spec": spec}}], None) == {"a": "b"}
    assert left_behind([{"action": "keep", "live": RECREATE["live"]}], None) is None
    assert left_behind([], {"metadata": {"annotations": note(LABELS)}}) == LABELS
    for changed in ("", "no JSON", "[1]", "null"):
        assert left_behind([], {"metadata": {"annotations": {NOTE: changed}}}) is None
    assert note(None) == {}


def test_a_pod_goes_only_where_a_new_one_has_taken_over():
    rows = [
        {"node": "a", "eligible": True, "state": "ready"},
        {"node": "b", "eligible": True, "state": "starting"},
        {"node": "c", "eligible": False, "state": "not eligible"},
    ]
    pods = [pod("pa", "a"), pod("pb", "b"), pod("pc", "c"), pod("new", "a", controlled=True), pod("stranger", "a", revision=None)]
    go, stay = replaceable(pods, rows)
    assert [each["metadata"]["name"] for each in go] == ["pa", "pc"]
    assert [each["metadata"]["name"] for each in stay] == ["pb"]


def test_a_pod_that_is_ending_is_nobodys_business():
    assert replaceable([pod("pa", "a", ending=True), pod("pb", "b", ending=True)], [{"node": "b", "eligible": True, "state": "rolling"}]) == ([], [])


def test_a_run_that_waits_leaves_only_the_pods_of_nodes_that_are_down():
    down = {"metadata": {"name": "down"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown", "message": "no word"}]}}
    up = {"metadata": {"name": "up"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    go, stay = [pod("pa", "a")], [pod("pu", "up"), pod("pd", "down")]
    assert orphans.fates(go, stay, [up, down], True) == {"go": go, "wait": stay[:1], "last": stay[1:]}
    hasty = orphans.fates(go, stay, [up, down], False)
    assert hasty == {"go": go, "wait": [], "last": stay}
    steps = orphans.steps_of(hasty)
    assert [step["live"] for step in steps] == go and all(map(orphans.is_former, steps))


def test_the_parent_remembers_as_long_as_pods_last():
    desired = [parent("a", "n", [], {}), {"kind": "DaemonSet", "metadata": {"name": "a"}}]
    assert orphans.remembering(desired, LABELS, []) == desired
    [remembers, other] = orphans.remembering(desired, LABELS, [pod("p", "a")])
    assert left_behind([], remembers) == LABELS and other == desired[1] and NOTE not in desired[0]["metadata"]["annotations"]
    assert orphans.forgetting(remembers) == desired[0]
    assert orphans.is_remembered([{"action": "keep", "desired": remembers, "live": remembers}])
    assert not orphans.is_remembered([{"action": "keep", "desired": desired[0], "live": remembers}])
    assert orphans.is_remembered([{**RECREATE, "desired": desired[1]}])


def set_of(port=9464, **strategy):
    update = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": strategy}} if strategy else {"updateStrategy": {"type": "OnDelete"}}
    return {"kind": "DaemonSet", "metadata": {"name": "a", "namespace": "n", "generation": 1}, "spec": {**update, "template": {"spec": spec(port)}}}


NOTHING = {"go": [], "wait": [], "last": []}


def told(action, former=None, waits=True, old=9464, new=9464):
    return plan_notes([{"action": action, "desired": set_of(new, maxUnavailable=1), "live": set_of(old, maxUnavailable=1)}], former or NOTHING, waits)


def test_before_a_run_it_is_told_what_becomes_of_former_pods():
    assert told("keep") == told("recreate", new=9465) == told("recreate", new=0, old=0) == []
    [line] = told("recreate")
    assert "DaemonSet n/a" in line and "9464/TCP" in line and "on each node in turn there is a moment without an agent" in line
    assert told("keep", {**NOTHING, "wait": [pod("p", "a", port=9464)]}) == [line] == told("patch", {**NOTHING, "wait": [pod("p", "a", port=9464)]})
    assert told("keep", {**NOTHING, "last": [pod("p", "a", port=9464)]}) == []
    [line] = told("recreate", waits=False)
    assert "only a run with wait: true" in line and "9464/TCP" in line
    [line] = told("recreate", waits=False, old=0)
    assert line == "the former pods of DaemonSet n/a stay beside the new ones: a later run takes away those on nodes where the new one is ready"
    assert told("keep", {**NOTHING, "last": [pod("p", "a")]}, waits=False)[0].startswith("1 former pod of DaemonSet n/a stay")
    assert told("keep", {**NOTHING, "go": [pod("p", "a")]}, waits=False) == []


def verdicts(**states):
    """One row a node: taken (the port), ready, settling, starting, broken or down."""
    reasons = {"taken": ("blocked", "HostPortTaken"), "broken": ("blocked", "ImageNotFound"), "settling": ("rolling", "Settling")}
    reasons |= {"ready": ("ready", "Ready"), "starting": ("rolling", "Starting"), "down": ("node down", "NodeDown")}
    return [
        {"node": node, "eligible": True, "up": kind != "down", "state": reasons[kind][0], "reason": reasons[kind][1], "detail": "", "fix": "x"}
        | {"pod": f"new-{node}", "ready": kind in ("ready", "settling"), "final": kind == "broken", "passing": False}
        for node, kind in states.items()
    ]


def former(nodes, **more):
    return [pod(f"old-{node}", node, port=9464, **more) for node in nodes]


@pytest.mark.parametrize(
    ("strategy", "rows", "pods", "expected"),
    [
        ({"maxUnavailable": 1}, verdicts(a="taken", b="taken", c="taken"), former("abc"), ["a"]),
        ({"maxUnavailable": 2}, verdicts(a="taken", b="taken", c="taken"), former("abc"), ["a", "b"]),
        ({"maxUnavailable": "50%"}, verdicts(a="taken", b="taken", c="taken"), former("abc"), ["a", "b"]),
        # Strategies that allow no node to be without: one at a time, or it never ends.
        ({"maxUnavailable": 0, "maxSurge": 1}, verdicts(a="taken", b="taken"), former("ab"), ["a"]),
        ({}, verdicts(a="taken", b="taken"), former("ab"), ["a"]),
        # Until the new one of a node is ready for long enough, the node counts as one without.
        ({"maxUnavailable": 1}, verdicts(a="taken", b="taken"), [*former("a", ending=True), *former("b")], []),
        ({"maxUnavailable": 1}, verdicts(a="taken", b="taken"), former("b"), []),
        ({"maxUnavailable": 1}, verdicts(a="starting", b="taken"), former("b"), []),
        ({"maxUnavailable": 1}, verdicts(a="settling", b="taken"), former("b"), []),
        ({"maxUnavailable": 1}, verdicts(a="broken", b="taken"), former("b"), []),
        ({"maxUnavailable": 1}, verdicts(a="ready", b="taken", c="taken"), former("bc"), ["b"]),
        # A node that is down is not charged.
        ({"maxUnavailable": 1}, verdicts(a="down", b="taken", c="taken"), former("abc"), ["b"]),
        # A former agent that is not ready is none.
        ({"maxUnavailable": 1}, verdicts(a="taken", b="taken", c="taken"), [*former("ab"), *former("c", ready=False)], ["c"]),
        ({"maxUnavailable": 2}, verdicts(a="taken", b="taken", c="taken"), [*former("ab"), *former("c", ready=False)], ["a", "c"]),
        # Somebody else's pod holds the port.
        ({"maxUnavailable": 1}, verdicts(a="taken"), [pod("old", "a", port=80)], []),
        ({"maxUnavailable": 1}, verdicts(a="taken"), [pod("theirs", "a", port=9464, controlled=True)], []),
    ],
)
def test_a_former_pod_that_holds_the_port_goes_when_the_update_strategy_allows_it(strategy, rows, pods, expected):
    go, _rows = turns(set_of(**strategy), rows, pods)
    assert [each["spec"]["nodeName"] for each in go] == expected


def test_a_canary_takes_former_pods_from_its_own_nodes_only():
    go, _rows = turns(set_of(maxUnavailable=3), verdicts(a="taken", b="taken", c="taken"), former("abc"), {"b"})
    assert [each["metadata"]["name"] for each in go] == ["old-b"]


def test_who_waits_for_the_port_has_not_failed_and_is_not_on_its_way():
    seen = {**set_of(maxUnavailable=1), "status": {"observedGeneration": 1}}
    rows = turns(seen, verdicts(a="taken", b="taken", c="taken", d="ready"), [*former("ab"), *former("c", ending=True)])[1]
    assert [(row["state"], row["reason"], row["final"], row["passing"]) for row in rows[:3]] == [
        ("rolling", "HostPortTaken", False, True),
        ("rolling", "HostPortTaken", False, True),
        ("rolling", "Terminating", False, True),
    ]
    assert judge(seen, rows) == "waiting"
    # The first one that was replaced cannot run: nothing more is tried, and nothing more is waited for.
    go, rows = turns(seen, verdicts(a="broken", b="taken", c="taken"), former("bc"))
    assert go == [] and judge(seen, rows) == "stuck"
    # Nobody of ours holds it: what the scheduler says stands.
    rows = verdicts(a="taken")
    assert turns(seen, rows, []) == ([], rows)
