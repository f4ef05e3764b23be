# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an uninstall must not take, what it cannot take yet, and why. Pure."""

from __future__ import annotations

import re
from collections.abc import Set

from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import Kind, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import why_down
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import daemon_set_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, records, text

# What runs, holds data or gives an address: a namespace of ours in which these cannot be looked for is kept.
KINDS_THAT_MATTER = ("Pod", "PersistentVolumeClaim", "Secret", "ConfigMap", "Service", "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")
# (group, plural) of what nobody loses with a namespace: what is written about other objects there or follows from them, and
# locks, which whoever holds one makes again. The last two are other names of what RBAC's own group has.
_WITHOUT_WORTH = {
    ("", "events"),
    ("events.k8s.io", "events"),
    ("", "endpoints"),
    ("discovery.k8s.io", "endpointslices"),
    ("apps", "controllerrevisions"),
    ("coordination.k8s.io", "leases"),
    ("wgpolicyk8s.io", "policyreports"),
    ("openreports.io", "reports"),
    ("authorization.openshift.io", "roles"),
    ("authorization.openshift.io", "rolebindings"),
}
# What controllers put into every namespace: Kubernetes' own, and those of OpenShift, Istio and GKE.
_AUTOMATIC = {
    "ConfigMap": ("kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert"),
    "ServiceAccount": ("default", "builder", "deployer"),
    "RoleBinding.rbac.authorization.k8s.io": ("system:image-pullers", "system:image-builders", "system:deployers"),
    "ResourceQuota": ("gke-resource-quotas",),
}
# On the copies that OLM makes of an operator's description.
_COPIED = "olm.copiedFrom"
# Of the NetworkPolicies of Kubernetes that Calico's API shows as some of its own.
_CALICOS_VIEW = "knp.default."
_AUTOMATIC_SECRETS = ("kubernetes.io/service-account-token", "kubernetes.io/dockercfg")
# What the controllers of DaemonSets and Deployments put on their pods: a pod that somebody made by hand may have our labels too.
_MADE_BY_A_CONTROLLER = {"controller-revision-hash", "pod-template-hash"}
_WORKLOADS = ("DaemonSet", "Deployment")
_SHOWN = 3


