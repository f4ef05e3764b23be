# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which nodes the pods run: selector, affinity, tolerations. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_label_key, check_labels, text_values

# Nodes on which a DaemonSet pod can never run, or only seems to.
_NOT_REAL = (
    {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
    {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet", "kwok"]},
    {"key": "virtualization", "operator": "NotIn", "values": ["virtualnode2"]},
    {"key": "kwok.x-k8s.io/node", "operator": "DoesNotExist"},
)
_CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def check(options: dict) -> None:
    """Failure for a selector, affinity or toleration that the API server would refuse."""
    check_labels("node_selector", options["node_selector"], reserved=("kubernetes.io/os",))
    if not options["architectures"]:
        raise Failure("architectures is empty", "name amd64, arm64 or both")
    check_tolerations("tolerations", options["tolerations"])
    affinity = options.get("affinity") or {}
    for key in affinity:
        if key not in ("nodeAffinity", "podAffinity", "podAntiAffinity"):
            raise Failure(f"affinity.{key} is not known", "use nodeAffinity, podAffinity and podAntiAffinity, as in a pod")
    required = (affinity.get("nodeAffinity") or {}).get(_REQUIRED)
    if required is not None and not (isinstance(required, dict) and required.get("nodeSelectorTerms")):
        raise Failure(f"affinity.nodeAffinity.{_REQUIRED} has no nodeSelectorTerms", "name at least one term, or leave it out")


def check_tolerations(option: str, tolerations: list | None) -> None:
    """Failure for a toleration that the API server would refuse."""
    for number, toleration in enumerate(tolerations or []):
        where = f"{option}[{number}]"
        unknown = set(toleration) - {"key", "operator", "value", "effect", "tolerationSeconds"}
        operator = toleration.get("operator") or "Equal"
        if unknown:
            raise Failure(f"{where}.{min(unknown)} is not known", "use key, operator, value, effect and tolerationSeconds")
        if operator not in ("Exists", "Equal"):
            raise Failure(f"{where}.operator {operator!r} is not known", "use Exists or Equal")
        if toleration.get("key"):
            check_label_key(where, toleration["key"])
        elif operator != "Exists":
            raise Failure(f"{where} has no key", "name the taint's key, or use operator: Exists, which tolerates every taint")
        if operator == "Exists" and toleration.get("value"):
            raise Failure(f"{where} has a value beside operator Exists", "leave out the value, or use operator: Equal")
        if toleration.get("effect") and toleration["effect"] not in _EFFECTS:
            raise Failure(f"{where}.effect {toleration['effect']!r} is not known", f"use {', '.join(_EFFECTS)}")
        if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
            raise Failure(f"{where} has tolerationSeconds without effect NoExecute", "set effect: NoExecute, or leave it out")


def node_selector(options: dict) -> dict:
    """spec.nodeSelector: Linux, and what the user asks for."""
    return {"kubernetes.io/os": "linux", **text_values(options["node_selector"])}


def affinity(options: dict) -> dict:
    """spec.affinity: ours, and the user's; each of the user's node terms (which are alternatives) gets ours as well."""
    given = options.get("affinity") or {}
    node = dict(given.get("nodeAffinity") or {})
    ours = _expressions(options)
    terms = (node.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    merged = [{**term, "matchExpressions": [dict(one) for one in ours] + list(term.get("matchExpressions") or [])} for term in terms]
    return {**given, "nodeAffinity": {**node, _REQUIRED: {"nodeSelectorTerms": merged}}}


def _expressions(options):
    expressions = [{"key": "kubernetes.io/arch", "operator": "In", "values": list(options["architectures"])}]
    if options["real_nodes_only"]:
        expressions.extend(_NOT_REAL)
    if not options["control_plane"]:
        expressions.extend({"key": key, "operator": "DoesNotExist"} for key in _CONTROL_PLANE_LABELS)
    return expressions
