# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a DaemonSet's rollout by watching, ending early where it cannot end well, and saying how far it is."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import is_behind, newest_revision, share
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.listing import Listing
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import daemon_set_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_at
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import event_last
from ansible_collections.nanoagent.k8s.plugins.module_utils.reflector import Reflector
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, seconds, stamp

# How long a rollout has to look hopeless before the wait ends, in seconds: on all open nodes, and on enough of them.
_SETTLE = {"stuck": 2.0, "failing": 8.0}
# Enough nodes: this share of the eligible ones, and more than one.
_ENOUGH = 0.1
# A rollout gets on whose nodes have followed in this last part of the time.
_LATELY = 1 / 3
# Events that say what keeps pods away, of the DaemonSet and of its pods.
EVENTS = {"fieldSelector": "type!=Normal"}
# For how long the controller's former failures prove nothing, in seconds, once it was woken.
RETRY = 10.0
_RETRY_AGAIN = 3.0
# Set and taken away again to wake the controller.
_WAKE = "nanoagent.k8s/wake"
# States that a rollout waits for.
_OPEN = ("rolling", "blocked", "joining", "unknown")
# Pause after a look at all nodes, in times of what the look took: at most, and at least where the controller's own counters said
# that it had ended and it had not. Where there are thousands of nodes the machines of the control plane, which may be this one, have
# more to do than to be looked at.
_REST, _SHORT_REST = 40, 4
# From so many nodes on the pods are listed at each look as long as the rollout is fast: each pod changes some six times, and a watch
# tells every time the whole of it. That costs as much as a list every five seconds where 5 % of the nodes follow in that time, so a
# rollout that is slower in so many looks in a row is watched. At the beginning of an update there are fewer ready nodes at first.
_MANY, _SLOW_LOOKS = 200, 3
_LONGEST_REST, _REST_STEP = 5.0, 0.02
# How many such rests more there may be before the next look where the counters grow by this share of all nodes in each: too little
# goes wrong then for the wait to be ended. Where one more of that speed would be the last, there is no look before the end.
_PATIENCE, _GOOD_SPEED = 2, 0.05


def selectors(name: str, daemon_set: dict | None = None) -> dict[str, dict[str, str]]:
    """Query selectors for what belongs to the DaemonSet `name`, by kind.

    daemon_set: the object, whose own selector holds, as for one that was made by others; without it, or where it selects by
    expressions, the labels that ours have.
    """
    selector = mapping(at(daemon_set, "spec", "selector"))
    own = mapping(selector.get("matchLabels"))
    wanted = daemon_set_labels(name) if selector.get("matchExpressions") or not own else own
    labels = ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    return {
        "DaemonSet": {"fieldSelector": f"metadata.name={name}"},
        "Pod": {"labelSelector": labels},
        "ControllerRevision": {"labelSelector": labels},
        "Event": EVENTS,
    }


def judge(daemon_set: dict, rows: list[dict], old_is_fine: bool = False) -> str:
    """done, stuck, failing or waiting, for the verdicts `rows` of a DaemonSet. Pure.

    done: the controller has seen the newest spec and every eligible node that is up is ready. stuck: at least one node
    has a cause that cannot heal itself, and no other node is on its way. failing: others are on their way, but enough
    nodes have such a cause. Nodes that are down count for neither. old_is_fine: a pod of an earlier revision is well too,
    as with the strategy OnDelete.
    """
    if is_behind(daemon_set):
        return "waiting"
    open_rows = [row for row in rows if row["state"] in _OPEN and row["eligible"] and row["up"] and not (old_is_fine and _is_old(row))]
    if not open_rows:
        return "done" if any(row["state"] == "ready" or (old_is_fine and row["ready"]) for row in rows) else "waiting"
    final = sum(1 for row in open_rows if row["final"])
    moving = [row for row in open_rows if not _waits_for_its_turn(row) and not row["final"]]
    if final and not moving:
        return "stuck"
    return "failing" if final > max(1, _ENOUGH * sum(1 for row in rows if row["eligible"])) else "waiting"


def nudges(daemon_set: dict, rows: list[dict]) -> list[str]:
    """Names of pods to delete so that the rollout goes on although nodes are down or no machines. Pure.

    The DaemonSet controller counts a node that is down as unavailable, and one that is no machine but gets a pod, so that as many
    of them as maxUnavailable stop an update for ever. The budget here is for nodes that are up: what it still allows of old, ready pods there may go.
    With maxSurge it needs no help: it asks the old pod there to end, since that is not ready, and a new pod without an old one beside it
    does not count. Source: Kubernetes, pkg/controller/daemon/update.go (rollingUpdate), daemon_controller.go (podsShouldBeOnNode).
    """
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    if strategy.get("type") != "RollingUpdate" or str(rolling.get("maxSurge") or 0) not in ("0", "0%"):
        return []
    eligible = [row for row in rows if row["eligible"]]
    down = sum(1 for row in rows if row["pod"] and not row["ready"] and row["state"] == "not a real node")
    down += sum(1 for row in eligible if row["state"] == "node down" and not row["ready"])
    budget = share(rolling.get("maxUnavailable", 1), len(eligible))
    missing = sum(1 for row in eligible if row["state"] != "node down" and (not row["ready"] or row["reason"] == "Settling"))
    if not down or missing + down < budget:
        return []
    old = sorted(row["pod"] for row in eligible if _is_old(row) and row["ready"])
    return old[: max(0, budget - missing)]


