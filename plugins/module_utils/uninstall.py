# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the agent: read what is ours, plan, delete, wait."""

from __future__ import annotations

import time
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import daemon_set_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import describe, diff, plan

_POLL = 0.3


def absent(cluster: Cluster, options: dict, check_mode: bool, want_diff: bool) -> dict:
    """Removes exactly what carries the set's label, and the namespace where we made it; the module's result."""
    name, namespace = options["name"], options["namespace"]
    identifier = applyset.set_id(name, namespace)
    parent, home, *lists = cluster.parallel(
        [partial(cluster.get, "ConfigMap", name, namespace), partial(cluster.get, "Namespace", namespace), *_member_lists(cluster, namespace, identifier)]
    )
    members = [item for items, _version in lists for item in items]
    if parent and parent["metadata"].get("labels", {}).get("applyset.kubernetes.io/id") == identifier:
        members.append({**parent, "kind": "ConfigMap", "apiVersion": "v1"})
    ours = applyset.is_member(home, identifier)
    foreign = _foreign_pods(cluster, namespace, name) if ours else []
    steps = plan([], {}, members, FIELD_MANAGER)
    kept = []
    if ours and not foreign:
        steps.append({"action": "delete", "fields": [], "desired": None, "live": home})
    elif ours:
        kept.append(f"Namespace {namespace}: it holds pods that are not ours ({', '.join(foreign[:3])})")
    result = {"changed": bool(steps), "actions": [describe(step) for step in steps], "kept": kept}
    if want_diff:
        result["diff"] = diff(steps, FIELD_MANAGER)
    if steps and not check_mode:
        _delete(cluster, steps, options)
    result["requests"] = dict(cluster.requests)
    return result


def _member_lists(cluster, namespace, identifier):
    selector = f"{applyset.MEMBER_LABEL}={identifier}"
    return [partial(cluster.list, kind.kind, namespace if kind.namespaced else None, labelSelector=selector) for kind in applyset.MEMBER_KINDS]


def _foreign_pods(cluster, namespace, name):
    own = daemon_set_labels(name)
    pods, _version = cluster.list("Pod", namespace)
    return [pod["metadata"]["name"] for pod in pods if any((pod["metadata"].get("labels") or {}).get(key) != value for key, value in own.items())]


def _delete(cluster, steps, options):
    deadline = time.monotonic() + options["wait_timeout"]
    namespaces = [step["live"] for step in steps if step["live"]["kind"] == "Namespace"]
    others = [step["live"] for step in steps if step["live"]["kind"] != "Namespace"]
    workloads = [obj for obj in others if obj["kind"] == "DaemonSet"]
    for obj in workloads:
        cluster.delete(obj, "Foreground")
    if options["wait"]:
        _await_gone(cluster, workloads, deadline, options)
    cluster.parallel([partial(cluster.delete, obj) for obj in others if obj["kind"] != "DaemonSet"])
    for obj in namespaces:
        cluster.delete(obj)
    if options["wait"]:
        _await_gone(cluster, others + namespaces, deadline, options)


def _await_gone(cluster, objects, deadline, options):
    left = list(objects)
    while left:
        found = cluster.parallel([partial(cluster.get, obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in left])
        left = [obj for obj, now in zip(left, found) if now and now["metadata"]["uid"] == obj["metadata"]["uid"]]
        if left and time.monotonic() > deadline:
            raise Failure(
                f"still there after {options['wait_timeout']} s: {', '.join(title(obj) for obj in left)}{_stuck_pods(cluster, options)}",
                "look at the finalizers of these objects and at the nodes of these pods, then run again",
                changed=True,
            )
        if left:
            time.sleep(_POLL)


def _stuck_pods(cluster, options):
    labels = ",".join(f"{key}={value}" for key, value in sorted(daemon_set_labels(options["name"]).items()))
    pods, _version = cluster.list("Pod", options["namespace"], labelSelector=labels)
    nodes = sorted({(pod.get("spec") or {}).get("nodeName") or "no node" for pod in pods})
    return f"; pods are left on {', '.join(nodes[:5])}" if nodes else ""
