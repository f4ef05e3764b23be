# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a Deployment, such as that of the cluster monitor."""

from __future__ import annotations

import time

from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import diagnose, is_ready

_POLL = 0.5
# How long a cause that cannot heal itself has to stand before the wait ends, in seconds.
_SETTLE = 2.0


class Unavailable(Failure):
    """The pods of a Deployment cannot be available, or were not in time."""


def await_deployments(cluster: Cluster, wanted: list[dict], timeout: float) -> None:
    """Returns when the new pods of each are available. Unavailable with the cause when they cannot be, or the time, in seconds, is up."""
    for deployment in wanted:
        followed, deadline = Followed(cluster, deployment), time.monotonic() + timeout
        while not followed.look():
            if time.monotonic() >= deadline:
                raise followed.late(timeout)
            time.sleep(_POLL)


def is_done(live: dict) -> bool:
    """Whether the controller has seen the newest spec, and all pods are of it and available. Pure."""
    status, replicas = live.get("status") or {}, live["spec"].get("replicas", 1)
    current = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    return current and status.get("updatedReplicas", 0) == status.get("replicas", 0) == status.get("availableReplicas", 0) == replicas


class Followed:
    """A Deployment whose new pods have to become available. wanted: as it was applied."""

    def __init__(self, cluster: Cluster, wanted: dict):
        self._cluster, self._wanted = cluster, wanted
        self._namespace = wanted["metadata"]["namespace"]
        self._hopeless: float | None = None
        self._looked: float | None = None
        self._done = False

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
        self._hopeless = (self._hopeless or self._looked) if cause and cause["final"] else None
        if self._hopeless and self._looked - self._hopeless >= _SETTLE:
            raise self._unavailable(live, "cannot become available")
        return False

    def late(self, timeout: float) -> Unavailable:
        """What to raise where the time is up."""
        return self._unavailable(self._live(), "cannot become available" if self._hopeless else f"did not become available within {timeout:g} s")

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
    """What keeps the first pod that is not ready, or the controller's own word that no pod can be made.

    told: whether it is to be told, and events are worth a request: what a probe said stands in no status.
    """
    for condition in (live.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return {"reason": condition.get("reason"), "detail": condition.get("message"), "fix": "change what the message names", "final": True}
    labels = ",".join(f"{key}={value}" for key, value in sorted(live["spec"]["selector"]["matchLabels"].items()))
    pods, _version = cluster.list("Pod", namespace, labelSelector=labels)
    pod = next((pod for pod in pods if not is_ready(pod)), None)
    return diagnose(pod, _events(cluster, pod) if told else ()) if pod else None


def _events(cluster, pod):
    metadata = pod["metadata"]
    try:
        events, _version = cluster.list("Event", metadata["namespace"], fieldSelector=f"involvedObject.uid={metadata['uid']}")
    except Failure:
        # Without that right the status has to do.
        return ()
    return events
