# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rounds of one benchmark measured, and the report that comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmark.process import UNITS
from benchmark.summary import Summary, paired_ratio, summarize


@dataclass(frozen=True)
class Ratio:
    """A comparison of one figure of two arms."""

    title: str
    above: str
    below: str
    figure: str = "wall"


@dataclass
class Record:
    """Values by arm and figure, in the order of the rounds. units: of the figures that not every command has."""

    units: dict[str, str]
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)

    def add(self, arm: str, figures: dict[str, float]) -> None:
        """Take the figures of one arm in one round."""
        for figure, value in figures.items():
            self.values.setdefault(arm, {}).setdefault(figure, []).append(value)

    def rows(self) -> list[dict]:
        """One row for each arm and figure, as the JSON report holds it."""
        units = UNITS | self.units
        return [
            {"arm": arm, "figure": figure, "unit": units[figure], **_numbers(summarize(values))}
            for arm, figures in self.values.items()
            for figure, values in figures.items()
        ]

    def ratios(self, wanted: list[Ratio]) -> list[dict]:
        """The comparisons whose two arms were both measured."""
        found = []
        for ratio in wanted:
            above = self.values.get(ratio.above, {}).get(ratio.figure)
            below = self.values.get(ratio.below, {}).get(ratio.figure)
            if above and below and any(below):
                found.append({"ratio": ratio.title, "figure": ratio.figure, **_numbers(paired_ratio(above, below))})
        return found


def _numbers(summary: Summary) -> dict:
    return {"median": summary.median, "min": summary.minimum, "max": summary.maximum, "count": summary.count}
