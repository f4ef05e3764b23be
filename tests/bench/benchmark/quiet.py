# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until the machine has done with what the command before left behind, such as a thousand pods that a cluster still takes away."""

from __future__ import annotations

import time
from pathlib import Path

# A cluster of 1,000 simulated nodes at rest keeps a third of two processors busy, with single seconds above.
_QUIET = 0.5
_SECONDS_IN_A_ROW = 2
_LONGEST = 60
# Fields of /proc/stat's first line, proc(5): the fourth is idle, the fifth waits for a disk.
_IDLE = slice(3, 5)


def wait_until_quiet(stat: Path = Path("/proc/stat")) -> None:
    """Return once all processors together were less than half busy for two seconds in a row, after a minute in any case."""
    quiet, before = 0, _times(stat)
    for _second in range(_LONGEST):
        time.sleep(1)
        after = _times(stat)
        passed = [new - old for new, old in zip(after, before)]
        share = 1 - sum(passed[_IDLE]) / max(1, sum(passed))
        quiet, before = quiet + 1 if share < _QUIET else 0, after
        if quiet == _SECONDS_IN_A_ROW:
            return


def _times(stat):
    # Of the ten fields the last two, time of guests, are counted in the first two already.
    return [int(value) for value in stat.read_text().splitlines()[0].split()[1:9]]
