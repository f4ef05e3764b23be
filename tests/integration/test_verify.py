# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""agent_info on a real cluster: what API server, scheduler, controllers and kubelets say of pods that cannot be, as a verdict."""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, INFO, until

PROBE = {"exec": {"command": ["/collector", "health"]}, "periodSeconds": 1}
BAD_PROBE = {"exec": {"command": ["/collector"]}, "periodSeconds": 1}
NO_SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "k"}}}


class Lab:
    """A namespace, and DaemonSets in it that are made by hand of an image that needs no rights."""

    def __init__(self, kubectl, run_tasks, options, image):
        self.kubectl, self.run_tasks, self.options, self.image = kubectl, run_tasks, options, image
        names = kubectl("get", "nodes", "-l", "!node-role.kubernetes.io/control-plane", "-o", "jsonpath={.items[*].metadata.name}")
        self.workers = names.split()
        self.namespace = options["namespace"]
        kubectl("create", "namespace", self.namespace)

    def make(self, name: str, node: str | None = None, container: dict | None = None, spec: dict | None = None, **pod) -> None:
        """A DaemonSet for one node; container, spec and pod: fields on top of its container, its own spec and its pod's."""
        labels = {"app.kubernetes.io/name": "lab", "app.kubernetes.io/instance": name}
        whole = {"name": "agent", "image": self.image, "args": ["run"], "readinessProbe": PROBE, **(container or {})}
        place = {"nodeSelector": {"kubernetes.io/hostname": node or self.workers[0]}, "terminationGracePeriodSeconds": 0}
        template = {"metadata": {"labels": labels}, "spec": {**place, "containers": [whole], **pod}}
        body = {"selector": {"matchLabels": labels}, "template": template, **(spec or {})}
        metadata = {"name": name, "namespace": self.namespace, "labels": {"lab": "yes"}}
        obj = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": body}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(obj))

    def ask(self, *asked: dict, **options) -> list[dict]:
        """The results of agent_info, one for each of `asked`."""
        common = {"profile": "custom", "drift": "ignore", "kubeconfig": self.options["kubeconfig"], "namespace": self.namespace}
        results = self.run_tasks([{INFO: {**common, **options, **one}} for one in asked])
        assert not [result["msg"] for result in results if result.get("failed")]
        return results

    def verdicts(self, *names: str) -> dict:
        """DaemonSet -> the verdict of the node that it is for, the first one's where it is for none."""
        found = self.ask(*({"name": name} for name in names))
        return {name: max(result["nodes"], key=lambda row: row["eligible"]) for name, result in zip(names, found)}

    def token(self, account: str, rules: list[dict]) -> dict:
        """A kubeconfig of a service account with just these rules in the namespace."""
        self.kubectl("create", "serviceaccount", "-n", self.namespace, account)
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": account, "namespace": self.namespace}, "rules": rules}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(role))
        self.kubectl("create", "rolebinding", "-n", self.namespace, account, f"--role={account}", f"--serviceaccount={self.namespace}:{account}")
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json"))
        for user in config["users"]:
            user["user"] = {"token": self.kubectl("create", "token", "-n", self.namespace, account).strip()}
        return config


@pytest.fixture
def lab(kubectl, run_tasks, options, push, liar):
    return Lab(kubectl, run_tasks, options, push(liar("calm")))


