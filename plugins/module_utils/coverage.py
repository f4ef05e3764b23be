# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, pods and events to a verdict for every node. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import container_status, diagnose, is_ready, target_node

STATES = ("ready", "rolling", "starting", "blocked", "not eligible", "node down", "not a real node", "unknown")


def verdicts(daemon_set: dict, nodes: list[dict], pods: list[dict], revision: str, events: list[dict]) -> list[dict]:
    """One verdict a node, sorted by name.

    daemon_set: as the API gives it. pods: those of its selector; pods of other owners are left out. revision: the
    controller-revision-hash of the newest revision, empty while the controller has not made it. events: Events of the
    DaemonSet. Each verdict: node_facts' keys and eligible, blockers, pod, container_id, ready, state (one of STATES), reason, detail,
    fix, final (True where it does not heal by itself).
    """
    by_node: dict[str, list[dict]] = {}
    for pod in pods:
        if _owned_by(pod, daemon_set):
            by_node.setdefault(target_node(pod), []).append(pod)
    denied = _creation_failure(events)
    rows = [_verdict(daemon_set, node, by_node.get(node["metadata"]["name"], []), revision, denied) for node in nodes]
    return sorted(rows, key=lambda row: row["node"])


def summary(rows: list[dict]) -> dict:
    """{"nodes", "eligible", "ready", "states": {state: count}}."""
    states: dict[str, int] = {}
    for row in rows:
        states[row["state"]] = states.get(row["state"], 0) + 1
    return {
        "nodes": len(rows),
        "eligible": sum(1 for row in rows if row["eligible"]),
        "ready": sum(1 for row in rows if row["state"] == "ready"),
        "states": states,
    }


def causes(rows: list[dict]) -> list[str]:
    """The reasons of nodes that are not well, grouped, most nodes first: `ImageNotFound on 3 nodes (a, b, c): ...`."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["state"] in ("blocked", "starting", "rolling", "node down", "unknown"):
            groups.setdefault((row["state"], row["reason"]), []).append(row)
    lines = []
    for (_state, reason), group in sorted(groups.items(), key=lambda item: -len(item[1])):
        names = [row["node"] for row in group]
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        fix = f"; {group[0]['fix']}" if group[0]["fix"] else ""
        lines.append(f"{reason} on {len(names)} node{'s' if len(names) > 1 else ''} ({shown}): {group[0]['detail']}{fix}")
    return lines


def newest_revision(revisions: list[dict], daemon_set: dict) -> str:
    """The controller-revision-hash of the DaemonSet's newest ControllerRevision; empty where there is none."""
    own = [revision for revision in revisions if _owned_by(revision, daemon_set)]
    if not own:
        return ""
    newest = max(own, key=lambda revision: revision.get("revision") or 0)
    return (newest["metadata"].get("labels") or {}).get("controller-revision-hash") or ""


def _owned_by(obj, owner):
    uid = (owner.get("metadata") or {}).get("uid")
    return any(reference.get("uid") == uid for reference in (obj.get("metadata") or {}).get("ownerReferences") or [])


def _creation_failure(events):
    failures = [event for event in events if event.get("reason") == "FailedCreate"]
    return max(failures, key=_last_seen).get("message") or "" if failures else ""


def _last_seen(event):
    return event.get("lastTimestamp") or event.get("eventTime") or (event.get("metadata") or {}).get("creationTimestamp") or ""


def _verdict(daemon_set, node, pods, revision, denied):
    facts = node_facts(node)
    decision = decide(daemon_set, node)
    # Our own DaemonSet leaves such nodes out, unless it was told to count them.
    unreal = facts["not_real"] and not (decision["run"] and _made_by_us(daemon_set))
    row = {**facts, "eligible": bool(decision["run"] is not False and not unreal), "blockers": [b["detail"] for b in decision["blockers"]]}
    pod = _leading(pods, revision)
    row["pod"] = pod["metadata"]["name"] if pod else ""
    row["container_id"] = _container_id(pod, agent_container(daemon_set)) if pod else ""
    row["ready"] = bool(pod and is_ready(pod))
    row.update(_judge(row, decision, pod, revision, denied, unreal))
    return row


def agent_container(daemon_set: dict) -> str:
    """Name of the agent's own container: the first of the template."""
    containers = (((daemon_set.get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or [{}]
    return containers[0].get("name") or ""


def _container_id(pod, container):
    """The id without the runtime's prefix, as in containerd://<id>."""
    return (container_status(pod, container).get("containerID") or "").rpartition("//")[2]


def _leading(pods, revision):
    """The pod that counts on a node: alive before ending, new revision before old, ready before not ready."""

    def rank(pod):
        metadata = pod["metadata"]
        current = (metadata.get("labels") or {}).get("controller-revision-hash") == revision
        failed = (pod.get("status") or {}).get("phase") == "Failed"
        return (not failed, not metadata.get("deletionTimestamp"), current, is_ready(pod), metadata.get("creationTimestamp") or "")

    return max(pods, key=rank) if pods else None


def _made_by_us(daemon_set):
    return ((daemon_set.get("metadata") or {}).get("labels") or {}).get("app.kubernetes.io/managed-by") == "nanoagent.k8s"


def _judge(row, decision, pod, revision, denied, unreal):
    if unreal:
        return _state("not a real node", "NotReal", f"{row['not_real']}: no machine that an agent could watch")
    if decision["run"] is None:
        return _state("unknown", "Unreadable", "; ".join(row["blockers"]), "correct the field that is named")
    if not decision["run"]:
        extra = ""
        if pod:
            extra = "; its pod stays until it is replaced" if decision["keep"] else "; its pod will be evicted"
        return _state(
            "not eligible", "NotEligible", "; ".join(row["blockers"]) + extra, "change tolerations, node_selector or the node, if the agent shall run there"
        )
    if not row["up"]:
        return _state("node down", "NodeDown", row["why_down"], "bring the node's kubelet back")
    if pod is None:
        if denied:
            return _state(
                "blocked",
                "FailedCreate",
                denied,
                "change what the message names: quota, pod security level, admission webhook, service account or priority class",
                True,
            )
        return _state("starting", "NoPod", "the DaemonSet controller has not made a pod yet", "check that kube-controller-manager runs, if it stays")
    if pod["metadata"].get("labels", {}).get("controller-revision-hash") != revision:
        if row["ready"]:
            return _state("rolling", "OldRevision", "runs the previous revision and waits for its turn")
        return _state("rolling", "OldRevision", f"the previous revision's pod is not ready: {diagnose(pod)['detail']}")
    if row["ready"]:
        return _state("ready", "Ready", "")
    cause = diagnose(pod)
    state = "starting" if cause["reason"] in ("Starting", "NotReady", "Terminating", "Crashed") else "blocked"
    return {"state": state, **cause}


def _state(state, reason, detail, fix="", final=False):
    return {"state": state, "reason": reason, "detail": " ".join(detail.split()), "fix": fix, "final": final}
