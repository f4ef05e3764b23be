# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that say how far a rollout is, while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import is_behind
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, number

# Seconds before the first line, between lines that say something new, and between lines that do not.
_FIRST, _NEWS, _SAME = 5.0, 5.0, 30.0


class Lines:
    """Says a line when something takes longer than a moment, again where there is news, and now and then where there is none."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._say, self._clock = say, clock
        self._spoke = clock()
        self._last: dict[str, str] = {}

    def are_due(self) -> bool:
        """Whether it is time for a line, if there is news."""
        return self._clock() - self._spoke >= (_NEWS if self._last else _FIRST)

    def tell(self, text: str, more: str = "", source: str = "") -> None:
        """Says it, where it is time; more: what goes with it and is no news by itself. source: only what it has said before is no news of it."""
        now = self._clock()
        if self.are_due() and (text != self._last.get(source) or now - self._spoke >= _SAME):
            self._spoke, self._last[source] = now, text
            self._say(text + more)


class Progress:
    """Says how far a rollout is; call it with the verdicts as often as you like."""

    def __init__(self, say: Callable[[str], None], what: str, clock: Callable[[], float] = time.monotonic):
        self._lines, self._what, self._clock = Lines(say, clock), what, clock
        self._began = clock()
        self._first_ready: int | None = None

    def __call__(self, rows: list[dict]) -> None:
        """Takes the verdicts of coverage.verdicts."""
        ready = sum(1 for row in rows if row["state"] == "ready")
        if self._first_ready is None:
            self._first_ready = ready
        if self._lines.are_due():
            left = sum(1 for row in rows if row["eligible"] and row["state"] in ("rolling", "joining"))
            self._tell(progress_text(rows), left, ready, "verdicts")

    def count(self, daemon_set: dict) -> None:
        """Takes the DaemonSet between two calls: where there are thousands of nodes, its counters are all that is known for a while."""
        if self._lines.are_due() and self._first_ready is not None and not is_behind(daemon_set):
            wanted, ready, updated = (number(at(daemon_set, "status", key)) for key in ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled"))
            followed = min(ready, updated)
            self._tell(counters_text(wanted, ready, updated), wanted - followed, followed, "counters")

    def _tell(self, text, left, ready, source):
        self._lines.tell(f"{self._what}: {text}", estimate(left, ready - self._first_ready, self._clock() - self._began), source)


def progress_text(rows: list[dict]) -> str:
    """`12 of 50 nodes ready, 3 down, blocked: 2 ImageNotFound (a, b)`. Pure."""
    eligible = [row for row in rows if row["eligible"]]
    parts = [f"{sum(1 for row in eligible if row['state'] == 'ready')} of {len(eligible)} nodes ready"]
    # A former agent that holds the port of the new one is replaced in its turn as well.
    old = sum(1 for row in eligible if row["state"] == "rolling" and row["reason"] in ("OldRevision", "HostPortTaken"))
    on_their_way = sum(1 for row in eligible if row["state"] in ("rolling", "joining")) - old
    down = sum(1 for row in eligible if row["state"] == "node down")
    parts += [f"{count} {word}" for count, word in ((on_their_way, "starting"), (old, "waiting for their turn"), (down, "down")) if count]
    blocked: dict[str, list[str]] = {}
    for row in eligible:
        if row["state"] == "blocked":
            blocked.setdefault(row["reason"], []).append(row["node"])
    for reason, names in sorted(blocked.items()):
        parts.append(f"{len(names)} blocked by {reason} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
    return ", ".join(parts)


def counters_text(wanted: int, ready: int, updated: int) -> str:
    """`12 of 50 nodes ready, 30 with the new pod`, as the DaemonSet's controller counts them. Pure."""
    return f"{ready} of {wanted} nodes ready" + (f", {updated} with the new pod" if updated < wanted else "")


def estimate(left: int, gained: int, seconds: float) -> str:
    """`; about 40 s left` at the pace so far; empty where nothing says so. Pure.

    left: how many nodes are on their way. gained: how many became ready within `seconds`.
    """
    if gained <= 0 or seconds <= 0 or left <= 0:
        return ""
    rest = left * seconds / gained
    return f"; about {rest:.0f} s left" if rest < 120 else f"; about {rest / 60:.0f} min left"
