# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as text for the terminal and as Markdown for the file of results. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEAD = ("arm", "figure", "unit", "median", "min", "max", "rounds")
_RATIO_HEAD = ("ratio", "of", "median", "min", "max")


def number(value: float) -> str:
    """Three digits that matter, and whole numbers whole."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    for bound, digits in ((100, 0), (10, 1), (0.1, 2)):
        if abs(value) >= bound:
            return f"{value:.{digits}f}"
    return f"{value:.2g}"


def _cells(row: dict) -> tuple[str, ...]:
    return (row["arm"], row["figure"], row["unit"], number(row["median"]), number(row["min"]), number(row["max"]), str(row["count"]))


def _ratio_cells(row: dict) -> tuple[str, ...]:
    return (row["ratio"], row["figure"], *(f"{row[key]:.2f}" for key in ("median", "min", "max")))


def _tables(report: dict) -> list[tuple[Sequence[str], list[tuple[str, ...]]]]:
    tables = [(_HEAD, [_cells(row) for row in report["rows"]])]
    if report["ratios"]:
        tables.append((_RATIO_HEAD, [_ratio_cells(row) for row in report["ratios"]]))
    return tables


def text(report: dict) -> str:
    """Aligned columns."""
    parts = [f"{report['bench']}, {report['date']}, {report['machine']}"]
    for head, rows in _tables(report):
        widths = [max(len(cells[column]) for cells in [head, *rows]) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip() for cells in [head, *rows]]
        parts.append("\n".join(lines))
    parts.append("\n".join(report["facts"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(report: dict) -> str:
    """The same as one section of a Markdown file."""
    parts = [f"## {report['bench']}", f"{report['date']}, {report['machine']}"]
    for head, rows in _tables(report):
        lines = [f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows]]
        parts.append("\n".join(lines))
    if report["facts"]:
        parts.append("\n".join(f"- {fact}" for fact in report["facts"]))
    return "\n\n".join(parts) + "\n"


def replace_section(document: str, name: str, section: str) -> str:
    """The document with the section of that name replaced, or added at its end."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    block = begin + section + end
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if pattern.search(document):
        return pattern.sub(lambda _match: block, document, count=1)
    return f"{document.rstrip()}\n\n{block}" if document.strip() else block
