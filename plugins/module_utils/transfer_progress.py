# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that say how far a transfer is, while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Seconds before the first line, and between lines.
_PAUSE = 5.0


class TransferProgress:
    """Says a line when a transfer takes longer than a moment; call it with each number of bytes that came.

    total: bytes in all. Several threads may call it.
    """

    def __init__(self, say: Callable[[str], None], what: str, total: int, clock: Callable[[], float] = time.monotonic):
        self._say, self._what, self._total, self._clock = say, what, total, clock
        self._began = self._spoke = clock()
        self._done, self._lock = 0, threading.Lock()

    def spare(self, count: int) -> None:
        """Takes a number of bytes that need not be moved, since they are there already."""
        with self._lock:
            self._total -= count

    def __call__(self, count: int) -> None:
        """Takes the number of bytes since the last call, a negative one where what came was of no use."""
        with self._lock:
            self._done += count
            now = self._clock()
            if now - self._spoke < _PAUSE:
                return
            self._spoke = now
            line = f"{self._what}: {transfer_text(self._done, self._total, now - self._began)}"
        self._say(line)


def transfer_text(done: int, total: int, seconds: float) -> str:
    """`12.5 of 300.0 MB, 2.5 MB/s, about 115 s left`. Pure."""
    rate = done / seconds if seconds > 0 else 0
    text = f"{megabytes(done)} of {megabytes(total)} MB, {megabytes(rate)} MB/s"
    if rate <= 0 or done >= total:
        return text
    rest = (total - done) / rate
    return f"{text}, about {rest:.0f} s left" if rest < 120 else f"{text}, about {rest / 60:.0f} min left"


def megabytes(count: float) -> str:
    """Bytes as megabytes with one digit. Pure."""
    return f"{count / 1e6:.1f}"
