# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which request meets which fault, all drawn from one seed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.tests.faults.fault import Away, Cut, Fault, Lose, Request, Reset, Shorten, Slow, Truncate

# [(weight, how to draw the fault)] of a request.
Menu = Callable[[Request], list[tuple[float, Callable[[random.Random], Fault]]]]

_RATES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.6)


def breaks(_request: Request) -> list[tuple[float, Callable[[random.Random], Fault]]]:
    """What any HTTP client has to live with: broken connections, and bodies that are short or slow."""
    return [
        (2, lambda _draw: Reset()),
        (4, lambda _draw: Lose()),
        (1, lambda draw: Truncate(draw.random())),
        (0.5, lambda draw: Shorten(draw.random())),
        (1, lambda draw: Slow(draw.randint(2, 6), 0.05)),
    ]


def stream_breaks(_request: Request) -> list[tuple[float, Callable[[random.Random], Fault]]]:
    """The same for a stream: it breaks, or ends as if it were complete, anywhere."""
    return [(2, lambda _draw: Reset()), (4, lambda draw: Cut(int(draw.expovariate(1 / 3000)), draw.random() < 0.5))]


class Plan:
    """The faults of one seed.

    A request's fault depends on the seed, on what `likeness` says of the request (method and path by default) and on
    how many such requests there were before, so that the order of the caller's threads does not matter. Only the two
    events that concern the whole server count across requests: at number `outage` it goes away for some seconds, at
    number `end` for good. A request whose menu is empty meets no fault and is not counted for them; `most` is how many
    requests of the others a job makes at most, more or less.
    """

    def __init__(self, seed: int, menu: Menu = breaks, likeness: Callable[[Request], str] | None = None, most: int = 45):
        self.seed = seed
        self.log: list[str] = []
        self._menu = menu
        self._likeness = likeness or (lambda request: f"{request.method} {request.path}")
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._total = self._exposed = 0
        draw = random.Random(f"plan {seed}")
        self.rate = draw.choice(_RATES)
        self.outage = (draw.randint(1, most), draw.uniform(0.2, 2.0)) if draw.random() < 0.25 else None
        self.end = draw.randint(1, most) if draw.random() < 0.12 else None

    def decide(self, request: Request, before: int) -> Fault | None:
        """The fault of a request of which `before` alike were seen; the same for the same seed, whatever else happened."""
        draw = random.Random(f"{self.seed} {self._likeness(request)} {before}")
        menu = self._menu(request)
        if not menu or draw.random() >= self.rate:
            return None
        [make] = draw.choices([make for _weight, make in menu], [weight for weight, _make in menu])
        return make(draw)

    def meet(self, request: Request) -> Fault | None:
        """The fault of the next request; counts it, and logs what happens to it."""
        with self._lock:
            likeness = self._likeness(request)
            before, self._seen[likeness] = self._seen[likeness], self._seen[likeness] + 1
            self._total += 1
            if not self._menu(request):
                return None
            self._exposed += 1
            number = self._exposed
            if self.end and number >= self.end:
                fault = Away(None)
            elif self.outage and number == self.outage[0]:
                fault = Away(self.outage[1])
            else:
                fault = self.decide(request, before)
            if fault:
                self.log.append(f"request {number}, {likeness} (seen {before} before): {fault}")
            return fault

    def describe(self) -> str:
        """The plan, and what of it has happened so far, for people."""
        lines = [f"seed {self.seed}: a request that can meet a fault does so with probability {self.rate:g}"]
        if self.outage:
            lines.append(f"  server away for {self.outage[1]:.1f} s at request {self.outage[0]} of those that can meet a fault")
        if self.end:
            lines.append(f"  server away for good from request {self.end} of those that can meet a fault on")
        with self._lock:
            return "\n".join([*lines, f"{self._total} requests came, {len(self.log)} met a fault:", *(f"  {line}" for line in self.log)])
