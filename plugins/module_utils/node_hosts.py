# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes as hosts of an inventory: their facts, names, addresses and groups. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, records, text

ALL_NODES, ELIGIBLE = "nodes", "eligible"
GROUP_BY = ("state", "pool", "zone", "arch", "os", "version", "role")
_ROLE = "node-role.kubernetes.io/"
_REGION_LABELS = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_TYPE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SOURCE = re.compile(r"name|[A-Z][A-Za-z]*|(label|annotation):\S+")
# What a node says of itself ends up in the command lines of connection plugins: never as an option there.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:%-]*")


def found_hosts(nodes: list[dict], rows: list[dict]) -> list[dict]:
    """[{"node": facts, "verdict": {...} or None}] in the order of the nodes; plain data that a cache can keep.

    nodes: as the API gives them. rows: verdicts of the same nodes, none where no agent is installed; a node that is gone or was
    made anew since is left out then.
    """
    if not rows:
        return [{"node": _facts(node), "verdict": None} for node in nodes]
    by_uid = {row["uid"]: row for row in rows}
    hosts = [(_facts(node), by_uid.get(text(at(node, "metadata", "uid")))) for node in nodes]
    return [{"node": facts, "verdict": {key: value for key, value in row.items() if key not in facts}} for facts, row in hosts if row]


def check_sources(option: str, sources: list[str]) -> None:
    """Failure for a source of a name or address that is none."""
    for source in sources:
        if not _SOURCE.fullmatch(source):
            raise Failure(
                f"{option} has {source!r}",
                "use name, a type of a node's addresses such as InternalIP, label:<key of a label> or annotation:<key of an annotation>",
            )


def first_of(sources: list[str], facts: dict) -> str:
    """What the first of the sources gives that the node has and that can be a host's name or address; empty where none does."""
    for source in sources:
        kind, _colon, key = source.partition(":")
        if kind in ("label", "annotation"):
            value = facts[f"{kind}s"].get(key)
        elif kind == "name":
            value = facts["node"]
        else:
            value = next(iter(facts["addresses"].get(kind) or []), "")
        if value and _SAFE.fullmatch(value):
            return value
    return ""


def names_of(hosts: list[dict], sources: list[str], prefix: str) -> list[str]:
    """The inventory's name of each host, the node's own where no source gives one; Failure where two hosts would have the same."""
    taken: dict[str, str] = {}
    for host in hosts:
        name = prefix + (first_of(sources, host["node"]) or host["node"]["node"])
        if name in taken:
            raise Failure(
                f"the nodes {taken[name]} and {host['node']['node']} would both be the host {name}", "name something in hostname that tells them apart"
            )
        taken[name] = host["node"]["node"]
    return list(taken)


def groups_of(host: dict, group_by: list[str]) -> list[str]:
    """The names of the host's groups, before Ansible makes them fit."""
    facts, verdict = host["node"], host["verdict"] or {}
    values = {**{key: [facts[key]] for key in ("pool", "zone", "arch", "os", "version")}, "role": facts["roles"], "state": [verdict.get("state")]}
    eligible = [ELIGIBLE] if verdict.get("eligible") and "state" in group_by else []
    return [ALL_NODES, *eligible, *(f"{key}_{value}" for key in group_by for value in values[key] if value)]


def _facts(node):
    metadata, spec, status = (mapping(node.get(key)) for key in ("metadata", "spec", "status"))
    labels = {key: text(value) for key, value in mapping(metadata.get("labels")).items()}
    addresses: dict[str, list[str]] = {}
    for address in records(status.get("addresses")):
        addresses.setdefault(text(address.get("type")), []).append(text(address.get("address")))
    return {
        **node_facts(node),
        "os_image": text(at(status, "nodeInfo", "osImage")),
        "region": _first(labels, _REGION_LABELS),
        "instance_type": _first(labels, _TYPE_LABELS),
        "provider_id": text(spec.get("providerID")),
        "roles": sorted(key[len(_ROLE) :] for key in labels if key.startswith(_ROLE) and key != _ROLE),
        "labels": labels,
        "annotations": {key: text(value) for key, value in mapping(metadata.get("annotations")).items() if key != _LAST_APPLIED},
        "taints": [{key: text(taint.get(key)) for key in ("key", "value", "effect")} for taint in records(spec.get("taints"))],
        "addresses": addresses,
        "allocatable": {key: text(value) for key, value in mapping(status.get("allocatable")).items()},
    }


def _first(labels, names):
    return next((labels[name] for name in names if labels.get(name)), "")
