# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import acceptance
from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import policy
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, cluster, report, row

CASE = {case[1]: case for _weight, case in CASES}
READY, IMAGE, DOWN, JOINING = (CASE[reason] for reason in ("Ready", "ImageNotFound", "NodeDown", "Joining"))


def wanted(max_unready="0", younger="0", accept=""):
    return policy({"max_unready": max_unready, "allow_not_ready_younger_than": younger, "accept": accept})


def judge(policy_wanted, made, faults=()):
    return acceptance.judge(policy_wanted, made, list(faults))


def of(*cases, live=False, **changes):
    return report([row(f"node-{number}", case, live, **changes) for number, case in enumerate(cases)], live)


def test_by_default_every_eligible_node_is_ready():
    assert judge(wanted(), of(READY, READY, CASE["NotEligible"])) == {"ok": True, "failures": [], "causes": [], "allowed": []}
    verdict = judge(wanted(), of(READY, IMAGE, IMAGE, DOWN))
    assert verdict["ok"] is False and verdict["allowed"] == []
    assert verdict["failures"] == ["3 of 4 eligible nodes are not ready"]
    assert [line.partition(":")[0] for line in verdict["causes"][1:]] == ["ImageNotFound on 2 nodes (node-1, node-2)", "NodeDown on 1 node (node-3)"]
    assert verdict["causes"][1].endswith("not found; push the image first (role collector_image), or correct the reference")


def test_with_live_proof_a_ready_node_without_one_fails():
    found = of(READY, READY, live=True)
    assert judge(wanted(), found)["ok"] is True
    found["nodes"][1]["proof"] = {"proven": False, "reason": "no event within 10 s", "latency_ms": None}
    verdict = judge(wanted(), found)
    assert verdict["failures"] == ["1 of 2 eligible nodes is not ready and proven"]
    assert verdict["causes"][1].startswith("NoProof on 1 node (node-1): no event within 10 s; ")
    del found["nodes"][0]["proof"]
    assert judge(wanted(), found)["failures"] == ["2 of 2 eligible nodes are not ready and proven"]


@pytest.mark.parametrize(
    ("max_unready", "unready", "of_all", "ok"),
    [
        ("0", 1, 10, False),
        ("1", 1, 10, True),
        ("2", 3, 10, False),
        ("10%", 1, 10, True),
        ("10%", 2, 10, False),
        ("10%", 1, 9, False),
        ("5%", 1, 19, False),
        ("5%", 1, 20, True),
        (" 100% ", 3, 3, True),
        (7, 7, 9, True),
    ],
)
def test_so_many_nodes_may_be_unready_and_a_share_is_rounded_down(max_unready, unready, of_all, ok):
    found = of(*[IMAGE] * unready, *[READY] * (of_all - unready), CASE["NotEligible"])
    verdict = judge(wanted(max_unready), found)
    assert verdict["ok"] is ok
    assert len(verdict["allowed"]) == (unready if ok else 0)


@pytest.mark.parametrize("max_unready", ["", "-1", "five", "5.5%", "101%", "5 %%", "1e3"])
def test_a_number_that_is_none_is_refused(max_unready):
    with pytest.raises(Failure, match="max_unready .* use for example 3 or 5%"):
        wanted(max_unready)


