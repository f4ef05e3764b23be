# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corner cases of "one agent on every node", by the number that docs/verify.md gives them: what is there, and the verdict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import (
    groups,
    strangers,
    summary,
    united,
    without_nodes,
    without_pods,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import newest_revision, revision_of_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.verdict import STATES
from ansible_collections.nanoagent.k8s.tests.unit.fakes.cluster_objects import (
    EARLIER,
    IMAGE,
    NEWEST,
    NOW,
    OTHER_DIGEST,
    ago,
    daemon_set,
    ended,
    event,
    node,
    pending,
    pod,
    waiting,
)

DOCUMENT = Path(__file__).parents[3] / "docs/verify.md"
NO_TOLERATION = {"tolerations": []}
FAKE = {"annotations": {"kwok.x-k8s.io/node": "fake"}}
PULL = 'rpc error: code = Unknown desc = failed to pull and unpack image "r/i:1": '
UNBOUND = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": ago(40)}
OTHERS = "2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
BY_TAG = {"image": "registry.example/collector:1"}
PLAIN = {"containers": [{"name": "collector", "image": IMAGE}]}


def judge(agent, nodes, pods, events=(), revision=NEWEST, images=True):
    """Node -> verdict."""
    agents = agent if isinstance(agent, list) else [agent]
    rows = united([{"daemon_set": one, "revision": revision} for one in agents], nodes, list(pods), list(events), NOW, images)
    assert all(row["state"] in STATES and row["evidence"].keys() == {"source", "text", "first", "last", "count"} for row in rows)
    return {row["node"]: row for row in rows}


def denied(message, **more):
    return [event("FailedCreate", f'Error creating: pods "nanoagent-x" is forbidden: {message}', **more)]


def unschedulable(message):
    return pending(bound=False, conditions=[{**UNBOUND, "message": message}])


def failed(reason, message=""):
    return pod(ready=False, phase="Failed", status={"reason": reason, "message": message, "containerStatuses": []})


def by_tag(on, digest):
    return pod(on, container={"image": BY_TAG["image"], "imageID": f"registry.example/collector@{digest}"})


def stuck(reason, message):
    return [event(reason, message, about=("Pod", "nanoagent-n1"))]


