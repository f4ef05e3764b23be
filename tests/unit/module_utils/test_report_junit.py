# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_junit
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, cluster, report, row

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parents[1] / "data/junit.xsd"))
CASE = {case[1]: case for _weight, case in CASES}


def read(made):
    """name -> (word, message, type, text) of the cases' outcomes; the word is `passed` without one."""
    text = report_junit.render(made)
    SCHEMA.validate(text)
    suite = ElementTree.fromstring(text)[0]
    found = {}
    for case in suite.iter("testcase"):
        outcome = case[0] if len(case) else None
        found[case.get("name")] = ("passed",) if outcome is None else (outcome.tag, outcome.get("message"), outcome.get("type"), outcome.text)
    words = [outcome[0] for outcome in found.values()]
    assert int(suite.get("tests")) == len(found)
    assert [int(suite.get(word)) for word in ("failures", "skipped", "errors")] == [words.count("failure"), words.count("skipped"), 0]
    return found


def test_a_case_for_each_node_and_one_for_the_whole():
    made = report(
        [
            row("well"),
            row("broken", CASE["ImageNotFound"]),
            row("kept-away", CASE["NotEligible"]),
            row("fake", CASE["NotReal"]),
            row("odd", CASE["Unreadable"]),
        ],
        failures=["1 node of which nothing is known", "1 of 2 eligible nodes is not ready and proven"],
    )
    found = read(made)
    assert found["well"] == ("passed",)
    word, message, kind, text = found["broken"]
    assert (word, kind) == ("failure", "ImageNotFound") and message.startswith("blocked: registry.example/")
    assert text.splitlines() == [
        "push the image first (role collector_image), or correct the reference",
        "status: ErrImagePull: registry.example/nanoagent/collector@sha256:1f0c: not found (9 times from 2026-11-21T16:41:07Z to 2026-11-21T16:59:31Z)",
    ]
    assert found["kept-away"][:2] == ("skipped", "not eligible: taint dedicated=licence:NoSchedule is not tolerated")
    assert found["fake"][0] == "skipped" and found["odd"][0] == "failure"
    assert found["the whole cluster"] == ("failure", made["failures"][0], "NotAccepted", "\n".join(made["failures"]))


def test_a_node_that_the_policy_lets_pass_is_skipped():
    found = read(report([row("well"), row("young", CASE["Joining"])], allowed=["young"]))
    assert found["young"][:2] == ("skipped", "let pass by the policy: joining, Joining")
    assert found["the whole cluster"] == ("passed",)


def test_a_proof_that_failed_is_the_cause():
    proof = {"proven": False, "latency_ms": None, "round_trip_ms": None, "reason": "no event within 10 s"}
    assert read(report([row("a", proof=proof)]))["a"][:3] == ("failure", "not proven: no event within 10 s", "NoProof")


@pytest.mark.parametrize("made", [report([]), report([], installed=False, at="", failures=["not there"]), cluster(3), cluster(1000), cluster(50, live=False)])
def test_it_is_valid_for_any_cluster(made):
    assert len(read(made)) == len(made["nodes"]) + 1


@pytest.mark.parametrize("text", ["]]><x/>", "\x00\x08\x1b[0m", "\"&<>'", "\ud800\uffff", "\u202e", "a\nb\tc"])
def test_what_comes_from_the_cluster_stays_text(text):
    changes = {"node": f"n{text}", "pool": text, "detail": f"d{text}", "fix": text, "evidence": {**CASE["ImageNotFound"][7], "text": text}}
    found = read(report([row(**{"case": CASE["ImageNotFound"], **changes})]))
    assert len(found) == 2 and all(len(name) < 20 for name in found)
