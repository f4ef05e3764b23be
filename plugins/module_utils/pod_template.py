# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node agent's pod template. Pure, and the same bytes for the same options."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import pull_policy

CONTAINER = "collector"
COLLECTOR = "/collector"
_CONFIG_DIR = "/etc/nanoagent"
_RUN_DIR = "/run/nanoagent"
_POD_LOGS = "/host/var/log"
CONFIG_HASH = "nanoagent.k8s/config-sha256"

# Nodes on which a DaemonSet pod can never run, or only seems to.
_NOT_REAL = (
    {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
    {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet", "kwok"]},
    {"key": "kwok.x-k8s.io/node", "operator": "DoesNotExist"},
)
_CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def collector_config(options: dict) -> str:
    """The collector's configuration file, as files/ebpf/README.md describes it: one line of JSON with sorted keys."""
    config = {
        "events": options["events"],
        "pod_logs": _POD_LOGS,
        "ring_bytes": options["ring_bytes"],
        "socket": f"{_RUN_DIR}/collector.sock",
    }
    if options["cluster_name"]:
        config["cluster"] = options["cluster_name"]
    if options["tags"]:
        config["tags"] = {key: str(value) for key, value in options["tags"].items()}
    return json.dumps(config, sort_keys=True, separators=(",", ":"))


def pod_template(options: dict, labels: dict, config_map: str) -> dict:
    """The DaemonSet's spec.template.

    options: the agent module's options; labels: the selector's labels; config_map: name of the ConfigMap that holds
    the file of collector_config.
    """
    config = collector_config(options)
    spec = {
        "serviceAccountName": options["service_account"],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 10,
        "nodeSelector": {"kubernetes.io/os": "linux", **(options["node_selector"] or {})},
        "affinity": _affinity(options),
        "containers": [_container(options)],
        "volumes": [
            {"name": "config", "configMap": {"name": config_map}},
            {"name": "run", "emptyDir": {}},
            {"name": "pod-logs", "hostPath": {"path": "/var/log/pods", "type": "Directory"}},
            {"name": "container-logs", "hostPath": {"path": "/var/log/containers", "type": "Directory"}},
        ],
    }
    if options["tolerations"]:
        spec["tolerations"] = options["tolerations"]
    if options["priority_class"]:
        spec["priorityClassName"] = options["priority_class"]["name"]
    secrets = pull_secret_names(options)
    if secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in secrets]
    annotations = {CONFIG_HASH: hashlib.sha256(config.encode()).hexdigest()}
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}


def pull_secret_names(options: dict) -> list[str]:
    """The pull secrets of the pod: the one made from a login, then the existing ones."""
    made = [options["registry_login"]["secret_name"]] if options["registry_login"] else []
    return made + [name for name in options["image_pull_secrets"] if name not in made]


def _container(options):
    return {
        "name": CONTAINER,
        "image": options["image"],
        "imagePullPolicy": pull_policy(options["image"]),
        "args": ["run"],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}}],
        "resources": {key: {name: str(value) for name, value in amounts.items()} for key, amounts in options["resources"].items()},
        "securityContext": _security_context(options),
        # It waits by itself, since the kubelet asks once a second at most and the collector is ready in a fraction of that.
        "startupProbe": _probe(["ready", "--wait", "4s"], period=1, failures=15),
        "readinessProbe": _probe(["ready"], period=10, failures=3),
        "livenessProbe": _probe(["live"], period=30, failures=3),
        "volumeMounts": [
            {"name": "config", "mountPath": _CONFIG_DIR, "readOnly": True},
            {"name": "run", "mountPath": _RUN_DIR},
            {"name": "pod-logs", "mountPath": f"{_POD_LOGS}/pods", "readOnly": True},
            {"name": "container-logs", "mountPath": f"{_POD_LOGS}/containers", "readOnly": True},
        ],
    }


def _probe(what, period, failures):
    # An exec probe: the collector listens on a Unix socket only, so that no port of the pod is open.
    return {"exec": {"command": [COLLECTOR, "health", *what]}, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures}


def _security_context(options):
    if options["privileged"]:
        return {"privileged": True, "readOnlyRootFilesystem": True, "runAsUser": 0}
    # Capabilities reach a process only as root here: file capabilities would need privilege escalation.
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"add": ["BPF", "PERFMON"], "drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsUser": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _affinity(options):
    expressions = [{"key": "kubernetes.io/arch", "operator": "In", "values": list(options["architectures"])}]
    if options["real_nodes_only"]:
        expressions.extend(_NOT_REAL)
    if not options["control_plane"]:
        expressions.extend({"key": key, "operator": "DoesNotExist"} for key in _CONTROL_PLANE_LABELS)
    terms = {"nodeSelectorTerms": [{"matchExpressions": [dict(expression) for expression in expressions]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
