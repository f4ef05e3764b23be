# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the changes of nodes' states as they happen, until all is well or the time is up."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import Policy, judge
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.progress import progress_text
from ansible_collections.nanoagent.k8s.plugins.module_utils.reflector import Reflector
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import EVENTS, selectors
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import stamp

# Changes that are kept; nodes that change alike are told one by one up to so many.
_KEPT, _ONE_BY_ONE = 1000, 5
# Seconds between two looks at what no watch tells, such as proofs and drift: where a change has come, and where none has.
_SOON, _LATE = 5.0, 30.0
# Verdicts that depend on the clock are made anew so often, in seconds; then a rest in times of what making them took.
_TICK, _REST, _LONGEST_REST = 5.0, 4, 2.0
# States in which another cause is news.
_TELLING = ("blocked", "node down", "unknown")


def follow(
    cluster: Cluster,
    options: dict,
    wanted: Policy,
    say: Callable[[str], None],
    look: Callable[[], dict],
    judge_seen: Callable[[list[dict], dict], list[dict]],
) -> dict:
    """The result of the last look, and in `changes` what was told before it, the newest 1,000.

    options: daemon_sets, selector, name, namespace and watch_timeout of agent_info. look: a whole report, with all that a policy
    asks for. judge_seen: the verdicts for (DaemonSets, kind -> objects or the ApiFailure of a right that is missing). A change is
    {"at", "node", "from", "to", "reason", "detail"}; from is empty for a node that came, to for one that went.
    """
    changed = threading.Event()
    mirror = _Mirror(cluster, options, changed)
    teller = _Teller(say, lambda: stamp(cluster.now()))
    nodes_alone = replace(wanted, rule=None)
    deadline, next_look = time.monotonic() + options["watch_timeout"], 0.0
    try:
        while True:
            changed.clear()
            began = time.monotonic()
            seen = mirror.seen()
            if mirror.is_refused():
                # A look says which right is missing and what that means.
                return _ended(look(), teller)
            if seen is not None:
                daemon_sets = seen["DaemonSet"]
                rows = judge_seen(daemon_sets, seen) if daemon_sets else []
                if teller.take(daemon_sets, rows):
                    next_look = min(next_look, began + _SOON)
                verdict = {"installed": bool(daemon_sets), "nodes": rows, "summary": {}, "at": stamp(cluster.now())}
                if began >= next_look and judge(nodes_alone, verdict, [])["ok"]:
                    report = look()
                    if report["ok"]:
                        return _ended(report, teller)
                    next_look = time.monotonic() + _LATE
            left = deadline - time.monotonic()
            if left <= 0:
                # The last look reads everything: of thousands of nodes there need not be two copies.
                mirror.stop()
                seen = rows = verdict = None
                return _ended(look(), teller)
            changed.wait(min(left, _TICK))
            time.sleep(max(0.0, min(_LONGEST_REST, _REST * (time.monotonic() - began), left)))
    finally:
        mirror.stop()


def changes(before: dict[str, tuple], rows: list[dict]) -> list[dict]:
    """What is different between the states that standing() gave and these rows, sorted by node. Pure."""
    after = {row["node"]: row for row in rows}
    found = []
    for node in sorted({*before, *after}):
        row, was = after.get(node), before.get(node, ("", ""))
        if row is None:
            found.append({"node": node, "from": was[0], "to": "", "reason": "", "detail": "the node is gone"})
        elif _key(row) != was:
            found.append({"node": node, "from": was[0], "to": row["state"], "reason": row["reason"], "detail": row["detail"]})
    return found


def standing(rows: list[dict]) -> dict[str, tuple]:
    """Node -> what has to differ for a change to be told. Pure."""
    return {row["node"]: _key(row) for row in rows}


def lines(found: list[dict]) -> list[str]:
    """Changes as lines, many that are alike as one. Pure."""
    alike: dict[tuple, list[dict]] = {}
    for change in found:
        alike.setdefault((change["from"], change["to"], change["reason"]), []).append(change)
    told = []
    for (was, state, reason), group in alike.items():
        how = f"{was or 'new'} -> {state or 'gone'}" + (f", {reason}" if reason and reason.lower() != state else "")
        if len(group) > _ONE_BY_ONE:
            told.append(f"{len(group)} nodes ({', '.join(change['node'] for change in group[:3])}, ...) {how}")
        else:
            told += [f"{change['node']} {how}" + (f": {change['detail']}" if change["detail"] and state not in ("ready", "") else "") for change in group]
    return told


