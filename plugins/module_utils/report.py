# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts as lines that people read. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import is_well

# Of more nodes than this only those that are not well have a line, and so many at most.
_ALL, _LINES = 50, 100


def table(rows: list[dict]) -> list[str]:
    """A header and one line a node; a column PROOF where a row has one. Of many nodes only those where an agent is wanted and not well."""
    proofs = any("proof" in row for row in rows)
    if len(rows) > _ALL:
        unwell = not_well(rows)
        shown = unwell[:_LINES]
        more = f"{len(unwell) - len(shown)} of them not well" if len(unwell) > len(shown) else "as they should be"
        return (_aligned(shown, proofs) if shown else []) + [f"... {len(rows) - len(shown)} more nodes, {more}"]
    return _aligned(rows, proofs)


def not_well(rows: list[dict]) -> list[dict]:
    """The nodes where an agent is wanted and not well, or of which not enough is known."""
    proofs = any("proof" in row for row in rows)
    return [row for row in rows if row["eligible"] and not is_well(row, proofs) or row["state"] in ("unknown", "joining")]


def headline(summary: dict) -> str:
    """The denominators: `nodes 3, eligible 3, ready 3`, with `real 2` where some are no machines, and `proven 3` where it was asked for."""
    real = f", real {summary['real']}" if summary["real"] != summary["nodes"] else ""
    line = f"nodes {summary['nodes']}{real}, eligible {summary['eligible']}, ready {summary['ready']}"
    return line + (f", proven {summary['proven']}" if "proven" in summary else "")


def _aligned(rows, proofs):
    header = ["NODE", "STATE", "ELIGIBLE", "READY", "POD"] + (["PROOF"] if proofs else []) + ["REASON"]
    lines = [header] + [_line(row, proofs) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header) - 1)]
    return ["  ".join([cell.ljust(width) for cell, width in zip(line, widths)] + [line[-1]]).rstrip() for line in lines]


def _line(row, proofs):
    state = row["state"] + (" (cordoned)" if row["cordoned"] else "")
    cells = [row["node"], state, "yes" if row["eligible"] else "no", "yes" if row["ready"] else "no", row["pod"] or "-"]
    proof = row.get("proof")
    if proofs:
        cells.append("-" if not proof else f"{proof['latency_ms']} ms" if proof["proven"] else "FAILED")
    reason = f"{row['reason']}: {row['detail']}" if row["detail"] else row["reason"]
    if row["state"] == "ready":
        reason = "no readiness probe" if row["confidence"] == "started" else ""
    if proof and not proof["proven"] and row["state"] == "ready":
        reason = f"no proof: {proof['reason']}"
    return cells + [reason]
