# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a report is good enough: the defaults, the exceptions that a user allows, and rules of the house. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.nanoagent.k8s.plugins.module_utils import coverage
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import seconds

try:
    import jmespath

    HAS_JMESPATH = True
except ImportError:
    HAS_JMESPATH = False

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
# Both times are the server's; several API servers may differ by this much, in seconds.
_SKEW = 60


@dataclass(frozen=True)
class Policy:
    """What policy() has read.

    most: how many eligible nodes may be unready; share: or this share of them, in percent. younger: nodes that joined less than
    so many seconds ago may be unready beside those. rule: a compiled JMESPath expression; None without one.
    """

    most: int = 0
    share: int | None = None
    younger: int = 0
    text: str = ""
    rule: object = None

    def allowance(self, eligible: int) -> int:
        """How many of so many eligible nodes may be unready; a share is rounded down."""
        return self.most if self.share is None else eligible * self.share // 100


# All eligible nodes have to be well.
STRICT = Policy()


def policy(options: dict) -> Policy:
    """The policy of max_unready, allow_not_ready_younger_than and accept, the options of agent_info.

    :raises Failure: one of them cannot be read, or the library for accept is missing
    """
    found = re.fullmatch(r"(\d{1,9})(%?)", str(options["max_unready"]).strip())
    if not found or (found[2] and int(found[1]) > 100):
        raise Failure(f"max_unready {options['max_unready']!r} is neither a number nor a share", "use for example 3 or 5%")
    share = int(found[1]) if found[2] else None
    younger = _seconds(str(options["allow_not_ready_younger_than"]).strip())
    text = options.get("accept") or ""
    return Policy(0 if found[2] else int(found[1]), share, younger, text, _compiled(text) if text else None)


def judge(wanted: Policy, report: dict, faults: list[str]) -> dict:
    """{"ok": bool, "failures": [lines], "causes": [lines], "allowed": [names]} for a report of agent_info.

    faults: what is wrong beside the nodes. failures: these, and each rule that does not hold; empty where ok. causes: the same and
    then why, the nodes that fail grouped by cause. allowed: eligible nodes that are not well and that the policy lets pass. Whatever
    the policy: a fault, an agent that is not installed, no eligible node, and a node of which nothing is known fail.
    """
    if not report["installed"]:
        return {"ok": False, "failures": faults, "causes": faults, "allowed": []}
    failures, failing = list(faults), []
    eligible = [row for row in report["nodes"] if row["eligible"]]
    # Of these it may be that they want an agent or not.
    unknown = [row for row in report["nodes"] if row["state"] == "unknown"]
    if unknown:
        failures.append(f"{_nodes(len(unknown))} of which nothing is known")
        failing += unknown
    elif not eligible:
        failures.append("no node is eligible")
    unwell = [row for row in eligible if row["state"] != "unknown" and not is_well(row, has_proofs(report))]
    young, older = [], []
    for row in unwell:
        (young if _age(row, report) < wanted.younger else older).append(row)
    allowance = wanted.allowance(len(eligible))
    if len(older) > allowance:
        but = f", {allowance} may be" if allowance else ""
        failures.append(f"{len(older)} of {len(eligible)} eligible nodes {'is' if len(older) == 1 else 'are'} not {_well_means(report)}{but}")
        failing += older
    if wanted.rule is not None:
        failures += _house_rule(wanted, report)
    allowed = young if len(older) > allowance else unwell
    return {
        "ok": not failures,
        "failures": failures,
        "causes": failures + coverage.lines(groups(failing, report)),
        "allowed": [row["node"] for row in allowed],
    }


def has_proofs(report: dict) -> bool:
    """Whether live proofs were asked for."""
    return "proven" in report["summary"]


def is_well(row: dict, proofs: bool) -> bool:
    """Whether the agent on this node is ready, and proven where proofs were asked for."""
    return row["state"] == "ready" and (not proofs or bool((row.get("proof") or {}).get("proven")))


def cause(row: dict) -> tuple[str, str, str]:
    """(code, detail, fix) of a node that is not well; the proof that failed where the agent is ready."""
    if row["state"] == "ready":
        return "NoProof", (row.get("proof") or {}).get("reason") or "nothing was proven", "read the collector's log on that node"
    return row["reason"], row["detail"], row["fix"]


def groups(rows: list[dict], report: dict) -> list[dict]:
    """coverage.groups, and as one more the nodes that are ready without a proof that was asked for."""
    unproven = [row for row in rows if row["state"] == "ready" and not is_well(row, has_proofs(report))]
    found = coverage.groups(rows)
    if unproven:
        code, detail, fix = cause(unproven[0])
        names = [row["node"] for row in unproven]
        found.append({"state": "ready", "reason": code, "nodes": names, "detail": detail, "fix": fix, "passing": False})
    return sorted(found, key=lambda group: -len(group["nodes"]))


def _nodes(count):
    return "1 node" if count == 1 else f"{count} nodes"


def _well_means(report):
    return "ready and proven" if has_proofs(report) else "ready"


def _seconds(text):
    found = re.fullmatch(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s?)?", text)
    if not text or not found:
        raise Failure(f"allow_not_ready_younger_than {text!r} is no duration", "use for example 10m, 1h30m or a number of seconds")
    return sum(int(amount or 0) * unit for amount, unit in zip(found.groups(), _UNITS.values()))


def _compiled(text):
    if not HAS_JMESPATH:
        raise Failure("accept needs the Python library jmespath, which is missing where this runs", "pip install jmespath there")
    try:
        return jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        raise Failure(f"accept {text!r} is no JMESPath expression: {_first_line(error)}", "correct it") from error


def _house_rule(wanted, report):
    try:
        answer = wanted.rule.search({key: value for key, value in report.items() if key != "ok"})
    except (jmespath.exceptions.JMESPathError, TypeError) as error:
        return [f"accept {wanted.text!r} cannot be told of this report: {_first_line(error)}"]
    if answer is True:
        return []
    if answer is False:
        return [f"accept {wanted.text!r} does not hold"]
    return [f"accept {wanted.text!r} gives {str(answer)[:60]!r}, neither true nor false"]


def _first_line(error):
    return str(error).splitlines()[0].rstrip(":. ")


def _age(row, report):
    """Seconds since the node joined; infinite where nothing tells it."""
    now, joined = seconds(report["at"]), seconds(row["created"])
    if now is None or joined is None or now - joined <= -_SKEW:
        return float("inf")
    return now - joined
