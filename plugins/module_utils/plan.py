# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired objects against live ones: what has to be written. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import differences
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import wanted_by

# Fields that the API server never changes in place: the object is deleted and made again, a workload without its pods.
_IMMUTABLE = {
    "DaemonSet": ("spec.selector",),
    "Deployment": ("spec.selector",),
    "PriorityClass": ("value", "preemptionPolicy"),
    "ClusterRoleBinding": ("roleRef",),
    "RoleBinding": ("roleRef",),
    "Secret": ("type",),
}


def plan(desired: list[dict], live: dict[tuple, dict], members: list[dict], manager: str, staying: Sequence[dict] = ()) -> list[dict]:
    """The steps from live to desired, in the order in which they are to be taken.

    desired: in apply order. live: identity -> object, for every desired object that exists. members: every live object
    that carries our set's label; those no longer desired are deleted, last things first. manager: our field manager.
    staying: of still_needed(), left alone.
    Returns steps {"action": create|patch|recreate|keep|release|delete, "fields": [path], "desired": obj|None, "live": obj|None}.
    release: the desired pods need the object, which is to be no longer ours: it stays without our set's label. A create has
    "ending" too where an object of that name is being deleted: the new one comes when it is gone.
    """
    steps = [_step(obj, live.get(identity(obj)), manager) for obj in desired]
    wanted, needed = {identity(obj) for obj in desired}, wanted_by(desired)
    surplus = [member for member in members if identity(member) not in wanted and member not in staying]
    surplus.sort(key=lambda member: INSTALL_ORDER.index(member["kind"]), reverse=True)
    return steps + [_end_of(member, identity(member) in needed) for member in surplus]


def still_needed(desired: list[dict], members: list[dict], in_use: Set[tuple]) -> list[dict]:
    """Members that are no longer wanted, and stay for a later run since pods need them that stay too; in_use: identities of what those need."""
    wanted = {identity(obj) for obj in desired} | wanted_by(desired)
    return [member for member in members if identity(member) in in_use - wanted]


def describe(step: dict) -> dict:
    """A step as a module result shows it: {"action", "object", "fields"}; the same in check mode and in the real run."""
    return {"action": step["action"], "object": title(step["desired"] or step["live"]), "fields": step["fields"]}


def changes(steps: list[dict]) -> list[dict]:
    """The steps that write."""
    return [step for step in steps if step["action"] != "keep"]


def _step(obj, live, manager):
    create = {"action": "create", "fields": [], "desired": obj, "live": None}
    if live is None:
        return create
    if live["metadata"].get("deletionTimestamp"):
        return {**create, "ending": live}
    fields = differences(obj, live, manager)
    if not fields:
        return {"action": "keep", "fields": [], "desired": obj, "live": live}
    recreate = any(_value(obj, path) != _value(live, path) for path in _IMMUTABLE.get(obj["kind"], ()) if _touches(fields, path))
    return {"action": "recreate" if recreate else "patch", "fields": fields, "desired": obj, "live": live}


def _end_of(member, needed):
    if needed:
        return {"action": "release", "fields": [f"metadata.labels.{MEMBER_LABEL}"], "desired": None, "live": member}
    return {"action": "delete", "fields": [], "desired": None, "live": member}


def _touches(fields, path):
    # Of an object of which we own nothing only the top of what differs is named.
    return any(field == path or field.startswith(f"{path}.") or path.startswith(f"{field}.") for field in fields)


def _value(obj, path):
    for key in path.split("."):
        obj = (obj or {}).get(key)
    return obj
