# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which nodes the pods run: selector, affinity, tolerations. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import unreal_nodes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import (
    as_stored,
    as_text,
    check_label_key,
    check_labels,
    check_mapping,
    entries_of,
    text_values,
)

_CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_TOLERATION = ("key", "operator", "value", "effect", "tolerationSeconds")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_AFFINITIES = ("nodeAffinity", "podAffinity", "podAntiAffinity")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def check(options: dict) -> None:
    """Failure for a selector, affinity or toleration that the API server would refuse."""
    check_labels("node_selector", options["node_selector"], reserved=("kubernetes.io/os",))
    if not options["architectures"]:
        raise Failure("architectures is empty", "name amd64, arm64 or both")
    check_tolerations("tolerations", options["tolerations"])
    _check_affinity(options.get("affinity") or {})


def _check_affinity(affinity):
    check_mapping("affinity", affinity, _AFFINITIES)
    for key, value in affinity.items():
        if value is not None:
            check_mapping(f"affinity.{key}", value)
    where, node = "affinity.nodeAffinity", affinity.get("nodeAffinity") or {}
    check_mapping(where, node, (_REQUIRED, _PREFERRED))
    required = node.get(_REQUIRED)
    if required is not None:
        if not isinstance(required, dict) or not required.get("nodeSelectorTerms"):
            raise Failure(f"{where}.{_REQUIRED} has no nodeSelectorTerms", "name at least one term, or leave it out")
        check_mapping(f"{where}.{_REQUIRED}", required, ("nodeSelectorTerms",))
        for place, term in entries_of(f"{where}.{_REQUIRED}.nodeSelectorTerms", required["nodeSelectorTerms"]):
            _check_term(place, term)
    for place, preferred in entries_of(f"{where}.{_PREFERRED}", node.get(_PREFERRED), ("weight", "preference")):
        _check_weight(place, preferred)
        _check_term(f"{place}.preference", preferred.get("preference"))
    for kind in ("podAffinity", "podAntiAffinity"):
        pods = affinity.get(kind) or {}
        check_mapping(f"affinity.{kind}", pods, (_REQUIRED, _PREFERRED))
        for place, term in entries_of(f"affinity.{kind}.{_REQUIRED}", pods.get(_REQUIRED)):
            _check_topology(place, term)
        for place, preferred in entries_of(f"affinity.{kind}.{_PREFERRED}", pods.get(_PREFERRED), ("weight", "podAffinityTerm")):
            _check_weight(place, preferred)
            check_mapping(f"{place}.podAffinityTerm", preferred.get("podAffinityTerm"))
            _check_topology(f"{place}.podAffinityTerm", preferred["podAffinityTerm"])


def _check_weight(where, preferred):
    weight = preferred.get("weight")
    if isinstance(weight, bool) or not isinstance(weight, int) or not 0 < weight <= 100:
        raise Failure(f"{where}.weight {weight!r} is no number from 1 to 100", "give each preference a weight, for example 50")


def _check_topology(where, term):
    if not isinstance(term.get("topologyKey"), str) or not term["topologyKey"]:
        raise Failure(f"{where} has no topologyKey", "name a label of the nodes, for example kubernetes.io/hostname")


def _check_term(where, term):
    check_mapping(where, term, ("matchExpressions", "matchFields"))
    if not any(term.values()):
        raise Failure(f"{where} is empty, which matches no node", "give it matchExpressions or matchFields, or leave it out")
    for key in term:
        for place, requirement in entries_of(f"{where}.{key}", term[key], ("key", "operator", "values")):
            _check_requirement(place, requirement)


def _check_requirement(where, requirement):
    operator, values = requirement.get("operator"), requirement.get("values") or []
    if not isinstance(requirement.get("key"), str):
        raise Failure(f"{where} has no key", "name a label of the nodes")
    check_label_key(where, requirement["key"])
    if operator not in _OPERATORS:
        raise Failure(f"{where}.operator {operator!r} is not known", f"use {', '.join(_OPERATORS)}")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Failure(f"{where}.values is no list of texts", "write for example values: [a, '1'], with numbers, true and false in quotes")
    if values and operator in ("Exists", "DoesNotExist"):
        raise Failure(f"{where}.values mean nothing to operator {operator}", "leave them out")
    if not values and operator not in ("Exists", "DoesNotExist"):
        raise Failure(f"{where}.values is missing beside operator {operator}", "name at least one")


def check_tolerations(option: str, tolerations: list | None) -> None:
    """Failure for a toleration that the API server would refuse."""
    for where, toleration in entries_of(option, tolerations, _TOLERATION):
        operator = "Equal" if toleration.get("operator") in (None, "") else toleration["operator"]
        if operator not in ("Exists", "Equal"):
            raise Failure(f"{where}.operator {operator!r} is not known", "use Exists or Equal")
        if toleration.get("key"):
            check_label_key(where, toleration["key"])
        elif operator != "Exists":
            raise Failure(f"{where} has no key", "name the taint's key, or use operator: Exists, which tolerates every taint")
        if operator == "Exists" and as_text(toleration.get("value")):
            raise Failure(f"{where} has a value beside operator Exists", "leave out the value, or use operator: Equal")
        check_labels(where, {"value": toleration.get("value")})
        if toleration.get("effect") not in (None, "", *_EFFECTS):
            raise Failure(f"{where}.effect {toleration['effect']!r} is not known", f"use {', '.join(_EFFECTS)}")
        seconds = toleration.get("tolerationSeconds")
        if seconds is not None and toleration.get("effect") != "NoExecute":
            raise Failure(f"{where} has tolerationSeconds without effect NoExecute", "set effect: NoExecute, or leave it out")
        if seconds is not None and not _WHOLE_NUMBER.fullmatch(as_text(seconds)):
            raise Failure(f"{where}.tolerationSeconds {seconds!r} is no number of seconds", "use for example 300")


def tolerations(given: list[dict] | None) -> list[dict]:
    """The tolerations of a pod as the API server keeps them: text but for the seconds, and nothing that is empty."""
    return [
        {key: int(value) if key == "tolerationSeconds" else as_text(value) for key, value in one.items() if value is not None and value != ""}
        for one in given or []
    ]


def node_selector(options: dict) -> dict:
    """spec.nodeSelector: Linux, and what the user asks for."""
    return {"kubernetes.io/os": "linux", **text_values(options["node_selector"])}


def affinity(options: dict) -> dict:
    """spec.affinity: ours, and the user's; each of the user's node terms (which are alternatives) gets ours as well."""
    given = as_stored(options.get("affinity") or {})
    node = dict(given.get("nodeAffinity") or {})
    ours = _expressions(options)
    terms = (node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    merged = [{**term, "matchExpressions": [dict(one) for one in ours] + list(term.get("matchExpressions") or [])} for term in terms]
    return {**given, "nodeAffinity": {**node, _REQUIRED: {"nodeSelectorTerms": merged}}}


def _expressions(options):
    expressions = [{"key": "kubernetes.io/arch", "operator": "In", "values": list(options["architectures"])}]
    if options["real_nodes_only"]:
        expressions.extend(unreal_nodes.expressions())
    if not options["control_plane"]:
        expressions.extend({"key": key, "operator": "DoesNotExist"} for key in _CONTROL_PLANE_LABELS)
    return expressions
