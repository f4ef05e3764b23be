# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods' priority class, and the ResourceQuota that some platforms demand for it. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made

# A PriorityClass of a user may not be higher than this (HighestUserDefinablePriority).
_HIGHEST = 1_000_000_000
_LOWEST = -2_147_483_648
# The classes that Kubernetes makes itself, whose names are reserved, and their values.
SYSTEM_VALUES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


def check(options: dict) -> None:
    """Failure for a value out of bounds, a reserved name, or an option of a class that is not made."""
    priority = options["priority_class"]
    if not priority:
        return
    name = priority["name"]
    check_dns_subdomain("priority_class.name", name)
    if _creates(priority):
        if name.startswith("system-"):
            raise Failure(
                f"priority_class.name {name!r} begins with system-, which is reserved", f"choose another name, or one of {' and '.join(SYSTEM_VALUES)}"
            )
        if not _LOWEST <= priority["value"] <= _HIGHEST:
            raise Failure(
                f"priority_class.value {priority['value']} is out of bounds",
                f"choose a value up to {_HIGHEST:,} (100-1000 is low, 100,000 and more very high)",
            )
    elif priority.get("preemption_policy"):
        raise Failure(f"priority_class.preemption_policy is given for {name}, which is not made here", "leave it out, or set create: true")


def objects(options: dict) -> list[dict]:
    """The class, where it is to be made, and the quota.

    GKE and others let pods of the system's classes in only where a ResourceQuota of the namespace names the class; in
    kube-system they need none. The amount of pods is as good as no bound.
    """
    priority = options["priority_class"]
    if not priority:
        return []
    found, name = [], priority["name"]
    if _creates(priority):
        body = {"value": priority["value"], "description": "Lets the node agent find a place on a full node."}
        if priority.get("preemption_policy"):
            body["preemptionPolicy"] = priority["preemption_policy"]
        found.append(made(options, "scheduling.k8s.io/v1", "PriorityClass", name, namespaced=False, **body))
    quota = priority.get("resource_quota")
    if quota if quota is not None else name in SYSTEM_VALUES and options["namespace"] != "kube-system":
        scope = {"scopeName": "PriorityClass", "operator": "In", "values": [name]}
        spec = {"hard": {"pods": "1G"}, "scopeSelector": {"matchExpressions": [scope]}}
        found.append(made(options, "v1", "ResourceQuota", f"{options['name']}-priority", spec=spec))
    return found


def _creates(priority):
    return priority["create"] and priority["name"] not in SYSTEM_VALUES
