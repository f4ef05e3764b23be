# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few nodes first: which ones, and the DaemonSet for the time of the trial. Pure."""

from __future__ import annotations

import copy
import math

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

_ZONE = "topology.kubernetes.io/zone"


def check_canary(options: dict) -> None:
    """Failure for a canary that names neither nodes nor a selector, or both, no sensible number, or has no way to be awaited."""
    canary = options["canary"]
    if canary is None:
        return
    if not options["wait"]:
        raise Failure("canary needs wait: true", "leave out canary, or let the run wait")
    if options.get("update_strategy") == "OnDelete":
        raise Failure("canary needs update_strategy: RollingUpdate", "with OnDelete you replace the pods yourself, node by node")
    nodes, selector = canary.get("nodes"), canary.get("selector")
    if bool(nodes) == bool(selector):
        raise Failure("canary needs exactly one of nodes and selector", "use for example nodes: 10% or selector: {pool: canary}")
    if nodes and not _is_number_or_percent(str(nodes)):
        raise Failure(f"canary.nodes {nodes!r} is no number above 0 and no percentage up to 100%", "use for example 1 or 10%")


def choose(canary: dict, rows: list[dict], nodes: list[dict]) -> list[str]:
    """Names of the nodes that go first, sorted.

    canary: {"nodes": "2" | "10%"} or {"selector": labels}. rows: verdicts; only eligible nodes that are up count.
    nodes: Node objects. A number is spread over architectures and zones, so that each is tried where the number allows.
    """
    labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes}
    able = sorted(row["node"] for row in rows if row["eligible"] and row["up"])
    if canary.get("selector"):
        chosen = [name for name in able if all(labels[name].get(key) == str(value) for key, value in canary["selector"].items())]
        if not chosen:
            wanted = ",".join(f"{key}={value}" for key, value in sorted(canary["selector"].items()))
            raise Failure(f"no eligible node that is up has the canary's labels {wanted}", "label one, or give canary.nodes")
        return chosen
    text = str(canary["nodes"])
    count = math.ceil(len(able) * int(text.rstrip("%")) / 100) if text.endswith("%") else int(text)
    groups: dict[tuple, list[str]] = {}
    for name in able:
        groups.setdefault((labels[name].get("kubernetes.io/arch", ""), labels[name].get(_ZONE, "")), []).append(name)
    turns = [name for turn in range(len(able)) for _key, group in sorted(groups.items()) for name in group[turn : turn + 1]]
    return sorted(turns[: max(1, count)])


def trial(daemon_set: dict, chosen: list[str], exists: bool) -> dict:
    """The DaemonSet as it is applied for the trial.

    Where one exists already, its other pods stay as they are: the strategy OnDelete changes a node only where its pod is
    deleted. A new one is bound to the chosen nodes by their names.
    """
    changed = copy.deepcopy(daemon_set)
    if exists:
        changed["spec"]["updateStrategy"] = {"type": "OnDelete"}
        return changed
    required = changed["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    terms = required["nodeSelectorTerms"]
    named = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in chosen]
    required["nodeSelectorTerms"] = [{**term, "matchFields": [*term.get("matchFields", []), field]} for field in named for term in terms]
    return changed


def changes_pods(step: dict) -> bool:
    """Whether a step of a plan starts or replaces the DaemonSet's pods, or ends a trial that a run before left unfinished."""
    if step["action"] == "patch":
        unfinished = _strategy(step["live"]) == "OnDelete" and _strategy(step["desired"]) != "OnDelete"
        return unfinished or any(field == "spec.template" or field.startswith("spec.template.") for field in step["fields"])
    return step["action"] == "create"


def _strategy(daemon_set):
    return ((daemon_set.get("spec") or {}).get("updateStrategy") or {}).get("type")


def _is_number_or_percent(text):
    digits = text.removesuffix("%")
    return digits.isdigit() and int(digits) > 0 and (not text.endswith("%") or int(digits) <= 100)
