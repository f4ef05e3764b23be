# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would the DaemonSet controller run a pod on this node? Pure, over JSON.

Source: Kubernetes, pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod), daemonset_util.go
(AddOrUpdateDaemonPodTolerations) and component-helpers' nodeaffinity and toleration helpers, read at 1.29 to 1.36.
"""

from __future__ import annotations

import re

_AUTOMATIC = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")
_INTEGER = re.compile(r"^[+-]?[0-9]+$")


def decide(daemon_set: dict, node: dict) -> dict:
    """The controller's decision for one node.

    Returns {"run": bool, "keep": bool, "blockers": [{"kind", "detail"}]}: run, whether a pod would be placed; keep,
    whether a pod that is there may stay; blockers, every reason against (kind: nodeName, selector, affinity, taint).
    Only taints with effect NoSchedule leave keep true while run is false.
    """
    template = ((daemon_set.get("spec") or {}).get("template") or {}).get("spec") or {}
    metadata = node.get("metadata") or {}
    labels = metadata.get("labels") or {}
    name = metadata.get("name") or ""
    blockers = []
    if template.get("nodeName") and template["nodeName"] != name:
        blockers.append({"kind": "nodeName", "detail": f"the pod template names node {template['nodeName']}"})
    for key, value in sorted((template.get("nodeSelector") or {}).items()):
        if labels.get(key) != value:
            has = f"has {key}={labels[key]}" if key in labels else f"has no label {key}"
            blockers.append({"kind": "selector", "detail": f"node selector {key}={value}: the node {has}"})
    required = ((template.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None:
        blockers.extend(_affinity_blockers(required, labels, name))
    placed = not blockers
    tolerations = _with_automatic(template)
    untolerated = [
        taint
        for taint in (node.get("spec") or {}).get("taints") or []
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not any(tolerates(t, taint) for t in tolerations)
    ]
    blockers.extend({"kind": "taint", "detail": f"taint {_taint_text(taint)} is not tolerated"} for taint in untolerated)
    keep = placed and not any(taint["effect"] == "NoExecute" for taint in untolerated)
    return {"run": not blockers, "keep": keep, "blockers": blockers}


def tolerates(toleration: dict, taint: dict) -> bool:
    """Whether one toleration tolerates one taint (operators Exists and Equal; any other tolerates nothing)."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Equal":
        return (toleration.get("value") or "") == (taint.get("value") or "")
    return operator == "Exists"


def _with_automatic(template):
    automatic = _AUTOMATIC + ((_HOST_NETWORK,) if template.get("hostNetwork") else ())
    return list(template.get("tolerations") or []) + [{"key": key, "operator": "Exists", "effect": effect} for key, effect in automatic]


def _affinity_blockers(required, labels, name):
    terms = required.get("nodeSelectorTerms") or []
    if any(_term_matches(term, labels, name) for term in terms):
        return []
    wanted = " or ".join(_term_text(term) for term in terms) or "no terms, which matches nothing"
    return [{"kind": "affinity", "detail": f"node affinity does not match: {wanted}"}]


def _term_matches(term, labels, name):
    expressions = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_expression_matches(e, labels) for e in expressions) and all(_field_matches(f, name) for f in fields)


def _expression_matches(expression, labels):
    key, operator, values = expression.get("key") or "", expression.get("operator"), expression.get("values") or []
    present = key in labels
    if operator == "In":
        return bool(values) and present and labels[key] in values
    if operator == "NotIn":
        return bool(values) and not (present and labels[key] in values)
    if operator == "Exists":
        return present and not values
    if operator == "DoesNotExist":
        return not present and not values
    if operator in ("Gt", "Lt"):
        if len(values) != 1 or not present:
            return False
        wanted, has = _int64(values[0]), _int64(labels[key])
        if wanted is None or has is None:
            return False
        return has > wanted if operator == "Gt" else has < wanted
    return False


def _field_matches(field, name):
    values = field.get("values") or []
    if field.get("key") != "metadata.name" or len(values) != 1:
        return False
    if field.get("operator") == "In":
        return name == values[0]
    return field.get("operator") == "NotIn" and name != values[0]


def _int64(text):
    if not _INTEGER.match(text):
        return None
    value = int(text)
    return value if -(2**63) <= value < 2**63 else None


def _term_text(term):
    parts = []
    for part in (term.get("matchExpressions") or []) + (term.get("matchFields") or []):
        values = f" ({', '.join(part['values'])})" if part.get("values") else ""
        parts.append(f"{part.get('key')} {part.get('operator')}{values}")
    return " and ".join(parts) or "an empty term, which matches nothing"


def _taint_text(taint):
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"
