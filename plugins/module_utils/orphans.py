# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of a DaemonSet that had to be made anew: they keep running until the new one's pod is ready on their node.

A DaemonSet's selector cannot be changed. So the DaemonSet is deleted without its pods (propagation policy Orphan) and
made again; which pods were left behind is remembered in an annotation of the set's parent, so that a run that was cut
short, or did not wait, is completed by a later one. Where both pods need one port of the node, the former one ends first. Pure.
"""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import id_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.leftovers import is_owed
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import has_ended, is_ready, target_node
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import unavailable_budget
from ansible_collections.nanoagent.k8s.plugins.module_utils.room import host_ports
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping

NOTE = "nanoagent.k8s/left-behind"


def left_behind(steps: list[dict], parent_live: dict | None) -> dict | None:
    """The labels of pods that were or will be left behind; None where there are none. Pure.

    steps: those of a plan. parent_live: the set's parent, which remembers what an earlier run left.
    """
    for step in steps:
        if step["action"] == "recreate" and step["live"]["kind"] == "DaemonSet":
            # The selector may consist of expressions only; the labels of its pods match them.
            return step["live"]["spec"]["selector"].get("matchLabels") or step["live"]["spec"]["template"]["metadata"]["labels"]
    text = (((parent_live or {}).get("metadata") or {}).get("annotations") or {}).get(NOTE)
    try:
        return mapping(json.loads(text or "null")) or None
    except ValueError:
        # Somebody has changed it: which pods they were is not known any more.
        return None


def note(labels: dict | None) -> dict:
    """The annotation by which the parent remembers these labels; none for None. Pure."""
    return {NOTE: json.dumps(labels, sort_keys=True, separators=(",", ":"))} if labels else {}


def remembering(desired: list[dict], labels: dict | None, lasting: list[dict]) -> list[dict]:
    """The desired objects with a parent that remembers these labels, where pods of them last beyond the run. Pure."""
    if not lasting:
        return desired
    return [_annotated(obj, **note(labels)) if id_of(obj) else obj for obj in desired]


def forgetting(parent: dict) -> dict:
    """The parent without its memory of pods that were left behind. Pure."""
    annotations = {key: value for key, value in parent["metadata"]["annotations"].items() if key != NOTE}
    return {**parent, "metadata": {**parent["metadata"], "annotations": annotations}}


def is_remembered(steps: list[dict]) -> bool:
    """Whether pods are left behind when these steps are taken and nobody waits. Pure."""
    return any(left_behind([step], step["desired"]) for step in steps if step["desired"])


def replaceable(pods: list[dict], rows: list[dict]) -> tuple[list[dict], list[dict]]:
    """(pods that can go, pods that have to stay) of those that nobody controls any more; pods that are ending are neither. Pure.

    pods: those that the remembered labels select. rows: the verdicts of the new DaemonSet. A pod can go where the new
    DaemonSet's pod is ready on its node, or where it wants none.
    """
    waiting = {row["node"] for row in rows if row["eligible"] and row["state"] != "ready"}
    former = [pod for pod in orphans(pods) if not pod["metadata"].get("deletionTimestamp")]
    return [pod for pod in former if target_node(pod) not in waiting], [pod for pod in former if target_node(pod) in waiting]


def orphans(pods: list[dict]) -> list[dict]:
    """Those of the pods that a DaemonSet made and nobody controls any more. Pure."""
    return [pod for pod in pods if _was_a_daemon_set_s(pod) and not any(owner.get("controller") for owner in pod["metadata"].get("ownerReferences") or [])]


def fates(go: list[dict], stay: list[dict], nodes: list[dict], waits: bool) -> dict:
    """{"go", "wait", "last"}: former pods that go at once, that go in this run when the new ones are ready, that a later run takes. Pure.

    go, stay: of replaceable(). waits: whether the run does; for nodes that are down none does.
    """
    by_name = {node["metadata"]["name"]: node for node in nodes}
    last = [pod for pod in stay if not waits or is_owed(pod, by_name)]
    return {"go": go, "wait": [pod for pod in stay if pod not in last], "last": last}


def steps_of(former: dict) -> list[dict]:
    """The steps of a plan that take away what of fates() does not last. Pure."""
    return [{"action": "delete", "fields": [], "desired": None, "live": pod} for pod in [*former["go"], *former["wait"]]]


def is_former(step: dict) -> bool:
    """Whether it is one of steps_of(): no pod is ever a member of a set. Pure."""
    return step["action"] == "delete" and step["live"]["kind"] == "Pod"


def plan_notes(steps: list[dict], former: dict, waits: bool) -> list[str]:
    """What is to be told of former pods before a run, a line each. Pure.

    steps: of plan.plan. former: of fates().
    """
    daemon_set = next(step for step in steps if step["desired"] and step["desired"]["kind"] == "DaemonSet")
    anew = daemon_set["action"] == "recreate"
    staying = [*former["wait"], *former["last"]]
    specs = [daemon_set["live"]["spec"]["template"]["spec"]] if anew else [pod["spec"] for pod in staying]
    taken = _ports(daemon_set["desired"]["spec"]["template"]["spec"]) & set().union(*map(_ports, specs))
    ports = ", ".join(f"{number}/{protocol}" for protocol, number in sorted(taken))
    name = title(daemon_set["desired"])
    if ports and waits and (anew or former["wait"]):
        return [f"the former pods of {name} hold the node's port {ports}, which the new ones need: on each node in turn there is a moment without an agent"]
    if waits or not (anew or staying):
        return []
    if ports:
        return [
            f"the former pods of {name} stay and hold the node's port {ports}, so that the new ones cannot start: only a run with wait: true replaces them, "
            "on each node in turn with a moment without an agent"
        ]
    which = "the former pods" if anew else f"{len(staying)} former pod{'s' if len(staying) > 1 else ''}"
    return [f"{which} of {name} stay beside the new ones: a later run takes away those on nodes where the new one is ready"]


def turns(daemon_set: dict, rows: list[dict], pods: list[dict], nodes: set[str] | None = None) -> tuple[list[dict], list[dict]]:
    """(former pods that have to go now, the verdicts), where former pods hold the port that the new ones need. Pure.

    It is a RollingUpdate: no more nodes are without a ready agent than the update strategy allows, one with a strategy that names no
    number; a former pod that is not ready may go at once. In the verdicts such nodes wait for their turn, which is no failure.
    pods: those that the remembered labels select. nodes: only on these something goes.
    """
    needed = _ports(daemon_set["spec"]["template"]["spec"])
    by_node: dict[str, list[dict]] = {}
    for pod in orphans(pods):
        if not has_ended(pod):
            by_node.setdefault(target_node(pod), []).append(pod)
    holders = {node: [pod for pod in former if needed & _ports(pod["spec"])] for node, former in by_node.items()}
    eligible = [row for row in rows if row["eligible"]]
    bare = {row["node"] for row in eligible if not _has_agent(row) and not any(map(is_ready, by_node.get(row["node"], [])))}
    missing = sum(1 for row in eligible if row["node"] in bare and row["state"] != "node down")
    due = sorted(row["node"] for row in eligible if row["reason"] == "HostPortTaken" and any(map(_stays, holders.get(row["node"], []))))
    due = [node for node in due if nodes is None or node in nodes]
    useless, working = [node for node in due if node in bare], [node for node in due if node not in bare]
    chosen = {*useless, *working[: max(0, unavailable_budget(daemon_set, len(eligible)) - missing)]}
    go = [pod for node in sorted(chosen) for pod in holders[node] if _stays(pod)]
    return go, [_in_turn(row, holders.get(row["node"], []), row["node"] in chosen) for row in rows]


def _in_turn(row, holders, is_chosen):
    if not row["eligible"] or row["reason"] != "HostPortTaken" or not holders:
        return row
    if is_chosen or not any(map(_stays, holders)):
        detail = "the former agent, which holds the node's port, is ending"
        return {**row, "state": "rolling", "reason": "Terminating", "detail": detail, "fix": "wait for its end", "passing": True, "final": False}
    detail = "the former agent holds the node's port and waits for its turn"
    return {**row, "state": "rolling", "detail": detail, "fix": "", "passing": True, "final": False}


def _has_agent(row):
    return row["ready"] and row["reason"] != "Settling"


def _stays(pod):
    return not pod["metadata"].get("deletionTimestamp")


def _ports(spec):
    """(protocol, number) of the node's ports that a pod takes; on which address, the scheduler has looked at."""
    return {(protocol, number) for _address, protocol, number in host_ports(spec)}


def _annotated(obj, **annotations):
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}}}


def _was_a_daemon_set_s(pod):
    return "controller-revision-hash" in (pod["metadata"].get("labels") or {})
