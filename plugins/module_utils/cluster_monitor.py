# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster monitor: one agent that watches the Kubernetes API itself, with rights of its own. Pure.

The vendor's chart lets node agent and monitor share a service account; here the node agent has no rights, so that who
takes over a node does not get the monitor's.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import credentials, outbound, pod_extras, profile_spyderbat, sizing
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import is_pinned, parse_reference, pull_policy
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_label, check_labels, text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made, own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.scheduling import check_tolerations

CONTAINER = "clustermonitor"
_NAME = "clustermonitor-deployment"
_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
# What the vendor's read-only role names, with each group spelt out, and the pods; no Secrets, no ConfigMaps.
_READABLE = {
    "": ["endpoints", "events", "namespaces", "nodes", "pods", "serviceaccounts", "services"],
    "apps": ["daemonsets", "deployments", "replicasets", "statefulsets"],
    "batch": ["cronjobs", "jobs"],
    "discovery.k8s.io": ["endpointslices"],
    "events.k8s.io": ["events"],
    _RBAC: ["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
}


def enabled(options: dict) -> bool:
    """Whether there is to be a monitor."""
    return bool((options.get("monitor") or {}).get("enabled"))


def check(options: dict) -> None:
    """Failure for a monitor that there is not, and for values that the API server would refuse."""
    if not enabled(options):
        if options.get("rbac") not in (None, "read_only"):
            raise Failure(f"rbac {options['rbac']} is the cluster monitor's, which is off", "set monitor.enabled: true; the node agent itself gets no rights")
        return
    if options["profile"] != "spyderbat":
        what = "our own cluster monitor is not in this release" if options["profile"] == "bundled" else "the profile custom has no cluster monitor"
        raise Failure(what, "set monitor.enabled: false, or profile: spyderbat for the vendor's")
    monitor = options["monitor"]
    check_dns_label("monitor.name", _name(options))
    if _replicas(options) < 1:
        raise Failure(f"monitor.replicas {monitor['replicas']} is below 1", "use 1 or more, or set monitor.enabled: false")
    parse_reference(_image(options))
    if options["require_digest"] and not is_pinned(_image(options)):
        raise Failure(f"monitor.image {_image(options)} is not pinned by a digest", "write it as name@sha256:..., or set require_digest: false")
    sizing.check_resources("monitor.resources", monitor.get("resources"))
    check_tolerations("monitor.tolerations", monitor.get("tolerations"))
    check_labels("monitor.node_selector", monitor.get("node_selector"), reserved=("kubernetes.io/os",))


def objects(options: dict, facts: dict, pull_secrets: list[str], account_annotations: dict) -> list[dict]:
    """Service account, rights, Deployment and disruption budget of the monitor; nothing when it is off."""
    if not enabled(options):
        return []
    account = made(options, "v1", "ServiceAccount", _account(options), annotations=account_annotations, automountServiceAccountToken=False)
    found = [account, *_rights(options), _deployment(options, facts, pull_secrets)]
    budget = options["monitor"].get("pod_disruption_budget")
    if _replicas(options) > 1 if budget is None else budget:
        # With minAvailable 1 a single replica would hold up the draining of its node for ever.
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": _selector(options)}}
        found.append(made(options, "policy/v1", "PodDisruptionBudget", _name(options), spec=spec))
    return found


def _rights(options):
    role = f"{options['namespace']}-{_account(options)}"
    made_role = options.get("rbac") != "cluster_admin"
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role if made_role else "cluster-admin"}
    subjects = [{"kind": "ServiceAccount", "name": _account(options), "namespace": options["namespace"]}]
    binding = made(options, f"{_RBAC}/v1", "ClusterRoleBinding", role, namespaced=False, roleRef=reference, subjects=subjects)
    if not made_role:
        return [binding]
    rules = [{"apiGroups": [group], "resources": resources, "verbs": _READ} for group, resources in _READABLE.items()]
    if options.get("rbac") == "respond":
        rules.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]})
    return [made(options, f"{_RBAC}/v1", "ClusterRole", role, namespaced=False, rules=rules), binding]


def _deployment(options, facts, pull_secrets):
    monitor, image = options["monitor"], _image(options)
    code, authorities = credentials.part(options, facts), outbound.ca_part(options)
    container = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": options.get("image_pull_policy") or pull_policy(image),
        "env": [
            *code["env"],
            {"name": "K8SMONITOR", "value": "yes"},
            *profile_spyderbat.shared_env(options, facts),
            *outbound.proxy_env(options),
            *authorities["env"],
            *pod_extras.extra_env(options),
        ],
        "resources": sizing.as_resources(monitor.get("resources") or profile_spyderbat.DEFAULTS["resources"]),
        "securityContext": {"allowPrivilegeEscalation": False, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    pod_extras.check_unique("the cluster monitor's variable", "name", container["env"])
    spec = {
        "serviceAccountName": _account(options),
        "automountServiceAccountToken": True,
        "nodeSelector": {"kubernetes.io/os": "linux", **text_values(monitor.get("node_selector"))},
        "containers": [container],
    }
    mounts, volumes = code["mounts"] + authorities["mounts"], code["volumes"] + authorities["volumes"]
    if mounts:
        container["volumeMounts"], spec["volumes"] = mounts, volumes
    if monitor.get("tolerations"):
        spec["tolerations"] = monitor["tolerations"]
    if options["priority_class"]:
        spec["priorityClassName"] = options["priority_class"]["name"]
    if pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    annotations = {**text_values(options.get("pod_annotations")), **code["annotations"]}
    labels = {**text_values(options.get("pod_labels")), **own_pod_labels(options["name"]), "app.kubernetes.io/component": "cluster-monitor"}
    metadata = {"labels": {**labels, **_selector(options)}, **({"annotations": annotations} if annotations else {})}
    body = {
        "replicas": _replicas(options),
        "selector": {"matchLabels": _selector(options)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": metadata, "spec": spec},
    }
    return made(options, "apps/v1", "Deployment", _name(options), spec=body)


def _selector(options):
    # The chart's selector, which is immutable.
    return {"app": CONTAINER}


def _name(options):
    return options["monitor"].get("name") or _NAME


def _replicas(options):
    replicas = options["monitor"].get("replicas")
    return 1 if replicas is None else replicas


def _image(options):
    return options["monitor"].get("image") or options["image"]


def _account(options):
    return f"{options['name']}-monitor"
