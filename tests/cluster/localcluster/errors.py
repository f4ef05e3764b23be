# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures that a user can act upon: which step, why, and what its log says."""

from __future__ import annotations

import re
from pathlib import Path

TROUBLE = re.compile(r"^[EF]\d{4} |level=(error|fatal)|\.go:\d+:\d+: |\b(error|fatal|panic|failed|denied|refused)\b", re.IGNORECASE)
LONGEST_LINE = 300


class StepFailed(Exception):
    """A step that did not work out; its text is one line."""

    def __init__(self, step: str, cause: str, log: Path | None = None):
        message = f"{step}: {cause}"
        if log is not None:
            message += f"; log {log}"
            last = telling_line(log)
            if last:
                message += f": {last}"
        super().__init__(message)


def telling_line(log: Path) -> str:
    """The last line of a log that speaks of trouble, or else its last line; empty when there is none."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 65536))
            lines = [line.strip() for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    troubled = [line for line in lines if TROUBLE.search(line)]
    return (troubled or lines or [""])[-1][:LONGEST_LINE]
