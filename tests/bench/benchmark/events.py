# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collector and its peers say they saw. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

PREFIX = "nanoagent_collector_"
# Where an event that was not written may have gone, by the collector's own count.
LOSSES = ("events_lost_total", "events_dropped_total", "hook_missed_total")
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_TYPE = re.compile(r'type="(\w+)"')


def metrics(text: str) -> Counter:
    """The sums of the collector's metrics by name, less the prefix, and by (name, event type)."""
    sums = Counter()
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if not sample:
            continue
        name, labels, value = sample.groups()
        name = name.removeprefix(PREFIX)
        sums[name] += float(value)
        kind = _TYPE.search(labels or "")
        if kind:
            sums[name, kind.group(1)] += float(value)
    return sums


def count_events(lines: Iterable[str], command: str) -> Counter:
    """How many events of each type the collector wrote about a command."""
    # Most lines of a busy machine are about others: reading those as JSON would take much longer.
    mark = json.dumps(command)
    counts = Counter()
    for line in lines:
        if mark not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if (event.get("process") or {}).get("comm") == command:
            counts[event["type"]] += 1
    return counts


def expected_events(workload: str, count: int) -> dict[str, int]:
    """How many events of each type a storm makes, with its own start and end."""
    if workload == "exec":
        return {"exec": count + 1, "fork": count, "exit": count + 1}
    return {"exec": 1, "exit": 1, "connect": count, "accept": count}


def missing_events(expected: dict[str, int], seen: Counter) -> int:
    """How many of the expected events were not written."""
    return sum(max(0, count - seen[kind]) for kind, count in expected.items())


def reported_loss(before: Counter, after: Counter) -> int:
    """How many events the collector says it lost between two readings of its metrics."""
    return int(sum(after[name] - before[name] for name in LOSSES))
