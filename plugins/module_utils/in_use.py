# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects of an installation pods of others need. Pure.

Another installation may use the service account, the priority class or the Secrets of this one, and cannot start a pod without them.
"""

from __future__ import annotations

from collections.abc import Set

from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import is_copy
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity, title, titled
from ansible_collections.nanoagent.k8s.plugins.module_utils.leftovers import controller_of, is_own_pod
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import references
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import has_ended
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping
from ansible_collections.nanoagent.k8s.plugins.module_utils.trimming import trimmed

# Where a kind has the spec of its pods. Those of a Job say it themselves, and a Job that is over starts no more.
_POD_SPEC = {
    "Pod": ("spec",),
    "DaemonSet": ("spec", "template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
USERS = tuple(_POD_SPEC)
_USABLE = ("ServiceAccount", "PriorityClass", "Secret", "ConfigMap", "SecretProviderClass")


def usable(members: list[dict]) -> set[tuple]:
    """Identities of those of a set's members that pods may name and that an uninstall deletes; a controller's copy goes with what it is made of."""
    return {identity(obj) for obj in members if obj["kind"] in _USABLE and not obj["metadata"].get("deletionTimestamp") and not is_copy(obj)}


def noted(obj: dict, wanted: Set[tuple]) -> dict:
    """The object, trimmed in place, with those identities of `wanted` as "uses" that its pods name; without the key where there are none."""
    spec = mapping(at(obj, *_POD_SPEC[obj["kind"]])) if obj["kind"] in _POD_SPEC else {}
    named = references(spec, obj["metadata"].get("namespace") or "")
    uses = {each for each in wanted if each in named}
    return {**trimmed(obj), "uses": uses} if uses else trimmed(obj)


def outline(pod: dict, wanted: Set[tuple], namespace: str) -> dict:
    """Of a pod outside this namespace that uses something of `wanted` what users() reads; else nothing."""
    if pod["metadata"].get("namespace") == namespace:
        return {}
    uses = noted(pod, wanted).get("uses")
    return {"kind": "Pod", "metadata": pod["metadata"], "status": {"phase": at(pod, "status", "phase")}, "uses": uses} if uses else {}


def of_others(found: list[dict], members: list[dict], selectors: list[dict], workloads: Set[tuple]) -> list[dict]:
    """Those of `found`, which noted() made of objects in our namespace, that use something and are neither ours nor pods of ours.

    selectors, workloads: as for leftovers.is_own_pod.
    """
    uids = {member["metadata"]["uid"] for member in members}

    def is_own(obj):
        return obj["metadata"]["uid"] in uids or (obj["kind"] == "Pod" and (is_own_pod(obj, selectors, workloads) or controller_of(obj) in workloads))

    return [obj for obj in found if obj.get("uses") and not is_own(obj)]


def users(others: list[dict]) -> dict[tuple, list[str]]:
    """Identity -> titles of those that use it, pods by what keeps them; what has ended or is ending uses nothing. others: as noted() or outline() has them."""
    found: dict[tuple, set[str]] = {}
    for obj in others:
        if obj["metadata"].get("deletionTimestamp") or (obj["kind"] == "Pod" and has_ended(obj)):
            continue
        keeper = controller_of(obj)
        for each in obj.get("uses") or ():
            found.setdefault(each, set()).add(titled(keeper) if keeper else title(obj))
    return {each: sorted(names) for each, names in found.items()}
