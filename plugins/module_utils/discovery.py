# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kinds of objects a namespace can hold, from the API's discovery documents. Pure.

A version of a group is the pair (api version, kinds): its namespaced kinds that can be listed and deleted, or None where
the server behind it does not answer. What cannot be deleted is no object that a namespace takes along, but a view of
something else, as the measurements of pods are.
"""

from __future__ import annotations

from collections.abc import Set

from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import Kind
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping, records, text

ROOTS = ("/api", "/apis")
# All groups in one answer where the server can (Kubernetes 1.27 and later), otherwise their names.
ACCEPT = ",".join((*(f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")), "application/json"))
_NEEDED_VERBS = {"list", "delete"}


def versions_of(document: dict) -> list[tuple[str, list[Kind] | None]] | None:
    """The versions of all groups in an answer to one of ROOTS, those that a group prefers first; None where it only names them."""
    if document.get("kind") != "APIGroupDiscoveryList":
        return None
    found = []
    for item in records(document.get("items")):
        group = text(mapping(item.get("metadata")).get("name"))
        for version in records(item.get("versions")):
            api_version = f"{group}/{text(version.get('version'))}" if group else text(version.get("version"))
            kinds = _kinds(api_version, [_as_in_a_list(each) for each in records(version.get("resources"))])
            # Also where it has shown nothing but views: Kubernetes ends no namespace while any server is away.
            found.append((api_version, None if version.get("freshness") == "Stale" else kinds))
    return found


def named_versions(document: dict) -> list[str]:
    """The api versions that an answer to one of ROOTS names, of each group the preferred one first."""
    found = [version for version in document.get("versions") or [] if isinstance(version, str)]
    for group in records(document.get("groups")):
        for version in (mapping(group.get("preferredVersion")), *records(group.get("versions"))):
            name = text(version.get("groupVersion"))
            if name and name not in found:
                found.append(name)
    return found


def kinds_of(api_version: str, document: dict) -> list[Kind]:
    """The kinds in an APIResourceList, which is the answer for one version of a group."""
    return _kinds(api_version, records(document.get("resources")))


def not_among(versions: list[tuple[str, list[Kind] | None]], known: Set[tuple[str, str]]) -> list[Kind]:
    """Each resource of a group in one version, the preferred one; without those of which some version is among the (api version, plural) of `known`."""
    served = [kind for _api_version, kinds in versions for kind in kinds or []]
    left_out = {(kind.group, kind.plural) for kind in served if (kind.api_version, kind.plural) in known}
    chosen: dict[tuple[str, str], Kind] = {}
    for kind in served:
        if (kind.group, kind.plural) not in left_out:
            chosen.setdefault((kind.group, kind.plural), kind)
    return list(chosen.values())


def _as_in_a_list(resource):
    """A resource of the aggregated discovery as an APIResourceList has it."""
    kind = mapping(resource.get("responseKind")).get("kind")
    return {"name": resource.get("resource"), "kind": kind, "namespaced": resource.get("scope") == "Namespaced", "verbs": resource.get("verbs")}


def _kinds(api_version, resources):
    fit = [each for each in resources if each.get("namespaced") and {*(each.get("verbs") or [])} >= _NEEDED_VERBS]
    named = [(text(each.get("kind")), text(each.get("name"))) for each in fit]
    # A slash makes it a part of another resource.
    return [Kind(kind, api_version, plural, True) for kind, plural in named if kind and plural and "/" not in plural]
