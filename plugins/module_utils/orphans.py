# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of a DaemonSet that had to be made anew: they keep running until the new one's pod is ready on their node.

A DaemonSet's selector cannot be changed. So the DaemonSet is deleted without its pods (propagation policy Orphan) and
made again; which pods were left behind is remembered in an annotation of the set's parent, so that a run that was cut
short is completed by the next one.
"""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import target_node

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
    return json.loads(text) if text else None


def note(labels: dict | None) -> dict:
    """The annotation by which the parent remembers these labels; none for None. Pure."""
    return {NOTE: json.dumps(labels, sort_keys=True, separators=(",", ":"))} if labels else {}


def replaceable(pods: list[dict], rows: list[dict]) -> tuple[list[dict], list[dict]]:
    """(pods that can go, pods that have to stay) of those that nobody controls any more. Pure.

    pods: those that the remembered labels select. rows: the verdicts of the new DaemonSet. A pod can go where the new
    DaemonSet's pod is ready on its node, or where it wants none.
    """
    waiting = {row["node"] for row in rows if row["eligible"] and row["state"] != "ready"}
    orphans = [pod for pod in pods if _was_a_daemon_set_s(pod) and not any(owner.get("controller") for owner in pod["metadata"].get("ownerReferences") or [])]
    return [pod for pod in orphans if target_node(pod) not in waiting], [pod for pod in orphans if target_node(pod) in waiting]


def _was_a_daemon_set_s(pod):
    return "controller-revision-hash" in (pod["metadata"].get("labels") or {})
