# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.proof import judge_answer, latency, losses

ROW = {"node": "n1", "container_id": "c" * 64}


def answer(**changed):
    event = {"type": "exec", "node": "n1", "process": {"argv": ["/collector", "prove", "nonce"]}, "container": {"id": "c" * 64}}
    return {"ok": True, "latency_us": 900, "event": {**event, **changed}}


def test_a_proof():
    assert judge_answer(answer(), "nonce", ROW) == ""


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ok": False, "reason": "not seen within 5s"}, "not seen within 5s"),
        ({"ok": False}, "no reason"),
        ({"ok": True}, "no exec event"),
        (answer(type="fork"), "no exec event"),
        (answer(process={"argv": ["/collector", "prove", "yesterday's"]}), "nonce"),
        (answer(process={}), "nonce"),
        (answer(node="n2"), "node 'n2'"),
        (answer(container={"id": "d" * 64}), "attributed to container dddd"),
        (answer(container=None), "attributed to container none"),
        (answer(process={"argv": "nonce"}), "nonce"),
        ({**answer(), "event": ["exec"]}, "no exec event"),
        ({**answer(), "latency_us": None}, "how long it took"),
        ({**answer(), "latency_us": -5}, "how long it took"),
    ],
)
def test_no_proof(given, why):
    assert why in judge_answer(given, "nonce", ROW)


def proof(latency_ms=None, **lost):
    return {"proven": latency_ms is not None, "latency_ms": latency_ms, "lost": lost}


def test_percentiles_are_latencies_that_were_measured():
    proofs = {str(number): proof(float(number)) for number in range(1, 101)} | {"failed": proof()}
    assert latency(proofs) == {"p50": 50.0, "p99": 99.0}
    assert latency({"a": proof(7.5)}) == {"p50": 7.5, "p99": 7.5}
    assert latency({"a": proof()}) == latency({}) == {"p50": None, "p99": None}


def test_collectors_that_lose_events_are_named_the_worst_first():
    proofs = {f"n{number}": proof(1.0, ring=number) for number in range(1, 8)} | {"m": proof(1.0, backend=9, elsewhere=1), "well": proof(1.0)}
    assert [line.removeprefix("collectors that have lost events since they started, ") for line in losses(proofs)] == [
        "as the backend did not take them (m: 9); look at the backend and the way to it",
        "at elsewhere (m: 1); look at its metrics",
        "as the ring was full (n7: 7, n6: 6, n5: 5, n4: 4, n3: 3 and 2 more); give it more CPU, or a larger ring_bytes",
    ]
    assert losses({"well": proof(1.0)}) == []
