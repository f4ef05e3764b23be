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
    """The part of `live` where `desired` has something; an element of a list belongs to the one of its name or path."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return {key: _where(live[key], desired[key]) for key in desired if key in live}
    key = _key_of(live, desired)
    if key:
        wanted = {item[key]: item for item in desired}
        return [_where(item, wanted[item[key]]) for item in live if item[key] in wanted]
    return live


def _united(one, other):
    """Two parts of the same value as one."""
    if isinstance(one, dict) and isinstance(other, dict):
        both = {key: _united(one[key], other[key]) for key in one if key in other}
        return {**one, **other, **both}
    key = _key_of(one, other)
    if key:
        parts = {item[key]: item for item in one}
        for item in other:
            parts[item[key]] = _united(parts.get(item[key], {}), item)
        return list(parts.values())
    return other


def _key_of(*lists):
    """By what the elements of the lists are told apart; None where nothing does."""
    return next((key for key in ("mountPath", "name") if all(_is_keyed(value, key) for value in lists)), None)


def _is_keyed(value, key):
    # One volume may be mounted at two paths, and both mounts bear its name.
    named = isinstance(value, list) and bool(value) and all(isinstance(item, dict) and isinstance(item.get(key), str) for item in value)
    return named and len({item[key] for item in value}) == len(value)


def _text(obj):
    if isinstance(obj.get("data"), dict) and MEMORY in obj["data"]:
        obj = {key: value for key, value in obj.items() if key != "data"}
    return json.dumps(obj, indent=2, sort_keys=True) + "\n"
