# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object as it was before a write, as far as the write may have changed it. Pure.

A write that takes fields from other managers leaves them with ours alone, so that going back means more than our former
fields: an apply without the others would take them away. Trees of fields are those of ownership.py.
"""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_fields, owned_view
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, records


def former(live: dict, written: dict | None, manager: str) -> dict:
    """What `manager` has to apply so that `live` comes back: its own fields, and those of others that it owns since.

    live: the object before the write. written: the object after it; None where it is gone, or was never written.
    """
    taken = {}
    for entry in records(at(live, "metadata", "managedFields")):
        if not (entry.get("manager") == manager and entry.get("operation") == "Apply") and not entry.get("subresource"):
            taken = _united(taken, _common(owned_fields(written or {}, manager), mapping(entry.get("fieldsV1"))))
    fields = _united(owned_fields(live, manager), taken)
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields}
    return owned_view({**live, "metadata": {**live["metadata"], "managedFields": [entry]}}, manager)


def _common(one, other):
    """The fields that both trees have; a leaf is all that is below it."""
    found = {}
    for key in one.keys() & other.keys():
        below = _common(one[key], other[key]) if one[key] and other[key] else one[key] or other[key]
        if below or not (one[key] and other[key]):
            # Without its keys an element of a list is nobody's.
            found[key] = {**{f"f:{name}": {} for name in json.loads(key[2:])}, **below} if key.startswith("k:") else below
    return found


def _united(one, other):
    """The fields that either tree has; a leaf is all that is below it."""
    both = {key: _united(one[key], other[key]) if one[key] and other[key] else {} for key in one.keys() & other.keys()}
    return {**one, **other, **both}
