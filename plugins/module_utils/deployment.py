# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a Deployment, such as that of the cluster monitor.

That its pods are refused, a quota for example, stands in its condition ReplicaFailure with the time of the first refusal, and is taken
out when the next try succeeds; the controller tries later and later, in the end every 16 minutes. Source: Kubernetes,
pkg/controller/replicaset/replica_set_utils.go (calculateStatus), replica_set.go (updateRS), pkg/controller/deployment/sync.go.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import owned_by
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import silent
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import diagnose, is_ready
from ansible_collections.nanoagent.k8s.plugins.module_utils.progress import Lines
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import RETRY, wake
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, one_line, records, seconds, text

_POLL = 0.5
# How long a cause that cannot heal itself has to stand before the wait ends, in seconds.
_SETTLE = 2.0


class Unavailable(Failure):
    """The pods of a Deployment cannot be available, or were not in time."""


def await_deployments(beside: list[Followed], timeout: float, say: Callable[[str], None] = silent) -> None:
    """Returns when the new pods of each are available. Unavailable with the cause when they cannot be, or the time, in seconds, is up.

    say: takes lines that say what is waited for.
    """
    for followed in beside:
        deadline, lines = time.monotonic() + timeout, Lines(say, time.monotonic)
        while not followed.look():
            if time.monotonic() >= deadline:
                raise followed.late(timeout)
            lines.tell(followed.standing)
            time.sleep(_POLL)


def is_done(live: dict) -> bool:
    """Whether the controller has seen the newest spec, and all pods are of it and available. Pure."""
    status, replicas = live.get("status") or {}, live["spec"].get("replicas", 1)
    current = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    return current and status.get("updatedReplicas", 0) == status.get("replicas", 0) == status.get("availableReplicas", 0) == replicas


def refusal(obj: dict) -> dict | None:
    """The condition that says that a Deployment's or a ReplicaSet's pods are refused; None where they are not. Pure."""
    conditions = records(at(obj, "status", "conditions"))
    return next((each for each in conditions if each.get("type") == "ReplicaFailure" and each.get("status") == "True"), None)


def is_old_news(condition: dict, since: float) -> bool:
    """Whether a refusal is from before `since`, seconds since 1970. Pure."""
    # Conditions have whole seconds: one of the same second may be newer.
    last = seconds(condition.get("lastUpdateTime") or condition.get("lastTransitionTime"))
    return last is not None and last < math.floor(since)


class Followed:
    """A Deployment whose new pods have to become available.

    wanted: as it was applied. since: the server's clock when the run began to write; a refusal from before that may be mended, so
    the controller is woken, and it counts only where it still stands when there was time to try again.
    """

    def __init__(self, cluster: Cluster, wanted: dict, since: float | None = None):
        self._cluster, self._wanted, self._since = cluster, wanted, since
        self._namespace = wanted["metadata"]["namespace"]
        self._hopeless: float | None = None
        self._woken: float | None = None
        self._looked: float | None = None
        self._done = False
        # What the last look saw, in words.
        self.standing = ""

    def glance(self) -> None:
        """Looks, unless that was a moment ago or all was well: for whoever waits for something else meanwhile."""
        if not self._done and (self._looked is None or time.monotonic() - self._looked >= _POLL):
            self._done = self.look()

    def look(self) -> bool:
        """Whether they are available; Unavailable once a cause that cannot heal itself has stood for a while."""
        live = self._live()
        self._looked = time.monotonic()
        if is_done(live):
            return True
        cause = _cause(self._cluster, live, self._namespace)
        available = (live.get("status") or {}).get("availableReplicas", 0)
        self.standing = f"{title(self._wanted)}: {available} of {live['spec'].get('replicas', 1)} pods available"
        self.standing += one_line(f", {cause['reason']}: {cause['detail']}") if cause else ""
        hopeless = cause and cause["final"] and not self._may_be_mended(live)
        self._hopeless = (self._hopeless or self._looked) if hopeless else None
        if self._hopeless and self._looked - self._hopeless >= _SETTLE:
            raise self._unavailable(live, "cannot become available")
        return False

    def late(self, timeout: float) -> Unavailable:
        """What to raise where the time is up."""
        return self._unavailable(self._live(), "cannot become available" if self._hopeless else f"did not become available within {timeout:g} s")

    def _may_be_mended(self, live):
        refused = refusal(live)
        if refused is None or self._since is None or not is_old_news(refused, self._since):
            return False
        if self._woken is None:
            self._wake(live)
            self._woken = self._looked
        return self._looked - self._woken < RETRY

    def _wake(self, live):
        try:
            replica_sets, _version = self._cluster.list("ReplicaSet", self._namespace, labelSelector=_labels(live))
            for replica_set in replica_sets:
                if owned_by(replica_set, live) and refusal(replica_set):
                    wake(self._cluster, replica_set)
        except ApiFailure as failure:
            # Without that right, and where it was replaced meanwhile, the controller's own next try has to do.
            if failure.status not in (403, 404):
                raise

    def _live(self):
        live = self._cluster.get("Deployment", self._wanted["metadata"]["name"], self._namespace)
        if live is None:
            raise Failure(f"{title(self._wanted)} was deleted while it was awaited", "run again")
        return live

    def _unavailable(self, live, how):
        cause = _cause(self._cluster, live, self._namespace, told=True)
        why = f"{cause['reason']}: {cause['detail']}" if cause else "no cause is known"
        return Unavailable(f"{title(self._wanted)} {how}: {why}", (cause or {}).get("fix") or "look at its events with kubectl describe", changed=True)


def _cause(cluster, live, namespace, told=False):
    """What keeps the first new pod that is not ready, or the controller's own word that no pod can be made.

    told: whether it is to be told, and events are worth a request: what a probe said stands in no status.
    """
    refused = refusal(live)
    if refused:
        return {"reason": refused.get("reason"), "detail": refused.get("message"), "fix": "change what the message names", "final": True}
    status = live.get("status") or {}
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0) or not status.get("updatedReplicas"):
        return None
    pods, _version = cluster.list("Pod", namespace, labelSelector=_labels(live))
    pod = next((pod for pod in _newest(pods) if not is_ready(pod)), None)
    return diagnose(pod, _events(cluster, pod) if told else ()) if pod else None


def _newest(pods):
    """The pods of the newest ReplicaSet: one of an earlier spec stays until the new ones are available, however it is."""
    newest = max(pods, key=lambda pod: text(at(pod, "metadata", "creationTimestamp")), default=None)
    return [pod for pod in pods if _hash(pod) == _hash(newest)]


def _hash(pod):
    return at(pod, "metadata", "labels", "pod-template-hash")


def _labels(live):
    return ",".join(f"{key}={value}" for key, value in sorted(live["spec"]["selector"]["matchLabels"].items()))


def _events(cluster, pod):
    metadata = pod["metadata"]
    try:
        events, _version = cluster.list("Event", metadata["namespace"], fieldSelector=f"involvedObject.uid={metadata['uid']}")
    except Failure:
        # Without that right the status has to do.
        return ()
    return events