def awaiting_secret(rows: list[dict], name: str) -> list[dict]:
    """The verdicts, none final where a pod only lacks the Secret of this name. Pure.

    An operator makes it some seconds after the pods, a CSI driver only once a pod mounts its volume; the kubelet tries again.
    """
    return [{**row, "final": False, "passing": True} if f'secret "{name}" not found' in row["detail"] else row for row in rows]


def doubted(rows: list[dict], since: float) -> list[dict]:
    """The verdicts, none final that rests on what the controller said before `since`, seconds since 1970, of pods that it could not make. Pure."""
    return [{**row, "final": False} if _is_old_news(row, since) else row for row in rows]


def _is_old_news(row, since):
    # Events have whole seconds: one of the same second may be newer.
    last = seconds(row["evidence"]["last"])
    return not row["pod"] and row["evidence"]["source"] == "event" and last is not None and last < math.floor(since)


def _is_final_news(row, since, now):
    """Whether the controller said after `since` that it cannot make the pod, and not only in this second, of which a later word could not be told."""
    last = seconds(row["evidence"]["last"])
    return row["final"] and not row["pod"] and row["evidence"]["source"] == "event" and last is not None and math.floor(since) <= last < math.floor(now)


def _is_old(row):
    """Whether the node has a pod of an earlier revision."""
    return row["state"] == "rolling" and row["reason"] == "OldRevision"


def _waits_for_its_turn(row):
    """Whether the node has an agent that is to be replaced, of an earlier revision or of a DaemonSet that is gone (orphans.turns)."""
    return _is_old(row) or (row["state"] == "rolling" and row["reason"] == "HostPortTaken")


def unavailable_budget(daemon_set: dict, count: int) -> int:
    """How many of `count` nodes may be without a ready agent at a time: what maxUnavailable allows, at least one. Pure."""
    rolling = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return max(1, share(rolling.get("maxUnavailable", 1), count))


def relevant_events(events: list[dict], daemon_set: dict, manager: str) -> list[dict]:
    """The Events but those about the DaemonSet that are older than our last write to it. Pure; both times are the server's."""
    since, name = owned_at(daemon_set, manager), at(daemon_set, "metadata", "name")

    def is_over(event):
        about = mapping(event.get("involvedObject"))
        return about.get("kind") == "DaemonSet" and about.get("name") == name and event_last(event) < since

    return [event for event in events if not is_over(event)]


def await_rollout(
    cluster: Cluster,
    wanted: dict,
    timeout: float,
    manager: str,
    progress: Callable[[list[dict]], None] | None = None,
    nodes: set[str] | None = None,
    known_nodes: tuple[list[dict], str] | None = None,
    coming: str | None = None,
    since: float | None = None,
    turns: Callable[[dict, list[dict]], list[dict]] | None = None,
    count: Callable[[dict], None] | None = None,
) -> tuple[str, list[dict]]:
    """(done | stuck | failing | timeout | unfinished, verdicts) of a DaemonSet.

    unfinished: the time is up, nothing is known to be beyond mending, and nodes have followed in the last part of it.

    wanted: the DaemonSet as it was applied. progress: is given the verdicts at every look.
    nodes: only these count, and a pod of an earlier revision on them does not. known_nodes: (Nodes, resourceVersion) of a
    list that was made before, so that they need not be listed once more. coming: name of a Secret that somebody else is about to
    make; pods that lack it are on their way. since: the server's clock when the run began to write. Pods that the controller could
    not make before that it may be able to make now, so it is woken, and only what it says or leaves undone after that counts; and
    a node that was made after that is not waited for.
    turns: is given the DaemonSet and the verdicts at every look, makes room where it has to, and gives the verdicts that count.
    count: is given the DaemonSet as often as may be between two looks, as long as there are so many pods that these are seldom.
    """
    changed = threading.Event()
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    query = selectors(name, wanted)
    reflectors = {"Node": Reflector(cluster, changed, "Node", known=known_nodes)}
    for kind in ("DaemonSet", "ControllerRevision", "Event"):
        reflectors[kind] = Reflector(cluster, changed, kind, namespace, **query[kind])
    many = known_nodes is not None and len(known_nodes[0]) >= _MANY
    # The last, so that nothing is listed before the others are known.
    reflectors["Pod"] = Listing(cluster, "Pod", namespace, **query["Pod"]) if many else Reflector(cluster, changed, "Pod", namespace, **query["Pod"])
    for reflector in reflectors.values():
        reflector.start()
    try:
        return _follow(cluster, reflectors, changed, namespace, name, timeout, manager, progress, nodes, coming, since, turns, count)
    finally:
        for reflector in reflectors.values():
            reflector.stop()


