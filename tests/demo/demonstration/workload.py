# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the sample workload and takes it away again."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import ARCHITECTURES
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import diagnose, is_ready

from demonstration import objects
from demonstration.cluster import DemoCluster
from demonstration.environment import Environment

START_LIMIT = 60.0
REMOVAL_LIMIT = 60.0
PAUSE = 0.2


def architectures(cluster: DemoCluster) -> list[str]:
    """The architectures of the cluster's nodes, as far as an image can be made for them."""
    nodes, _version = cluster.list("Node", labelSelector="kubernetes.io/os=linux")
    return sorted({node["status"]["nodeInfo"]["architecture"] for node in nodes} & set(ARCHITECTURES))


def start(cluster: DemoCluster, environment: Environment, image: str) -> dict[str, dict]:
    """Start shop and visitor, the latter when the former runs, and return the pods by these names.

    :raises Failure: a pod does not start, with the cause
    """
    remove(cluster)
    cluster.apply(objects.namespace())
    if environment.username:
        host = parse_reference(image).host
        cluster.apply(objects.pull_secret(host, environment.username, environment.password))
    cluster.apply_deployment(objects.shop(image))
    shop = _ready_pod(cluster, "shop")
    address = shop["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    cluster.apply_deployment(objects.visitor(image, f"{host}:{objects.PORT}"))
    return {"shop": shop, "visitor": _ready_pod(cluster, "visitor")}


def check_namespace(cluster: DemoCluster) -> dict | None:
    """The namespace that an earlier run has left behind; None where there is none.

    :raises Failure: a namespace of this name is somebody else's
    """
    found = cluster.get("Namespace", objects.NAMESPACE)
    if found is not None and not objects.OWNER.items() <= (found["metadata"].get("labels") or {}).items():
        raise Failure(f"the namespace {objects.NAMESPACE} exists and is not the demonstration's", "delete it, or run the demonstration on another cluster")
    return found


def remove(cluster: DemoCluster) -> None:
    """Delete the namespace and wait until it is gone.

    :raises Failure: a namespace of this name is somebody else's, or it does not go away
    """
    found = check_namespace(cluster)
    if found is None:
        return
    cluster.delete(found)
    _until(
        lambda: cluster.get("Namespace", objects.NAMESPACE) is None,
        REMOVAL_LIMIT,
        lambda: Failure(f"the namespace {objects.NAMESPACE} is still being deleted", "see what its status.conditions name, then run again"),
    )


def _ready_pod(cluster: DemoCluster, role: str) -> dict:
    seen: dict = {}

    def ready() -> bool:
        pods, _version = cluster.list("Pod", objects.NAMESPACE, labelSelector=f"{objects.ROLE_LABEL}={role}")
        seen["pod"] = pods[0] if pods else None
        if seen["pod"] is None or is_ready(seen["pod"]):
            return seen["pod"] is not None
        if diagnose(seen["pod"])["final"]:
            raise late()
        return False

    def late() -> Failure:
        if seen["pod"] is None:
            return Failure(f"the demonstration's {role} gets no pod", f"look at the events of Deployment {objects.NAMESPACE}/{role}")
        cause = diagnose(seen["pod"])
        return Failure(f"Pod {objects.NAMESPACE}/{seen['pod']['metadata']['name']} does not start: {cause['reason']}: {cause['detail']}", cause["fix"])

    _until(ready, START_LIMIT, late)
    return seen["pod"]


def _until(condition: Callable[[], bool], seconds: float, failure: Callable[[], Failure]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise failure()
        time.sleep(PAUSE)
