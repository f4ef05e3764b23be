# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would the DaemonSet controller run a pod on this node? Pure, over JSON.

Source: Kubernetes, pkg/controller/daemon/daemon_controller.go (NodeShouldRunDaemonPod), daemonset_util.go
(AddOrUpdateDaemonPodTolerations), component-helpers' nodeaffinity, apimachinery's labels and fields, and api's toleration.go, read at
1.29 to 1.36. tests/oracle compares this module with the controller's own function.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_AUTOMATIC = tuple(
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
    for name, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
)
_HOST_NETWORK = ({"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"},)

# What Go's strconv.ParseInt reads in base 10, with no more digits than 64 bits have: Python refuses to read some thousand digits.
_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")

_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_NAME_LENGTH = 63
_LABEL_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LABEL_PREFIX_LENGTH = 253

_JSON_NAMES = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}


def decide(daemon_set: dict, node: dict, comparison_operators: bool = True) -> dict:
    """The controller's decision for one node.

    Returns {"run": bool, "keep": bool, "blockers": [{"kind", "detail"}]}: run, whether a pod would be placed; keep,
    whether a pod that is there may stay; blockers, every reason against (kind: nodeName, selector, affinity, taint; a taint's
    blocker has the taint's position in the node's list as "taint" too).
    Only taints with effect NoSchedule leave keep true while run is false.

    An object of a shape that no API server can hold (a list where an object belongs) gives run None and keep None, and one
    blocker of the kind unreadable that says where. Null is what absence is, at every place.

    comparison_operators: whether the cluster knows the toleration operators Gt and Lt (KEP-5471, the feature gate
    TaintTolerationComparisonOperators). An API server without them accepts no such toleration, so it is true by default;
    and where only the controller lacks them, a missing pod is then reported, not overlooked.
    """
    return decider(daemon_set, comparison_operators)(node)


def decider(daemon_set: dict, comparison_operators: bool = True) -> Callable[[dict], dict]:
    """decide() for many nodes: the DaemonSet is read once."""
    try:
        template = _read_template(daemon_set)
    except _Unreadable as problem:
        said = str(problem)
        return lambda node: _unreadable(said)
    faults = [_term_fault(term) for term in template["terms"] or []]
    usable = [term for term, fault in zip(template["terms"] or [], faults) if not fault]

    def decide_one(node: dict) -> dict:
        try:
            name, labels, taints = _read_node(node)
        except _Unreadable as problem:
            return _unreadable(str(problem))
        return _decision(template, usable, name, labels, taints, comparison_operators)

    return decide_one


def _unreadable(said):
    return {"run": None, "keep": None, "blockers": [{"kind": "unreadable", "detail": said}]}


def _decision(template, usable, name, labels, taints, comparison_operators):
    blockers = []
    if template["nodeName"] not in ("", name):
        blockers.append({"kind": "nodeName", "detail": f"the pod template names node {template['nodeName']}"})
    for key, value in sorted(template["nodeSelector"].items()):
        if labels.get(key) != value:
            has = f"has {key}={labels[key]}" if key in labels else f"has no label {key}"
            blockers.append({"kind": "selector", "detail": f"node selector {key}={value}: the node {has}"})
    terms = template["terms"]
    if terms is not None and not any(_term_matches(term, labels, name) for term in usable):
        wanted = " or ".join(_term_text(term) for term in terms) or "no terms, which matches nothing"
        blockers.append({"kind": "affinity", "detail": f"node affinity does not match: {wanted}"})
    placed = not blockers
    untolerated = [
        (number, taint)
        for number, taint in enumerate(taints)
        if taint["effect"] in ("NoSchedule", "NoExecute") and not any(tolerates(t, taint, comparison_operators) for t in template["tolerations"])
    ]
    blockers.extend({"kind": "taint", "detail": f"taint {_taint_text(taint)} is not tolerated", "taint": number} for number, taint in untolerated)
    keep = placed and not any(taint["effect"] == "NoExecute" for _number, taint in untolerated)
    return {"run": not blockers, "keep": keep, "blockers": blockers}


def tolerates(toleration: dict, taint: dict, comparison_operators: bool = True) -> bool:
    """Whether one toleration tolerates one taint; an operator that nobody knows tolerates nothing."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    wanted, has = toleration.get("value") or "", taint.get("value") or ""
    if operator == "Equal":
        return wanted == has
    if operator in ("Gt", "Lt"):
        return comparison_operators and _compares(operator, _canonical_int64(has), _canonical_int64(wanted))
    return operator == "Exists"


class _Unreadable(Exception):
    """A value of another type than the API has there; its text is one line that says where."""


def _typed(value, kind, *where):
    """The value, which has to be of a kind; where it is null, the kind's own empty value. where: names and indexes from the top."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
        raise _Unreadable(f"{path.removeprefix('.')} is not {_JSON_NAMES[kind]}")
    return value


def _items(holder, key, kind, *where):
    return [_typed(item, kind, *where, key, index) for index, item in enumerate(_typed(holder.get(key), list, *where, key))]


def _texts(holder, key, *where):
    texts = _typed(holder.get(key), dict, *where, key)
    return {_typed(name, str, f"the name {name!r} in {key}"): _typed(text, str, *where, key, name) for name, text in texts.items()}


def _records(holder, key, fields, *where):
    """The objects of a list, each with the named texts only."""
    return [
        {field: _typed(item.get(field), str, *where, key, index, field) for field in fields} for index, item in enumerate(_items(holder, key, dict, *where))
    ]