# DaemonSet -> (what is wrong with it, state, reason, a word of the detail, where the evidence is from)
FAULTS = {
    "well": ({}, "ready", "Ready", "", "condition"),
    "plain": ({"container": {"readinessProbe": None}}, "ready", "Ready", "", "condition"),
    "settling": ({"spec": {"minReadySeconds": 3600}}, "rolling", "Settling", "minReadySeconds 3600", "condition"),
    "unready": ({"container": {"readinessProbe": BAD_PROBE}}, "rolling", "NotReady", "Readiness probe", "event"),
    "cpu": ({"container": {"resources": {"requests": {"cpu": "1000"}}}}, "blocked", "InsufficientCpu", "1 Insufficient cpu", "condition"),
    "memory": ({"container": {"resources": {"requests": {"memory": "9Ti"}}}}, "blocked", "InsufficientMemory", "1 Insufficient memory", "condition"),
    "gate": ({"schedulingGates": [{"name": "example.com/gate"}]}, "blocked", "SchedulingGated", "", "condition"),
    "image": ({"container": {"image": "{image}@" + ABSENT_DIGEST}}, "blocked", "ImageNotFound", "not found", "status"),
    "never": ({"container": {"image": "registry.example/none:1", "imagePullPolicy": "Never"}}, "blocked", "ErrImageNeverPull", "", "status"),
    "name": ({"container": {"image": "Registry/UPPER:1"}}, "blocked", "InvalidImageName", "", "status"),
    "secret": ({"container": {"env": [NO_SECRET]}}, "blocked", "CreateContainerConfigError", 'secret "absent" not found', "status"),
    "mount": ({"volumes": [{"name": "v", "secret": {"secretName": "absent"}}], "container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}},
              "blocked", "FailedMount", 'secret "absent" not found', "event"),
    "crash": ({"container": {"args": ["prove"]}}, "blocked", "CrashLoopBackOff", "last log: ", "log"),
    "init": ({"initContainers": [{"name": "first", "image": "{image}", "args": ["run"]}]}, "rolling", "InitContainer", "the init container first", "status"),
    "account": ({"serviceAccountName": "absent"}, "blocked", "ServiceAccountMissing", '"absent" not found', "event"),
    "priority": ({"priorityClassName": "absent"}, "blocked", "PriorityClassMissing", "absent", "event"),
    "paused": ({"nodeSelector": {"example.com/nowhere": "true"}, "tolerations": [{"operator": "Exists"}]},
               "not eligible", "Paused", "no node has example.com/nowhere=true", "none"),
}  # fmt: skip


def with_image(fault, image):
    """The fault, with the image's name where it says {image}; where a digest follows, without the image's own."""
    text = json.dumps(fault)
    return json.loads(text.replace("{image}@", image.partition("@")[0] + "@").replace("{image}", image))


def test_what_is_wrong_has_its_reason(lab):
    for name, (fault, *_expected) in FAULTS.items():
        lab.make(name, **with_image(fault, lab.image))

    def differing():
        """The verdicts that are not as expected; empty when all have come."""
        rows = lab.verdicts(*FAULTS)
        wrong = {}
        for name, (_fault, state, reason, word, source) in FAULTS.items():
            row = rows[name]
            if (row["state"], row["reason"], row["evidence"]["source"]) != (state, reason, source) or word not in row["detail"]:
                wrong[name] = row
        differing.last = wrong
        return rows if not wrong else None

    try:
        rows = until(differing, 60)
    except AssertionError:
        raise AssertionError({name: {key: row[key] for key in ("state", "reason", "detail", "evidence")} for name, row in differing.last.items()}) from None
    assert (rows["well"]["confidence"], rows["plain"]["confidence"]) == ("probed", "started")
    assert rows["settling"]["ready"] and rows["settling"]["passing"]
    for name in ("account", "mount"):
        evidence = rows[name]["evidence"]
        assert evidence["count"] >= 1 and "" < evidence["first"] <= evidence["last"], evidence
    for name, (_fault, state, *_rest) in FAULTS.items():
        assert rows[name]["fix"] or rows[name]["passing"] or state == "ready", rows[name]
    [paused, crash] = lab.ask({"name": "paused"}, {"name": "crash"})
    assert not paused["ok"] and "no node is eligible" in paused["causes"]
    assert not crash["ok"] and crash["groups"][0]["reason"] == "CrashLoopBackOff" and "last log: " in "".join(crash["causes"])
    # Nothing but what is there already may be made; the quota's controller has to have counted first.
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full", "namespace": lab.namespace}, "spec": {"hard": {"pods": "0"}}}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    until(lambda: lab.kubectl("get", "resourcequota", "-n", lab.namespace, "full", "-o", "jsonpath={.status.used.pods}"))
    lab.make("late")
    late = until(lambda: (row := lab.verdicts("late")["late"])["reason"] != "NoPod" and row)
    assert (late["state"], late["reason"], late["evidence"]["source"]) == ("blocked", "QuotaExceeded", "event")
    assert "exceeded quota: full" in late["detail"]


def test_an_earlier_revision_and_a_port_that_is_taken(lab):
    port = {"ports": [{"containerPort": 18765, "hostPort": 18765}]}
    lab.make("kept", spec={"updateStrategy": {"type": "OnDelete"}})
    lab.make("first", container=port)
    until(lambda: {row["state"] for row in lab.verdicts("kept", "first").values()} == {"ready"})
    lab.make("kept", container={"env": [{"name": "A", "value": "b"}]}, spec={"updateStrategy": {"type": "OnDelete"}})
    lab.make("second", container=port)

    def rows():
        found = lab.verdicts("kept", "second")
        return found if [row["state"] for row in found.values()] == ["rolling", "blocked"] else None

    found = until(rows)
    assert (found["kept"]["reason"], found["kept"]["passing"], found["kept"]["ready"], found["kept"]["current"]) == ("OldRevision", False, True, False)
    assert found["second"]["reason"] == "HostPortTaken" and "free ports" in found["second"]["detail"]


def test_several_daemon_sets_are_one_agent_and_two_on_a_node_are_a_conflict(lab, kubectl):
    one, two = lab.workers[:2]
    lab.make("a", one)
    lab.make("b", two)
    both = {"daemon_sets": ["a", "b"]}
    [result] = until(lambda: (found := lab.ask(both))[0]["ok"] and found)
    assert result["headline"].endswith("eligible 2, ready 2") and result["daemon_sets"] == [f"{lab.namespace}/a", f"{lab.namespace}/b"]
    assert {row["node"]: row["daemon_set"] for row in result["nodes"] if row["eligible"]} == {one: f"{lab.namespace}/a", two: f"{lab.namespace}/b"}
    labels = {"app.kubernetes.io/name": "lab", "app.kubernetes.io/instance": "a", "controller-revision-hash": "none"}
    owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "default", "controller": True}
    owner["uid"] = kubectl("get", "serviceaccount", "-n", lab.namespace, "default", "-o", "jsonpath={.metadata.uid}")
    # With an owner of another kind, else the DaemonSet takes it for its own.
    manual = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "manual", "namespace": lab.namespace, "labels": labels, "ownerReferences": [owner]}}
    manual["spec"] = {"nodeName": two, "terminationGracePeriodSeconds": 0, "containers": [{"name": "agent", "image": lab.image, "args": ["run"]}]}
    kubectl("apply", "-f", "-", stdin=json.dumps(manual))
    lab.make("c", one)
    [by_label, gone] = lab.ask({"selector": "lab=yes"}, {"daemon_sets": ["a", "b", "nobody"]})
    [row] = [row for row in by_label["nodes"] if row["reason"] == "TwoAgents"]
    assert (row["node"], row["state"], by_label["ok"]) == (one, "blocked", False)
    assert f"{lab.namespace}/a and {lab.namespace}/c run an agent here" in row["detail"]
    assert f"pod {lab.namespace}/manual on {two} bears the agent's labels and belongs to ServiceAccount default" in "".join(by_label["warnings"])
    assert not gone["ok"] and any(f"DaemonSet {lab.namespace}/nobody does not exist" in cause for cause in gone["causes"])


