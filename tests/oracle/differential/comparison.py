# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both decisions about the same cases, and where they differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide

from differential import controller
from differential.cases import case

BATCH = 10_000
CLASSES = {(True, True): "run", (False, True): "keep only", (False, False): "neither", (None, None): "unreadable"}


@dataclass(frozen=True)
class Judge:
    """One controller: a Kubernetes minor, its program, and its feature gate (None where it has none)."""

    minor: str
    program: Path
    comparison_operators: bool | None


@dataclass
class Tally:
    """What one comparison found: cases in each class by the controller, cases with each kind of blocker, and the numbers of the cases that differ."""

    classes: Counter = field(default_factory=Counter)
    blockers: Counter = field(default_factory=Counter)
    differing: list[int] = field(default_factory=list)


def compare(judges: Iterable[Judge], seed: int, numbers: range) -> dict[Judge, Tally]:
    """Compare the collection's decisions about the cases of these numbers with those of each judge."""
    tallies = {judge: Tally() for judge in judges}
    for begin in range(numbers.start, numbers.stop, BATCH):
        batch = range(begin, min(begin + BATCH, numbers.stop))
        cases = [case(seed, number) for number in batch]
        lines = [json.dumps(each) for each in cases]
        ours = {comparing: [decide(**each, comparison_operators=comparing) for each in cases] for comparing in (True, False)}
        for judge, tally in tallies.items():
            answers = controller.ask(judge.program, judge.comparison_operators, lines)
            for number, own, answer in zip(batch, ours[bool(judge.comparison_operators)], answers, strict=True):
                theirs = (None, None) if "error" in answer else (answer["run"], answer["continue"])
                tally.classes[CLASSES[theirs]] += 1
                tally.blockers.update({blocker["kind"] for blocker in own["blockers"]})
                if theirs != (own["run"], own["keep"]):
                    tally.differing.append(number)
    return tallies
