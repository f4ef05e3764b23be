# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a node the agent may take, in numbers. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import amount
from ansible_collections.nanoagent.k8s.plugins.module_utils.room import shown

_RESOURCES = ("cpu", "memory")
# What agents of this kind are advised to get of a node, in percent.
_ADVICE = (3, 5)


def sizing_findings(limits: dict, nodes: list[dict], warn_above: float) -> list[dict]:
    """The findings of the check sizing.

    limits: the agent container's limits. nodes: the eligible Node objects. warn_above: percent of the smallest node.
    """
    sizes = {node["metadata"]["name"]: _size(node) for node in nodes}
    sizes = {name: size for name, size in sizes.items() if all(size.values())}
    if not sizes:
        return [finding("sizing", "skipped", "no eligible node says what it can give to pods")]
    texts, over, unbounded = [], [], []
    for resource in _RESOURCES:
        ordered = sorted(sizes, key=lambda name: (sizes[name][resource], name))
        small, large = sizes[ordered[0]][resource], sizes[ordered[-1]][resource]
        low, high = (shown(resource, small * percent / 100) for percent in _ADVICE)
        advice = f"{_ADVICE[0]} to {_ADVICE[1]} percent of {ordered[0]} ({shown(resource, small)}) are {low} to {high}"
        if resource not in limits:
            unbounded.append(resource)
            texts.append(f"{resource} has no limit; {advice}")
            continue
        limit = amount("a limit", limits[resource])
        share, least = limit * 100 / small, limit * 100 / large
        taken = f"{share:.1f} percent of the smallest node" + (f" and {least:.1f} of the largest" if least != share else "")
        texts.append(f"{resource} limit {shown(resource, limit)} is {taken}; {advice}")
        if share > warn_above:
            over.append(resource)
    if over or unbounded:
        return [finding("sizing", "warning", "; ".join(texts), "set limit_percent: 5, or resources.limits")]
    return [finding("sizing", "ok", "; ".join(texts))]


def _size(node):
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return {resource: amount(resource, allocatable.get(resource, "0")) for resource in _RESOURCES}
