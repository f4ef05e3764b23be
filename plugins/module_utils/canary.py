# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few nodes first: which ones, and the DaemonSet for the time of the trial. Pure."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterable

from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import owned_by
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count, check_labels, text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_fields, owned_view
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import has_ended, target_node
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, text

_ZONE = "topology.kubernetes.io/zone"
# On the DaemonSet during a trial: what was there before, {"revision": controller-revision-hash, "updateStrategy": ours}.
_BEFORE = "nanoagent.k8s/before-canary"


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
    check_labels("canary.selector", selector)
    check_count("canary.pause", canary.get("pause") or 0)


def choose(canary: dict, rows: list[dict], nodes: list[dict]) -> list[str]:
    """Names of the nodes that go first, sorted.

    canary: {"nodes": "2" | "10%"} or {"selector": labels}. rows: verdicts; only eligible nodes that are up count.
    nodes: Node objects. A number is spread over architectures and zones, so that each is tried where the number allows.
    """
    labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in nodes}
    able = sorted(row["node"] for row in rows if row["eligible"] and row["up"])
    if canary.get("selector"):
        chosen = [name for name in able if all(labels[name].get(key) == value for key, value in text_values(canary["selector"]).items())]
        if not chosen:
            wanted = ",".join(f"{key}={value}" for key, value in sorted(text_values(canary["selector"]).items()))
            raise Failure(f"no eligible node that is up has the canary's labels {wanted}", "label one, or give canary.nodes")
        return chosen
    if not able:
        raise Failure("no eligible node is up that the canary could go to", "bring one back, or leave out canary")
    given = str(canary["nodes"])
    count = math.ceil(len(able) * int(given.rstrip("%")) / 100) if given.endswith("%") else int(given)
    groups: dict[tuple, list[str]] = {}
    for name in able:
        groups.setdefault((labels[name].get("kubernetes.io/arch", ""), labels[name].get(_ZONE, "")), []).append(name)
    turns = [name for turn in range(len(able)) for _key, group in sorted(groups.items()) for name in group[turn : turn + 1]]
    return sorted(turns[: max(1, count)])


def holders(daemon_set: dict, pods: list[dict]) -> set[str]:
    """Names of the nodes that have a pod of the live DaemonSet which stays as long as nobody deletes it."""
    lasting = [pod for pod in pods if owned_by(pod, daemon_set) and not has_ended(pod) and not pod["metadata"].get("deletionTimestamp")]
    return {target_node(pod) for pod in lasting} - {""}


def trial(daemon_set: dict, chosen: list[str], exists: bool, holding: Iterable[str] = (), eligible: Iterable[str] = (), before: str = "") -> dict:
    """The DaemonSet as it is applied for the trial.

    holding: the nodes that have a pod of the live one; eligible: those that are to have one in the end. A new DaemonSet is bound to
    the chosen nodes by their names. Where one exists already, its pods stay as they are: the strategy OnDelete changes a node only
    where its pod is deleted. Where there is none, the controller would make one of the new template at once, so such nodes are kept out
    by their names, or the DaemonSet is bound to the others by theirs, whichever are fewer. before: of `note_before`, so that a later run
    knows what to go back to where this one is cut short.
    """
    changed = copy.deepcopy(daemon_set)
    inside = {*chosen, *holding} if exists else {*chosen}
    outside = {*eligible} - inside
    if exists:
        changed["spec"]["updateStrategy"] = {"type": "OnDelete"}
        if before:
            changed["metadata"]["annotations"] = {**changed["metadata"].get("annotations", {}), _BEFORE: before}
    required = changed["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    if not exists or len(inside) <= len(outside):
        # The chosen ones are eligible already; what each term would repeat is too much for an object with some thousand of them.
        required["nodeSelectorTerms"] = [{"matchFields": [_name_is("In", name)]} for name in sorted(inside)]
    elif outside:
        left_out = [_name_is("NotIn", name) for name in sorted(outside)]
        required["nodeSelectorTerms"] = [{**term, "matchFields": [*term.get("matchFields", []), *left_out]} for term in required["nodeSelectorTerms"]]
    return changed


def note_before(live: dict, revision: str, manager: str) -> str:
    """What is noted during a trial of the live DaemonSet, which has this controller-revision-hash; what an earlier trial noted stays."""
    known = {"revision": revision, "updateStrategy": at(owned_view(live, manager), "spec", "updateStrategy")}
    return text(at(live, "metadata", "annotations", _BEFORE)) or json.dumps(known, sort_keys=True, separators=(",", ":"))


def is_trial(live: dict) -> bool:
    """Whether the live DaemonSet is a trial that was cut short, over another one that was there before."""
    return bool(at(live, "metadata", "annotations", _BEFORE))


def as_before(live: dict, revisions: list[dict], manager: str) -> dict:
    """The live DaemonSet of such a trial as it was before, for going back; the same where that is not known any more.

    revisions: its ControllerRevisions. The template is that of the noted one to the letter, so that the controller finds the pods of
    the other nodes to be of it.
    """
    try:
        noted = mapping(json.loads(live["metadata"]["annotations"][_BEFORE]))
    except ValueError:
        return live
    of_it = [each for each in revisions if owned_by(each, live) and at(each, "metadata", "labels", "controller-revision-hash") == noted.get("revision")]
    if not of_it or not isinstance(noted.get("updateStrategy"), dict):
        return live
    template = {key: value for key, value in of_it[0]["data"]["spec"]["template"].items() if key != "$patch"}
    annotations = {key: value for key, value in live["metadata"]["annotations"].items() if key != _BEFORE}
    fields = owned_fields(live, manager)
    fields = {**fields, "f:spec": {**fields.get("f:spec", {}), "f:template": {}, "f:updateStrategy": {}}}
    metadata = {**live["metadata"], "annotations": annotations, "managedFields": [{"manager": manager, "operation": "Apply", "fieldsV1": fields}]}
    return {**live, "metadata": metadata, "spec": {**live["spec"], "template": template, "updateStrategy": noted["updateStrategy"]}}


def _name_is(operator, name):
    # A requirement of fields takes one value.
    return {"key": "metadata.name", "operator": operator, "values": [name]}


def changes_pods(step: dict) -> bool:
    """Whether a step of a plan starts or replaces the DaemonSet's pods, or ends a trial that a run before left unfinished."""
    if step["action"] == "patch":
        unfinished = _strategy(step["live"]) == "OnDelete" and _strategy(step["desired"]) != "OnDelete"
        return unfinished or any(field == "spec.template" or field.startswith("spec.template.") for field in step["fields"])
    return step["action"] == "create"


def _strategy(daemon_set):
    return ((daemon_set.get("spec") or {}).get("updateStrategy") or {}).get("type")


def _is_number_or_percent(text):
    return bool(re.fullmatch(r"[1-9][0-9]{0,8}|([1-9][0-9]?|100)%", text))