def _key(row):
    return row["state"], row["reason"] if row["state"] in _TELLING else ""


def _ended(report, teller):
    return {**report, "changes": list(teller.changes)}


class _Teller:
    """Says what is new, with the time by the server's clock."""

    def __init__(self, say, clock):
        self.changes: deque = deque(maxlen=_KEPT)
        self._say, self._clock = say, clock
        self._before: dict[str, tuple] | None = None
        self._absent = False

    def take(self, daemon_sets, rows):
        """Whether there was anything new."""
        if not daemon_sets:
            if not self._absent:
                self._tell("there is no such DaemonSet")
            self._absent, self._before = True, None
            return False
        self._absent = False
        if self._before is None:
            self._before = standing(rows)
            self._tell(progress_text(rows))
            return True
        found = changes(self._before, rows)
        self._before = standing(rows)
        self.changes.extend({"at": self._clock(), **change} for change in found)
        for line in lines(found):
            self._tell(line)
        return bool(found)

    def _tell(self, line):
        self._say(f"{self._clock()[11:19] or '--:--:--'} {line}")


class _Mirror:
    """Live copies of all that verdicts are made of, of each DaemonSet as it comes."""

    _OPTIONAL = ("Event", "ControllerRevision")

    def __init__(self, cluster, options, changed):
        self._cluster, self._changed = cluster, changed
        self._namespace = options["namespace"]
        self._names = None if options["selector"] else set(options["daemon_sets"] or [options["name"]])
        self._reflectors: dict[tuple, Reflector] = {}
        query = {"labelSelector": options["selector"]} if options["selector"] else {}
        if self._names and len(self._names) == 1:
            query = {"fieldSelector": f"metadata.name={min(self._names)}"}
        self._start("Node", None, {})
        self._start("DaemonSet", self._namespace, query)
        self._start("Event", self._namespace, EVENTS)

    def seen(self):
        """Kind -> objects, or the ApiFailure of a right that is missing; None while some have not come yet.

        :raises Failure: a watch has ended for good, for another reason than a missing right
        """
        if not self._synced("DaemonSet"):
            return None
        daemon_sets = [obj for obj in self._objects("DaemonSet") if self._names is None or obj["metadata"]["name"] in self._names]
        for daemon_set in daemon_sets:
            query = selectors(daemon_set["metadata"]["name"], daemon_set)
            for kind in ("Pod", "ControllerRevision"):
                self._start(kind, self._namespace, query[kind])
        kinds = ("Node", "Event", "Pod", "ControllerRevision")
        if not all(self._synced(kind) for kind in kinds):
            return None
        found = {kind: self._objects(kind) for kind in kinds}
        return {**found, "DaemonSet": sorted(daemon_sets, key=lambda obj: obj["metadata"]["name"])}

    def is_refused(self):
        """Whether a right is missing without which there are no verdicts."""
        return any(reflector.failure for (kind, _query), reflector in self._reflectors.items() if kind not in self._OPTIONAL)

    def stop(self):
        for reflector in self._reflectors.values():
            reflector.stop()

    def _start(self, kind, namespace, query):
        key = (kind, tuple(query.items()))
        if key not in self._reflectors:
            self._reflectors[key] = Reflector(self._cluster, self._changed, kind, namespace, **query)
            self._reflectors[key].start()

    def _of(self, kind):
        reflectors = [reflector for (each, _query), reflector in self._reflectors.items() if each == kind]
        for reflector in reflectors:
            if reflector.failure and not (isinstance(reflector.failure, ApiFailure) and reflector.failure.status == 403):
                raise reflector.failure
        return reflectors

    def _synced(self, kind):
        return all(reflector.synced or reflector.failure for reflector in self._of(kind))

    def _objects(self, kind):
        reflectors = self._of(kind)
        refused = next((reflector.failure for reflector in reflectors if reflector.failure), None)
        if refused:
            return refused if kind in self._OPTIONAL else []
        return list({obj["metadata"]["uid"]: obj for reflector in reflectors for obj in reflector.objects()}.values())
