# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, pods and events to a verdict for every node. Pure."""

from __future__ import annotations

from collections import Counter

from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import full_name, owners
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import has_ended, target_node
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, one_line, records, text
from ansible_collections.nanoagent.k8s.plugins.module_utils.verdict import WELL, Agent, compare_images, outcome, verdict


def verdicts(daemon_set: dict, nodes: list[dict], pods: list[dict], revision: str, events: list[dict], now: float | None = None) -> list[dict]:
    """united() for one DaemonSet."""
    return united([{"daemon_set": daemon_set, "revision": revision}], nodes, pods, events, now)


def united(agents: list[dict], nodes: list[dict], pods: list[dict], events: list[dict], now: float | None = None, images: bool = False) -> list[dict]:
    """One verdict a node, sorted by name.

    agents: {"daemon_set": as the API gives it, "revision": the controller-revision-hash of its newest revision, empty where that is
    not known} for each DaemonSet; a node belongs to the one that runs a pod there. pods: those of their selectors; pods of
    other owners are left out. events: Events of the DaemonSets and of their pods. now: the server's clock in seconds since 1970, None
    where it is not known. images: whether a pod of another image than the others' or than the wanted one is not well.

    Each verdict: node_facts' keys and eligible, blockers, daemon_set, pod, pods, container_id, revision, current, image_ok, ready,
    confidence, state (one of STATES), reason, detail, fix, passing (it heals by itself), final (it cannot), evidence, container (the one
    that ended, if it was that).
    """
    by_pod: dict[str, list[dict]] = {}
    for event in events:
        if at(event, "involvedObject", "kind") == "Pod":
            by_pod.setdefault(text(at(event, "involvedObject", "uid")), []).append(event)
    parts = [Agent(agent["daemon_set"], agent["revision"], pods, events, now) for agent in agents]
    for part in parts:
        part.look_for_pause(nodes)
    rows = [verdict(parts, node, by_pod, now) for node in nodes]
    compare_images(rows, images)
    return sorted(rows, key=lambda row: row["node"])


def without_pods(rows: list[dict], detail: str, fix: str) -> list[dict]:
    """The verdicts where pods could not be read: nothing is known of nodes that should have one."""
    return [{**row, **outcome("unknown", "PodsUnreadable", detail, fix), "ready": False} if row["eligible"] else row for row in rows]


def without_nodes(agents: list[dict], pods: list[dict], detail: str, fix: str) -> list[dict]:
    """Verdicts where nodes could not be read: those of which pods speak, each unknown."""
    uids = {text(at(agent["daemon_set"], "metadata", "uid")) for agent in agents}
    names = sorted({target_node(pod) for pod in pods if not uids.isdisjoint(owners(pod))} - {""})
    rows = united(agents, [{"metadata": {"name": name}} for name in names], pods, [])
    return [{**row, **outcome("unknown", "NodesUnreadable", detail, fix), "eligible": True, "blockers": []} for row in rows]


def summary(rows: list[dict]) -> dict:
    """{"nodes", "real", "eligible", "ready", "states": {state: count}}."""
    states = Counter(row["state"] for row in rows)
    return {
        "nodes": len(rows),
        "real": len(rows) - states["not a real node"],
        "eligible": sum(1 for row in rows if row["eligible"]),
        "ready": states["ready"],
        "states": dict(states),
    }


def groups(rows: list[dict]) -> list[dict]:
    """Nodes that are not well by cause, most nodes first: {"state", "reason", "nodes": [names], "detail", "fix", "passing"}.

    detail and fix are those of the first node; passing where all of them pass.
    """
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        if row["state"] not in WELL:
            found.setdefault((row["state"], row["reason"]), []).append(row)
    return [
        {
            "state": state,
            "reason": reason,
            "nodes": [row["node"] for row in group],
            "detail": group[0]["detail"],
            "fix": group[0]["fix"],
            "passing": all(row["passing"] for row in group),
        }
        for (state, reason), group in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def causes(rows: list[dict]) -> list[str]:
    """groups() as lines."""
    return lines(groups(rows))


def causes_of_failure(rows: list[dict]) -> list[str]:
    """causes(), what cannot heal first, and nodes that only wait for their turn last."""

    def rank(row):
        return 0 if row["final"] else 2 if row["state"] == "rolling" else 1

    return [line for each in range(3) for line in causes([row for row in rows if rank(row) == each])]


def lines(found: list[dict]) -> list[str]:
    """What groups() gives as lines: `ImageNotFound on 3 nodes (a, b, c): ...`."""
    said = []
    for group in found:
        names = group["nodes"]
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        fix = f"; {group['fix']}" if group["fix"] else ""
        said.append(f"{group['reason']} on {len(names)} node{'s' if len(names) > 1 else ''} ({shown}): {group['detail']}{fix}")
    return said


def strangers(agents: list[dict], pods: list[dict]) -> list[str]:
    """Pods with the agents' labels that no agent owns, as lines; pods that are over are left out."""
    lines, ours = [], {text(at(agent["daemon_set"], "metadata", "uid")) for agent in agents}
    for pod in pods:
        if has_ended(pod) or not ours.isdisjoint(owners(pod)):
            continue
        held_by = [f"{text(owner.get('kind'))} {text(owner.get('name'))}" for owner in records(at(pod, "metadata", "ownerReferences"))]
        where = target_node(pod) or "no node"
        lines.append(
            one_line(f"pod {full_name(pod)} on {where} bears the agent's labels and belongs to {held_by[0] if held_by else 'nobody'}; it does not count")
        )
    return sorted(lines)
