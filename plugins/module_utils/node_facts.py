# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Node object says about its node. Pure."""

from __future__ import annotations


def node_facts(node: dict) -> dict:
    """{"node", "uid", "os", "arch", "kernel", "version", "up", "why_down", "cordoned", "not_real"}.

    not_real: empty, or the name of what stands behind a node that is no machine.
    """
    metadata, status = node.get("metadata") or {}, node.get("status") or {}
    info = status.get("nodeInfo") or {}
    up, why = _up(status)
    return {
        "node": metadata.get("name") or "",
        "uid": metadata.get("uid") or "",
        "os": info.get("operatingSystem") or "",
        "arch": info.get("architecture") or "",
        "kernel": info.get("kernelVersion") or "",
        "version": info.get("kubeletVersion") or "",
        "up": up,
        "why_down": why,
        "cordoned": bool((node.get("spec") or {}).get("unschedulable")),
        "not_real": _not_real(metadata),
    }


def _up(status):
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return True, ""
            return False, condition.get("message") or f"Ready is {condition.get('status')}"
    return False, "the kubelet has never reported"


def _not_real(metadata):
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get("eks.amazonaws.com/compute-type") == "fargate":
        return "Fargate"
    if labels.get("type") == "virtual-kubelet" or labels.get("virtualization") == "virtualnode2":
        return "virtual kubelet"
    if "fake" in (labels.get("kwok.x-k8s.io/node"), annotations.get("kwok.x-k8s.io/node")) or labels.get("type") == "kwok":
        return "kwok"
    return ""
