# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod is not ready, from its status and the events about it. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.refusals import scheduling_cause
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import ago, at, mapping, number, one_line, records, seconds, text

_IMAGE_WAITING = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable")
_CONFIG_WAITING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError")

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

# Why a kubelet or the node's control ended a pod: reason of the status -> (code, what to do).
_ENDED = {
    "Evicted": ("Evicted", "free what the node is short of; the controller makes a new pod"),
    "Preempting": ("Preempted", "give the agent a higher priority class"),
    "Preempted": ("Preempted", "give the agent a higher priority class"),
    "OutOfpods": ("TooManyPods", "the node has as many pods as its kubelet allows: move one away, or raise maxPods"),
    "OutOfcpu": ("InsufficientCpu", "free CPU on the node, or lower resources.requests.cpu"),
    "OutOfmemory": ("InsufficientMemory", "free memory on the node, or lower resources.requests.memory"),
    "TaintToleration": ("TaintedForKubelet", "tolerate the taint that is named, or remove it"),
    "NodeAffinity": ("LabelsForKubelet", "the node's labels changed while the pod was on its way; the controller makes a new pod"),
    "UnexpectedAdmissionError": ("KubeletRefused", "look at the kubelet's log for the device or the manager that is named"),
    "NodeShutdown": ("NodeShutdown", "wait until the node is back"),
    "Terminated": ("NodeShutdown", "wait until the node is back"),
    "Shutdown": ("NodeShutdown", "wait until the node is back"),
    "NodeLost": ("NodeShutdown", "wait until the node is back"),
    "DeadlineExceeded": ("DeadlineExceeded", "remove activeDeadlineSeconds from the pod"),
}

# Events that say why a container is not even created: reason of the event -> (code, what to do).
_PREPARING = {
    "FailedMount": ("FailedMount", "make what the message names: a Secret, a ConfigMap, a path of the node, or the CSI driver"),
    "FailedAttachVolume": ("FailedMount", "look at the volume and its driver"),
    "FailedCreatePodSandBox": ("FailedSandbox", "look at the container runtime and the network plugin of the node"),
    "NetworkNotReady": ("FailedSandbox", "look at the network plugin of the node"),
}

# After so many seconds what should take a moment no longer counts as passing by itself.
_PATIENCE = 120


def is_ready(pod: dict) -> bool:
    """Whether the pod runs, its Ready condition is True and it is not being deleted."""
    if at(pod, "metadata", "deletionTimestamp"):
        return False
    status = mapping(pod.get("status"))
    return status.get("phase") == "Running" and ready_condition(pod).get("status") == "True"


def ready_condition(pod: dict) -> dict:
    """The pod's condition Ready; empty where the kubelet has not reported it."""
    return next((condition for condition in records(at(pod, "status", "conditions")) if condition.get("type") == "Ready"), {})


def has_ended(pod: dict) -> bool:
    """Whether the pod is over: what stands there is a record of it."""
    return at(pod, "status", "phase") in ("Failed", "Succeeded")


