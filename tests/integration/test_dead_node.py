# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update and an uninstall while a node's kubelet is dead, on a cluster of their own: nobody else's nodes go down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, INFO, audited, until

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "cluster"))

from localcluster.parts import Parts  # noqa: E402 (the path comes first)
from localcluster.process import kill  # noqa: E402 (the path comes first)
from localcluster.state import Folder  # noqa: E402 (the path comes first)

pytestmark = [pytest.mark.own_cluster, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

CLUSTER, DEAD = "deadnode", "worker2"
SMALL = {"requests": {"cpu": "1m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


def local_cluster(command: str) -> str:
    done = subprocess.run([sys.executable, str(TESTS / "cluster"), command, "--name", CLUSTER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cluster_env():
    """A cluster whose nodes may die."""
    local_cluster("up")
    yield dict(line.split("=", 1) for line in local_cluster("env").splitlines())
    local_cluster("down")


@pytest.fixture(scope="module")
def kubectl(cluster_env):
    """kubectl of that cluster."""

    def run(*arguments: str, stdin: str | None = None) -> str:
        command = [cluster_env["KUBECTL"], f"--kubeconfig={cluster_env['KUBECONFIG']}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout

    return run


def images(kubectl, namespace: str) -> dict:
    """Node -> image of the agent's pod there."""
    items = json.loads(kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    return {pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"] for pod in items}


def is_ready(kubectl, node: str) -> bool:
    [condition] = [one for one in json.loads(kubectl("get", "node", node, "-o", "json"))["status"]["conditions"] if one["type"] == "Ready"]
    return condition["status"] == "True"


def test_an_update_goes_on_past_a_dead_node_which_follows_when_it_is_back(run_tasks, options, push, shipped, kubectl, cluster_env, name):
    old, new = push(shipped, release="dead-old"), push(shipped, release="dead-new")
    given = {**options, "resources": SMALL, "max_unavailable": "1", "wait_timeout": 240}
    [installed] = run_tasks([{AGENT: {**given, "image": old}}])
    assert installed["summary"]["ready"] == installed["summary"]["eligible"] == 3, installed

    kill(Parts.of(Folder(CLUSTER).facts()).processes.identity(f"{DEAD}-kubelet"))
    until(lambda: not is_ready(kubectl, DEAD), 180)
    start = os.path.getsize(cluster_env["AUDIT_LOG"])
    [updated] = run_tasks([{AGENT: {**given, "image": new}}])
    # The controller alone would wait for ever: the dead node uses up what may be unavailable.
    assert not updated.get("failed"), updated
    assert any(verb == "delete" and "/pods/" in path for verb, path in audited(cluster_env, start, name))
    assert (updated["summary"]["eligible"], updated["summary"]["ready"], updated["summary"]["states"]) == (3, 2, {"ready": 2, "node down": 1})
    assert updated["notes"] == [f"1 node that is down will follow when the kubelet is back: {DEAD}"]
    assert [line.split()[0] for line in updated["table"] if " node down " in line] == [DEAD]
    found = images(kubectl, name)
    assert found.pop(DEAD) == old and set(found.values()) == {new}

    [again, info] = run_tasks([{AGENT: {**given, "image": new}}, {INFO: options}])
    assert not again["changed"] and again["requests"]["write"] == 0
    assert not info["ok"] and [(group["reason"], group["nodes"]) for group in info["groups"]] == [("NodeDown", [DEAD])]

    local_cluster("up")
    until(lambda: images(kubectl, name) == dict.fromkeys(("control-plane", "worker1", DEAD), new), 180)
    kubectl("rollout", "status", "daemonset", "-n", name, name, "--timeout=180s")
    [again, info] = run_tasks([{AGENT: {**given, "image": new}}, {INFO: options}])
    assert not again["changed"] and info["ok"] and info["summary"]["ready"] == 3


@pytest.mark.parametrize("dead_node", [[{"key": "virtual-kubelet.io/provider", "value": "test", "effect": "NoSchedule"}]], indirect=True)
def test_a_node_that_only_a_taint_says_is_no_machine_is_not_waited_for(run_tasks, options, push, shipped, dead_node, kubectl, name):
    given = {**options, "image": push(shipped), "resources": SMALL, "max_unavailable": "1", "wait_timeout": 120}
    tasks = [{AGENT: given}, {INFO: options}, {AGENT: {**given, "tags": {"a": "b"}}}, {AGENT: {**given, "tags": {"a": "b"}}}]
    [installed, info, updated, again] = run_tasks(tasks)
    assert not installed.get("failed"), installed
    told = "virtual-kubelet: 1 node cannot be left out: only a taint says so; "
    assert any(note.startswith(told) for note in installed["notes"])
    # The DaemonSet controller has no such doubts.
    assert kubectl("get", "pods", "-n", name, f"--field-selector=spec.nodeName={dead_node}", "-o", "name")
    [row] = [row for row in info["nodes"] if row["node"] == dead_node]
    assert (row["state"], row["eligible"], len(row["pods"])) == ("not a real node", False, 1) and info["ok"], info["causes"]
    # The controller alone would wait for ever: that pod uses up what may be unavailable.
    assert not updated.get("failed") and updated["summary"]["states"] == {"ready": updated["summary"]["eligible"], "not a real node": 1}, updated
    assert not again["changed"]


def owed(result: dict) -> list[tuple]:
    return [(row["object"], row["node"]) for row in result["owed"]]


@pytest.fixture
def dead_node(kubectl, name, request):
    """A node without a kubelet: what is bound to it never starts and never ends. Its taints are the test's parameter, if any."""
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": name}},
        "spec": {"taints": getattr(request, "param", [])},
        "status": {"allocatable": {"cpu": "8", "memory": "8Gi", "pods": "20"}, "capacity": {"cpu": "8", "memory": "8Gi", "pods": "20"}},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(node))
    yield name
    kubectl("delete", "node", name, "--ignore-not-found")
    for pod in json.loads(kubectl("get", "pods", "--all-namespaces", f"--field-selector=spec.nodeName={name}", "-o", "json"))["items"]:
        metadata = pod["metadata"]
        kubectl("delete", "pod", metadata["name"], "-n", metadata["namespace"], "--force", "--grace-period=0", "--ignore-not-found")


def test_a_node_that_is_down_owes_its_pod_and_holds_nothing_up(run_tasks, options, dead_node, kubectl, name):
    # No registry has the image: how a pod that never started ends is not what is tested here.
    install = {**options, "image": f"registry.example/collector@{ABSENT_DIGEST}", "resources": SMALL, "wait": False}
    [installed] = run_tasks([{AGENT: install}])
    assert installed["changed"], installed

    def bound():
        return kubectl("get", "pods", "-n", name, f"--field-selector=spec.nodeName={dead_node}", "-o", "name").split()

    [pod] = until(bound)
    remove = {AGENT: {**options, "state": "absent", "wait_timeout": 60}}
    [predicted] = run_tasks([remove], "--check")
    assert kubectl("get", "daemonset", "-n", name, name, "-o", "name")
    [gone, again] = run_tasks([remove, remove])
    assert not gone.get("failed"), gone
    assert (gone["changed"], gone["actions"], gone["kept"]) == (True, predicted["actions"], [])
    assert owed(gone) == owed(predicted) == owed(again) == [(f"Pod {name}/{pod.removeprefix('pod/')}", dead_node), (f"Namespace {name}", "")]
    assert f"node {dead_node} is down" in gone["owed"][0]["reason"] and "delete the Node" in gone["owed"][0]["reason"]
    assert not again["changed"] and again["actions"] == [] and again["requests"]["write"] == 0
    assert not kubectl("get", "daemonsets,configmaps,serviceaccounts,roles,rolebindings", "-n", name, "-o", "name", "-l", "app.kubernetes.io/name=nanoagent")
    assert bound() == [pod] and kubectl("get", "pods", "-n", name, "-o", "name").split() == [pod]
    # Asked to end, so that the kubelet will end it when it comes back.
    assert kubectl("get", pod, "-n", name, "-o", "jsonpath={.metadata.deletionTimestamp}")

    kubectl("delete", pod, "-n", name, "--force", "--grace-period=0")
    [last] = run_tasks([remove])
    assert not last.get("failed") and last["owed"] == [] and not kubectl("get", "namespace", name, "--ignore-not-found")