@pytest.mark.usefixtures("nodes_alone")
def test_taints_of_nodes_that_come_and_go(lab, kubectl):
    coming, going = lab.workers[:2]
    lab.make("a", tolerations=[], nodeSelector={})
    kubectl("taint", "node", coming, "node.cilium.io/agent-not-ready=:NoSchedule")
    try:
        kubectl("taint", "node", going, "ToBeDeletedByClusterAutoscaler=1700000000:NoSchedule")
        rows = {row["node"]: row for row in lab.ask({"name": "a"})[0]["nodes"]}
    finally:
        kubectl("taint", "node", coming, "node.cilium.io/agent-not-ready-")
        kubectl("taint", "node", going, "ToBeDeletedByClusterAutoscaler-")
    assert (rows[coming]["state"], rows[coming]["reason"], rows[coming]["evidence"]["source"]) == ("joining", "NodeJoining", "taint")
    assert (rows[going]["state"], rows[going]["reason"], rows[going]["passing"]) == ("not eligible", "NodeLeaving", True)
    assert rows[going]["blockers"][0]["since"] == "2023-11-14T22:13:20Z"


def test_what_may_not_be_read_is_unknown(lab):
    lab.make("a")
    until(lambda: lab.verdicts("a")["a"]["state"] == "ready")
    agent = {"apiGroups": ["apps"], "resources": ["daemonsets", "controllerrevisions"], "verbs": ["get", "list"]}
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    [blind] = lab.ask({"name": "a"}, kubeconfig=lab.token("blind", [agent, pods]))
    account = f"system:serviceaccount:{lab.namespace}:blind"
    assert not blind["ok"] and blind["summary"]["states"] == {"unknown": 1} and blind["nodes"][0]["node"] == lab.workers[0]
    assert any(f"{account} may not list nodes in the whole cluster" in cause for cause in blind["causes"])
    said = "".join(blind["warnings"])
    assert f"{account} may not list events" in said and f"{account} may not list deployments.apps" in said
    [dark] = lab.ask({"name": "a"}, kubeconfig=lab.token("dark", [agent]))
    assert not dark["ok"] and dark["nodes"] == [] and any("may not list pods" in cause for cause in dark["causes"])
