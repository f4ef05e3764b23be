# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import leftovers
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, Kind
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import daemon_set_labels

UIDS = (f"uid-{number}" for number in itertools.count())
OWN = daemon_set_labels("n")
READY = {"type": "Ready", "status": "True", "message": "kubelet is posting ready status"}
SILENT = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
NODES = {name: {"kind": "Node", "metadata": {"name": name}, "status": {"conditions": [condition]}} for name, condition in (("up", READY), ("down", SILENT))}


def obj(kind, name="x", labels=None, owners=(), status=None, spec=None, **metadata):
    metadata = {"name": name, "namespace": "n", "uid": next(UIDS), "labels": labels or {}, **metadata}
    if owners:
        metadata["ownerReferences"] = [
            {"uid": owner["metadata"]["uid"], "kind": owner["kind"], "name": owner["metadata"]["name"], "controller": True} for owner in owners
        ]
    return {"kind": kind, "metadata": metadata, "spec": spec or {}, "status": status or {}}


def pod(node="up", **given):
    return obj("Pod", spec={"nodeName": node}, **{"labels": OWN, **given})


def test_pods_are_ours_by_the_labels_of_every_workload():
    monitor = obj("Deployment", spec={"selector": {"matchLabels": {"app": "monitor"}}})
    selectors = leftovers.own_selectors("n", [monitor, obj("ConfigMap")], {"old": "labels"})
    assert selectors == [OWN, {"old": "labels"}, {"app": "monitor"}]
    assert leftovers.own_selectors("n", []) == [OWN]
    assert leftovers.is_own_pod(pod(labels={"app": "monitor", "more": "x"}), selectors, set())
    assert not leftovers.is_own_pod(pod(labels={"app.kubernetes.io/name": "nanoagent"}), selectors, set())


def test_a_pod_that_another_workload_keeps_is_not_ours_whatever_its_labels():
    monitor, theirs = obj("Deployment", name="monitor"), obj("Deployment", name="monitor-theirs")
    workloads = leftovers.own_workloads("n", "n", [monitor, obj("ConfigMap")])
    assert workloads == {("DaemonSet", "n", "n"), ("Deployment", "n", "monitor")}
    labels = {"app": "monitor", "pod-template-hash": "5f"}

    def is_own(*owners, **more):
        return leftovers.is_own_pod(pod(labels={**labels, **more}, owners=owners), [{"app": "monitor"}], workloads)

    # The DaemonSet may be gone already.
    assert is_own() and is_own(obj("DaemonSet", name="n")) and is_own(monitor) and is_own(obj("ReplicaSet", name="monitor-5f"))
    assert not is_own(theirs) and not is_own(obj("ReplicaSet", name="monitor-theirs-5f")) and not is_own(obj("DaemonSet", name="m"))
    assert not is_own(obj("ReplicaSet", name="monitor-5f"), **{"pod-template-hash": "6a"})


def test_what_keeps_an_object():
    assert leftovers.controller_of(pod()) is None and leftovers.controller_of({"metadata": {"ownerReferences": [{"kind": "Bundle", "name": "x"}]}}) is None
    assert leftovers.controller_of(pod(owners=[obj("StatefulSet", name="s")])) == ("StatefulSet", "n", "s")
    assert leftovers.controller_of(pod(owners=[obj("ReplicaSet", name="r-5f")])) == ("ReplicaSet", "n", "r-5f")


def test_an_orphan_is_ours_and_has_no_controller():
    daemon_set = obj("DaemonSet")
    for made in ({"controller-revision-hash": "a"}, {"pod-template-hash": "b"}):
        assert leftovers.is_orphan(pod(labels={**OWN, **made}), [OWN])
        assert not leftovers.is_orphan(pod(labels={**OWN, **made}, owners=[daemon_set]), [OWN]) and not leftovers.is_orphan(pod(labels=made), [OWN])


def test_a_pod_that_no_controller_made_is_no_orphan():
    assert not leftovers.is_orphan(pod(), [OWN])


