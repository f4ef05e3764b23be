# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sees while something takes its time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

BAR_WIDTH = 30


def bar_text(label: str, done: int, total: int) -> str:
    """One progress bar as text."""
    share = min(1.0, done / total)
    filled = int(share * BAR_WIDTH)
    return f"{label} [{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total}"


class Progress:
    """Writes a line for each finished step, with the seconds it took; safe to use from several threads."""

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream if stream is not None else sys.stderr
        self._lock = threading.Lock()
        self._begin = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since this progress was made."""
        return time.monotonic() - self._begin

    def say(self, text: str) -> None:
        """Write one line."""
        with self._lock:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Time what happens inside and write a line once it is done."""
        begin = time.monotonic()
        yield
        self.say(f"{time.monotonic() - begin:6.1f} s  {title}")

    @contextmanager
    def counting(self, label: str, total: int) -> Iterator[Bar]:
        """A progress bar: redrawn on a terminal, a line for each tenth elsewhere."""
        counter = Bar(self._stream, label, total)
        try:
            yield counter
        finally:
            counter.finish()


class Bar:
    """One progress bar."""

    def __init__(self, stream: TextIO, label: str, total: int):
        self._stream, self._label, self._total = stream, label, total
        self._terminal = stream.isatty()
        self._done = 0
        self._shown_tenths = -1
        self._draw()

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        self._draw()

    def finish(self) -> None:
        """Leave the line of the bar."""
        if self._terminal and self._total:
            print(file=self._stream, flush=True)

    def _draw(self) -> None:
        if not self._total:
            return
        text = bar_text(self._label, self._done, self._total)
        tenths = 10 * self._done // self._total
        if self._terminal:
            print(f"\r{text}\033[K", end="", file=self._stream, flush=True)
        elif tenths != self._shown_tenths:
            print(text, file=self._stream, flush=True)
        self._shown_tenths = tenths
