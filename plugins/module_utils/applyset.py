# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ApplySet convention (KEP-3659): which objects belong together, in labels that kubectl understands. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER, KINDS, OPTIONAL_KINDS, kind_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import remember
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, records
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION

MEMBER_LABEL = "applyset.kubernetes.io/part-of"
_PARENT_LABEL = "applyset.kubernetes.io/id"
_TOOLING = "applyset.kubernetes.io/tooling"
_GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"


def set_id(name: str, namespace: str) -> str:
    """The id of the set whose parent is the ConfigMap namespace/name, as KEP-3659 computes it."""
    digest = hashlib.sha256(f"{name}.{namespace}.ConfigMap.".encode()).digest()
    return "applyset-" + base64.urlsafe_b64encode(digest).decode().rstrip("=") + "-v1"


def parent(name: str, namespace: str, members: list[dict], labels: dict) -> dict:
    """The ConfigMap that stands for the set, lists the kinds of its members and remembers what they shall be."""
    group_kinds = sorted({kind_of(member).group_kind for member in members})
    identifier = set_id(name, namespace)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {**labels, _PARENT_LABEL: identifier},
            "annotations": {_TOOLING: f"nanoagent.k8s/v{VERSION}", _GROUP_KINDS: ",".join(group_kinds)},
        },
        "data": remember([enrol(member, identifier) for member in members]),
    }


def remembering(desired: list[dict], staying: Sequence[dict] = ()) -> list[dict]:
    """The desired objects with a parent that remembers the others as they are now, for whoever changes them after it was made.

    staying: members that are not wanted and cannot go yet; the parent lists their kinds too, so that a later run finds them.
    """
    members = [obj for obj in desired if not id_of(obj)]
    return [{**_listing(obj, {kind_of(each).group_kind for each in staying}), "data": remember(members)} if id_of(obj) else obj for obj in desired]


def of_these(desired: list[dict]) -> list[dict]:
    """The objects with a parent that lists and remembers no others."""
    members = [obj for obj in desired if not id_of(obj)]
    kinds = ",".join(sorted({kind_of(member).group_kind for member in members}))

    def listing(obj):
        metadata = obj["metadata"]
        return {**obj, "metadata": {**metadata, "annotations": {**metadata["annotations"], _GROUP_KINDS: kinds}}, "data": remember(members)}

    return [listing(obj) if id_of(obj) else obj for obj in desired]


def enrol(member: dict, identifier: str) -> dict:
    """The object with the label that makes it a member of the set."""
    metadata = member["metadata"]
    return {**member, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), MEMBER_LABEL: identifier}}}


def is_member(live: dict | None, identifier: str) -> bool:
    """Whether a live object carries the set's label."""
    return ((((live or {}).get("metadata") or {}).get("labels")) or {}).get(MEMBER_LABEL) == identifier


def is_copy(live: dict) -> bool:
    """Whether a controller keeps this object: an operator may copy the labels of ours to what it makes of it."""
    return any(reference.get("controller") for reference in records(at(live, "metadata", "ownerReferences")))


def is_parent(live: dict | None, identifier: str) -> bool:
    """Whether a live object is the set's parent."""
    return id_of(live or {}) == identifier


def id_of(parent_object: dict) -> str | None:
    """The id of the set whose parent this object is; None where it is no parent."""
    return ((parent_object.get("metadata") or {}).get("labels") or {}).get(_PARENT_LABEL)


def kinds_to_search(parent_live: dict | None, namespace_live: dict | None) -> list[str]:
    """Names of the kinds in which members may be found, in install order; Namespace is looked up by name.

    The parent lists them. Where it is gone they may be of any kind, and without the namespace of any that needs none.
    """
    if parent_live:
        listed = _listed(parent_live)
        return [kind for kind in INSTALL_ORDER if kind != "Namespace" and KINDS[kind].group_kind in listed]
    return [kind for kind in INSTALL_ORDER if kind != "Namespace" and (namespace_live or not KINDS[kind].namespaced)]


def widened(parent_wanted: dict, parent_live: dict | None, **annotations: str) -> dict:
    """The parent for the time of an update: it lists the kinds of before and after, so that a run that is cut short forgets none.

    annotations: further ones, for the same time.
    """
    return _listing(parent_wanted, _listed(parent_live) if parent_live else set(), **annotations)


def _listing(parent_object, group_kinds, **annotations):
    metadata = parent_object["metadata"]
    changed = {**metadata["annotations"], _GROUP_KINDS: ",".join(sorted(_listed(parent_object) | group_kinds)), **annotations}
    return {**parent_object, "metadata": {**metadata, "annotations": changed}}


def _listed(parent_object):
    text = ((parent_object.get("metadata") or {}).get("annotations") or {}).get(_GROUP_KINDS) or ""
    return {group_kind.strip() for group_kind in text.split(",") if group_kind.strip()}


# Kinds that a set of this collection may hold; Namespace is looked up by name and never pruned.
MEMBER_KINDS = tuple(KINDS[kind] for kind in INSTALL_ORDER if kind not in ("Namespace", *OPTIONAL_KINDS))
