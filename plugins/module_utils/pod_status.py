# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod is not ready, from its status. Pure."""

from __future__ import annotations

import re

_IMAGE_WAITING = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable")
_CONFIG_WAITING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")

# What runtimes say when a pull fails: (pattern, reason code, does it stay so, what to do).
_PULL_CAUSES = (
    (r"no match for platform|exec format error", "ImageArchitecture", True, "push an image that holds this node's architecture"),
    (
        r"\b(401|403)\b|unauthori[sz]ed|denied|authentication required|insufficient_scope|authorization failed",
        "ImageDenied",
        True,
        "give the node a pull secret that may read this repository (registry_login)",
    ),
    (r"x509|certificate signed by|tls:", "ImageRegistryTls", True, "give the node's container runtime the registry's certificate authority"),
    (r"server gave HTTP response to HTTPS client", "ImageRegistryTls", True, "tell the node's container runtime that this registry speaks plain HTTP"),
    (
        r"not ?found|manifest unknown|does not exist|name unknown",
        "ImageNotFound",
        True,
        "push the image first (role collector_image), or correct the reference",
    ),
    (r"no such host|server misbehaving", "ImageRegistryName", False, "make the registry's name resolve on the node"),
    (r"\b429\b|toomanyrequests|rate limit", "ImageRateLimit", False, "wait, or mirror the image into a registry of your own"),
    (
        r"connection refused|i/o timeout|no route to host|timeout|unreachable|connection reset",
        "ImageRegistryUnreachable",
        False,
        "open the way from the node to the registry",
    ),
)


def is_ready(pod: dict) -> bool:
    """Whether the pod's Ready condition is True and it is not being deleted."""
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return False
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in (pod.get("status") or {}).get("conditions") or [])


def target_node(pod: dict) -> str:
    """The node that a DaemonSet's pod is for; a pod that is not scheduled yet names it in its node affinity."""
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return spec["nodeName"]
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            if field.get("key") == "metadata.name" and field.get("operator") == "In" and len(field.get("values") or []) == 1:
                return field["values"][0]
    return ""


def container_status(pod: dict, container: str) -> dict:
    """The named container's status; empty where the kubelet has not reported it."""
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if status.get("name") == container:
            return status
    return {}


def diagnose(pod: dict) -> dict:
    """Why the pod is not ready.

    Returns {"reason": code, "detail": text, "fix": text, "final": bool}; final means that it will not heal by itself.
    """
    status = pod.get("status") or {}
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return _cause("Terminating", "the pod is being deleted", "wait for its end", False)
    if status.get("phase") == "Failed":
        return _cause(
            status.get("reason") or "Failed", status.get("message") or "the pod failed", "look at the node's conditions; the controller replaces the pod", False
        )
    for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        cause = _container_cause(container)
        if cause:
            return cause
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _cause(
                condition.get("reason") or "Unschedulable",
                condition.get("message") or "the scheduler has found no place",
                "free what the scheduler's message names, or give the agent a priority class",
                False,
            )
    if not status.get("containerStatuses"):
        return _cause("Starting", "the kubelet has not started the pod yet", "", False)
    return _cause("NotReady", "the container runs, its readiness probe has not passed", "read the pod's log", False)


def _container_cause(container):
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason") or "", waiting.get("message") or ""
    if reason in _IMAGE_WAITING:
        return _image_cause(reason, message, container.get("image") or "")
    if reason in _CONFIG_WAITING:
        return _cause(reason, message, "correct what the message names", True)
    ended = (container.get("lastState") or {}).get("terminated") or state.get("terminated") or {}
    if ended and not container.get("ready") and (reason == "CrashLoopBackOff" or container.get("restartCount", 0) >= 1 or "terminated" in state):
        restarts = container.get("restartCount", 0)
        how = f"exit code {ended.get('exitCode')} ({ended.get('reason') or 'no reason'}), restarts: {restarts}"
        detail = f"the container {container.get('name')} ends with {how}"
        if ended.get("reason") == "OOMKilled":
            return _cause("OOMKilled", detail, "raise resources.limits.memory", restarts >= 2)
        final = reason == "CrashLoopBackOff" or restarts >= 2
        return _cause("CrashLoopBackOff" if final else "Crashed", detail, "read the log's last lines", final)
    return None


def _image_cause(reason, message, image):
    if reason == "InvalidImageName":
        return _cause("InvalidImageName", message or image, "correct the image reference", True)
    if reason == "ErrImageNeverPull":
        return _cause("ErrImageNeverPull", message or image, "preload the image on the node, or change the pull policy", True)
    text = f"{message}"
    for pattern, code, final, fix in _PULL_CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return _cause(code, _short(text) or image, fix, final)
    return _cause(reason, _short(text) or f"image {image}", "read the message, and try to pull the image on the node", False)


def _short(text):
    # Runtimes wrap one sentence in several layers that repeat the image's name.
    core = text.rpartition("desc = ")[2] or text
    return core if len(core) <= 240 else core[:237] + "..."


def _cause(reason, detail, fix, final):
    return {"reason": reason, "detail": " ".join(str(detail).split()), "fix": fix, "final": final}
