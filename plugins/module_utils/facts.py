# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects of an installation depend on beside its options. Pure."""

from __future__ import annotations

import base64
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import memory
from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import value_hash, watched_key, watched_secret
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import has_local_storage, smallest_node

_OLDEST = (1, 25)


def check_kubernetes(version: tuple[int, int]) -> None:
    """Failure for a version of Kubernetes that is older than the objects need."""
    if version < _OLDEST:
        raise Failure(f"the API server is Kubernetes {version[0]}.{version[1]}", f"use Kubernetes {_OLDEST[0]}.{_OLDEST[1]} or newer")


def given_version(text: str | None) -> tuple[int, int] | None:
    """(major, minor) of the option kubernetes_version, as `1.29`, `v1.29.6` or `v1.29.6-gke.100`; None without it."""
    if text is None:
        return None
    found = re.fullmatch(r"v?(\d+)\.(\d+)([.+-].*)?", text)
    if not found:
        raise Failure(f"kubernetes_version {text!r} is no version", "use for example 1.29")
    version = int(found[1]), int(found[2])
    if version < _OLDEST:
        # YAML reads 1.30 without quotes as the number 1.3.
        raise Failure(f"kubernetes_version {text} is older than {_OLDEST[0]}.{_OLDEST[1]}", "name a newer one, and put it in quotes: 1.30 without them is 1.3")
    return version


def facts_of(options: dict, seen: dict, nodes: list[dict], platforms: list[dict]) -> dict:
    """The facts that objects.desired_objects takes.

    seen: what live.read has read. nodes: those that get an agent. platforms: of platforms.choose.
    """
    return {
        "kubernetes": seen["kubernetes"],
        **facts_of_nodes(options, nodes, seen["parent"]),
        "served": _served(seen["groups"]),
        "cluster_uid": seen["cluster_uid"],
        "secret_hashes": _secret_hashes(options, seen),
        "platforms": platforms,
    }


def facts_of_nodes(options: dict, nodes: list[dict], parent: dict | None) -> dict:
    """Those of the facts that depend on which nodes get an agent. parent: the set's, None without one."""
    return {
        "smallest_node": smallest_node(nodes) if options.get("limit_percent") is not None else None,
        "local_storage": has_local_storage(nodes, memory.recall(parent) if parent else None),
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
