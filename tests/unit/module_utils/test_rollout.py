# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import awaiting_secret, judge, nudges
from ansible_collections.nanoagent.k8s.plugins.module_utils.verdict import STATES

DAEMON_SET = {"metadata": {"generation": 2}, "spec": {}, "status": {"observedGeneration": 2}}


# Of a row's state, what it may stand for, and what goes with it.
OTHER = {state: {"state": state, "reason": "Some", "up": state != "node down"} for state in STATES}
OTHER |= {"old": {"state": "rolling", "reason": "OldRevision", "up": True}, "new machine": {"state": "joining", "reason": "NodeJoining", "up": False}}


def rows_of(*kinds):
    return [
        {"node": f"n{i}", "pod": f"p{i}", "final": final, "eligible": state != "not eligible", "ready": state == "ready", **OTHER[state]}
        for i, (state, final) in enumerate(kinds)
    ]


def test_judge():
    assert judge(DAEMON_SET, rows_of(("ready", False), ("node down", False), ("not eligible", False))) == "done"
    assert judge(DAEMON_SET, rows_of(("ready", False), ("rolling", False))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("blocked", True), ("rolling", False))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("blocked", True), ("old", False), ("ready", False))) == "stuck"
    assert judge(DAEMON_SET, rows_of(("blocked", False))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("node down", False))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("ready", False), ("joining", False))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("ready", False), ("unknown", False))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("ready", False), ("new machine", False))) == "done"
    stale = {**DAEMON_SET, "status": {"observedGeneration": 1}}
    assert judge(stale, rows_of(("ready", False))) == "waiting"


def test_enough_hopeless_nodes_end_the_wait_while_others_still_start():
    starting = [("rolling", False)] * 28
    assert judge(DAEMON_SET, rows_of(*starting, ("blocked", True), ("blocked", True))) == "waiting"
    assert judge(DAEMON_SET, rows_of(*starting[:26], *[("blocked", True)] * 4)) == "failing"
    assert judge(DAEMON_SET, rows_of(("rolling", False), ("blocked", True))) == "waiting"
    assert judge(DAEMON_SET, rows_of(("rolling", False), ("blocked", True), ("blocked", True))) == "failing"


def test_an_earlier_revision_is_well_where_pods_change_only_when_deleted():
    old = [{**row, "ready": True} for row in rows_of(("old", False))]
    assert judge(DAEMON_SET, old) == "waiting"
    assert judge(DAEMON_SET, old, old_is_fine=True) == "done"
    assert judge(DAEMON_SET, [{**old[0], "ready": False}], old_is_fine=True) == "waiting"


def rolling(max_unavailable=1, **more):
    return {**DAEMON_SET, "spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": max_unavailable, **more}}}}


def old_and_down(old, down, missing=0):
    rows = [{**row, "ready": True} for row in rows_of(*[("old", False)] * old)]
    rows += rows_of(*[("node down", False)] * down) + rows_of(*[("rolling", False)] * missing)
    return [{**row, "node": f"n{i}", "pod": f"p{i}"} for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("daemon_set", "rows", "expected"),
    [
        (rolling(1), old_and_down(3, 0), []),
        (rolling(1), old_and_down(3, 1), ["p0"]),
        (rolling(1), old_and_down(3, 2), ["p0"]),
        (rolling(1), old_and_down(3, 1, missing=1), []),
        (rolling(3), old_and_down(4, 1), []),
        (rolling(3), old_and_down(4, 3), ["p0", "p1", "p2"]),
        (rolling(3), old_and_down(4, 2, missing=1), ["p0", "p1"]),
        (rolling("10%"), old_and_down(8, 2), ["p0"]),
        (rolling("50%"), old_and_down(8, 2), []),
        (rolling(0, maxSurge=1), old_and_down(3, 1), []),
        ({**DAEMON_SET, "spec": {"updateStrategy": {"type": "OnDelete"}}}, old_and_down(3, 1), []),
    ],
)
def test_nodes_that_are_down_do_not_use_up_the_budget(daemon_set, rows, expected):
    assert nudges(daemon_set, rows) == expected


def test_pods_on_nodes_that_are_no_machines_do_not_use_up_the_budget():
    """The controller counts them as unavailable, as it does those on nodes that are down."""
    rows = old_and_down(3, 0)
    unreal = {**rows_of(("not a real node", False))[0], "node": "virtual", "pod": "never", "eligible": False}
    assert nudges(rolling(1), [*rows, unreal]) == ["p0"] and nudges(rolling(2), [*rows, unreal]) == []
    assert nudges(rolling(1), [*rows, {**unreal, "pod": ""}]) == nudges(rolling(1), [*rows, {**unreal, "ready": True}]) == []


def test_a_node_whose_agent_is_ready_for_too_short_a_time_is_still_missing():
    rows = old_and_down(3, 1)
    settling = {**rows_of(("rolling", False))[0], "node": "new", "pod": "new", "ready": True, "reason": "Settling"}
    assert nudges(rolling(1), rows) == ["p0"] and nudges(rolling(1), [*rows, settling]) == []


def test_a_secret_that_an_operator_is_about_to_make_is_waited_for():
    lacking = 'CreateContainerConfigError: secret "agent-credentials" not found'
    rows = [{**row, "detail": detail, "passing": False} for row, detail in zip(rows_of(("blocked", True), ("blocked", True)), (lacking, "another cause"))]
    softened = awaiting_secret(rows, "agent-credentials")
    assert [(row["final"], row["passing"]) for row in softened] == [(False, True), (True, False)]
    assert judge(DAEMON_SET, rows[:1]) == "stuck" and judge(DAEMON_SET, softened[:1]) == "waiting"
    assert awaiting_secret(rows, "another") == rows
