# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, pods, events and DaemonSets as an API server lists them, of one moment."""

from __future__ import annotations

from datetime import datetime, timezone

# The moment, by the server's clock.
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc).timestamp()
NAMESPACE = "nanoagent"
NEWEST, EARLIER = "6d8f", "59cc"
DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
IMAGE = f"registry.example/nanoagent/collector@{DIGEST}"


def ago(seconds: float) -> str:
    """The time so many seconds before NOW, as RFC 3339."""
    return datetime.fromtimestamp(NOW - seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def daemon_set(name="nanoagent", image=IMAGE, generation=3, observed=None, spec=None, status=None, template=None, **metadata) -> dict:
    """A DaemonSet that tolerates everything. spec, status, template: fields on top of what every one has, template those of the pod's spec."""
    probe = {"exec": {"command": ["/collector", "health", "ready"]}}
    pod_spec = {"containers": [{"name": "collector", "image": image, "readinessProbe": probe}], "tolerations": [{"operator": "Exists"}], **(template or {})}
    labels = {"app.kubernetes.io/name": "nanoagent", "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "node-agent"}
    return {
        "kind": "DaemonSet",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "generation": generation,
            "creationTimestamp": ago(86400),
            "labels": {"app.kubernetes.io/managed-by": "nanoagent.k8s"},
            **metadata,
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec},
            **(spec or {}),
        },
        "status": {"observedGeneration": generation if observed is None else observed, **(status or {})},
    }


def node(name="n1", age=86400, ready="True", taints=(), labels=None, annotations=None, conditions=None, spec=None, info=None, **metadata) -> dict:
    """A Linux node that joined `age` seconds ago. taints: (key, effect) or whole taints. ready: the status of its condition Ready."""
    message = "kubelet is posting ready status" if ready == "True" else "Kubelet stopped posting node status."
    since = {"lastHeartbeatTime": ago(10), "lastTransitionTime": ago(min(age, 3600))}
    known = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready, "message": message, **since}]
    whole = [taint if isinstance(taint, dict) else {"key": taint[0], "effect": taint[1]} for taint in taints]
    about = {"operatingSystem": "linux", "architecture": "amd64", "kernelVersion": "6.8.0-45-generic", "kubeletVersion": "v1.36.3", **(info or {})}
    return {
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "creationTimestamp": ago(age),
            "labels": {"kubernetes.io/os": about["operatingSystem"], "kubernetes.io/hostname": name, **(labels or {})},
            "annotations": annotations or {},
            **metadata,
        },
        "spec": {**({"taints": whole} if whole else {}), **(spec or {})},
        "status": {"conditions": known if conditions is None else conditions, "nodeInfo": about},
    }


def pod(
    on="n1", name=None, of="nanoagent", revision=NEWEST, age=3600, ready=True, phase="Running", bound=True, status=None, container=None, **metadata
) -> dict:
    """A pod of the DaemonSet `of` for the node `on`, ready for as long as it is there.

    bound: whether the scheduler has placed it. status: fields of its status; container: fields of its container's status.
    """
    name = name or f"{of}-{on}"
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [on]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    since = {"lastTransitionTime": ago(age)}
    about = {
        "name": "collector",
        "image": IMAGE,
        "imageID": IMAGE,
        "containerID": f"containerd://id-of-{name}",
        "ready": ready,
        "restartCount": 0,
        "state": {"running": {"startedAt": ago(age)}},
        **(container or {}),
    }
    conditions = [{"type": "PodScheduled", "status": "True", **since}, {"type": "Ready", "status": str(ready), **since}]
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "creationTimestamp": ago(age),
            "labels": {"controller-revision-hash": revision, "app.kubernetes.io/instance": of},
            "ownerReferences": [{"kind": "DaemonSet", "name": of, "uid": f"uid-of-{of}", "controller": True}],
            **metadata,
        },
        "spec": {
            "containers": [{"name": "collector", "image": IMAGE, "readinessProbe": {"exec": {}}}],
            **({"nodeName": on} if bound else {"affinity": affinity}),
        },
        "status": {"phase": phase, "startTime": ago(age), "conditions": conditions, "containerStatuses": [about], **(status or {})},
    }


def pending(on="n1", age=10, conditions=(), statuses=(), **more) -> dict:
    """A pod that does not run yet. statuses: of its containers, none before the kubelet has seen it."""
    status = {"conditions": list(conditions), "containerStatuses": list(statuses), **more.pop("status", {})}
    return pod(on, age=age, ready=False, phase="Pending", status=status, **more)


def waiting(reason, message="", **more) -> dict:
    """The status of a container that waits."""
    return {"name": "collector", "image": IMAGE, "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}, **more}


def ended(code, reason="Error", restarts=1, back_off=False) -> dict:
    """The status of a container that ended, and waits for its next start where back_off is true."""
    over = {"terminated": {"exitCode": code, "reason": reason, "startedAt": ago(60), "finishedAt": ago(30)}}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}} if back_off else {"running": {"startedAt": ago(5)}}
    return {"name": "collector", "ready": False, "restartCount": restarts, "state": state, "lastState": over}


def event(reason, message, about=("DaemonSet", "nanoagent"), first=300, last=20, count=7) -> dict:
    """A Warning about an object, seen `first` to `last` seconds ago."""
    kind, name = about
    return {
        "kind": "Event",
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "name": name, "uid": f"uid-of-{name}"},
        "firstTimestamp": ago(first),
        "lastTimestamp": ago(last),
        "count": count,
    }
