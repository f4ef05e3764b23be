# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a DaemonSet's rollout by watching, and ending early where it cannot end well."""

from __future__ import annotations

import threading
import time

from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import newest_revision, verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import daemon_set_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_at
from ansible_collections.nanoagent.k8s.plugins.module_utils.reflector import Reflector

# A cause that cannot heal itself has to stand this long before the wait ends, in seconds.
_SETTLE = 2.0
# Between two evaluations while many objects change, in seconds.
_PAUSE = 0.1


def selectors(name: str) -> dict[str, dict[str, str]]:
    """Query selectors for what belongs to the DaemonSet `name`, by kind."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(daemon_set_labels(name).items()))
    return {
        "DaemonSet": {"fieldSelector": f"metadata.name={name}"},
        "Pod": {"labelSelector": labels},
        "ControllerRevision": {"labelSelector": labels},
        "Event": {"fieldSelector": f"involvedObject.kind=DaemonSet,involvedObject.name={name}"},
    }


def judge(daemon_set: dict, rows: list[dict]) -> str:
    """done, stuck or waiting, for the verdicts `rows` of a DaemonSet. Pure.

    done: the controller has seen the newest spec and every eligible node that is up is ready. stuck: at least one node
    has a cause that cannot heal itself, and no other node is on its way. Nodes that are down count for neither.
    """
    if (daemon_set.get("status") or {}).get("observedGeneration", 0) < daemon_set["metadata"].get("generation", 0):
        return "waiting"
    open_rows = [row for row in rows if row["state"] in ("starting", "blocked", "rolling")]
    if not open_rows:
        return "done" if any(row["state"] == "ready" for row in rows) else "waiting"
    moving = [row for row in open_rows if row["state"] != "rolling" and not row["final"]]
    return "stuck" if not moving and any(row["final"] for row in open_rows) else "waiting"


def relevant_events(events: list[dict], daemon_set: dict, manager: str) -> list[dict]:
    """The Events that are not older than our last write to the DaemonSet. Pure; both times are the server's."""
    since = owned_at(daemon_set, manager)
    return [event for event in events if (event.get("lastTimestamp") or event.get("eventTime") or "") >= since]


def await_rollout(cluster: Cluster, namespace: str, name: str, timeout: float, manager: str) -> tuple[str, list[dict]]:
    """(done | stuck | timeout, verdicts) of the DaemonSet namespace/name."""
    changed = threading.Event()
    query = selectors(name)
    reflectors = {kind: Reflector(cluster, changed, kind, namespace, **query[kind]) for kind in query}
    reflectors["Node"] = Reflector(cluster, changed, "Node")
    for reflector in reflectors.values():
        reflector.start()
    try:
        return _follow(cluster, reflectors, changed, namespace, name, timeout, manager)
    finally:
        for reflector in reflectors.values():
            reflector.stop()


def _follow(cluster, reflectors, changed, namespace, name, timeout, manager):
    deadline = time.monotonic() + timeout
    stuck_since, rows = None, []
    while True:
        changed.clear()
        _raise_failures(reflectors)
        synced = all(reflector.synced for reflector in reflectors.values())
        if synced:
            seen = {kind: reflector.objects() for kind, reflector in reflectors.items()}
            daemon_set = next(iter(seen["DaemonSet"]), None)
            if daemon_set is None:
                raise Failure(f"DaemonSet {namespace}/{name} was deleted while its rollout was awaited", "run again")
            revision = newest_revision(seen["ControllerRevision"], daemon_set)
            events = relevant_events(seen["Event"], daemon_set, manager)
            rows = verdicts(daemon_set, seen["Node"], seen["Pod"], revision, events)
            outcome = judge(daemon_set, rows)
            if outcome == "done" and _is_newest(cluster, namespace, daemon_set, revision):
                return "done", rows
            stuck_since = (stuck_since or time.monotonic()) if outcome == "stuck" else None
            if stuck_since and time.monotonic() - stuck_since >= _SETTLE:
                return "stuck", rows
        left = deadline - time.monotonic()
        if left <= 0:
            return "timeout", rows
        changed.wait(min(left, 0.5 if stuck_since else 5.0))
        if synced:
            time.sleep(_PAUSE if len(rows) > 100 else 0)


def _is_newest(cluster, namespace, daemon_set, revision):
    """Whether no newer revision exists: its watch may lag behind that of the DaemonSet's status."""
    revisions, _version = cluster.list("ControllerRevision", namespace, **selectors(daemon_set["metadata"]["name"])["ControllerRevision"])
    return newest_revision(revisions, daemon_set) == revision


def _raise_failures(reflectors):
    for reflector in reflectors.values():
        if reflector.failure:
            raise reflector.failure
