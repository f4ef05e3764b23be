# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.proof import judge_answer

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
    ],
)
def test_no_proof(given, why):
    assert why in judge_answer(given, "nonce", ROW)
