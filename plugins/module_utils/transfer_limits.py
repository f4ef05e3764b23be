# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transfer may take at most: requests at once of one registry, and bytes a second of all together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

# Bytes a second; with less, a piece of a blob takes longer than servers wait for it.
_LEAST_RATE = 16 << 10
# A limited reader hands out as much as comes in this time, in seconds, so that it goes evenly.
_STEP = 0.1
_LEAST_PIECE, _MOST_PIECE = 4 << 10, 1 << 20


class Slots:
    """How many requests a registry gets at once. Several threads share it.

    Whoever reads a blob keeps one from its first byte to its last, and takes it before any of a destination: so nobody who waits
    for a destination is waited for by another.
    """

    def __init__(self, count: int):
        self.count = count
        self._free, self._waiting = count, 0
        self._changed = threading.Condition()

    def take(self) -> None:
        """Waits until there is one."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self._free > 0)
                self._free -= 1
            finally:
                self._waiting -= 1

    def try_take(self) -> bool:
        """Whether there was one that nobody waits for."""
        with self._changed:
            if self._free <= self._waiting:
                return False
            self._free -= 1
            return True

    def give_back(self) -> None:
        """One is free again."""
        with self._changed:
            self._free += 1
            self._changed.notify()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Takes one for a while."""
        self.take()
        try:
            yield
        finally:
            self.give_back()


class RateLimit:
    """Lets a number of bytes a second through, for all threads together.

    :param rate: bytes a second
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep):
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._free_at, self._lock = clock(), threading.Lock()
        # How much a reader should ask for at once.
        self.piece = min(max(int(rate * _STEP), _LEAST_PIECE), _MOST_PIECE)

    def take(self, count: int) -> None:
        """Waits until all that came before has had its time; the next one waits for this."""
        with self._lock:
            now = self._clock()
            begin = max(self._free_at, now)
            self._free_at = begin + count / self._rate
        if begin > now:
            self._sleep(begin - now)


def rate_limit(options: dict) -> RateLimit | None:
    """The limit that the option `rate_limit` asks for, None where there is none.

    :raises Failure: it is too small
    """
    rate = options["rate_limit"]
    if rate is not None and rate < _LEAST_RATE:
        raise Failure(f"rate_limit is {rate} bytes a second", f"give {_LEAST_RATE} or more, such as 10M, or leave it out")
    return RateLimit(rate) if rate else None