def own_selectors(name: str, members: list[dict], left_behind: dict | None = None) -> list[dict]:
    """The labels by which pods are found: those of the DaemonSet `name` of ours, and of every workload among `members`.

    left_behind: the labels of pods that an earlier DaemonSet left.
    """
    found = [labels for labels in (daemon_set_labels(name), left_behind) if labels]
    for member in members:
        labels = ((member.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if labels and labels not in found and member["kind"] in _WORKLOADS:
            found.append(labels)
    return found


def own_workloads(name: str, namespace: str, members: list[dict]) -> set[tuple[str, str, str]]:
    """Identities of the workloads among `members` and of the DaemonSet, whose pods may outlast it."""
    return {("DaemonSet", namespace, name), *(identity(member) for member in members if member["kind"] in _WORKLOADS)}


def controller_of(obj: dict) -> tuple[str, str, str] | None:
    """(kind, namespace, name) of what keeps the object, which is the Deployment for a pod of its ReplicaSets; None where nothing does."""
    owner = next((owner for owner in records(at(obj, "metadata", "ownerReferences")) if owner.get("controller")), None)
    if owner is None:
        return None
    kind, name, revision = text(owner.get("kind")), text(owner.get("name")), text(at(obj, "metadata", "labels", "pod-template-hash"))
    if kind == "ReplicaSet" and revision and name.endswith(f"-{revision}"):
        kind, name = "Deployment", name.removesuffix(f"-{revision}")
    return kind, text(at(obj, "metadata", "namespace")), name


def is_own_pod(pod: dict, selectors: list[dict], workloads: Set[tuple]) -> bool:
    """Whether the pod carries all labels of one of the selectors, and nothing keeps it but one of our workloads: others may choose the same labels."""
    labels = pod["metadata"].get("labels") or {}
    chosen = any(all(labels.get(key) == value for key, value in selector.items()) for selector in selectors)
    return chosen and controller_of(pod) in (None, *workloads)


def is_orphan(pod: dict, selectors: list[dict]) -> bool:
    """Whether the pod is ours, a controller made it, and none would end it."""
    made = not _MADE_BY_A_CONTROLLER.isdisjoint(pod["metadata"].get("labels") or {})
    return made and controller_of(pod) is None and is_own_pod(pod, selectors, set())


def has_worth(kind: Kind) -> bool:
    """Whether somebody would miss an object of this kind that is gone with its namespace."""
    return (kind.group, kind.plural) not in _WITHOUT_WORTH


def foreign_objects(found: list[dict], members: list[dict], selectors: list[dict], workloads: Set[tuple]) -> list[dict]:
    """Those of `found`, objects in our namespace, that are somebody else's and would be lost with it.

    members: the live objects of our set, its parent and workloads among them. selectors, workloads: as for is_own_pod. What is
    ending anyway is left out, and what belongs to an object that is there: either that is told, or it goes too. Each is told
    once, whatever groups serve it.
    """
    uids = {member["metadata"]["uid"] for member in members}
    lasting = {obj["metadata"]["uid"]: obj for obj in reversed(found) if obj["metadata"].get("uid") and not obj["metadata"].get("deletionTimestamp")}
    owners = uids | lasting.keys()
    distinct = [obj for obj in found if lasting.get(obj["metadata"].get("uid")) is obj]
    return [obj for obj in distinct if not _is_own(obj, uids, selectors, workloads) and not _is_automatic(obj) and owners.isdisjoint(_owners(obj))]


def summary_of(objects: list[dict]) -> str:
    """`Pod a/b, Secret a/c and 4 more`, for objects in namespaces, of whatever kind."""
    return first_of([f"{obj['kind']} {obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in objects])


def first_of(names: list[str]) -> str:
    """`a, b, c and 4 more`."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def resources_of(kinds: list[Kind]) -> str:
    """`ingresses.networking.k8s.io, roles.rbac.authorization.k8s.io and 4 more`."""
    return first_of([kind.resource for kind in kinds])


def is_owed(pod: dict, nodes: dict[str, dict]) -> bool:
    """Whether only the kubelet of a node that is down can end this pod. nodes: name -> Node."""
    node = nodes.get((pod.get("spec") or {}).get("nodeName") or "")
    return bool(node and why_down(node) and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"))


def leftover(obj: dict, nodes: dict[str, dict], uids: set[str]) -> dict:
    """{"object", "node", "reason"}: an object that is still there, on which node, and what holds it.

    nodes: name -> Node. uids: those of the objects that were to go.
    """
    node = (obj.get("spec") or {}).get("nodeName") or "" if obj["kind"] == "Pod" else ""
    return {"object": title(obj), "node": node, "reason": _reason(obj, nodes.get(node), node, uids)}


def made_again(obj: dict, uids: set[str]) -> bool:
    """Whether this is another object than the one that was to go; a controller's pods are none that somebody makes."""
    return obj["kind"] != "Pod" and obj["metadata"]["uid"] not in uids


def waiting_namespace(home: dict) -> dict:
    """The entry of a namespace that only waits for pods on nodes that are down."""
    return {"object": title(home), "node": "", "reason": "it ends when the pods that are owed are gone"}


def only_pods_hold(home: dict) -> bool:
    """Whether the namespace controller has looked into an ending namespace and found pods there and nothing else.

    The condition types are those of NamespaceConditionType in the API; the formats of their messages are those of
    pkg/controller/namespace/deletion in Kubernetes, which counts pods that should have ended by now as a failure.
    """
    told = {c.get("type"): c.get("message") or "" for c in (home.get("status") or {}).get("conditions") or [] if c.get("status") == "True"}
    remaining = re.findall(r"(\S+?)\.\S* has \d+ resource instances", told.pop("NamespaceContentRemaining", ""))
    failure = told.pop("NamespaceDeletionContentFailure", "")
    unexpected = re.findall(r"Resource=(\w+)", failure)
    count = re.search(r"(\d+) remaining", failure)
    return not told and {*remaining, *unexpected} == {"pods"} and (not failure or (count is not None and int(count[1]) == len(unexpected)))


def _owners(obj):
    return {reference.get("uid") for reference in obj["metadata"].get("ownerReferences") or []}


def _is_own(obj, uids, selectors, workloads):
    # A ReplicaSet carries the labels of its pods.
    return obj["metadata"]["uid"] in uids or bool(_owners(obj) & uids) or (obj["kind"] in ("Pod", "ReplicaSet") and is_own_pod(obj, selectors, workloads))


def _is_automatic(obj):
    metadata, group = obj["metadata"], obj.get("apiVersion", "").rpartition("/")[0]
    if metadata["name"] in _AUTOMATIC.get(f"{obj['kind']}.{group}" if group else obj["kind"], ()) or _COPIED in (metadata.get("labels") or {}):
        return True
    if group == "projectcalico.org":
        return metadata["name"].startswith(_CALICOS_VIEW)
    return obj["kind"] == "Secret" and obj.get("type") in _AUTOMATIC_SECRETS


def _reason(obj, node, node_name, uids):
    metadata = obj["metadata"]
    finalizers = list(metadata.get("finalizers") or [])
    if made_again(obj, uids):
        return f"made again by {_last_manager(obj)} while it was being removed"
    if obj["kind"] == "Pod" and node and why_down(node):
        why = why_down(node).rstrip(".")
        return f"node {node_name} is down ({why}): its kubelet ends the pod when it comes back; if the machine is gone for good, delete the Node"
    if finalizers:
        return f"held by the finalizer{'s' if len(finalizers) > 1 else ''} {', '.join(finalizers)}"
    if obj["kind"] == "Namespace":
        told = [c.get("message") or c.get("type") for c in (obj.get("status") or {}).get("conditions") or [] if c.get("status") == "True"]
        return " ".join("; ".join(told).split()) or "still ending"
    if obj["kind"] == "Pod" and node_name and not node:
        return f"node {node_name} does not exist: the control plane removes the pod by itself within minutes"
    ends = metadata.get("deletionTimestamp")
    return f"still ending; its time was up at {ends}" if ends else "not asked to end yet"


def _last_manager(obj):
    entries = [entry for entry in obj["metadata"].get("managedFields") or [] if not entry.get("subresource")]
    return max(entries, key=lambda entry: entry.get("time") or "")["manager"] if entries else "somebody"
