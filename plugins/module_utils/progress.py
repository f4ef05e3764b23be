# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that say how far a rollout is, while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds before the first line, between lines that say something new, and between lines that do not.
_FIRST, _NEWS, _SAME = 5.0, 5.0, 30.0


class Progress:
    """Says a line when the rollout takes longer than a moment; call it with the verdicts as often as you like."""

    def __init__(self, say: Callable[[str], None], what: str, clock: Callable[[], float] = time.monotonic):
        self._say, self._what, self._clock = say, what, clock
        self._began = self._spoke = clock()
        self._first_ready: int | None = None
        self._last = ""

    def __call__(self, rows: list[dict]) -> None:
        """Takes the verdicts of coverage.verdicts."""
        ready = sum(1 for row in rows if row["state"] == "ready")
        if self._first_ready is None:
            self._first_ready = ready
        now = self._clock()
        pause = _FIRST if not self._last else _NEWS
        if now - self._spoke < pause:
            return
        text = progress_text(rows)
        if text == self._last and now - self._spoke < _SAME:
            return
        self._spoke, self._last = now, text
        self._say(f"{self._what}: {text}{estimate(rows, ready - self._first_ready, now - self._began)}")


def progress_text(rows: list[dict]) -> str:
    """`12 of 50 nodes ready, 3 down, blocked: 2 ImageNotFound (a, b)`. Pure."""
    eligible = [row for row in rows if row["eligible"]]
    parts = [f"{sum(1 for row in eligible if row['state'] == 'ready')} of {len(eligible)} nodes ready"]
    old = sum(1 for row in eligible if row["state"] == "rolling" and row["reason"] == "OldRevision")
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


def estimate(rows: list[dict], gained: int, seconds: float) -> str:
    """`; about 40 s left` at the pace so far; empty where nothing says so. Pure.

    gained: how many nodes became ready within `seconds`.
    """
    left = sum(1 for row in rows if row["eligible"] and row["state"] in ("rolling", "joining"))
    if gained <= 0 or seconds <= 0 or not left:
        return ""
    rest = left * seconds / gained
    return f"; about {rest:.0f} s left" if rest < 120 else f"; about {rest / 60:.0f} min left"
