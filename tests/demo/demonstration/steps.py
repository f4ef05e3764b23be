# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user reads while the demonstration runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Numbers the steps and writes for each a line at its begin and one with the seconds it took."""

    def __init__(self, total: int):
        self._total = total
        self._number = 0
        self._begin = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the first step could begin."""
        return time.monotonic() - self._begin

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step; a failed one gets no second line, its error speaks for it."""
        self._number += 1
        label = f"[{self._number}/{self._total}]"
        print(f"\n{label} {title}", flush=True)
        begin = time.monotonic()
        yield
        print(f"{label} done in {time.monotonic() - begin:.1f} s", flush=True)
