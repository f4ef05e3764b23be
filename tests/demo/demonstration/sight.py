# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collectors saw of the workload: read from their logs until all of it is there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

from demonstration.cluster import DemoCluster
from demonstration.objects import NAMESPACE, ORDERS

AGENT_NAMESPACE = "nanoagent"
AGENT_LABELS = "app.kubernetes.io/name=nanoagent,app.kubernetes.io/component=node-agent"
AGENT_CONTAINER = "collector"
EXECUTABLE = "/shop"
TIME_LIMIT = 30.0
PAUSE = 0.5
# Each pod runs one main process, which lives on, and one more for each order.
EXPECTED = {
    "shop": {"exec": 1 + len(ORDERS), "exit": len(ORDERS), "accept": len(ORDERS)},
    "visitor": {"exec": 1 + len(ORDERS), "exit": len(ORDERS), "connect": len(ORDERS)},
}


def watch(cluster: DemoCluster, pods: dict[str, dict], since: float) -> list[dict]:
    """The events of the workload's pods, in the order of time.

    since: time.monotonic() before the pods were made.

    :raises Failure: names the pods and types of events that did not come
    """
    collectors = _collectors(cluster, {pod["spec"]["nodeName"] for pod in pods.values()})
    names = {role: pod["metadata"]["name"] for role, pod in pods.items()}
    containers = {container_id(pod) for pod in pods.values()}
    deadline = time.monotonic() + TIME_LIMIT
    while True:
        seconds = int(time.monotonic() - since) + 2
        logs = cluster.parallel([partial(cluster.recent_log, AGENT_NAMESPACE, name, AGENT_CONTAINER, seconds) for name in collectors])
        events = sorted(workload_events(logs, containers), key=lambda event: event["time"])
        lacking = missing(events, names)
        if not lacking:
            return events
        if time.monotonic() > deadline:
            raise Failure(
                f"not seen within {TIME_LIMIT:.0f} s: {', '.join(lacking)}",
                f"look at the logs of {', '.join(collectors)} in namespace {AGENT_NAMESPACE}, lines of type coverage and gap",
            )
        time.sleep(PAUSE)


def workload_events(logs: Iterable[str], containers: set[str]) -> list[dict]:
    """The events of these containers. Pure.

    By the container's id: the sandbox of a pod is a container too, of which the workload knows nothing.
    """
    events = []
    for log in logs:
        for line in log.splitlines():
            # Most lines of a busy node are of other pods and are not worth parsing.
            if NAMESPACE in line and (event := _parse(line)) is not None and (event.get("container") or {}).get("id") in containers:
                events.append(event)
    return events


def container_id(pod: dict) -> str:
    """The id of the pod's only container, without the runtime's name in front."""
    return pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]


def missing(events: list[dict], names: dict[str, str]) -> list[str]:
    """What has not been seen yet, one text for each pod and type. Pure.

    names: the pod of each role. The container runtime has processes in the pods too; only those of our program count.
    """
    ours = {event["process"]["id"] for event in events if event["type"] == "exec" and event["process"]["exe"] == EXECUTABLE}
    texts = []
    for role, counts in EXPECTED.items():
        for kind, count in counts.items():
            seen = sum(event["type"] == kind and event["pod"]["name"] == names[role] and _process_id(event) in ours for event in events)
            if seen < count:
                texts.append(f"{kind} in {names[role]} ({seen} of {count})")
    return texts


def _process_id(event: dict) -> str:
    return (event.get("process") or {}).get("id", "")


def _parse(line: str) -> dict | None:
    try:
        return json.loads(line)
    except ValueError:
        # The log's last line may not be whole yet, and standard error is in it too.
        return None


def _collectors(cluster: DemoCluster, nodes: set[str]) -> list[str]:
    pods, _version = cluster.list("Pod", AGENT_NAMESPACE, labelSelector=AGENT_LABELS)
    found = {pod["spec"].get("nodeName"): pod["metadata"]["name"] for pod in pods}
    without = sorted(nodes - set(found))
    if without:
        raise Failure(f"no collector runs on {', '.join(without)}, where the workload is", "run the playbook nanoagent.k8s.verify")
    return sorted(found[node] for node in nodes)