def test_what_is_foreign():
    daemon_set = obj("DaemonSet")
    theirs = [obj("Pod"), obj("Secret"), obj("ConfigMap"), obj("PersistentVolumeClaim"), obj("Pod", owners=[obj("ReplicaSet")])]
    not_theirs = [
        daemon_set,
        pod(),
        obj("Pod", owners=[daemon_set]),
        obj("Secret", owners=[daemon_set]),
        obj("ConfigMap", name="kube-root-ca.crt"),
        {**obj("Secret"), "type": "kubernetes.io/service-account-token"},
        obj("PersistentVolumeClaim", deletionTimestamp="2026-03-01T12:00:00Z"),
    ]
    assert leftovers.foreign_objects(theirs + not_theirs, [daemon_set], [OWN], {("DaemonSet", "n", "x")}) == theirs
    assert leftovers.summary_of(theirs) == "Pod n/x, Secret n/x, ConfigMap n/x and 2 more"
    assert leftovers.summary_of(theirs[:1]) == "Pod n/x"


def of_group(api_version, kind, **given):
    return {"apiVersion": api_version, **obj(kind, **given)}


def test_of_any_kind_what_controllers_put_into_every_namespace_is_nobodys():
    rbac, olm, calico = "rbac.authorization.k8s.io/v1", "operators.coreos.com/v1alpha1", "projectcalico.org/v3"
    theirs = [
        of_group("v1", "ServiceAccount", name="theirs"),
        of_group("example.com/v1", "ServiceAccount", name="default"),
        of_group(rbac, "RoleBinding", name="admin"),
        of_group(olm, "ClusterServiceVersion", name="own"),
        of_group(calico, "NetworkPolicy", name="default.theirs"),
        of_group("networking.k8s.io/v1", "NetworkPolicy", name="knp.default.x"),
    ]
    automatic = [
        of_group("v1", "ServiceAccount", name="default"),
        of_group("v1", "ServiceAccount", name="builder"),
        of_group("v1", "ResourceQuota", name="gke-resource-quotas"),
        of_group(rbac, "RoleBinding", name="system:image-pullers"),
        of_group(olm, "ClusterServiceVersion", name="copy", labels={"olm.copiedFrom": "elsewhere"}),
        of_group(calico, "NetworkPolicy", name="knp.default.theirs"),
    ]
    assert leftovers.foreign_objects(theirs + automatic, [], [OWN], set()) == theirs


def test_what_belongs_to_an_object_that_is_there_is_not_told_beside_it():
    daemon_set, cluster_wide = obj("DaemonSet"), obj("Bundle")
    own_pod = pod(owners=[daemon_set])
    deployment = obj("Deployment")
    replica_set = obj("ReplicaSet", owners=[deployment])
    ending = obj("Job", deletionTimestamp="2026-03-01T12:00:00Z")
    alone = [obj("Pod", owners=[ending]), obj("Report", owners=[cluster_wide])]
    derived = [obj("Endpoint", owners=[own_pod]), replica_set, obj("Pod", owners=[replica_set]), obj("ReplicaSet", labels=OWN)]
    assert leftovers.foreign_objects([own_pod, *derived, ending, deployment, *alone], [daemon_set], [OWN], set()) == [deployment, *alone]


def test_an_object_that_two_groups_serve_is_told_once_and_a_view_not_at_all():
    ingress = of_group("networking.k8s.io/v1", "Ingress")
    view = of_group("example.com/v1", "View")
    del view["metadata"]["uid"]
    assert leftovers.foreign_objects([ingress, {**ingress, "apiVersion": "extensions/v1beta1"}, view], [], [], set()) == [ingress]


def test_kinds_of_which_nobody_misses_an_object():
    assert not leftovers.has_worth(KINDS["Event"]) and not leftovers.has_worth(Kind("Event", "events.k8s.io/v1", "events", True))
    assert (
        not leftovers.has_worth(KINDS["Lease"]) and leftovers.has_worth(KINDS["NetworkPolicy"]) and leftovers.has_worth(Kind("Event", "e/v1", "events", True))
    )


def test_kinds_are_told_in_short():
    kinds = [KINDS[kind] for kind in ("Role", "Job", "Pod", "Secret")]
    assert leftovers.resources_of(kinds) == "roles.rbac.authorization.k8s.io, jobs.batch, pods and 1 more"


