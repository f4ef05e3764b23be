# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report writers share: the verdict in words, and how a state looks. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import has_proofs, is_well

# state -> (glyph, fill, ink on the fill, the same two on a dark page), worst first. Each fill stays apart from each other one for
# eyes that lack a kind of cone, and the glyph says the same without any colour.
LOOKS = {
    # Beside the states: the agent is ready, and gave no proof that was asked for.
    "not proven": ("!", "#7a0c0c", "#ffffff", "#a91808", "#ffffff"),
    "blocked": ("✕", "#cf4517", "#ffffff", "#ff7a45", "#14171b"),
    "node down": ("▼", "#343a43", "#ffffff", "#e4e6ea", "#14171b"),
    "unknown": ("?", "#8d4a9e", "#ffffff", "#9f55b5", "#ffffff"),
    "joining": ("+", "#f3cf3f", "#1d2126", "#f5d860", "#14171b"),
    "rolling": ("↻", "#6ab7ea", "#1d2126", "#6db4ea", "#14171b"),
    "not eligible": ("–", "#cdd0d5", "#343a43", "#4b525b", "#f4f2ee"),
    "not a real node": ("○", "#fbfaf8", "#59616b", "#14171b", "#a3abb5"),
    "ready": ("✓", "#3a9b78", "#04150f", "#2a8a69", "#04150f"),
}
PASSES_BY = ("ready", "not eligible", "not a real node")
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def title(report: dict) -> str:
    """The verdict as a sentence without its full stop."""
    if not report["installed"]:
        return "The agent is not installed"
    if report["failures"]:
        return f"Not accepted: {report['failures'][0]}"
    if not report["ok"]:
        return "Not accepted"
    if report["allowed"]:
        count = len(report["allowed"])
        return f"Accepted, with {count} node{'s' if count > 1 else ''} that the policy lets pass"
    return "Every eligible node is ready" + (" and proven" if has_proofs(report) else "")


def numbers(report: dict) -> list[tuple[str, str]]:
    """(word, number) of what is counted, from all nodes to the best of them, and the latencies of live proofs."""
    words = {"nodes": "nodes", "real": "real nodes", "eligible": "eligible", "ready": "ready", "proven": "proven"}
    counted = [(words[key], f"{report['summary'][key]:,}") for key in words if key in report["summary"]]
    return counted + [(f"proof {name}", f"{value:g} ms") for name, value in (report.get("latency_ms") or {}).items() if value is not None]


def place(report: dict) -> list[str]:
    """Which agent, on which cluster, of which version, and when."""
    cluster = report["cluster"]
    version = f"Kubernetes {cluster['version']}" if cluster["version"] else ""
    return [text for text in (", ".join(report["daemon_sets"]), cluster["server"], version, report["at"]) if text]


def fails(row: dict, report: dict, allowed: set[str]) -> bool:
    """Whether this node keeps the report from being accepted. allowed: set(report["allowed"])."""
    return row["state"] == "unknown" or (is_unwell(row, report) and row["node"] not in allowed)


def is_unwell(row: dict, report: dict) -> bool:
    """Whether an agent is wanted on this node and is not well."""
    return row["eligible"] and not is_well(row, has_proofs(report))


def look(row: dict, report: dict) -> str:
    """The key of LOOKS for a node: its state, but where it is ready without the proof that was asked for."""
    return "not proven" if row["state"] == "ready" and is_unwell(row, report) else row["state"]


def group_look(group: dict) -> str:
    """The same for a group of nodes that are not well."""
    return "not proven" if group["state"] == "ready" else group["state"]


def visible(text: object) -> str:
    """The text on one line; what cannot be seen, cannot be written to XML or turns the direction of writing is marked."""
    return _INVISIBLE.sub("\ufffd", " ".join(str(text).split()))
