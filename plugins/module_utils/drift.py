# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changed of what was applied: fields, with who and when, and objects that are missing."""

from __future__ import annotations

import json
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import KEY, comparable, recall
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import differences, owned_fields, owned_view

_UNKNOWN = {"drift": [], "missing": []}


def find_drift(cluster: Cluster, name: str, namespace: str) -> dict:
    """{"drift": [{"object", "field", "manager", "operation", "at"}], "missing": [object], "drift_unknown": reason or ""}.

    The field is * where nothing of the object is ours any more, as when somebody made it anew.
    Nothing is known where the user may not read what is compared, and where no run has remembered what it applied.
    """
    try:
        parent = cluster.get("ConfigMap", name, namespace)
        if not applyset.is_parent(parent, applyset.set_id(name, namespace)):
            return {**_UNKNOWN, "drift_unknown": f"ConfigMap {namespace}/{name}, which says what was applied, does not exist; run the module agent"}
        wanted = recall(parent)
        if wanted is None or not all(obj["kind"] in KINDS for obj in wanted):
            return {**_UNKNOWN, "drift_unknown": f"ConfigMap {namespace}/{name} does not say what was applied; run the module agent once"}
        live = _live(cluster, wanted, applyset.set_id(name, namespace), namespace)
    except ApiFailure as failure:
        if failure.status != 403:
            raise
        return {**_UNKNOWN, "drift_unknown": failure.what}
    return {**compare([*wanted, _memory_of(parent)], {**live, identity(parent): parent}, FIELD_MANAGER), "drift_unknown": ""}


def compare(wanted: list[dict], live: dict[tuple, dict], manager: str) -> dict:
    """{"drift", "missing"} of what `manager` applied, sorted. Pure.

    wanted: as memory.recall gives them. live: identity -> object, for every one of them that exists.
    """
    drift = [row for obj in wanted if identity(obj) in live for row in _changed(obj, live[identity(obj)], manager)]
    missing = [title(obj) for obj in wanted if identity(obj) not in live]
    return {"drift": sorted(drift, key=lambda row: (row["object"], row["field"])), "missing": sorted(missing)}


def lines(found: dict) -> list[str]:
    """What `find_drift` found, as lines that people read. Pure."""
    changed = [f"{row['object']}: {row['field']} changed by {_who(row)}" for row in found["drift"]]
    return changed + [f"{name} is missing" for name in found["missing"]]


def _who(row):
    if not row["manager"]:
        return "somebody who left no trace"
    return f"{row['manager']} at {row['at']}" if row["at"] else row["manager"]


def _memory_of(parent):
    """What can be said of the parent itself, which is not in its own memory: the memory has to be ours."""
    return {**owned_view(parent, FIELD_MANAGER), "data": {KEY: parent["data"][KEY]}}


def _live(cluster, wanted, identifier, namespace):
    """identity -> object: by label, all of a kind at once, and by name what has lost the label."""
    kinds = sorted({obj["kind"] for obj in wanted} - {"Namespace"})
    selector = f"{applyset.MEMBER_LABEL}={identifier}"
    lists = cluster.parallel([partial(cluster.list, kind, namespace if KINDS[kind].namespaced else None, labelSelector=selector) for kind in kinds])
    found = {identity(obj): obj for items, _version in lists for obj in items}
    rest = [obj for obj in wanted if identity(obj) not in found]
    by_name = cluster.parallel([partial(cluster.get, obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in rest])
    return {**found, **{identity(obj): obj for obj in by_name if obj}}


def _changed(wanted, live, manager):
    wanted, live = comparable(wanted), comparable(live)
    if not owned_fields(live, manager):
        fields = ["*"]
    else:
        fields = [leaf for field in differences(wanted, live, manager) for leaf in _leaves(field, _value(wanted, field))]
    return [{"object": title(wanted), "field": field, **_culprit(field, live, manager)} for field in fields]


def _leaves(field, value):
    """What a field of which nothing is ours any more consists of; a list is one field."""
    if not isinstance(value, dict) or not value:
        return [field]
    return [leaf for key, item in value.items() for leaf in _leaves(f"{field}.{key}", item)]


def _value(obj, field):
    """The value at a path as ownership.differences writes it, where it leads through maps only; otherwise None."""
    if not field:
        return obj
    keys = [key for key in obj if field == key or field.startswith(f"{key}.")] if isinstance(obj, dict) else []
    values = [_value(obj[key], field[len(key) + 1 :]) for key in keys]
    return next((value for value in values if value is not None), None)


def _culprit(field, live, manager):
    """{"manager", "operation", "at"} of the last other writer that owns the field, something in it, or what it is in."""
    found = []
    for entry in live["metadata"].get("managedFields") or []:
        ours = entry.get("manager") == manager and entry.get("operation") == "Apply"
        if not ours and not entry.get("subresource") and any(field == "*" or _related(field, path) for path in _paths(entry.get("fieldsV1") or {}, "")):
            found.append({"manager": entry.get("manager") or "", "operation": entry.get("operation") or "", "at": entry.get("time") or ""})
    return max(found, key=lambda row: row["at"], default={"manager": "", "operation": "", "at": ""})


def _related(one, other):
    return one == other or one.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{one}.", f"{one}["))


def _paths(tree, path):
    """The leaves of a fieldsV1 tree, written as ownership.differences writes fields."""
    below = []
    for key, subtree in tree.items():
        if key == ".":
            # Who made a map or an element need not have changed what is in it.
            continue
        if key.startswith("f:"):
            where = f"{path}.{key[2:]}" if path else key[2:]
        elif key.startswith("k:"):
            where = f"{path}[{','.join(str(value) for value in json.loads(key[2:]).values())}]"
        else:
            where = path
        below += _paths(subtree, where) if subtree else [where]
    return below
