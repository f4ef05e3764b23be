# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as Markdown: short enough for a comment or a chat. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import report_parts
from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import cause

# More nodes than this are folded away, and only those that are not well are listed, so many at most.
_OPEN, _LISTED = 20, 100
_MEANING = re.compile(r"([\\`*_{}\[\]<>|~#&$])")


def render(report: dict) -> str:
    """The verdict, the numbers, the causes, and the nodes; what comes from the cluster stands as plain text."""
    numbers = report_parts.numbers(report)
    parts = [
        f"# {_plain(report_parts.title(report))}",
        ", ".join(_code(text) for text in report_parts.place(report)),
        _table([word for word, _number in numbers], [[number for _word, number in numbers]], "---:"),
    ]
    if report["failures"]:
        parts.append("\n".join(f"- {_plain(line)}" for line in report["failures"]))
    if report["groups"]:
        groups = [
            [str(len(group["nodes"])), _look(report_parts.group_look(group)), *(_plain(group[key]) for key in ("reason", "detail", "fix"))]
            for group in report["groups"]
        ]
        parts.append(_table(["nodes", "state", "cause", "what happened", "what to do"], groups))
    return "\n\n".join([*parts, *_nodes(report)]) + "\n"


def _nodes(report):
    rows = report["nodes"]
    if not rows:
        return []
    many = len(rows) > _OPEN
    chosen = [row for row in rows if row["state"] not in report_parts.PASSES_BY or report_parts.is_unwell(row, report)] if many else rows
    if not chosen:
        return []
    shown = chosen[:_LISTED]
    lines = [[_code(row["node"]), _look(report_parts.look(row, report)), _plain(row["pool"]), _plain(row["zone"]), _why(row, report)] for row in shown]
    table = _table(["node", "state", "pool", "zone", "cause"], lines)
    if not many:
        return [table]
    what = f"{len(chosen):,} node{'s' if len(chosen) > 1 else ''} not well" + (f", the first {_LISTED}" if len(chosen) > _LISTED else "")
    return [f"<details>\n<summary>{what}</summary>\n\n{table}\n\n</details>"]


def _why(row, report):
    if row["state"] == "ready" and not report_parts.is_unwell(row, report):
        return ""
    code, detail, _fix = cause(row)
    return _plain(f"{code}: {detail}" if detail else code)


def _look(look):
    return f"{report_parts.LOOKS[look][0]} {look}"


def _table(header, rows, align="---"):
    lines = [header, [align] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _plain(text):
    """Text that no reader of Markdown takes for anything else: no markup, no link, nobody is called by @name."""
    escaped = _MEANING.sub(r"\\\1", report_parts.visible(text))
    return re.sub(r"(?<!\w)@", "@\u2060", re.sub(r"(?i)(:)(?=//)|(?<=www)(\.)", r"\\\1\2", escaped))


def _code(text):
    """Text in the way of code, inside of a table too."""
    text = report_parts.visible(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"
