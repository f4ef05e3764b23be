# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects of an installation depend on beside its options. Pure."""

from __future__ import annotations

import base64

from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import value_hash, watched_key, watched_secret
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import smallest_node


def facts_of(options: dict, seen: dict, nodes: list[dict], platforms: list[dict]) -> dict:
    """The facts that objects.desired_objects takes.

    seen: what live.read has read. nodes: those that get an agent. platforms: of platforms.choose.
    """
    return {
        "kubernetes": seen["kubernetes"],
        "smallest_node": smallest_node(nodes) if options.get("limit_percent") is not None else None,
        "served": _served(seen["groups"]),
        "cluster_uid": seen["cluster_uid"],
        "secret_hashes": _secret_hashes(options, seen),
        "platforms": platforms,
    }


def _served(groups):
    if groups is None:
        return None
    return {kind.group_kind for kind in KINDS.values() if not kind.group or kind.group in groups}


def _secret_hashes(options, seen):
    name = watched_secret(options)
    if not name:
        return {}
    key = watched_key(options)
    data = (seen["secret"] or {}).get("data") or {}
    if key not in data:
        missing = f"has no key {key}" if seen["secret"] else "does not exist"
        raise Failure(f"the Secret {options['namespace']}/{name} {missing}", "create it, or correct credentials.existing_secret")
    value = base64.b64decode(data[key]).decode("utf-8", "replace")
    return {name: value_hash(options["namespace"], name, value)}