# (number, what is there, DaemonSet, node, pods, events, what the verdict holds)
CASES = [
    ("1", "untolerated NoSchedule, the pod stays", daemon_set(template=NO_TOLERATION), node(taints=[("gpu", "NoSchedule")]), [pod()], [],
     {"state": "not eligible", "reason": "NotEligible", "eligible": False, "detail~": "its pod stays until it is replaced", "evidence.source": "taint"}),
    ("2", "untolerated NoExecute, the pod goes", daemon_set(template=NO_TOLERATION), node(taints=[("gpu", "NoExecute")]), [pod()], [],
     {"state": "not eligible", "detail~": "its pod will be evicted"}),
    ("3", "PreferNoSchedule keeps nobody away", daemon_set(template=NO_TOLERATION), node(taints=[("gpu", "PreferNoSchedule")]), [pod()], [],
     {"state": "ready", "eligible": True}),
    ("4", "cordoned", daemon_set(template=NO_TOLERATION), node(spec={"unschedulable": True}, taints=[("node.kubernetes.io/unschedulable", "NoSchedule")]),
     [pod()], [], {"state": "ready", "eligible": True, "cordoned": True}),
    ("5", "the kubelet is silent, the pod looks ready", daemon_set(), node(ready="Unknown"), [pod()], [],
     {"state": "node down", "reason": "NodeDown", "eligible": True, "evidence.source": "condition", "evidence.last": ago(10)}),
    ("5", "the kubelet is silent, the pod never ends", daemon_set(), node(ready="False"), [pod(deletionTimestamp=ago(900))], [], {"state": "node down"}),
    ("5", "untolerated not-ready taint of a silent kubelet", daemon_set(template=NO_TOLERATION),
     node(ready="Unknown", taints=[("node.kubernetes.io/unreachable", "NoSchedule")]), [pod()], [], {"state": "node down", "eligible": False}),
    ("6", "out of service", daemon_set(), node(ready="Unknown", taints=[("node.kubernetes.io/out-of-service", "NoExecute")]), [], [],
     {"state": "node down", "passing": True, "detail~": "marked as out of service"}),
    ("6", "cloud has not initialized it", daemon_set(template=NO_TOLERATION),
     node(age=90, taints=[("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule")]), [], [],
     {"state": "joining", "reason": "NodeJoining", "eligible": False, "passing": True, "evidence.source": "taint"}),
    ("6", "the network plugin's taint stays", daemon_set(template=NO_TOLERATION),
     node(age=7200, taints=[("node.cilium.io/agent-not-ready", "NoExecute")]), [], [],
     {"state": "joining", "passing": False, "fix~": "who has to take the taint off"}),
    ("6", "the network plugin's taint is young on an old node", daemon_set(template=NO_TOLERATION),
     node(taints=[{"key": "node.cilium.io/agent-not-ready", "effect": "NoExecute", "timeAdded": ago(30)}]), [], [],
     {"state": "joining", "passing": True, "evidence.first": ago(30)}),
    ("6", "the CSI driver is not there yet", daemon_set(template=NO_TOLERATION),
     node(age=60, taints=[("ebs.csi.aws.com/agent-not-ready", "NoExecute")]), [], [],
     {"state": "joining", "passing": True}),
    ("6", "the autoscaler takes it away, untolerated", daemon_set(template=NO_TOLERATION),
     node(taints=[{"key": "ToBeDeletedByClusterAutoscaler", "value": str(int(NOW) - 45), "effect": "NoSchedule"}]), [pod()], [],
     {"state": "not eligible", "reason": "NodeLeaving", "passing": True, "evidence.first": ago(45)}),
    ("6", "Karpenter takes it away, the pod has gone", daemon_set(), node(taints=[("karpenter.sh/disrupted", "NoSchedule")]), [], [],
     {"state": "rolling", "reason": "NoPod", "passing": True, "detail~": "on its way out (taint karpenter.sh/disrupted)"}),
    ("6", "younger than two minutes", daemon_set(), node(age=30), [], [], {"state": "joining", "reason": "NodeJoining", "passing": True, "eligible": True}),
    ("6", "younger than two minutes, its kubelet has not reported", daemon_set(), node(age=30, conditions=[]), [], [], {"state": "joining", "passing": True}),
    ("6", "younger than two minutes, its pod starts", daemon_set(), node(age=30), [pending()], [], {"state": "joining", "reason": "Starting", "passing": True}),
    ("6", "younger than two minutes, its image is missing", daemon_set(), node(age=30),
     [pending(statuses=[waiting("ErrImagePull", "not found")])], [], {"state": "blocked", "reason": "ImageNotFound", "passing": False}),
    ("7", "made anew under its name a moment ago", daemon_set(), node(age=20), [pod(age=5000)], [],
     {"state": "joining", "reason": "NodeRecreated", "passing": True}),
    ("7", "made anew under its name a while ago", daemon_set(), node(age=600), [pod(age=5000)], [], {"state": "ready"}),
    ("7", "being deleted", daemon_set(), node(deletionTimestamp=ago(5)), [], [], {"state": "rolling", "passing": True, "detail~": "it is being deleted"}),
    ("8", "Fargate, where ours was told to count it", daemon_set(), node(labels={"eks.amazonaws.com/compute-type": "fargate"}), [], [],
     {"state": "rolling", "eligible": True, "not_real": "Fargate"}),
    ("8", "Fargate, left out as by us", daemon_set(template={"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]}]}]}}}}),
     node(labels={"eks.amazonaws.com/compute-type": "fargate"}), [], [], {"state": "not a real node", "eligible": False, "not_real": "Fargate"}),
    ("8", "virtual kubelet by its taint", daemon_set(template=NO_TOLERATION), node(taints=[("virtual-kubelet.io/provider", "NoSchedule")]), [], [],
     {"state": "not a real node", "not_real": "virtual kubelet"}),
    ("8", "Liqo", daemon_set(labels={}), node(labels={"liqo.io/type": "virtual-node"}), [], [], {"state": "not a real node", "not_real": "Liqo"}),
    ("8", "kwok, with a pod that says Ready", daemon_set(labels={}), node(**FAKE), [pod()], [], {"state": "not a real node", "eligible": False}),
    ("9", "Windows", daemon_set(), node(info={"operatingSystem": "windows"}), [pending()], [], {"state": "blocked", "reason": "UnsupportedOs", "final": True}),
    ("9", "a kernel that is too old", daemon_set(), node(info={"kernelVersion": "5.4.0-190-generic"}),
     [pod(ready=False, container=ended(1, back_off=True))], [],
     {"state": "blocked", "reason": "KernelTooOld", "final": True, "detail~": "5.4.0-190-generic"}),
    ("9", "no image for its architecture", daemon_set(), node(info={"architecture": "riscv64"}),
     [pending(statuses=[waiting("ErrImagePull", PULL + "no match for platform in manifest: not found")])], [],
     {"state": "blocked", "reason": "ImageArchitecture"}),
    ("11", "another owner's pod", daemon_set(), node(), [pod(ownerReferences=[{"kind": "DaemonSet", "name": "nanoagent", "uid": "of-another"}])], [],
     {"state": "rolling", "reason": "NoPod", "pods": []}),
    ("11", "a pod of nobody", daemon_set(), node(), [pod(ownerReferences=None)], [], {"state": "rolling", "reason": "NoPod"}),
    ("12", "surge: the new one is ready, the old one too", daemon_set(), node(), [pod(name="old", revision=EARLIER, age=9000), pod(name="new")], [],
     {"state": "ready", "pod": "new", "pods": ["new", "old"]}),
    ("12", "surge: the new one is on its way", daemon_set(), node(), [pod(name="old", revision=EARLIER, age=9000), pending(name="new")], [],
     {"state": "rolling", "reason": "Starting", "pod": "new"}),
    ("12", "the old one ends, the new one is ready", daemon_set(), node(), [pod(name="old", deletionTimestamp=ago(1)), pod(name="new")], [],
     {"state": "ready", "pod": "new"}),
    ("12", "it ends, and no other is there", daemon_set(), node(), [pod(deletionTimestamp=ago(-5))], [],
     {"state": "rolling", "reason": "Terminating", "ready": False, "passing": True}),
    ("12", "it should have ended long ago", daemon_set(), node(), [pod(deletionTimestamp=ago(900), finalizers=["example.com/hold"])], [],
     {"state": "rolling", "reason": "Terminating", "passing": False, "detail~": "15 min ago, its finalizers hold it: example.com/hold"}),
    ("13", "not bound yet: its affinity names the node", daemon_set(), node(), [pending(bound=False)], [],
     {"state": "rolling", "reason": "Starting", "pod": "nanoagent-n1", "passing": True}),
    ("13", "no scheduler", daemon_set(), node(), [pending(bound=False, age=600)], [], {"state": "rolling", "reason": "NotScheduled", "passing": False}),
    ("14", "no room: CPU", daemon_set(), node(), [unschedulable(f"0/3 nodes are available: 1 Insufficient cpu, {OTHERS}")], [],
     {"state": "blocked", "reason": "InsufficientCpu", "detail": "1 Insufficient cpu", "final": False, "evidence.source": "condition",
      "evidence.first": ago(40)}),
    ("14", "no room: memory", daemon_set(), node(), [unschedulable(f"0/3 nodes are available: 1 Insufficient memory, {OTHERS}")], [],
     {"reason": "InsufficientMemory"}),
    ("14", "no room: pods", daemon_set(), node(), [unschedulable(f"0/3 nodes are available: 1 Too many pods, {OTHERS}")], [], {"reason": "TooManyPods"}),
    ("14", "no room: a device", daemon_set(), node(), [unschedulable(f"0/3 nodes are available: 1 Insufficient example.com/fpga, {OTHERS}")], [],
     {"reason": "InsufficientResource"}),
    ("14", "anti-affinity", daemon_set(), node(), [unschedulable(f"0/3 nodes are available: 1 node(s) didn't match pod anti-affinity rules, {OTHERS}")], [],
     {"reason": "PodAffinity"}),
    ("14", "the node's labels no longer fit", daemon_set(), node(), [unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity.")], [],
     {"reason": "Unschedulable"}),
    ("14", "a gate", daemon_set(), node(), [pending(bound=False, conditions=[{**UNBOUND, "reason": "SchedulingGated"}])], [], {"reason": "SchedulingGated"}),
    ("15", "quota", daemon_set(), node(), [], denied("exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0"),
     {"state": "blocked", "reason": "QuotaExceeded", "final": True, "evidence.source": "event", "evidence.first": ago(300), "evidence.last": ago(20),
      "evidence.count": 7}),
    ("15", "pod security", daemon_set(), node(), [], denied('violates PodSecurity "baseline:latest": hostPath volumes'), {"reason": "PodSecurity"}),
    ("15", "SCC", daemon_set(), node(), [], denied("unable to validate against any security context constraint: []"), {"reason": "SecurityContextConstraints"}),
    ("15", "webhook says no", daemon_set(), node(), [], [event("FailedCreate", 'Error creating: admission webhook "v.example" denied the request: no')],
     {"reason": "WebhookDenied", "final": True}),
    ("15", "webhook is silent", daemon_set(), node(), [],
     [event("FailedCreate", 'Error creating: Internal error occurred: failed calling webhook "v.example": context deadline exceeded')],
     {"reason": "WebhookUnreachable", "final": False}),
    ("15", "GKE Warden", daemon_set(), node(), [],
     [event("FailedCreate", 'Error creating: admission webhook "warden-validating.common-webhooks.networking.gke.io" denied the request: GKE Warden rejected')],
     {"reason": "AutopilotDenied"}),
    ("15", "service account", daemon_set(), node(), [], denied('error looking up service account nanoagent/nanoagent: serviceaccount "nanoagent" not found'),
     {"reason": "ServiceAccountMissing"}),
    ("15", "priority class", daemon_set(), node(), [], denied("no PriorityClass with name agent was found"), {"reason": "PriorityClassMissing"}),
    ("15", "namespace", daemon_set(), node(), [], denied("unable to create new content in namespace nanoagent because it is being terminated"),
     {"reason": "NamespaceTerminating"}),
    ("15", "limit range", daemon_set(), node(), [], denied("maximum memory usage per Container is 1Gi, but limit is 10Gi"), {"reason": "LimitRange"}),
    ("15", "policy", daemon_set(), node(), [], denied("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"), {"reason": "PolicyDenied"}),
    ("15", "something else", daemon_set(), node(), [], [event("FailedCreate", "the moon is full")], {"state": "blocked", "reason": "FailedCreate"}),
    ("15", "an event that is long over", daemon_set(), node(), [], denied("exceeded quota", last=1500), {"state": "rolling", "reason": "NoPod"}),
    ("15", "an event of a DaemonSet that had the name before", daemon_set(uid="later"), node(), [], denied("exceeded quota"), {"reason": "NoPod"}),
    ("16", "surge on the host's network", daemon_set(), node(),
     [pod(name="old", revision=EARLIER), pending(name="new", bound=False, conditions=[{**UNBOUND, "message":
      f"0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, {OTHERS}"}])], [],
     {"state": "blocked", "reason": "HostPortTaken", "fix~": "max_unavailable in place of max_surge"}),
    *[("17", f"image: {reason}", daemon_set(), node(), [pending(statuses=[waiting(said, PULL + message)])], [],
       {"state": "blocked", "reason": reason, "final": final})
      for said, message, reason, final in [
          ("ErrImagePull", "r/i:1: not found", "ImageNotFound", True),
          ("ImagePullBackOff", "unexpected status code 403 Forbidden", "ImageDenied", True),
          ("ErrImagePull", "x509: certificate signed by unknown authority", "ImageRegistryTls", True),
          ("ErrImagePull", "dial tcp: lookup r: no such host", "ImageRegistryName", False),
          ("ErrImagePull", "429 Too Many Requests", "ImageRateLimit", False),
          ("ErrImagePull", "dial tcp 192.0.2.1:443: i/o timeout", "ImageRegistryUnreachable", False),
          ("InvalidImageName", "", "InvalidImageName", True),
          ("ErrImageNeverPull", "", "ErrImageNeverPull", True)]],
    ("17", "exec format error", daemon_set(), node(), [pending(statuses=[waiting("CreateContainerError", "exec format error")])], [],
     {"state": "blocked", "reason": "CreateContainerError", "detail~": "exec format error"}),
    ("18", "Secret missing", daemon_set(), node(), [pending(statuses=[waiting("CreateContainerConfigError", 'secret "x" not found')])], [],
     {"state": "blocked", "reason": "CreateContainerConfigError", "final": True}),
    ("18", "seccomp profile missing", daemon_set(), node(), [pending(statuses=[waiting("RunContainerError", "cannot load seccomp profile")])], [],
     {"state": "blocked", "reason": "RunContainerError", "final": True}),
    ("18", "hostPath of another type", daemon_set(), node(), [pending(statuses=[waiting("ContainerCreating")])],
     stuck("FailedMount", "MountVolume.SetUp failed for volume: hostPath type check failed: /x is not a directory"),
     {"state": "blocked", "reason": "FailedMount", "evidence.source": "event", "evidence.count": 7}),
    ("18", "no network plugin", daemon_set(), node(), [pending(statuses=[waiting("ContainerCreating")])],
     stuck("FailedCreatePodSandBox", "Failed to create pod sandbox: plugin type=\"cilium-cni\" failed"), {"state": "blocked", "reason": "FailedSandbox"}),
    ("19", "crash loop", daemon_set(), node(), [pod(ready=False, container=ended(7, restarts=4, back_off=True))], [],
     {"state": "blocked", "reason": "CrashLoopBackOff", "final": True, "detail~": "exit code 7", "evidence.count": 5, "evidence.last": ago(30),
      "container": "collector"}),
    ("19", "ended once", daemon_set(), node(), [pod(ready=False, container=ended(7))], [], {"state": "rolling", "reason": "Crashed", "passing": True}),
    ("19", "out of memory", daemon_set(), node(), [pod(ready=False, container=ended(137, "OOMKilled", 3))], [],
     {"state": "blocked", "reason": "OOMKilled", "final": True, "fix": "raise resources.limits.memory"}),
    ("20", "init container has not ended", daemon_set(), node(),
     [pending(statuses=[waiting("PodInitializing")], age=900, status={"initContainerStatuses": [
         {"name": "deliver", "ready": False, "restartCount": 0, "state": {"running": {"startedAt": ago(880)}}}]})], [],
     {"state": "rolling", "reason": "InitContainer", "passing": False, "detail~": "the init container deliver has not ended yet, for 15 min"}),
    ("20", "init container fails", daemon_set(), node(),
     [pending(statuses=[waiting("PodInitializing")], status={"initContainerStatuses": [{**ended(1, back_off=True), "name": "deliver"}]})], [],
     {"state": "blocked", "reason": "CrashLoopBackOff", "detail~": "the container deliver ends",
      "container": "deliver"}),
    ("20", "a sidecar is not ready", daemon_set(), node(),
     [pod(ready=False, age=30, container={"ready": True}, status={"containerStatuses": [
         {"name": "collector", "ready": True, "state": {"running": {}}}, {"name": "proxy", "ready": False, "state": {"running": {}}}]})], [],
     {"state": "rolling", "reason": "NotReady", "detail~": "the container proxy runs"}),
    ("21", "runs, the probe fails", daemon_set(), node(), [pod(ready=False, age=600)], stuck("Unhealthy", "Readiness probe failed: no events"),
     {"state": "rolling", "reason": "NotReady", "ready": False, "passing": False, "detail~": "Readiness probe failed: no events", "confidence": ""}),
    ("21", "a readiness gate", daemon_set(), node(), [pod(ready=False, status={"conditions": [
        {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": 'gate "x" is not True'}]})], [], {"reason": "ReadinessGate"}),
    ("21", "no readiness probe", daemon_set(template=PLAIN), node(), [{**pod(), "spec": {"nodeName": "n1", **PLAIN}}], [],
     {"state": "ready", "confidence": "started"}),
    ("21", "a readiness probe", daemon_set(), node(), [pod()], [], {"state": "ready", "confidence": "probed"}),
    ("22", "ready for less than minReadySeconds", daemon_set(spec={"minReadySeconds": 60}), node(), [pod(age=20)], [],
     {"state": "rolling", "reason": "Settling", "ready": True, "passing": True}),
    ("22", "ready for longer", daemon_set(spec={"minReadySeconds": 60}), node(), [pod(age=90)], [], {"state": "ready"}),
    ("22", "ready in the future: the clocks differ", daemon_set(spec={"minReadySeconds": 60}), node(), [pod(age=-7200)], [],
     {"state": "rolling", "reason": "Settling", "passing": False, "fix~": "set the clocks"}),
    ("22", "the clocks differ, and the controller counts it as available",
     daemon_set(spec={"minReadySeconds": 60}, status={"numberAvailable": 1, "desiredNumberScheduled": 1}), node(), [pod(age=-7200)], [], {"state": "ready"}),
    ("23", "an earlier revision waits for its turn", daemon_set(), node(), [pod(revision=EARLIER)], [],
     {"state": "rolling", "reason": "OldRevision", "current": False, "ready": True, "passing": True}),
    ("23", "OnDelete leaves it for ever", daemon_set(spec={"updateStrategy": {"type": "OnDelete"}}), node(), [pod(revision=EARLIER)], [],
     {"state": "rolling", "reason": "OldRevision", "passing": False, "fix": "delete pod nanoagent-n1 when its turn has come"}),
    ("24", "another image than the one by digest", daemon_set(), node(), [{**by_tag("n1", OTHER_DIGEST), "spec": {"nodeName": "n1", "containers": [
        {"name": "collector", **BY_TAG, "readinessProbe": {"exec": {}}}]}}], [], {"state": "blocked", "reason": "ImageDiffers", "image_ok": False}),
    ("24", "the digest of the architecture's manifest", daemon_set(), node(), [pod(container={"imageID": f"registry.example/c@{OTHER_DIGEST}"})], [],
     {"state": "ready", "image_ok": True}),
    ("24", "by a tag, and nothing to compare with", daemon_set(**BY_TAG), node(), [by_tag("n1", OTHER_DIGEST)], [], {"state": "ready", "image_ok": None}),
    ("25", "the controller has not seen the change", daemon_set(observed=2), node(), [pod()], [], {"state": "rolling", "reason": "ControllerBehind"}),
    ("25", "no pod, no event: no controller", daemon_set(), node(), [], [], {"state": "rolling", "reason": "NoPod", "fix~": "kube-controller-manager"}),
    ("26", "an evicted one beside a healthy one", daemon_set(), node(), [{**failed("Evicted"), "metadata": {**pod(name="gone")["metadata"]}}, pod()], [],
     {"state": "ready", "pod": "nanoagent-n1"}),
    ("26", "nothing but an evicted one", daemon_set(), node(), [failed("Evicted", "The node was low on resource: memory.")], [],
     {"state": "blocked", "reason": "Evicted", "detail~": "low on resource"}),
    ("28", "a selector that no node has", daemon_set(template={"nodeSelector": {"non-existing": "true"}}), node(), [], [],
     {"state": "not eligible", "reason": "Paused", "detail~": "no node has non-existing=true"}),
    ("29", "a node that came while it looked", daemon_set(), node(age=1), [], [], {"state": "joining", "eligible": True}),
    *[("32", f"the kubelet says {said}", daemon_set(), node(), [failed(said, "Pod was rejected")], [], {"state": "blocked", "reason": reason, "final": False})
      for said, reason in [("OutOfpods", "TooManyPods"), ("OutOfcpu", "InsufficientCpu"), ("OutOfmemory", "InsufficientMemory"),
                           ("NodeShutdown", "NodeShutdown"),
                           ("TaintToleration", "TaintedForKubelet"), ("NodeAffinity", "LabelsForKubelet"), ("UnexpectedAdmissionError", "KubeletRefused"),
                           ("Preempting", "Preempted"), ("SomethingNew", "Failed")]],
]  # fmt: skip


@pytest.mark.parametrize(("number", "what", "agent", "of", "pods", "events", "expected"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_case(number, what, agent, of, pods, events, expected):
    row = judge(agent, [of], pods, events)["n1"]
    for key, value in expected.items():
        name, contains = key.removesuffix("~"), key.endswith("~")
        found = row
        for part in name.split("."):
            found = found[part]
        assert value in found if contains else found == value, (name, found, row)
    assert row["fix"] or row["passing"] or row["state"] in ("ready", "not a real node") or row["reason"] == "Starting", row


# -- cases of more than one node or one DaemonSet


def test_case_7_a_pod_of_a_node_that_is_gone_is_dropped():
    assert set(judge(daemon_set(), [node("n1")], [pod("n1"), pod("n2")])) == {"n1"}


POOLS = [daemon_set("arm", template={"nodeSelector": {"arch": "arm"}}), daemon_set("amd", template={"nodeSelector": {"arch": "amd"}})]
PLACES = [node("n1", labels={"arch": "arm"}), node("n2", labels={"arch": "amd"}), node("n3")]


def test_case_10_several_daemon_sets_are_united():
    rows = judge(POOLS, PLACES, [pod("n1", of="arm"), pod("n2", of="amd", revision=EARLIER)])
    assert [(rows[name]["state"], rows[name]["daemon_set"]) for name in ("n1", "n2", "n3")] == [
        ("ready", "nanoagent/arm"),
        ("rolling", "nanoagent/amd"),
        ("not eligible", ""),
    ]
    assert [blocker["detail"].partition(":")[0] for blocker in rows["n3"]["blockers"]] == ["nanoagent/arm", "nanoagent/amd"]
    assert summary(list(rows.values())) == {"nodes": 3, "real": 3, "eligible": 2, "ready": 1, "states": {"ready": 1, "rolling": 1, "not eligible": 1}}


def test_case_10_a_failed_creation_is_its_own_daemon_set_s():
    rows = judge(POOLS, PLACES, [], [event("FailedCreate", "exceeded quota", about=("DaemonSet", "arm"))])
    assert [rows[name]["reason"] for name in ("n1", "n2")] == ["QuotaExceeded", "NoPod"]


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        ([pod(of="a"), pod(of="b")], "TwoAgents"),
        ([], "TwoAgents"),
    ],
)
def test_case_10_two_agents_on_a_node_are_a_conflict(pods, reason):
    row = judge([daemon_set("a"), daemon_set("b")], [node()], pods)["n1"]
    assert (row["state"], row["reason"], row["eligible"]) == ("blocked", reason, True)
    assert "nanoagent/a and nanoagent/b" in row["detail"]


@pytest.mark.parametrize(
    ("left", "state"),
    [
        ({}, "blocked"),
        ({"deletionTimestamp": ago(1)}, "ready"),
    ],
)
def test_case_10_an_agent_that_was_only_left_behind_is_one_until_it_ends(left, state):
    agents = [daemon_set("a"), daemon_set("b", template={**NO_TOLERATION, "tolerations": []})]
    tainted = node(taints=[("gpu", "NoSchedule")])
    assert judge(agents, [tainted], [pod(of="a"), pod(of="b", **left)])["n1"]["state"] == state


def test_case_11_pods_that_only_look_like_ours_are_named():
    manual, replica = pod(name="manual", ownerReferences=None), pod(name="rs", ownerReferences=[{"kind": "ReplicaSet", "name": "web", "uid": "x"}])
    lines = strangers([{"daemon_set": daemon_set()}], [pod(), manual, replica, {**failed("Evicted"), "metadata": manual["metadata"]}])
    assert [line.partition(" bears")[0] for line in lines] == ["pod nanoagent/manual on n1", "pod nanoagent/rs on n1"]
    assert "belongs to nobody" in lines[0] and "belongs to ReplicaSet web" in lines[1]


def test_case_15_one_event_speaks_of_every_node_without_a_pod():
    rows = judge(daemon_set(), [node("n1"), node("n2"), node("n3")], [pod("n1")], denied("exceeded quota"))
    assert [rows[name]["state"] for name in ("n1", "n2", "n3")] == ["ready", "blocked", "blocked"]
    [group] = groups(list(rows.values()))
    assert (group["reason"], group["nodes"], group["passing"]) == ("QuotaExceeded", ["n2", "n3"], False)


def test_case_23_the_newest_revision_of_all():
    current = daemon_set(status={"updatedNumberScheduled": 2, "desiredNumberScheduled": 2})
    pods = [pod("n1"), pod("n2")]
    assert revision_of_all(current, pods) == NEWEST
    assert revision_of_all(current, [*pods[:1], pod("n2", revision=EARLIER)]) == ""
    assert revision_of_all(current, pods[:1]) == ""
    assert revision_of_all(daemon_set(observed=2, status=current["status"] | {"observedGeneration": 2}), pods) == ""
    assert revision_of_all(daemon_set(status={"updatedNumberScheduled": 1, "desiredNumberScheduled": 2}), pods) == ""
    assert revision_of_all(daemon_set(), []) == ""
    assert newest_revision([], current) == ""


def test_case_23_a_revision_that_is_not_known_is_never_green():
    row = judge(daemon_set(), [node()], [pod()], revision="")["n1"]
    assert (row["state"], row["reason"], row["current"]) == ("unknown", "RevisionUnknown", None)


def test_case_24_a_tag_that_moved_shows_on_the_fewer_nodes():
    digests = {"n1": "sha256:1", "n2": "sha256:1", "n3": "sha256:2"}
    nodes = [*map(node, digests), node("a1", info={"architecture": "arm64"})]
    pods = [*(by_tag(on, digest) for on, digest in digests.items()), by_tag("a1", "sha256:3")]
    rows = judge(daemon_set(**BY_TAG), nodes, pods)
    assert {name: row["image_ok"] for name, row in rows.items()} == {"a1": None, "n1": None, "n2": None, "n3": False}
    assert (rows["n3"]["state"], rows["n3"]["reason"]) == ("blocked", "ImageDiffers")
    assert judge(daemon_set(**BY_TAG), nodes, pods, images=False)["n3"]["state"] == "ready"


@pytest.mark.parametrize("nodes", [[], [node(taints=[("a", "NoSchedule")])]])
def test_case_27_nobody_is_eligible(nodes):
    counts = summary(list(judge(daemon_set(template=NO_TOLERATION), nodes, []).values()))
    assert (counts["nodes"], counts["eligible"], counts["ready"]) == (len(nodes), 0, 0)


def test_case_30_without_nodes_what_pods_name_is_unknown():
    agents = [{"daemon_set": daemon_set(), "revision": NEWEST}]
    rows = without_nodes(agents, [pod("n1"), pod("n2"), pod("n3", ownerReferences=None)], "the user eve may not list nodes in the whole cluster", "grant it")
    assert [(row["node"], row["state"], row["reason"], row["eligible"]) for row in rows] == [
        ("n1", "unknown", "NodesUnreadable", True),
        ("n2", "unknown", "NodesUnreadable", True),
    ]
    assert without_nodes(agents, [], "x", "y") == []


def test_case_30_without_pods_every_eligible_node_is_unknown():
    rows = united([{"daemon_set": daemon_set(template=NO_TOLERATION), "revision": ""}], [node("n1"), node("n2", taints=[("a", "NoSchedule")])], [], [], NOW)
    rows = without_pods(rows, "the user eve may not list pods in namespace nanoagent", "grant it")
    assert [(row["state"], row["reason"]) for row in rows] == [("unknown", "PodsUnreadable"), ("not eligible", "NotEligible")]


def test_every_case_of_the_document_is_here():
    """Of docs/verify.md's table; those that no list of objects can hold are tested elsewhere, as the table says."""
    source = Path(__file__).read_text()
    numbers = {case[0] for case in CASES} | set(re.findall(r"def test_case_(\d+)_", source))
    documented = re.findall(r"^\| (\d+) \|.*\|$", DOCUMENT.read_text(), re.MULTILINE)
    assert documented == [str(number) for number in range(1, 35)]
    assert set(documented) - numbers == {"31", "33", "34"}
