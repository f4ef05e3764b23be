# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendor's cluster monitor, as its published chart has it: the agent's own image with K8SMONITOR=yes. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import credentials, outbound, profile_spyderbat

CONTAINER = "clustermonitor"
# It fetches the registration code as the agent does.
SHARES_ACCOUNT_ANNOTATIONS = True
_READ = ["get", "list", "watch"]
# What the vendor's read-only role names, with each group spelt out, and the pods; no Secrets, no ConfigMaps.
_READABLE = {
    "": ["endpoints", "events", "namespaces", "nodes", "pods", "serviceaccounts", "services"],
    "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "batch": ["cronjobs", "jobs"],
    "discovery.k8s.io": ["endpointslices"],
    "events.k8s.io": ["events"],
    "rbac.authorization.k8s.io": ["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
}


def resources(facts: dict) -> dict:
    """Requests and limits by default."""
    return profile_spyderbat.DEFAULTS["resources"]


def default_name(options: dict) -> str:
    """Name of the Deployment, the chart's."""
    return "clustermonitor-deployment"


def image(options: dict) -> str:
    """Its image."""
    return options["monitor"].get("image") or options["image"]


def selector(options: dict) -> dict:
    """The chart's selector, which is immutable."""
    return {"app": CONTAINER}


def check(options: dict) -> None:
    """Nothing is refused that the profile itself takes."""


def rules(options: dict) -> list[dict]:
    """The rules of its ClusterRole."""
    found = [{"apiGroups": [group], "resources": resources, "verbs": _READ} for group, resources in _READABLE.items()]
    if options.get("rbac") == "respond":
        found.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]})
    return found


def part(options: dict, facts: dict) -> dict:
    """Its share of the pod, as cluster_monitor describes it."""
    code, authorities = credentials.part(options, facts), outbound.ca_part(options)
    return {
        "container": {"securityContext": {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}}},
        "env": [
            *code["env"],
            {"name": "K8SMONITOR", "value": "yes"},
            *profile_spyderbat.shared_env(options, facts),
            *outbound.proxy_env(options),
            *authorities["env"],
        ],
        "mounts": code["mounts"] + authorities["mounts"],
        "volumes": code["volumes"] + authorities["volumes"],
        "pod": {},
        "annotations": code["annotations"],
        "objects": [],
    }
