# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison with the controller: it can fail, and its cases are the same each time."""

from __future__ import annotations

import json
import random
import sys

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from differential import controller
from differential.cases import Draw, case
from differential.cli import table
from differential.comparison import Judge, compare
from localcluster.errors import StepFailed

CASES = range(300)


@pytest.fixture
def program(tmp_path):
    """A program that gives the same answer to each question."""

    def write(answer: str):
        path = tmp_path / "program"
        path.write_text(f"#!{sys.executable}\nimport sys\nfor line in sys.stdin:\n    {answer}\n")
        path.chmod(0o755)
        return path

    return write


def test_a_controller_that_always_runs_differs_where_we_do_not(program):
    judge = Judge("1.36", program('print(\'{"run": true, "continue": true}\')'), False)
    (tally,) = compare([judge], 1, CASES).values()
    ours = {number: decide(**case(1, number), comparison_operators=False) for number in CASES}
    assert tally.differing == [number for number in CASES if not ours[number]["run"]] != []
    assert tally.classes == {"run": len(CASES)}
    assert table({judge: tally})[1].split() == [
        controller.version("1.36"),
        "off",
        "300",
        "0",
        "0",
        "0",
        *(str(tally.blockers[kind]) for kind in ("nodeName", "selector", "affinity", "taint")),
        str(len(tally.differing)),
    ]


def test_a_controller_that_refuses_what_we_read_differs(program):
    judge = Judge("1.36", program('print(\'{"run": false, "continue": false, "error": "refused"}\')'), True)
    (tally,) = compare([judge], 1, CASES).values()
    assert tally.differing == [number for number in CASES if decide(**case(1, number))["run"] is not None]


def test_a_controller_that_ends_early_is_no_agreement(program):
    judge = Judge("1.36", program("sys.exit('broken')"), None)
    with pytest.raises(StepFailed, match="broken"):
        compare([judge], 1, CASES)


def test_a_case_depends_on_its_seed_and_number_only():
    assert case(3, 7) == case(3, 7)
    assert len({json.dumps(case(seed, number)) for seed in (1, 2) for number in CASES}) > len(CASES)


def test_without_oddity_every_drawn_object_can_be_read_and_has_known_operators_only():
    rng = random.Random(1)
    draw = Draw(rng, oddity=0)
    for _number in CASES:
        node = draw.node("n")
        daemon_set = draw.daemon_set(node, "run")
        assert decide(daemon_set, node)["run"] is not None
        assert {toleration.get("operator") or "Equal" for toleration in daemon_set["spec"]["template"]["spec"]["tolerations"]} <= {"Exists", "Equal"}


def test_every_supported_minor_has_pins():
    assert controller.minors() == [f"1.{number}" for number in range(36, 28, -1)]