@pytest.mark.parametrize(("younger", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1d", 86400), ("1h5", 3605)])
def test_durations(younger, seconds):
    assert wanted(younger=younger).younger == seconds


@pytest.mark.parametrize("younger", ["", "soon", "10 m", "m", "1.5h", "-5m", "30m1h"])
def test_a_duration_that_is_none_is_refused(younger):
    with pytest.raises(Failure, match="allow_not_ready_younger_than .* is no duration"):
        wanted(younger=younger)


@pytest.mark.parametrize(
    ("created", "at", "ok"),
    [
        ("2026-11-21T16:55:00Z", "2026-11-21T17:00:00Z", True),
        ("2026-11-21T16:50:00Z", "2026-11-21T17:00:00Z", False),
        ("2026-11-21T17:00:30Z", "2026-11-21T17:00:00Z", True),
        ("2027-11-21T17:00:00Z", "2026-11-21T17:00:00Z", False),
        ("2026-11-21T16:55:00Z", "", False),
        ("", "2026-11-21T17:00:00Z", False),
        ("yesterday", "2026-11-21T17:00:00Z", False),
        (None, "2026-11-21T17:00:00Z", False),
    ],
)
def test_nodes_that_have_just_joined_may_be_unready_where_their_age_is_known(created, at, ok):
    found = {**report([row("old", READY, False), row("young", JOINING, False, created=created)], live=False), "at": at}
    verdict = judge(wanted(younger="10m"), found)
    assert verdict["ok"] is ok and verdict["allowed"] == (["young"] if ok else [])


def test_young_nodes_do_not_use_up_what_is_allowed_of_others():
    rows = [row("young", JOINING, False, created="2026-11-21T16:59:20Z"), row("a", IMAGE, False), row("b", READY, False), row("c", DOWN, False)]
    assert judge(wanted("1", "10m"), report(rows[:3], live=False)) == {"ok": True, "failures": [], "causes": [], "allowed": ["a", "young"]}
    verdict = judge(wanted("1", "10m"), report(rows, live=False))
    assert verdict["failures"] == ["2 of 4 eligible nodes are not ready, 1 may be"] and verdict["allowed"] == ["young"]
    assert "young" not in " ".join(verdict["causes"])


GENEROUS = {"max_unready": "100%", "younger": "9999d", "accept": "`true`"}


def test_no_policy_accepts_an_agent_that_is_not_there_no_node_or_one_that_nothing_is_known_of():
    absent = {**report([], live=False), "installed": False}
    verdict = judge(wanted(**GENEROUS), absent, ["DaemonSet a/b does not exist"])
    assert verdict == {"ok": False, "failures": ["DaemonSet a/b does not exist"], "causes": ["DaemonSet a/b does not exist"], "allowed": []}
    assert judge(wanted(**GENEROUS), of(READY), ["a monitor is away"])["failures"] == ["a monitor is away"]
    assert judge(wanted(**GENEROUS), of(CASE["NotEligible"]))["failures"] == ["no node is eligible"]
    assert judge(wanted(**GENEROUS), report([], live=False))["failures"] == ["no node is eligible"]
    verdict = judge(wanted(**GENEROUS), of(READY, CASE["Unreadable"]))
    assert verdict["failures"] == ["1 node of which nothing is known"]
    assert verdict["causes"][1].startswith("Unreadable on 1 node (node-1): ")


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("summary.ready >= `2`", ""),
        ("length(nodes[?image_ok == `false`]) == `0`", ""),
        ("!contains(nodes[].version, 'v1.20.0') && cluster.version != ''", ""),
        ("summary.ready > `2`", "accept 'summary.ready > `2`' does not hold"),
        ("summary.ready", "accept 'summary.ready' gives '2', neither true nor false"),
        ("nothing.there", "accept 'nothing.there' gives 'None', neither true nor false"),
        ("sum(nodes) > `1`", "accept 'sum(nodes) > `1`' cannot be told of this report: "),
        ("ok", "accept 'ok' gives 'None', neither true nor false"),
    ],
)
def test_a_rule_of_the_house_holds_beside_the_others(expression, failure):
    verdict = judge(wanted(accept=expression), of(READY, READY))
    assert verdict["ok"] is not bool(failure)
    assert all(line.startswith(failure) for line in verdict["failures"]) and len(verdict["failures"]) == bool(failure)
    assert judge(wanted(accept=expression), of(READY, READY, IMAGE))["ok"] is False


def documented():
    """The rules that docs/reports.md shows."""
    text = (Path(__file__).resolve().parents[3] / "docs/reports.md").read_text()
    return [rule.removeprefix("accept: ").strip() for rule in re.findall(r"``(.*?`) ?``|`(length[^`]*)`", text) for rule in rule if rule]


def test_the_documented_rules_can_be_told_of_a_report():
    assert len(documented()) >= 5
    made = of(READY, READY, live=True)
    verdicts = {rule: judge(wanted(accept=rule), made)["failures"] for rule in documented()}
    assert all(lines in ([], [f"accept {rule!r} does not hold"]) for rule, lines in verdicts.items()), verdicts


@pytest.mark.parametrize("expression", ["summary.ready >", "nodes[?", "length(nodes", "a b"])
def test_an_expression_that_is_none_is_refused_before_anything_is_read(expression):
    with pytest.raises(Failure) as caught:
        wanted(accept=expression)
    assert "is no JMESPath expression" in caught.value.message and "\n" not in caught.value.message


def test_an_unknown_function_is_a_failure_of_the_report_not_a_traceback():
    assert judge(wanted(accept="shout(nodes)"), of(READY))["failures"] == ["accept 'shout(nodes)' cannot be told of this report: Unknown function: shout()"]


def test_without_the_library_only_those_who_use_it_are_told(monkeypatch):
    monkeypatch.setattr(acceptance, "HAS_JMESPATH", False)
    assert judge(wanted(), of(READY))["ok"] is True
    with pytest.raises(Failure, match="pip install jmespath"):
        wanted(accept="`true`")


def test_groups_hold_those_without_a_proof_too():
    found = of(READY, READY, IMAGE, live=True)
    found["nodes"][0]["proof"] = {"proven": False, "reason": "no event within 10 s"}
    groups = acceptance.groups(found["nodes"], found)
    assert [(group["state"], group["reason"], group["nodes"]) for group in groups] == [
        ("blocked", "ImageNotFound", ["node-2"]),
        ("ready", "NoProof", ["node-0"]),
    ]


def test_a_large_cluster_gives_few_lines():
    verdict = judge(wanted("1%"), cluster(5000))
    assert len(verdict["causes"]) < 12 and max(map(len, verdict["causes"])) < 400