def target_node(pod: dict) -> str:
    """The node that a DaemonSet's pod is for; a pod that is not scheduled yet names it in its node affinity."""
    if text(at(pod, "spec", "nodeName")):
        return pod["spec"]["nodeName"]
    required = at(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    for term in records(required):
        for field in records(term.get("matchFields")):
            values = field.get("values")
            if field.get("key") == "metadata.name" and field.get("operator") == "In" and isinstance(values, list) and len(values) == 1:
                return text(values[0])
    return ""


def container_status(pod: dict, container: str) -> dict:
    """The named container's status; empty where the kubelet has not reported it."""
    return next((status for status in records(at(pod, "status", "containerStatuses")) if status.get("name") == container), {})


def diagnose(pod: dict, events: list[dict] = (), now: float | None = None) -> dict:
    """Why the pod is not ready.

    events: those about this pod. now: seconds since 1970 by the server's clock, None where it is not known.
    Returns {"reason": code, "detail": text, "fix": text, "final": bool, "on_its_way": bool, "passing": bool, "evidence": dict,
    "container": name}; final means that it will not heal by itself, on_its_way that the pod may become ready without anybody's
    doing. container is the one that ended, empty where none did.
    """
    status = mapping(pod.get("status"))
    if at(pod, "metadata", "deletionTimestamp"):
        return _terminating(pod, now)
    if has_ended(pod):
        return _ended(status)
    for container in records(status.get("initContainerStatuses")) + records(status.get("containerStatuses")):
        cause = _image_or_configuration(container) or _crash(container)
        if cause:
            return cause
    for condition in records(status.get("conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _unscheduled(condition)
    return _preparing(pod, status, events, now) or _running(pod, status, events, now)


def _terminating(pod, now):
    due = seconds(pod["metadata"]["deletionTimestamp"])
    evidence = _status("the pod is being deleted", pod["metadata"]["deletionTimestamp"])
    if due is not None and now is not None and now - due > _PATIENCE:
        held = ", ".join(map(str, pod["metadata"].get("finalizers") or [])) if isinstance(pod["metadata"].get("finalizers"), list) else ""
        detail = f"the pod should have ended {ago(now - due)} ago" + (f", its finalizers hold it: {held}" if held else "")
        return _cause("Terminating", detail, "look at the node's kubelet, or at who has to remove the finalizers", evidence=evidence, on_its_way=True)
    return _cause("Terminating", "the pod is being deleted", "wait for its end", evidence=evidence, on_its_way=True, passing=True)


def _ended(status):
    reason, message = text(status.get("reason")), text(status.get("message"))
    code, fix = _ENDED.get(reason, ("Failed", "look at the node's conditions; the controller replaces the pod"))
    detail = f"{reason}: {message}" if reason and message else message or reason or "the pod failed"
    if status.get("phase") == "Succeeded":
        detail, fix = message or "the agent ended by itself", "look at the agent's log: it should never end"
    return _cause(code, detail, fix, evidence=_status(detail, text(status.get("startTime"))))


def _unscheduled(condition):
    message = text(condition.get("message"))
    evidence = _condition(condition)
    if condition.get("reason") == "SchedulingGated":
        return _cause("SchedulingGated", message or "a scheduling gate holds the pod", "look at who has to open the gate", evidence=evidence)
    code, detail, fix = scheduling_cause(message)
    return _cause(code, detail or "the scheduler has found no place", fix, evidence=evidence)


def _preparing(pod, status, events, now):
    """The cause while no container has been created yet; None where all have."""
    statuses = records(status.get("initContainerStatuses")) + records(status.get("containerStatuses"))
    waits = [container for container in statuses if at(container, "state", "waiting") is not None]
    if statuses and not waits:
        return None
    about = newest([event for event in events if text(event.get("reason")) in _PREPARING])
    if about and (now is None or now - (seconds(event_last(about)) or now) < 5 * _PATIENCE):
        code, fix = _PREPARING[about["reason"]]
        return _cause(code, _short(text(about.get("message"))), fix, evidence=event_evidence(about))
    stuck = _running_init(pod, status, now)
    if stuck:
        return stuck
    if statuses and not all(at(container, "state", "waiting") is not None for container in records(status.get("containerStatuses"))):
        return None
    since = text(status.get("startTime")) or text(at(pod, "metadata", "creationTimestamp"))
    evidence = _status("no container has been created yet", since)
    waited = _age(since, now)
    if not text(at(pod, "spec", "nodeName")):
        unseen = not any(condition.get("type") == "PodScheduled" for condition in records(status.get("conditions")))
        if unseen and waited is not None and waited > _PATIENCE:
            detail = f"no scheduler has looked at the pod for {ago(waited)}"
            return _cause("NotScheduled", detail, "check that kube-scheduler runs", evidence=evidence, on_its_way=True)
        return _cause("Starting", "the pod is not bound to its node yet", "", evidence=evidence, on_its_way=True, passing=True)
    detail = "the kubelet has not started the pod yet"
    if waited is not None and waited > _PATIENCE:
        return _cause("Starting", f"{detail}, for {ago(waited)}", "look at the kubelet and the container runtime", evidence=evidence, on_its_way=True)
    return _cause("Starting", detail, "", evidence=evidence, on_its_way=True, passing=True)


def _running_init(pod, status, now):
    """The cause while an init container that has to end still runs, or a sidecar has not started."""
    sidecars = {text(container.get("name")) for container in records(at(pod, "spec", "initContainers")) if container.get("restartPolicy") == "Always"}
    for container in records(status.get("initContainerStatuses")):
        running = at(container, "state", "running")
        is_sidecar = text(container.get("name")) in sidecars
        if running is None or (is_sidecar and container.get("started") is not False):
            continue
        since = text(at(running, "startedAt"))
        waited = _age(since, now)
        detail = f"the sidecar {container.get('name')} has not started yet" if is_sidecar else f"the init container {container.get('name')} has not ended yet"
        late = waited is not None and waited > _PATIENCE
        detail += f", for {ago(waited)}" if late else ""
        return _cause("InitContainer", detail, "read its log", evidence=_status(detail, since), on_its_way=True, passing=not late)
    return None


def _running(pod, status, events, now):
    """The cause where the containers run and the pod is not ready all the same."""
    ready = ready_condition(pod)
    if ready.get("reason") == "ReadinessGatesNotReady":
        return _cause("ReadinessGate", text(ready.get("message")), "look at who has to set the readiness gate", evidence=_condition(ready), on_its_way=True)
    waiting = [text(container.get("name")) for container in records(status.get("containerStatuses")) if container.get("ready") is not True]
    since = text(ready.get("lastTransitionTime"))
    waited = _age(since, now)
    passing = waited is None or waited <= _PATIENCE
    which = f"the container {waiting[0]} runs" if len(waiting) == 1 and waiting[0] else "the container runs"
    detail = f"{which}, its readiness probe has not passed" + ("" if passing else f" for {ago(waited)}")
    about = newest([event for event in events if event.get("reason") == "Unhealthy"])
    if about:
        return _cause("NotReady", f"{detail}: {_short(text(about.get('message')))}", "read the pod's log", True, passing, event_evidence(about))
    return _cause("NotReady", detail, "read the pod's log", True, passing, _condition(ready) if ready else _status(detail, text(status.get("startTime"))))


def _image_or_configuration(container):
    waiting = mapping(at(container, "state", "waiting"))
    reason, message = text(waiting.get("reason")), text(waiting.get("message"))
    if reason in _IMAGE_WAITING:
        return _image_cause(reason, message, text(container.get("image")))
    if reason in _CONFIG_WAITING:
        return _cause(reason, message, "correct what the message names", final=True, evidence=_status(f"{reason}: {message}"))
    return None


def _crash(container):
    state = mapping(container.get("state"))
    reason = text(at(state, "waiting", "reason"))
    ended = mapping(at(container, "lastState", "terminated")) or mapping(state.get("terminated"))
    restarts = number(container.get("restartCount"))
    first, last = text(ended.get("startedAt")), text(ended.get("finishedAt"))
    crashed = restarts >= 1 or "terminated" in state or reason == "CrashLoopBackOff"
    if not ended or container.get("ready") is True or not crashed or (ended.get("exitCode") == 0 and restarts == 0 and reason != "CrashLoopBackOff"):
        return None
    how = f"exit code {ended.get('exitCode')} ({ended.get('reason') or 'no reason'}), restarts: {restarts}"
    # What a container wrote as its last words, or why the runtime could not start it.
    said = f": {_short(text(ended.get('message')))}" if text(ended.get("message")) else ""
    detail = f"the container {container.get('name')} ends with {how}{said}"
    evidence = {"source": "status", "text": one_line(detail), "first": first, "last": last, "count": restarts + 1}
    name = text(container.get("name"))
    if ended.get("reason") == "OOMKilled":
        return {**_cause("OOMKilled", detail, "raise resources.limits.memory", final=restarts >= 2, evidence=evidence), "container": name}
    if reason == "CrashLoopBackOff" or restarts >= 2:
        return {**_cause("CrashLoopBackOff", detail, "read the log's last lines", final=True, evidence=evidence), "container": name}
    return {**_cause("Crashed", detail, "read the log's last lines", evidence=evidence, on_its_way=True, passing=True), "container": name}


def _image_cause(reason, message, image):
    evidence = _status(f"{reason}: {message or image}")
    if reason == "InvalidImageName":
        return _cause("InvalidImageName", message or image, "correct the image reference", final=True, evidence=evidence)
    if reason == "ErrImageNeverPull":
        fix = "preload the image on the node, or change the pull policy"
        return _cause("ErrImageNeverPull", message or image, fix, final=True, evidence=evidence)
    for pattern, code, final, fix in _PULL_CAUSES:
        if re.search(pattern, message, re.IGNORECASE):
            return _cause(code, _short(message) or image, fix, final=final, passing=code == "ImageRateLimit", evidence=evidence)
    return _cause(reason, _short(message) or f"image {image}", "read the message, and try to pull the image on the node", evidence=evidence)


def _short(message):
    # Runtimes wrap one sentence in several layers that repeat the image's name.
    core = message.rpartition("desc = ")[2] or message
    # The beginning says what was tried, the end why it failed.
    return core if len(core) <= 240 else f"{core[:97]}...{core[-140:]}"


def _age(since, now):
    began = seconds(since)
    return None if began is None or now is None else max(0.0, now - began)


def _cause(reason, detail, fix, on_its_way=False, passing=False, evidence=None, final=False):
    return {
        "reason": reason,
        "detail": one_line(detail),
        "fix": fix,
        "final": final,
        "on_its_way": on_its_way,
        "passing": passing,
        "evidence": evidence or no_evidence(),
        "container": "",
    }


# -- evidence


def no_evidence() -> dict:
    """The evidence of what nothing speaks for: {"source", "text", "first", "last", "count"}."""
    return {"source": "none", "text": "", "first": "", "last": "", "count": 0}


def event_evidence(event: dict) -> dict:
    """An Event as evidence."""
    series = mapping(event.get("series"))
    return {
        "source": "event",
        "text": one_line(f"{text(event.get('reason'))}: {text(event.get('message'))}"),
        "first": text(event.get("firstTimestamp")) or text(event.get("eventTime")) or text(at(event, "metadata", "creationTimestamp")),
        "last": event_last(event),
        "count": number(series.get("count")) or number(event.get("count")) or 1,
    }


def event_last(event: dict) -> str:
    """When an Event was last seen, RFC 3339; events of the newer API have a series in place of lastTimestamp."""
    known = (at(event, "series", "lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"), at(event, "metadata", "creationTimestamp"))
    return next((stamp for stamp in known if text(stamp)), "")


def newest(events: list[dict]) -> dict | None:
    """The Event that was seen last; None of none."""
    return max(events, key=lambda event: seconds(event_last(event)) or 0.0, default=None)


def _condition(condition):
    since = text(condition.get("lastTransitionTime"))
    said = text(condition.get("message")) or text(condition.get("reason"))
    words = f"{text(condition.get('type'))} is {text(condition.get('status'))}" + (f": {said}" if said else "")
    return {"source": "condition", "text": one_line(words), "first": since, "last": text(condition.get("lastProbeTime")) or since, "count": 1}


def condition_evidence(condition: dict) -> dict:
    """A condition of a Pod or a Node as evidence."""
    evidence = _condition(condition)
    return {**evidence, "last": text(condition.get("lastHeartbeatTime")) or evidence["last"]}


def _status(words, since=""):
    return {"source": "status", "text": one_line(words), "first": since, "last": since, "count": 1}
