# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the agent module's options to the objects that the cluster shall hold. Pure, and the same bytes every time."""

from __future__ import annotations

import base64
import json
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import is_pinned
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_template import collector_config, pod_template

# pod-security.kubernetes.io: hostPath volumes and the capabilities BPF and PERFMON are not in the baseline level.
_POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
# A PriorityClass of a user may not be higher than this (HighestUserDefinablePriority).
_HIGHEST_PRIORITY = 1_000_000_000
_LOWEST_PRIORITY = -2_147_483_648


def desired_objects(options: dict) -> list[dict]:
    """All objects in apply order: namespace, the ApplySet's parent, members; the DaemonSet last.

    options: the agent module's options after its argument spec; Failure names the option that does not fit.
    """
    check_options(options)
    name, namespace = options["name"], options["namespace"]
    members = [*_service_accounts(options), *_verifier_rights(options), *_priority_class(options), *_pull_secret(options)]
    members += [_config_map(options), _daemon_set(options)]
    if options["create_namespace"]:
        members.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {**_labels(options), **_POD_SECURITY}}})
    members.sort(key=lambda member: INSTALL_ORDER.index(member["kind"]))
    identifier = applyset.set_id(name, namespace)
    parent = applyset.parent(name, namespace, members, _labels(options))
    enrolled = [applyset.enrol(member, identifier) for member in members]
    first = 1 if options["create_namespace"] else 0
    return enrolled[:first] + [parent] + enrolled[first:]


def check_options(options: dict) -> None:
    """Failure for options that the argument spec lets through and that cannot work."""
    image = options.get("image")
    if not image:
        raise Failure("image is missing", "set image to the reference that collector_image returned, name@sha256:...")
    if options["require_digest"] and not is_pinned(image):
        raise Failure(
            f"the image {image} is not pinned by a digest",
            "use the reference that collector_image returned (name@sha256:...), or set require_digest: false",
        )
    priority = options["priority_class"]
    if priority and priority["create"] and not _LOWEST_PRIORITY <= priority["value"] <= _HIGHEST_PRIORITY:
        raise Failure(
            f"priority_class.value {priority['value']} is out of bounds",
            f"choose a value up to {_HIGHEST_PRIORITY:,} (100-1000 is low, 100,000 and more very high)",
        )
    if not re.fullmatch(r"[1-9][0-9]*|[1-9][0-9]?%|100%", options["max_unavailable"]):
        raise Failure(f"max_unavailable {options['max_unavailable']!r} is no number above 0 and no percentage", "use for example 1 or 10%")
    ring = options["ring_bytes"]
    if ring < 65536 or ring & (ring - 1):
        raise Failure(f"ring_bytes {ring} is no power of two of at least 65536", "use for example 4194304")
    for key in options["resources"]:
        if key not in ("requests", "limits"):
            raise Failure(f"resources.{key} is not known", "use requests and limits")


def daemon_set_labels(name: str) -> dict:
    """The labels by which the DaemonSet finds its pods."""
    return {"app.kubernetes.io/name": "nanoagent", "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "node-agent"}


def _labels(options):
    return {
        "app.kubernetes.io/name": "nanoagent",
        "app.kubernetes.io/instance": options["name"],
        "app.kubernetes.io/managed-by": "nanoagent.k8s",
    }


def _object(options, api_version, kind, name, namespaced=True, **body):
    metadata = {"name": name, "labels": _labels(options)}
    if namespaced:
        metadata["namespace"] = options["namespace"]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def _service_accounts(options):
    names = [options["service_account"]] + ([_verifier(options)] if options["verifier"] else [])
    return [_object(options, "v1", "ServiceAccount", name, automountServiceAccountToken=False) for name in names]


def _verifier(options):
    return f"{options['name']}-verifier"


def _cluster_scoped(options):
    # Two installations in one cluster must not share a cluster-scoped object.
    return f"{options['namespace']}-{_verifier(options)}"


def _verifier_rights(options):
    """Just what agent_info needs: read nodes; in the agent's namespace read the agent and run its prove command."""
    if not options["verifier"]:
        return []
    rbac = "rbac.authorization.k8s.io/v1"
    subjects = [{"kind": "ServiceAccount", "name": _verifier(options), "namespace": options["namespace"]}]

    def role_ref(kind, name):
        return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}

    reads = [
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
        {"apiGroups": ["apps"], "resources": ["daemonsets", "controllerrevisions"], "verbs": ["get", "list", "watch"]},
    ]
    nodes = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]
    cluster_name, name = _cluster_scoped(options), _verifier(options)
    return [
        _object(options, rbac, "ClusterRole", cluster_name, namespaced=False, rules=nodes),
        _object(options, rbac, "ClusterRoleBinding", cluster_name, namespaced=False, roleRef=role_ref("ClusterRole", cluster_name), subjects=subjects),
        _object(options, rbac, "Role", name, rules=reads),
        _object(options, rbac, "RoleBinding", name, roleRef=role_ref("Role", name), subjects=subjects),
    ]


def _priority_class(options):
    priority = options["priority_class"]
    if not priority or not priority["create"]:
        return []
    description = "Lets the node agent find a place on a full node."
    return [_object(options, "scheduling.k8s.io/v1", "PriorityClass", priority["name"], namespaced=False, value=priority["value"], description=description)]


def _pull_secret(options):
    login = options["registry_login"]
    if not login:
        return []
    pair = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
    auths = {"auths": {login["registry"]: {"username": login["username"], "password": login["password"], "auth": pair}}}
    data = {".dockerconfigjson": base64.b64encode(json.dumps(auths, sort_keys=True).encode()).decode()}
    return [_object(options, "v1", "Secret", login["secret_name"], type="kubernetes.io/dockerconfigjson", data=data)]


def _config_name(options):
    return f"{options['name']}-collector"


def _config_map(options):
    return _object(options, "v1", "ConfigMap", _config_name(options), data={"collector.json": collector_config(options)})


def _number_or_percent(text):
    return int(text) if text.isdigit() else text


def _daemon_set(options):
    labels = daemon_set_labels(options["name"])
    spec = {
        "selector": {"matchLabels": labels},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": _number_or_percent(options["max_unavailable"])}},
        "template": pod_template(options, labels, _config_name(options)),
    }
    return _object(options, "apps/v1", "DaemonSet", options["name"], spec=spec)