def _read_template(daemon_set):
    """What the controller reads of a DaemonSet; terms is None without required node affinity, a list with it."""
    where = ("DaemonSet",)
    spec = _typed(daemon_set, dict, *where)
    for key in ("spec", "template", "spec"):
        where = (*where, key)
        spec = _typed(spec.get(key), dict, *where)
    automatic = _AUTOMATIC + (_HOST_NETWORK if _typed(spec.get("hostNetwork"), bool, *where, "hostNetwork") else ())
    return {
        "nodeName": _typed(spec.get("nodeName"), str, *where, "nodeName"),
        "nodeSelector": _texts(spec, "nodeSelector", *where),
        "terms": _read_terms(spec, where),
        "tolerations": [*_records(spec, "tolerations", ("key", "operator", "value", "effect"), *where), *automatic],
    }


def _read_terms(spec, where):
    for key in ("affinity", "nodeAffinity"):
        where = (*where, key)
        spec = _typed(spec.get(key), dict, *where)
    required = spec.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return None
    where = (*where, "requiredDuringSchedulingIgnoredDuringExecution")
    terms = _items(_typed(required, dict, *where), "nodeSelectorTerms", dict, *where)
    return [
        {key: _read_requirements(term, key, *where, "nodeSelectorTerms", index) for key in ("matchExpressions", "matchFields")}
        for index, term in enumerate(terms)
    ]


def _read_requirements(term, key, *where):
    return [
        {
            "key": _typed(item.get("key"), str, *where, key, index, "key"),
            "operator": _typed(item.get("operator"), str, *where, key, index, "operator"),
            "values": _items(item, "values", str, *where, key, index),
        }
        for index, item in enumerate(_items(term, key, dict, *where))
    ]


def _read_node(node):
    """A node's name, labels and taints."""
    node = _typed(node, dict, "Node")
    metadata = _typed(node.get("metadata"), dict, "Node", "metadata")
    return (
        _typed(metadata.get("name"), str, "Node", "metadata", "name"),
        _texts(metadata, "labels", "Node", "metadata"),
        _records(_typed(node.get("spec"), dict, "Node", "spec"), "taints", ("key", "value", "effect"), "Node", "spec"),
    )


def _term_matches(term, labels, name):
    expressions, fields = term["matchExpressions"], term["matchFields"]
    if not expressions and not fields:
        return False
    return all(_expression_matches(e, labels) for e in expressions) and all(_field_matches(f, name) for f in fields)


def _term_fault(term):
    """Why the controller skips a term, empty when it does not: one bad requirement takes the whole term with it."""
    faults = [*map(_expression_fault, term["matchExpressions"]), *map(_field_fault, term["matchFields"])]
    return next(filter(None, faults), "")


def _expression_fault(expression):
    operator, values = expression["operator"], expression["values"]
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        return f"{operator or 'nothing'} is not an operator"
    if not _is_label_key(expression["key"]):
        return f"{expression['key'] or 'nothing'} is not a label's name"
    if operator in ("In", "NotIn") and not values:
        return f"{operator} takes at least one value"
    if operator in ("Exists", "DoesNotExist") and values:
        return f"{operator} takes no value"
    if operator in ("Gt", "Lt") and (len(values) != 1 or _int64(values[0]) is None):
        return f"{operator} takes one integer of 64 bits"
    bad = [value for value in values if value and not _is_label_name(value)]
    return f"{bad[0]} cannot be a label's value" if bad else ""


def _field_fault(field):
    if field["operator"] not in ("In", "NotIn"):
        return f"{field['operator'] or 'nothing'} is not an operator for fields"
    return "" if len(field["values"]) == 1 else "a field takes one value"


def _expression_matches(expression, labels):
    key, operator, values = expression["key"], expression["operator"], expression["values"]
    present = key in labels
    if operator == "In":
        return present and labels[key] in values
    if operator == "NotIn":
        return not (present and labels[key] in values)
    if operator == "Exists":
        return present
    if operator == "DoesNotExist":
        return not present
    return present and _compares(operator, _int64(labels[key]), _int64(values[0]))


def _field_matches(field, name):
    if not name:
        return True
    has = name if field["key"] == "metadata.name" else ""
    return (has == field["values"][0]) is (field["operator"] == "In")


def _is_label_key(text):
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > _LABEL_PREFIX_LENGTH or not _LABEL_PREFIX.fullmatch(prefix)):
        return False
    return _is_label_name(name)


def _is_label_name(text):
    return len(text) <= _LABEL_NAME_LENGTH and _LABEL_NAME.fullmatch(text) is not None


def _compares(operator, has, wanted):
    if has is None or wanted is None:
        return False
    return has > wanted if operator == "Gt" else has < wanted


def _int64(text):
    """The integer that a text holds; None where it does not hold one of 64 bits."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    value = int(found[1] + found[2])
    return value if -(2**63) <= value < 2**63 else None


def _canonical_int64(text):
    """The same, without a plus sign, leading zeros or a negative zero."""
    value = _int64(text)
    return value if str(value) == text else None


def _term_text(term):
    parts = []
    for part in term["matchExpressions"] + term["matchFields"]:
        values = f" ({', '.join(part['values'])})" if part["values"] else ""
        parts.append(f"{part['key']} {part['operator']}{values}")
    if not parts:
        return "an empty term, which matches nothing"
    fault = _term_fault(term)
    return " and ".join(parts) + (f" [matches nothing: {fault}]" if fault else "")


def _taint_text(taint):
    value = f"={taint['value']}" if taint["value"] else ""
    return f"{taint['key']}{value}:{taint['effect']}"
