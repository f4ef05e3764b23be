# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fields of an object are ours, and which of them differ from what is wanted. Pure.

Ownership is read from metadata.managedFields, whose fieldsV1 format is that of structured-merge-diff: `f:name` is a
field, `k:{...}` an element of a list that is keyed, `v:...` an element of a set, `.` the item itself; an empty tree is
a leaf, which for a list or map means that it is owned as a whole (atomic).
"""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, records, text

try:
    from kubernetes.utils.quantity import parse_quantity
except ImportError:
    # connection.KUBERNETES_IMPORT_ERROR holds the traceback that the module reports.
    pass

_IDENTITY = ("apiVersion", "kind", "status")


def owned_fields(live: dict, manager: str) -> dict:
    """The fieldsV1 tree that `manager` owns by server-side apply; empty where it owns nothing."""
    for entry in (live.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return entry.get("fieldsV1") or {}
    return {}


def owned_at(live: dict, manager: str) -> str:
    """When `manager` last changed its fields by server-side apply, RFC 3339 in UTC by the server's clock."""
    for entry in records(at(live, "metadata", "managedFields")):
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return text(entry.get("time"))
    return ""


def differences(desired: dict, live: dict, manager: str) -> list[str]:
    """Paths of the fields that an apply of `desired` would change in `live`; empty where it would change nothing.

    A field counts when its value differs, when it is not owned by `manager`, or when `manager` owns it and `desired`
    no longer has it. Quantities that are equal in value are equal.
    """
    return sorted({path for path, _value in _found(desired, live, manager)})


def value_changes(desired: dict, live: dict, manager: str) -> list[str]:
    """Those of `differences` that change a value: a field that only gets another owner is not among them."""
    return sorted({path for path, value in _found(desired, live, manager) if value})


def owned_view(live: dict, manager: str) -> dict:
    """The part of `live` that `manager` owns, with its identity: the `before` of a diff."""
    owned = owned_fields(live, manager)
    view = _pick(live, owned) if owned else {}
    metadata = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
    view["metadata"] = {**metadata, **(view.get("metadata") or {})}
    return {"apiVersion": live.get("apiVersion"), "kind": live.get("kind"), **view}


def _found(desired, live, manager):
    """(path, whether the value changes) of each difference."""
    found: list[tuple[str, bool]] = []
    _map(_body(desired), live, owned_fields(live, manager), "", found)
    return found


def _body(desired):
    body = {key: value for key, value in desired.items() if key not in _IDENTITY}
    body["metadata"] = {key: value for key, value in desired["metadata"].items() if key not in ("name", "namespace")}
    if not body["metadata"]:
        del body["metadata"]
    return body


def _walk(desired, live, owned, path, found):
    if owned is None:
        found.append((path, not _equal(desired, live, path)))
    elif isinstance(desired, dict) and isinstance(live, dict) and owned:
        _map(desired, live, owned, path, found)
    elif isinstance(desired, list) and isinstance(live, list) and any(key[:2] == "k:" for key in owned):
        _keyed_list(desired, live, owned, path, found)
    elif isinstance(desired, list) and isinstance(live, list) and any(key[:2] == "v:" for key in owned):
        _set(desired, live, owned, path, found)
    elif not _equal(desired, live, path):
        found.append((path, True))


def _map(desired, live, owned, path, found):
    for key, value in desired.items():
        where = f"{path}.{key}" if path else key
        if key not in live:
            if not _left_out(key, value, path):
                found.append((where, True))
        else:
            _walk(value, live[key], owned.get(f"f:{key}"), where, found)
    for field in owned:
        if field.startswith("f:") and field[2:] not in desired and field[2:] in live:
            found.append((f"{path}.{field[2:]}" if path else field[2:], True))


def _left_out(key, value, path):
    # The API server does not store the empty value of an environment variable.
    return key == "value" and value == "" and ".env[" in path


def _keyed_list(desired, live, owned, path, found):
    matched = set()
    for field, subtree in owned.items():
        if not field.startswith("k:"):
            continue
        keys = json.loads(field[2:])
        where = f"{path}[{','.join(str(value) for value in keys.values())}]"
        wanted = _element(desired, keys)
        present = _element(live, keys)
        if wanted is None:
            if present is not None:
                found.append((where, True))
            continue
        matched.add(id(wanted))
        if present is None:
            found.append((where, True))
        else:
            _map(wanted, present, {**{f"f:{key}": {} for key in keys}, **subtree}, where, found)
    for element in desired:
        if id(element) not in matched:
            found.append((f"{path}[{element.get('name', next(iter(element.values()), ''))}]" if isinstance(element, dict) else path, True))
    order = [index for index in (_index(live, element, owned) for element in desired) if index is not None]
    if order != sorted(order):
        found.append((path, True))


def _set(desired, live, owned, path, found):
    mine = {json.dumps(json.loads(field[2:])) for field in owned if field.startswith("v:")}
    wanted = {json.dumps(value) for value in desired}
    if mine != wanted or not wanted <= {json.dumps(value) for value in live}:
        found.append((path, True))


def _element(items, keys):
    for item in items:
        if isinstance(item, dict) and all(item.get(key, _KEY_DEFAULTS.get(key)) == value for key, value in keys.items()):
            return item
    return None


# Key fields that the API fills in where they are left out.
_KEY_DEFAULTS = {"protocol": "TCP"}


# Fields that the API server fills in below a list that has no keys, and that is ours as a whole therefore; by the field that holds
# them. ExternalSecret: external-secrets.io_externalsecrets.yaml, v1.
_FILLED_IN = {"remoteRef": {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None", "nullBytePolicy": "Ignore"}}


def _index(live, element, owned):
    for field in owned:
        if field.startswith("k:"):
            keys = json.loads(field[2:])
            if _element([element], keys) is not None:
                return next((i for i, item in enumerate(live) if _element([item], keys) is not None), None)
    return None


def _equal(desired, live, path):
    if isinstance(desired, dict) and isinstance(live, dict):
        filled_in = _FILLED_IN.get(path.rpartition(".")[2], {})
        present = {key for key in live if key in desired or live[key] != filled_in.get(key)}
        return desired.keys() == present and all(_equal(desired[key], live[key], f"{path}.{key}") for key in desired)
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(_equal(one, other, path) for one, other in zip(desired, live))
    if type(desired) is type(live) and desired == live:
        return True
    if any(part in path for part in (".limits", ".requests", ".sizeLimit")):
        return _same_quantity(desired, live)
    return False


def _same_quantity(one, other):
    try:
        return parse_quantity(one) == parse_quantity(other)
    except ValueError:
        return False


def _pick(live, owned):
    if not owned:
        return live
    if isinstance(live, dict):
        return {field[2:]: _pick(live[field[2:]], sub) for field, sub in owned.items() if field.startswith("f:") and field[2:] in live}
    if isinstance(live, list):
        return [picked for picked in (_pick_element(item, owned) for item in live) if picked is not None] or live
    return live


def _pick_element(item, owned):
    for field, subtree in owned.items():
        if field.startswith("v:") and json.loads(field[2:]) == item:
            return item
        if field.startswith("k:"):
            keys = json.loads(field[2:])
            if _element([item], keys) is not None:
                return _pick(item, subtree) if set(subtree) - {"."} else dict(keys)
    return None
