# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster monitor: one agent that watches the Kubernetes API itself, with rights of its own. Pure.

Whose monitor it is the profile says: monitor_bundled or monitor_spyderbat, each with CONTAINER (the container's name),
resources(facts) by default, SHARES_ACCOUNT_ANNOTATIONS (whether its service account gets the agent's), default_name(options),
image(options), selector(options), check(options), rules(options) of its ClusterRole, and part(options, facts), its share of the
pod: {"container": fields, "env", "mounts", "volumes", "pod": fields of the spec, "annotations", "objects"}.

The vendor's chart lets node agent and monitor share a service account; here the node agent has no rights, so that who
takes over a node does not get the monitor's.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import monitor_bundled, monitor_spyderbat, pod_extras, scheduling, sizing
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import check_trimmed, is_pinned, parse_reference, pull_policy
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count, check_dns_label, check_labels, text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made, own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.update_strategy import readiness_fields

_PROFILES = {"bundled": monitor_bundled, "spyderbat": monitor_spyderbat}
_RBAC = "rbac.authorization.k8s.io"


def enabled(options: dict) -> bool:
    """Whether there is to be a monitor."""
    return bool((options.get("monitor") or {}).get("enabled"))


def image(options: dict) -> str:
    """The monitor's image, of an installation that has one."""
    return _own(options).image(options)


def check(options: dict) -> None:
    """Failure for a monitor that there is not, and for values that the API server would refuse."""
    _check_values(options)
    if not enabled(options):
        if options.get("rbac") not in (None, "read_only"):
            raise Failure(f"rbac {options['rbac']} is the cluster monitor's, which is off", "set monitor.enabled: true; the node agent itself gets no rights")
        return
    if options["profile"] not in _PROFILES:
        raise Failure(f"the profile {options['profile']} has no cluster monitor", "set monitor.enabled: false, or use the profile bundled or spyderbat")
    monitor = options["monitor"]
    check_dns_label("monitor.name", _name(options))
    if _replicas(options) < 1:
        raise Failure(f"monitor.replicas {monitor['replicas']} is below 1", "use 1 or more, or set monitor.enabled: false")
    if options["profile"] == "bundled" and options["verifier"] and _name(options) == f"{options['name']}-verifier":
        raise Failure(f"monitor.name {_name(options)} is the name of the verifier's Role (verifier)", "choose another monitor.name")
    _own(options).check(options)
    reference = image(options)
    parse_reference(reference)
    check_trimmed("monitor.image", reference)
    if options["require_digest"] and not is_pinned(reference):
        raise Failure(f"monitor.image {reference} is not pinned by a digest", "write it as name@sha256:..., or set require_digest: false")


def _check_values(options):
    """Failure for values that no monitor could have, whether it is on or off."""
    monitor = options.get("monitor") or {}
    if monitor.get("replicas") is not None:
        check_count("monitor.replicas", monitor["replicas"])
    sizing.check_resources("monitor.resources", monitor.get("resources"))
    scheduling.check_tolerations("monitor.tolerations", monitor.get("tolerations"))
    check_labels("monitor.node_selector", monitor.get("node_selector"), reserved=("kubernetes.io/os",))


def labels_left_out(options: dict) -> list[str]:
    """Those of the user's labels of pods that the monitor's cannot have, since it is chosen by them."""
    return sorted(set(_own(options).selector(options)) & set(text_values(options.get("pod_labels")))) if enabled(options) else []


def objects(options: dict, facts: dict, pull_secrets: list[str], account_annotations: dict) -> list[dict]:
    """Service account, rights, Deployment and disruption budget of the monitor; nothing when it is off.

    account_annotations: those of the agent's service account.
    """
    if not enabled(options):
        return []
    own = _own(options)
    part = own.part(options, facts)
    notes = account_annotations if own.SHARES_ACCOUNT_ANNOTATIONS else text_values(options.get("service_account_annotations"))
    account = made(options, "v1", "ServiceAccount", _account(options), annotations=notes, automountServiceAccountToken=False)
    found = [account, *_rights(options), *part["objects"], _deployment(options, facts, part, pull_secrets)]
    budget = options["monitor"].get("pod_disruption_budget")
    if _replicas(options) > 1 if budget is None else budget:
        # With minAvailable 1 a single replica would hold up the draining of its node for ever.
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": own.selector(options)}}
        found.append(made(options, "policy/v1", "PodDisruptionBudget", _name(options), spec=spec))
    return found


def _rights(options):
    role = f"{options['namespace']}.{_account(options)}"
    made_role = options.get("rbac") != "cluster_admin"
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role if made_role else "cluster-admin"}
    subjects = [{"kind": "ServiceAccount", "name": _account(options), "namespace": options["namespace"]}]
    binding = made(options, f"{_RBAC}/v1", "ClusterRoleBinding", role, namespaced=False, roleRef=reference, subjects=subjects)
    if not made_role:
        return [binding]
    return [made(options, f"{_RBAC}/v1", "ClusterRole", role, namespaced=False, rules=_own(options).rules(options)), binding]


def _deployment(options, facts, part, pull_secrets):
    own, monitor = _own(options), options["monitor"]
    reference = own.image(options)
    container = {
        "name": own.CONTAINER,
        "image": reference,
        "imagePullPolicy": options.get("image_pull_policy") or pull_policy(reference),
        "env": [*part["env"], *pod_extras.extra_env(options)],
        "resources": sizing.as_resources(monitor.get("resources") or own.resources(facts)),
        **part["container"],
    }
    pod_extras.check_unique("the cluster monitor's variable", "name", container["env"])
    spec = {
        "serviceAccountName": _account(options),
        "automountServiceAccountToken": True,
        "nodeSelector": {"kubernetes.io/os": "linux", **text_values(monitor.get("node_selector"))},
        "containers": [container],
        **part["pod"],
    }
    if part["mounts"]:
        container["volumeMounts"], spec["volumes"] = part["mounts"], part["volumes"]
    if monitor.get("tolerations"):
        spec["tolerations"] = scheduling.tolerations(monitor["tolerations"])
    if options["priority_class"]:
        spec["priorityClassName"] = options["priority_class"]["name"]
    if pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    annotations = {**text_values(options.get("pod_annotations")), **part["annotations"]}
    labels = {**text_values(options.get("pod_labels")), **own_pod_labels(options["name"]), "app.kubernetes.io/component": "cluster-monitor"}
    metadata = {"labels": {**labels, **own.selector(options)}, **({"annotations": annotations} if annotations else {})}
    body = {
        "replicas": _replicas(options),
        "selector": {"matchLabels": own.selector(options)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        **readiness_fields(container),
        "template": {"metadata": metadata, "spec": spec},
    }
    return made(options, "apps/v1", "Deployment", _name(options), spec=body)


def _own(options):
    return _PROFILES[options["profile"]]


def _name(options):
    return options["monitor"].get("name") or _own(options).default_name(options)


def _replicas(options):
    replicas = options["monitor"].get("replicas")
    return 1 if replicas is None else replicas


def _account(options):
    return f"{options['name']}-monitor"
