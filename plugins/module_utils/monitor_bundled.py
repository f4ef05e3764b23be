# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own cluster monitor, built from files/monitor: it reads, and says what changes. Pure."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.nanoagent.k8s.plugins.module_utils import metrics_scrape, scheduling
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made, own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.policy_ports import api_ports
from ansible_collections.nanoagent.k8s.plugins.module_utils.run_as import run_as

CONTAINER = "monitor"
MONITOR = "/monitor"
# For 5,000 pods; docs/monitor.md has the measurements.
_RESOURCES = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
# A kubelet keeps up to five log files of 10 MiB of a container, unless it was told to keep more; the monitor writes nothing else.
_STORAGE = {"requests": "64Mi", "limits": "1Gi"}
# The agent's may stand for a role at a cloud, which the monitor has no use for.
SHARES_ACCOUNT_ANNOTATIONS = False
_FOLLOW = ["list", "watch"]
# What the monitor follows, as `/monitor rights` prints it; no Secrets, no ConfigMaps.
_FOLLOWED = {
    "": ["nodes", "namespaces", "pods", "services", "serviceaccounts", "events"],
    "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "batch": ["cronjobs", "jobs"],
    "discovery.k8s.io": ["endpointslices"],
    "rbac.authorization.k8s.io": ["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
}
_CONFIG_DIR = "/etc/nanoagent"
_RUN_DIR = "/run/nanoagent"


def resources(facts: dict) -> dict:
    """Requests and limits by default; of local storage, too, unless there are nodes that are known not to account for it."""
    if facts.get("local_storage") is False:
        return _RESOURCES
    return {key: {**amounts, "ephemeral-storage": _STORAGE[key]} for key, amounts in _RESOURCES.items()}


def default_name(options: dict) -> str:
    """Name of the Deployment, and of all that is the monitor's alone."""
    return f"{options['name']}-monitor"


def image(options: dict) -> str:
    """Its image."""
    return options["monitor"].get("image") or ""


def selector(options: dict) -> dict:
    """The labels of the monitor's pods, and no others'."""
    return {**own_pod_labels(options["name"]), "app.kubernetes.io/component": "cluster-monitor"}


def check(options: dict) -> None:
    """Failure for rights that the monitor has no use for, and without an image of its own."""
    if options.get("rbac") not in (None, "read_only"):
        raise Failure(
            f"rbac {options['rbac']} grants what our own cluster monitor never does: it only reads",
            "leave rbac at read_only, or use the vendor's monitor with profile: spyderbat",
        )
    if not image(options):
        raise Failure("monitor.image is missing", "set it to the reference that collector_image with program: monitor returned, name@sha256:...")
    if image(options) == options.get("image"):
        raise Failure("monitor.image is the collector's image", "build the monitor's with collector_image and program: monitor, and set monitor.image to it")


def rules(options: dict) -> list[dict]:
    """The rules of its ClusterRole."""
    return [{"apiGroups": [group], "resources": resources, "verbs": _FOLLOW} for group, resources in _FOLLOWED.items()]


def config(options: dict, lease: str) -> str:
    """The monitor's configuration file, as files/monitor/README.md describes it: one line of JSON with sorted keys."""
    found = {"lease": {"namespace": options["namespace"], "name": lease}, "socket": f"{_RUN_DIR}/monitor.sock"}
    if options["cluster_name"]:
        found["cluster"] = options["cluster_name"]
    if options["tags"]:
        found["tags"] = text_values(options["tags"])
    if metrics_scrape.wants_metrics(options):
        found["listen"] = f":{options['metrics']['port']}"
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def part(options: dict, facts: dict) -> dict:
    """Its share of the pod, as cluster_monitor describes it."""
    name = options["monitor"].get("name") or default_name(options)
    text = config(options, name)
    # A name of its own for each content: a pod of the previous revision keeps its configuration, also when it starts again.
    config_map = f"{options['name']}-monitor-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    ports = metrics_scrape.container_ports(options)
    return {
        "container": {
            # Named, so that a wrong image does not run something else with these rights.
            "command": [MONITOR],
            "args": ["run"],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "readinessProbe": _probe(["ready", "--wait", "4s"], period=10),
            "livenessProbe": {**_probe(["live"], period=30), "initialDelaySeconds": 30},
            **({"ports": ports} if ports else {}),
        },
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "mounts": [{"name": "config", "mountPath": _CONFIG_DIR, "readOnly": True}, {"name": "run", "mountPath": _RUN_DIR}],
        "volumes": [{"name": "config", "configMap": {"name": config_map}}, {"name": "run", "emptyDir": {}}],
        "pod": {
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **run_as(facts.get("platforms") or [])},
            "terminationGracePeriodSeconds": 10,
            "affinity": _affinity(options),
        },
        "annotations": metrics_scrape.pod_annotations(options, facts),
        "objects": [
            made(options, "v1", "ConfigMap", config_map, data={"monitor.json": text}, immutable=True),
            *_lease(options, name),
            *_network_policy(options, facts),
        ],
    }


def _affinity(options):
    """Real nodes of an architecture that there is an image for; replicas apart where that can be."""
    given = {}
    if (options["monitor"].get("replicas") or 1) > 1:
        apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector(options)}}
        given = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]}}
    return scheduling.affinity({**options, "affinity": given, "control_plane": True})


def _lease(options, name):
    """The Lease by which replicas agree on the one that speaks, and the right to change just that one.

    It is made here and not by the monitor: the right to create one cannot be bound to a name, and it goes with the rest.
    """
    group = "coordination.k8s.io"
    subjects = [{"kind": "ServiceAccount", "name": f"{options['name']}-monitor", "namespace": options["namespace"]}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    rules = [{"apiGroups": [group], "resources": ["leases"], "resourceNames": [name], "verbs": ["get", "update"]}]
    return [
        made(options, f"{group}/v1", "Lease", name),
        made(options, "rbac.authorization.k8s.io/v1", "Role", name, rules=rules),
        made(options, "rbac.authorization.k8s.io/v1", "RoleBinding", name, roleRef=reference, subjects=subjects),
    ]


def _network_policy(options, facts):
    """Leave to reach the API server, on top of the installation's policy. By port: its addresses may change at any time."""
    if not options.get("network_policy"):
        return []
    spec = {
        "podSelector": {"matchLabels": selector(options)},
        "policyTypes": ["Egress"],
        "egress": [{"ports": [{"protocol": "TCP", "port": port} for port in api_ports(facts)]}],
    }
    return [made(options, "networking.k8s.io/v1", "NetworkPolicy", default_name(options), spec=spec)]


def _probe(what, period):
    # Exec probes on a Unix socket, as the collector's: no port of the pod is open. There is no startup probe, which would end a
    # monitor that lacks a right again and again.
    return {"exec": {"command": [MONITOR, "health", *what]}, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": 3}