@pytest.mark.parametrize(
    ("given", "owed"),
    [
        (pod("down"), True),
        (pod("up"), False),
        (pod("gone"), False),
        (pod(""), False),
        (pod("down", status={"phase": "Failed"}), False),
        (pod("down", status={"phase": "Running"}), True),
    ],
)
def test_a_pod_is_owed_only_by_a_node_that_is_down(given, owed):
    assert leftovers.is_owed(given, NODES) is owed


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (pod("down"), "node down is down (Kubelet stopped posting node status): its kubelet ends the pod"),
        (pod("gone"), "node gone does not exist"),
        (pod("up", finalizers=["a", "b"]), "held by the finalizers a, b"),
        (pod("up", deletionTimestamp="2026-03-01T12:00:00Z"), "still ending; its time was up at 2026-03-01T12:00:00Z"),
        (pod("up"), "not asked to end yet"),
    ],
)
def test_what_holds_a_pod_is_said(given, reason):
    row = leftovers.leftover(given, NODES, set())
    assert row["object"] == "Pod n/x" and row["node"] == given["spec"]["nodeName"] and row["reason"].startswith(reason)


def test_what_is_made_again_is_said_with_who_did():
    fields = [{"manager": "argocd", "time": "2026-03-02T00:00:00Z"}, {"manager": "old", "time": "2026-03-01T00:00:00Z"}]
    again = obj("ConfigMap", managedFields=[*fields, {"manager": "status", "subresource": "status", "time": "2026-03-03T00:00:00Z"}])
    assert leftovers.leftover(again, NODES, {"another"})["reason"] == "made again by argocd while it was being removed"
    assert leftovers.leftover(again, NODES, {again["metadata"]["uid"]})["reason"] == "not asked to end yet"
    assert "made again by somebody" in leftovers.leftover(obj("ConfigMap"), NODES, set())["reason"]


def namespace(**conditions):
    listed = [{"type": kind, "status": "True", "message": message} for kind, message in conditions.items()]
    return {**obj("Namespace"), "status": {"conditions": [*listed, {"type": "Other", "status": "False", "message": "fine"}]}}


PODS_LEFT = "Some resources are remaining: pods. has 2 resource instances"
PODS_LATE = "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: n for gvr: /v1, Resource=pods"


@pytest.mark.parametrize(
    ("conditions", "only_pods"),
    [
        ({}, False),
        ({"NamespaceContentRemaining": PODS_LEFT}, True),
        ({"NamespaceDeletionContentFailure": PODS_LATE}, True),
        ({"NamespaceContentRemaining": PODS_LEFT, "NamespaceDeletionContentFailure": PODS_LATE}, True),
        ({"NamespaceContentRemaining": f"{PODS_LEFT}, widgets.example.com has 1 resource instances"}, False),
        ({"NamespaceContentRemaining": PODS_LEFT, "NamespaceFinalizersRemaining": "x in 1 resource instances"}, False),
        ({"NamespaceContentRemaining": PODS_LEFT, "NamespaceDeletionDiscoveryFailure": "no answer"}, False),
        ({"NamespaceDeletionContentFailure": PODS_LATE.replace("1 remaining", "2 remaining") + ", a webhook says no"}, False),
        ({"NamespaceDeletionContentFailure": "a webhook says no"}, False),
    ],
)
def test_whether_only_pods_hold_a_namespace(conditions, only_pods):
    assert leftovers.only_pods_hold(namespace(**conditions)) is only_pods


def test_what_holds_a_namespace_is_said():
    home = namespace(NamespaceFinalizersRemaining="held by\n x")
    uids = {home["metadata"]["uid"]}
    assert leftovers.leftover(home, NODES, uids) == {"object": "Namespace x", "node": "", "reason": "held by x"}
    bare = obj("Namespace")
    assert leftovers.leftover(bare, NODES, {bare["metadata"]["uid"]})["reason"] == "still ending"
    assert leftovers.waiting_namespace(home)["object"] == "Namespace x"
