# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: `python3 tests/oracle --cases 100000 --seed 1`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from localcluster.errors import StepFailed
from localcluster.progress import Progress

from differential import controller
from differential.cases import case
from differential.comparison import CLASSES, Judge, Tally, compare

KINDS = ("nodeName", "selector", "affinity", "taint")
SHOWN = 3


def parser() -> argparse.ArgumentParser:
    """The options."""
    known = controller.minors()
    top = argparse.ArgumentParser(prog="python3 tests/oracle", description="The collection's decisions about nodes against the DaemonSet controller's own.")
    top.add_argument("--cases", type=int, default=100_000, metavar="N", help="how many cases (default: %(default)s)")
    top.add_argument("--seed", type=int, default=1, metavar="N", help="which cases (default: %(default)s)")
    top.add_argument("--case", type=int, metavar="N", help="only the case of this number, and both decisions about it in full")
    top.add_argument("--kubernetes", nargs="+", choices=known, default=known, metavar="MINOR", help=f"against which versions (default: {' '.join(known)})")
    return top


def judges_of(minors: Sequence[str], progress: Progress) -> list[Judge]:
    """The judges of some minors, with the feature gate on and off where there is one."""
    judges = []
    for minor in minors:
        program = controller.build(minor, progress)
        gates = (False, True) if controller.has_comparison_operators(minor) else (None,)
        judges += [Judge(minor, program, gate) for gate in gates]
    return judges


def main(arguments: Sequence[str]) -> int:
    """Compare and print; the exit code is 1 where decisions differ, 2 where nothing could be compared."""
    options = parser().parse_args(arguments)
    try:
        judges = judges_of(options.kubernetes, Progress())
        begin = time.monotonic()
        numbers = range(options.cases) if options.case is None else range(options.case, options.case + 1)
        tallies = compare(judges, options.seed, numbers)
    except StepFailed as failure:
        print(f"tests/oracle: {failure}", file=sys.stderr)
        return 2
    print(f"{len(numbers)} cases of seed {options.seed}, {time.monotonic() - begin:.0f} s")
    print("\n".join(table(tallies)))
    differing = sorted({number for tally in tallies.values() for number in tally.differing})
    for number in differing[:SHOWN] if options.case is None else [options.case]:
        print_case(judges, options.seed, number)
    return 1 if differing else 0


def table(tallies: dict[Judge, Tally]) -> list[str]:
    """A line for each judge: how many cases it put into each class, how many had each kind of blocker, how many differ."""
    heads = ["Kubernetes", "Gt, Lt", *CLASSES.values(), *KINDS, "differences"]
    rows = [heads]
    for judge, tally in tallies.items():
        gate = {None: "-", False: "off", True: "on"}[judge.comparison_operators]
        counts = [*(tally.classes[name] for name in CLASSES.values()), *(tally.blockers[kind] for kind in KINDS), len(tally.differing)]
        rows.append([controller.version(judge.minor), gate, *map(str, counts)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def print_case(judges: Sequence[Judge], seed: int, number: int) -> None:
    """One case with every decision about it."""
    whole = case(seed, number)
    print(f"\nCase {number}: {json.dumps(whole)}")
    for comparing in (False, True):
        print(f"  the collection, Gt and Lt {'on' if comparing else 'off'}: {json.dumps(decide(**whole, comparison_operators=comparing))}")
    for judge in judges:
        (answer,) = controller.ask(judge.program, judge.comparison_operators, [json.dumps(whole)])
        print(f"  Kubernetes {judge.minor}, Gt and Lt {'on' if judge.comparison_operators else 'off'}: {json.dumps(answer)}")
