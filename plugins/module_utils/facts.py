# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the objects of an installation depend on beside its options. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import credentials, memory, rotation
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping
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
        "served": seen["served"],
        "cluster_uid": seen["cluster_uid"],
        **_facts_of_secret(options, seen),
        "platforms": platforms,
    }


def facts_of_nodes(options: dict, nodes: list[dict], parent: dict | None) -> dict:
    """Those of the facts that depend on which nodes get an agent. parent: the set's, None without one."""
    return {
        "smallest_node": smallest_node(nodes) if options.get("limit_percent") is not None else None,
        "local_storage": has_local_storage(nodes, memory.recall(parent) if parent else None),
    }


def _facts_of_secret(options, seen):
    name = credentials.watched_secret(options)
    if not name:
        return {"secret_hashes": {}, "code_note": {}}
    current = credentials.secret_hash(options, seen["secret"])
    live = seen["objects"].get(("DaemonSet", options["namespace"], options["name"])) or {}
    live_mark = mapping(at(live, "spec", "template", "metadata", "annotations")).get(credentials.HASH)
    if credentials.coming_secret(options):
        mark, note = rotation.marks(name, current, seen["parent"], live_mark)
        return {"secret_hashes": {name: mark}, "code_note": note}
    if current is None and not options.get("wait", True):
        # Somebody may make it after the run; until then there is no reason to replace pods.
        return {"secret_hashes": {name: live_mark}, "code_note": {}}
    if current is None:
        missing = f"has no key {credentials.watched_key(options)}" if seen["secret"] else "does not exist"
        first = "it" if seen["namespace"] else "the namespace and it"
        raise Failure(f"the Secret {options['namespace']}/{name} {missing}", f"create {first}, or correct credentials.existing_secret")
    return {"secret_hashes": {name: current}, "code_note": {}}
