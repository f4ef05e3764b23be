# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes would get an agent, before there is one. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decider
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import takes_them

_FIX = "change node_selector, tolerations, architectures, control_plane or affinity, if an agent shall run there"


def expected_nodes(daemon_set: dict, nodes: list[dict]) -> list[dict]:
    """One row a node, sorted by name: node_facts' keys, os_image, eligible and blockers ({"kind", "detail"})."""
    decide, takes_unreal, rows = decider(daemon_set), takes_them(daemon_set), []
    for node in nodes:
        decision = decide(node)
        info = (node.get("status") or {}).get("nodeInfo") or {}
        facts = node_facts(node)
        eligible = decision["run"] is True and (takes_unreal or not facts["not_real"])
        row = {**facts, "os_image": info.get("osImage") or "", "eligible": eligible}
        rows.append({**row, "blockers": [{key: blocker[key] for key in ("kind", "detail")} for blocker in decision["blockers"]]})
    return sorted(rows, key=lambda row: row["node"])


def eligibility_findings(rows: list[dict]) -> list[dict]:
    """The findings of the check eligibility; rows: of expected_nodes."""
    if not rows:
        return [finding("eligibility", "error", "the cluster has no nodes", "join a node first")]
    eligible = [row for row in rows if row["eligible"]]
    out = [row for row in rows if not row["eligible"]]
    groups: dict[str, list[str]] = {}
    for row in out:
        # What is no Linux machine needs no agent: it is told, and no reason to worry.
        if not row["not_real"] and row["os"] in ("", "linux"):
            groups.setdefault("; ".join(blocker["detail"] for blocker in row["blockers"]), []).append(row["node"])
    found = []
    if not eligible:
        why = sorted({blocker["detail"] for row in out for blocker in row["blockers"]})
        why += sorted({f"{row['not_real']}: no machine that an agent could watch" for row in out if not row["blockers"]})
        found.append(finding("eligibility", "error", f"none of the {count(len(rows), 'node')} is eligible: {'; '.join(why[:4])}", _FIX))
    else:
        found += [
            finding("eligibility", "warning", f"not eligible, nobody would watch there: {why}", _FIX, nodes=nodes) for why, nodes in sorted(groups.items())
        ]
    down = [row["node"] for row in eligible if not row["up"]]
    if down:
        found.append(finding("eligibility", "warning", "down: the agent follows when the kubelet is back", "bring the kubelet back", nodes=down))
    if eligible:
        others = sorted({row["not_real"] or row["os"] for row in out if row["not_real"] or row["os"] not in ("", "linux")})
        left = f"; left out as no Linux machines: {', '.join(others)}" if others else ""
        found.append(finding("eligibility", "ok", f"{len(eligible)} of {count(len(rows), 'node')} are eligible{left}"))
    return found
