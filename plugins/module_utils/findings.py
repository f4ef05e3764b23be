# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look ahead at an installation found: findings, and how they are told. Pure."""

from __future__ import annotations

# In the order in which they are made and told.
CHECKS = (
    "api_version",
    "rights",
    "plan",
    "eligibility",
    "kernel",
    "runtime_classes",
    "room",
    "sizing",
    "quota",
    "pod_security",
    "admission",
    "image",
    "egress",
    "tier",
)
RESULTS = ("error", "warning", "ok", "skipped")
_SHOWN = 5


def finding(check: str, result: str, evidence: str, fix: str = "", subject: str = "", nodes: list[str] | None = None) -> dict:
    """{"check", "result", "object", "nodes", "evidence", "fix"}: one of CHECKS and one of RESULTS, an object's title, names of nodes, one line each."""
    return {
        "check": check,
        "result": result,
        "object": subject,
        "nodes": sorted(nodes or []),
        "evidence": " ".join(evidence.split()),
        "fix": " ".join(fix.split()),
    }


def unread(check: str, why: str) -> dict:
    """The finding of a check for which something could not be read; why: a Failure's `what`."""
    return finding(check, "skipped", why, "grant the right that is named to have it checked, or leave the check out with skip")


def sorted_findings(findings: list[dict], strict: list[str]) -> list[dict]:
    """The findings in the order of CHECKS, worst first; warnings of the checks in `strict` are errors."""
    judged = [{**one, "result": "error"} if one["result"] == "warning" and one["check"] in strict else one for one in findings]
    return sorted(judged, key=lambda one: (CHECKS.index(one["check"]), RESULTS.index(one["result"])))


def headline(findings: list[dict]) -> str:
    """`errors 0, warnings 2, ok 11`, with `skipped 1` where there are such."""
    counts = {result: sum(1 for one in findings if one["result"] == result) for result in RESULTS}
    line = f"errors {counts['error']}, warnings {counts['warning']}, ok {counts['ok']}"
    return line + (f", skipped {counts['skipped']}" if counts["skipped"] else "")


def table(findings: list[dict]) -> list[str]:
    """A header and one line a finding, to be read."""
    lines = [("RESULT", "CHECK", "FINDING"), *((one["result"], one["check"], line_of(one)) for one in findings)]
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    return [f"{result:<{widths[0]}}  {check:<{widths[1]}}  {text}" for result, check, text in lines]


def errors(findings: list[dict]) -> list[str]:
    """One line an error, with the check's name."""
    return [f"{one['check']}: {line_of(one)}" for one in findings if one["result"] == "error"]


def line_of(one: dict) -> str:
    """A finding's object or nodes, evidence and fix as one line."""
    subject = one["object"] or names(one["nodes"])
    return (f"{subject}: " if subject else "") + one["evidence"] + (f"; {one['fix']}" if one["fix"] else "")


def names(nodes: list[str]) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else ""
    return ", ".join(nodes[:_SHOWN]) + more


def count(number: int, what: str) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
