# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.report import table
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, cluster, row

CASE = {case[1]: case for _weight, case in CASES}


def of(count, *cases, live=False):
    return [row(f"well-{number}", live=live) for number in range(count)] + [row(f"odd-{number}", case, live) for number, case in enumerate(cases)]


def test_up_to_fifty_nodes_each_has_a_line():
    assert len(table(of(49, CASE["ImageNotFound"]))) == 51


def test_of_more_only_those_that_are_not_well():
    lines = table(of(48, CASE["ImageNotFound"], CASE["NotEligible"], CASE["NodeDown"], CASE["Unreadable"]))
    assert [line.split()[0] for line in lines] == ["NODE", "odd-0", "odd-2", "odd-3", "..."]
    assert lines[-1] == "... 49 more nodes, as they should be"
    assert table(of(60)) == ["... 60 more nodes, as they should be"]


def test_a_ready_node_without_its_proof_is_listed():
    rows = of(60, live=True)
    rows[7]["proof"] = {"proven": False, "latency_ms": None, "reason": "no event within 10 s"}
    lines = table(rows)
    assert len(lines) == 3 and lines[1].startswith("well-7 ") and lines[1].endswith("no proof: no event within 10 s")


def test_a_blocked_node_s_line_has_its_own_cause_also_with_live_proofs():
    lines = table(of(2, CASE["ImageNotFound"], live=True))
    assert " FAILED " in lines[-1] and lines[-1].endswith(" ImageNotFound: registry.example/nanoagent/collector@sha256:1f0c: not found")


def test_thousands_that_are_not_well_are_a_hundred_lines():
    rows = cluster(5000, live=False)["nodes"]
    lines = table(rows)
    assert len(lines) == 102
    unwell = [each for each in rows if each["state"] not in ("ready", "not eligible", "not a real node")]
    assert lines[-1] == f"... 4900 more nodes, {len(unwell) - 100} of them not well"