def _follow(cluster, reflectors, changed, namespace, name, timeout, manager, progress, nodes, coming, since, turns, count):
    deadline = time.monotonic() + timeout
    retry = _Retry(cluster, since)
    hopeless, hopeless_since, rows = "", 0.0, []
    pace = _Pace(timeout)
    slow_looks, looked_at = 0, []
    while True:
        changed.clear()
        _raise_failures(reflectors)
        began = time.monotonic()
        # Not two copies of thousands of pods at a time.
        seen = {}
        synced = all(reflector.refreshed() for reflector in reflectors.values())
        if synced:
            seen = {kind: reflector.objects() for kind, reflector in reflectors.items()}
            daemon_set = next(iter(seen["DaemonSet"]), None)
            if daemon_set is None:
                raise Failure(f"DaemonSet {namespace}/{name} was deleted while its rollout was awaited", "run again")
            revision = newest_revision(seen["ControllerRevision"], daemon_set)
            events = relevant_events(seen["Event"], daemon_set, manager)
            rows = verdicts(daemon_set, seen["Node"], seen["Pod"], revision, events, cluster.now())
            rows = awaiting_secret(rows, coming) if coming else rows
            rows = retry.doubted(rows, daemon_set, seen["Pod"])
            rows = turns(daemon_set, rows) if turns else rows
            counted = [row for row in rows if nodes is None or row["node"] in nodes]
            pace.take(counted)
            # Where nodes come and go all the time there would hardly be a moment without one that has no agent yet.
            later = _joined_after(seen["Node"], since)
            if progress:
                progress(counted)
            on_delete = (daemon_set["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
            outcome = judge(daemon_set, [row for row in counted if row["node"] not in later], old_is_fine=on_delete and nodes is None)
            if outcome == "done" and _is_newest(cluster, namespace, daemon_set, revision):
                return "done", counted
            _nudge(cluster, seen["Pod"], nudges(daemon_set, rows))
            if outcome != hopeless:
                hopeless, hopeless_since = (outcome, time.monotonic()) if outcome in _SETTLE else ("", 0.0)
            if hopeless and time.monotonic() - hopeless_since >= _SETTLE[hopeless]:
                return outcome, counted
            slow_looks, looked_at = 0 if _gets_on(looked_at, seen["DaemonSet"]) else slow_looks + 1, seen["DaemonSet"]
            if isinstance(reflectors["Pod"], Listing) and slow_looks == _SLOW_LOOKS:
                reflectors["Pod"] = reflectors["Pod"].watched(changed)
        now = time.monotonic()
        took = now - began
        if now >= deadline:
            # A cluster that cannot be seen is no rollout that failed: nothing may be taken back for it.
            _raise_failures(reflectors, troubles_too=True)
            counted = [row for row in rows if nodes is None or row["node"] in nodes]
            return "unfinished" if pace.holds() and not any(row["final"] for row in counted) else "timeout", counted
        # However long a look takes, the next one comes when there is something to decide.
        due = min(deadline, hopeless_since + _SETTLE[hopeless]) if hopeless else retry.due(deadline)
        changed.wait(max(0.0, min(due - now, 0.5 if hopeless else 5.0)))
        _rest(took, reflectors["DaemonSet"], due, looked_at, count if isinstance(reflectors["Pod"], Listing) else None)


def _rest(took, daemon_sets, due, looked_at, count):
    """Rests after a look; looked_at: the DaemonSets of that look."""
    now = time.monotonic()
    rest = min(_LONGEST_REST, _REST * took)
    if any(map(_counts_as_done, looked_at)):
        # What the counters say was looked into, and is not so.
        time.sleep(max(0.0, min(due - now, rest, _SHORT_REST * took)))
    end, patience = min(due, now + rest), _PATIENCE if rest == _LONGEST_REST else 0
    while not any(map(_counts_as_done, counted := daemon_sets.objects())):
        if count and counted:
            count(counted[0])
        left = end - time.monotonic()
        if left <= 0:
            if end == due or rest < _LONGEST_REST or not _gets_on(looked_at, counted) or not (patience or _is_nearly_over(looked_at, counted)):
                return
            end, patience, looked_at = min(due, end + rest), max(0, patience - 1), counted
        time.sleep(max(0.0, min(_REST_STEP, end - time.monotonic())))


def _joined_after(nodes, since):
    """Names of the nodes that were made after `since`, seconds since 1970; none where that is not known."""
    if since is None:
        return set()
    return {node["metadata"]["name"] for node in nodes if (seconds(at(node, "metadata", "creationTimestamp")) or 0) > since}


def _gets_on(before, now):
    """Whether the counters tell of a rollout at good speed since then."""
    wanted = _wanted(now)
    return _counted(now) - _counted(before) >= _GOOD_SPEED * wanted > 0


def _is_nearly_over(before, now):
    """Whether no more is missing than has come since then."""
    return _counted(now) - _counted(before) >= 2 * _wanted(now) - _counted(now)


def _counted(daemon_sets):
    """What grows while the pods get ready, and while they are replaced: twice `_wanted` at the end."""
    status = at(next(iter(daemon_sets), {}), "status") or {}
    return (status.get("numberReady") or 0) + (status.get("updatedNumberScheduled") or 0)


def _wanted(daemon_sets):
    return at(next(iter(daemon_sets), {}), "status", "desiredNumberScheduled") or 0


def _counts_as_done(daemon_set):
    """Whether the DaemonSet's counters say that all is well: a hint, since they can be out of date."""
    status = daemon_set.get("status") or {}
    wanted = status.get("desiredNumberScheduled") or 0
    return not is_behind(daemon_set) and wanted > 0 and status.get("numberReady") == status.get("updatedNumberScheduled") == wanted


class _Pace:
    """Whether a rollout still got on when its time was up. timeout: in seconds, from now on."""

    def __init__(self, timeout):
        self._late = time.monotonic() + (1 - _LATELY) * timeout
        self._most: int | None = None
        self._grew = 0.0

    def take(self, rows):
        """Takes the verdicts of a look."""
        followed = sum(1 for row in rows if row["state"] == "ready")
        if self._most is not None and followed > self._most:
            self._grew = time.monotonic()
        self._most = max(followed, self._most or 0)

    def holds(self):
        return self._grew >= self._late


class _Retry:
    """The controller, woken where it could make no pods before `since`: after a failure it waits for up to 17 minutes.

    Where it fails again it is woken a second time, and no more.
    """

    def __init__(self, cluster, since):
        self._cluster, self._since, self._made_since = cluster, since, since
        self._waits = [RETRY, _RETRY_AGAIN]
        self._doubts_until = 0.0

    def doubted(self, rows, daemon_set, pods):
        """The verdicts, where old news is no proof until the controller has had the time to try again, and none once it has made a pod."""
        if self._since is None:
            return rows
        if len(self._waits) == 2:
            if not any(_is_old_news(row, self._since) for row in rows):
                return rows
            self._wake(daemon_set)
        elif len(self._waits) == 1 and time.monotonic() < self._doubts_until and any(_is_final_news(row, self._since, self._cluster.now()) for row in rows):
            # Admission knows namespaces and quotas from a cache, which may have been behind when the cause had just been mended.
            self._since = self._cluster.now()
            # Pods say whole seconds; those of the first try are of an earlier one.
            self._made_since = math.floor(self._since)
            self._wake(daemon_set)
        made = any((seconds(pod["metadata"].get("creationTimestamp")) or 0) >= self._made_since for pod in pods)
        # The controller drops its events where there were many of one object, so the old one may be the last.
        return doubted(rows, self._since) if made or time.monotonic() < self._doubts_until else rows

    def due(self, deadline):
        """When there is something to decide, at the deadline at the latest; as time.monotonic()."""
        return min(deadline, self._doubts_until) if self._doubts_until > time.monotonic() else deadline

    def _wake(self, daemon_set):
        wake(self._cluster, daemon_set)
        self._doubts_until = time.monotonic() + self._waits.pop(0)


def wake(cluster: Cluster, obj: dict) -> None:
    """Lets the controller of the object, which waits longer after each failure, try again at once."""
    # Any change will do; taken away again, it leaves the object as it was.
    for value in (stamp(cluster.now()), None):
        cluster.patch(obj, {"metadata": {"annotations": {_WAKE: value}}})


def _nudge(cluster, pods, names):
    for pod in pods:
        if pod["metadata"]["name"] in names and not pod["metadata"].get("deletionTimestamp"):
            cluster.delete(pod)


def _is_newest(cluster, namespace, daemon_set, revision):
    """Whether no newer revision exists: its watch may lag behind that of the DaemonSet's status."""
    revisions, _version = cluster.list("ControllerRevision", namespace, **selectors(daemon_set["metadata"]["name"], daemon_set)["ControllerRevision"])
    return newest_revision(revisions, daemon_set) == revision


def _raise_failures(reflectors, troubles_too=False):
    for reflector in reflectors.values():
        failure = reflector.failure or (reflector.trouble if troubles_too else None)
        if failure:
            raise failure
