# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Node object says about its node. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, one_line, records, seconds, stamp, text
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import who_is

# Labels by which providers and autoscalers name a pool of nodes, the most telling first.
_POOL_LABELS = (
    "karpenter.sh/nodepool",
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "kubernetes.azure.com/agentpool",
    "kops.k8s.io/instancegroup",
    "doks.digitalocean.com/node-pool",
    "oke.oraclecloud.com/pool.name",
    "node.cluster.x-k8s.io/pool",
)
_ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")

# Taints of nodes that are on their way in, and of those that are on their way out: by name, or by the name's end or beginning.
_JOINING = ("karpenter.sh/unregistered", "node.kubernetes.io/network-unavailable")
_JOINING_ENDS = ("/agent-not-ready", "/uninitialized")
_LEAVING = (
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "node.kubernetes.io/out-of-service",
    "node.cloudprovider.kubernetes.io/shutdown",
    "cloud.google.com/impending-node-termination",
)
_LEAVING_BEGINS = ("aws-node-termination-handler/",)
_DOWN = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def node_facts(node: dict) -> dict:
    """{"node", "uid", "os", "arch", "kernel", "version", "runtime", "pool", "zone", "created", "up", "cordoned", "not_real"}.

    not_real: empty, or the name of what stands behind a node that is no machine. created: RFC 3339.
    """
    metadata, info = mapping(node.get("metadata")), mapping(at(node, "status", "nodeInfo"))
    labels = mapping(metadata.get("labels"))
    return {
        "node": one_line(text(metadata.get("name"))),
        "uid": text(metadata.get("uid")),
        "os": text(info.get("operatingSystem")),
        "arch": text(info.get("architecture")),
        "kernel": text(info.get("kernelVersion")),
        "version": text(info.get("kubeletVersion")),
        "runtime": text(info.get("containerRuntimeVersion")),
        "pool": _first(labels, _POOL_LABELS),
        "zone": _first(labels, _ZONE_LABELS),
        "created": text(metadata.get("creationTimestamp")),
        "up": not why_down(node),
        "cordoned": bool(at(node, "spec", "unschedulable")),
        "not_real": who_is(node),
    }


def ready_condition(node: dict) -> dict:
    """The node's condition Ready; empty where its kubelet has never reported."""
    return next((condition for condition in records(at(node, "status", "conditions")) if condition.get("type") == "Ready"), {})


def why_down(node: dict) -> str:
    """What the node's condition Ready says where it is not True; empty for a node that is up."""
    condition = ready_condition(node)
    if condition.get("status") == "True":
        return ""
    return text(condition.get("message")) or (f"Ready is {text(condition.get('status'))}" if condition else "the kubelet has never reported")


def taint_class(key: str) -> str:
    """joining, leaving or down where a taint says that of its node; empty for taints that stay. Pure."""
    if key in _DOWN:
        return "down"
    if key in _JOINING or key.endswith(_JOINING_ENDS):
        return "joining"
    return "leaving" if key in _LEAVING or key.startswith(_LEAVING_BEGINS) else ""


def taint_since(taint: dict) -> str:
    """When a taint was set, RFC 3339; empty where it does not say."""
    if text(taint.get("timeAdded")):
        return taint["timeAdded"]
    # The cluster autoscaler writes the time into the value, in seconds since 1970.
    value = text(taint.get("value"))
    return stamp(int(value)) if taint.get("key") in _LEAVING[:2] and value.isascii() and value.isdigit() and len(value) < 12 else ""


def age(node: dict, now: float | None) -> float | None:
    """Seconds since the Node object was made; None where that cannot be told."""
    created = seconds(at(node, "metadata", "creationTimestamp"))
    return None if created is None or now is None else now - created


def _first(labels, names):
    return next((labels[name] for name in names if text(labels.get(name))), "")
