# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as the differences that people read, one for each object. Pure."""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.masking import masked
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import KEY as MEMORY
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_view
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes


def diff(steps: list[dict], manager: str) -> list[dict]:
    """[{"before", "after", "before_header", "after_header"}] with JSON as text; what may be a secret is masked.

    Of a live object that is shown which `manager` owns, and what stands where the wanted one has something, whoever owns it. What the
    set's parent remembers says the same as the objects beside it and is left out.
    """
    found = []
    for step in changes(steps):
        named = title(step["desired"] or step["live"])
        before = "" if step["live"] is None else _text(masked(_known(step, manager)))
        after = "" if _after(step) is None else _text(masked(_after(step), step["live"]))
        if before != after:
            found.append({"before": before, "after": after, "before_header": named, "after_header": named})
    return found


def _known(step, manager):
    view = owned_view(step["live"], manager)
    if step["desired"] is None:
        return _released(step["live"], step["live"]) if step["action"] == "release" else view
    return _united(view, _where(step["live"], step["desired"]))


def _after(step):
    return _released(step["live"], None) if step["action"] == "release" else step["desired"]


def _released(live, label_of):
    """An object that is to be no longer ours, with the label that says so or without it."""
    labels = {MEMBER_LABEL: label_of["metadata"]["labels"][MEMBER_LABEL]} if label_of else {}
    name = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": {**name, "labels": labels}}


def _where(live, desired):
    """The part of `live` where `desired` has something; an element of a list belongs to the one of its name."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return {key: _where(live[key], desired[key]) for key in desired if key in live}
    if _is_named(live) and _is_named(desired):
        wanted = {item["name"]: item for item in desired}
        return [_where(item, wanted[item["name"]]) for item in live if item["name"] in wanted]
    return live


def _united(one, other):
    """Two parts of the same value as one."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = {key: _united(one[key], other[key]) for key in one if key in other}
        return {**one, **other, **both}
    if _is_named(one) and _is_named(other):
        parts = {item["name"]: item for item in one}
        for item in other:
            parts[item["name"]] = _united(parts.get(item["name"], {}), item)
        return list(parts.values())
    return other


def _is_named(value):
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) and "name" in item for item in value)


def _text(obj):
    if isinstance(obj.get("data"), dict) and MEMORY in obj["data"]:
        obj = {key: value for key, value in obj.items() if key != "data"}
    return json.dumps(obj, indent=2, sort_keys=True) + "\n"
