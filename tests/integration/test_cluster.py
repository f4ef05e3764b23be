# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local cluster itself: it starts, starts again, heals, and leaves nothing behind. Uses clusters of its own, beside any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "cluster"))

from localcluster.cgroups import Cgroups, parse_mounts  # noqa: E402 (the path comes first)
from localcluster.network import namespaces  # noqa: E402 (the path comes first)
from localcluster.node import KERNEL_SETTINGS  # noqa: E402 (the path comes first)
from localcluster.parts import Parts  # noqa: E402 (the path comes first)
from localcluster.process import Identity, alive, identity_of  # noqa: E402 (the path comes first)
from localcluster.state import Folder  # noqa: E402 (the path comes first)

pytestmark = [pytest.mark.own_cluster, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

NAME, SMALL = "selftest", "selftest-small"


def run(command: str, name: str, *options: str) -> subprocess.CompletedProcess:
    """Run one command of the local cluster."""
    return subprocess.run([sys.executable, str(TESTS / "cluster"), command, "--name", name, *options], capture_output=True, text=True, check=False)


def succeed(command: str, name: str, *options: str) -> str:
    """Run one command of the local cluster that has to go well, and return what it prints."""
    done = run(command, name, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kubectl(name: str, *arguments: str, text: str | None = None) -> str:
    """Run kubectl as the administrator of a cluster."""
    parts = Parts.of(Folder(name).facts())
    command = [parts.kubectl, f"--kubeconfig={parts.folder.kubeconfig}", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def identities(name: str) -> dict[str, Identity]:
    """The processes that a cluster has recorded."""
    processes = Parts.of(Folder(name).facts()).processes
    return {process: processes.identity(process) for process in processes.names()}


def machine() -> dict[str, object]:
    """What a cluster could leave behind on the machine."""
    hierarchies = [hierarchy.mount for hierarchy in parse_mounts(Path("/proc/self/mounts").read_text())]
    return {
        "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")),
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "cgroups": sorted(str(path) for mount in hierarchies for path in mount.glob("nanoagent-*")),
        "settings": {setting: Path("/proc/sys", setting).read_text() for setting in (*KERNEL_SETTINGS, "net/ipv4/ip_forward")},
        "folders": sorted(str(path) for path in (Path("/var/lib/kubelet"), Path("/var/lib/cni"), Path("/opt/containerd")) if path.exists()),
    }


def all_members(name: str) -> list[Identity]:
    """Every process of a cluster, those of its pods too."""
    return [identity for identity in map(identity_of, Cgroups(name).members()) if identity is not None]


def stubborn_pod() -> dict:
    """A pod whose first process does not listen to requests to end; its shell is the machine's."""
    folders = {path: os.path.realpath(path) for path in ("/usr", "/bin", "/lib", "/lib64") if os.path.exists(path)}
    volumes = [(f"v{number}", *paths) for number, paths in enumerate(folders.items())]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stubborn"},
        "spec": {
            "containers": [
                {
                    "name": "shell",
                    "image": "nanoagent.invalid/pause:1",
                    "imagePullPolicy": "Never",
                    "command": ["/bin/sh", "-c", "trap '' TERM; echo here; while :; do sleep 1; done"],
                    "volumeMounts": [{"name": name, "mountPath": inside, "readOnly": True} for name, inside, _outside in volumes],
                }
            ],
            "volumes": [{"name": name, "hostPath": {"path": outside, "type": "Directory"}} for name, _inside, outside in volumes],
        },
    }


@pytest.fixture(scope="module")
def before():
    """The machine before the tests' clusters."""
    for name in (NAME, SMALL):
        succeed("down", name)
    return machine()


@pytest.fixture(scope="module")
def cluster(before):
    """A running cluster."""
    succeed("up", NAME)
    yield NAME
    succeed("down", NAME)


def test_nodes_are_ready_and_the_control_plane_is_tainted(cluster):
    """A new cluster has three nodes that can be used at once."""
    nodes = {node["metadata"]["name"]: node for node in json.loads(kubectl(cluster, "get", "nodes", "-o", "json"))["items"]}
    assert sorted(nodes) == ["control-plane", "worker1", "worker2"]
    control_plane = nodes["control-plane"]
    assert "node-role.kubernetes.io/control-plane" in control_plane["metadata"]["labels"]
    assert [(taint["key"], taint["effect"]) for taint in control_plane["spec"]["taints"]] == [("node-role.kubernetes.io/control-plane", "NoSchedule")]
    assert run("status", cluster).returncode == 0


def test_a_second_up_changes_nothing(cluster):
    """A healthy cluster is left alone."""
    processes = identities(cluster)
    succeed("up", cluster)
    assert identities(cluster) == processes


def test_env_names_what_is_there(cluster):
    """Every file that `env` names exists, and the password is for its owner only."""
    values = dict(line.split("=", 1) for line in succeed("env", cluster).splitlines())
    assert sorted(values) == [
        "AUDIT_LOG",
        "KUBECONFIG",
        "KUBECTL",
        "KUBE_BINARY",
        "REGISTRY",
        "REGISTRY_TLS",
        "REGISTRY_TLS_CA",
        "REGISTRY_TLS_PASSWORD_FILE",
        "REGISTRY_TLS_USER",
    ]
    for key in ("AUDIT_LOG", "KUBECONFIG", "KUBECTL", "KUBE_BINARY", "REGISTRY_TLS_CA", "REGISTRY_TLS_PASSWORD_FILE"):
        assert Path(values[key]).is_file(), key
    assert Path(values["REGISTRY_TLS_PASSWORD_FILE"]).stat().st_mode & 0o077 == 0
    assert succeed("kubeconfig", cluster).strip() == values["KUBECONFIG"]


def test_writes_are_in_the_audit_log(cluster):
    """Tests count write requests in this log, dry runs apart."""
    kubectl(cluster, "create", "configmap", "audited")
    kubectl(cluster, "create", "configmap", "audited-dry", "--dry-run=server")
    events = [json.loads(line) for line in Folder(cluster).audit_log.read_text().splitlines()]
    written = {
        event["objectRef"]["name"]: event
        for event in events
        if event["verb"] == "create" and event.get("objectRef", {}).get("resource") == "configmaps" and "name" in event["objectRef"]
    }
    assert written["audited"]["user"]["username"] == "admin"
    assert written["audited"]["userAgent"].startswith("kubectl")
    assert "dryRun" not in written["audited"]["requestURI"]
    assert "dryRun=All" in written["audited-dry"]["requestURI"]


def test_a_killed_kubelet_and_containerd_are_started_again(cluster):
    """What died is started; what lives, and the node as an object, stays."""
    uid = kubectl(cluster, "get", "node", "worker1", "-o", "jsonpath={.metadata.uid}")
    processes = identities(cluster)
    victims = ("worker1-kubelet", "worker1-containerd")
    for victim in victims:
        os.kill(processes[victim].pid, signal.SIGKILL)
    time.sleep(0.2)
    assert run("status", cluster).returncode == 1
    succeed("up", cluster)
    healed = identities(cluster)
    assert {name for name in processes if healed[name] != processes[name]} == set(victims)
    assert kubectl(cluster, "get", "node", "worker1", "-o", "jsonpath={.metadata.uid}") == uid
    assert run("status", cluster).returncode == 0


def test_a_killed_control_plane_and_a_lost_node_come_back(cluster):
    """The objects survive when API server and etcd are killed; a node without its namespaces is made anew."""
    kubectl(cluster, "create", "configmap", "survivor")
    processes = identities(cluster)
    for victim in ("etcd", "kube-apiserver", "worker1-namespaces", "worker2-namespaces", "registry"):
        os.kill(processes[victim].pid, signal.SIGKILL)
    done = run("up", cluster)
    assert done.returncode == 0 and "repair failed" not in done.stderr, done.stderr
    assert "survivor" in kubectl(cluster, "get", "configmaps", "-o", "name")
    assert run("status", cluster).returncode == 0


def test_logs_and_exec_reach_a_pod_that_down_does_not_wait_for(before):
    """A pod that ignores requests to end holds nothing up, and nothing is left of it or of the cluster."""
    succeed("up", SMALL, "--nodes", "1")
    kubectl(SMALL, "taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-")
    kubectl(SMALL, "apply", "-f", "-", text=json.dumps(stubborn_pod()))
    kubectl(SMALL, "wait", "--for=condition=Ready", "pod/stubborn", "--timeout=60s")
    assert kubectl(SMALL, "logs", "stubborn").strip() == "here"
    assert kubectl(SMALL, "exec", "stubborn", "--", "/bin/echo", "inside").strip() == "inside"
    logs = Folder(SMALL).node("control-plane") / "log"
    assert [path.name.split("_")[:2] for path in (logs / "pods").iterdir()] == [["default", "stubborn"]]
    assert len(list((logs / "containers").iterdir())) == 1
    members, begin = all_members(SMALL), time.monotonic()
    succeed("down", SMALL)
    assert time.monotonic() - begin < 10
    assert_nothing_left(SMALL, members)


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.5, 3.0])
@pytest.mark.parametrize("next_command", ["down", "up"])
def test_an_up_that_was_killed_is_cleaned_up(before, seconds, next_command):
    """Whatever moment it dies at, the next command deals with what it left."""
    child = subprocess.Popen([sys.executable, str(TESTS / "cluster"), "up", "--name", SMALL, "--nodes", "2"], stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    child.kill()
    child.wait()
    members = all_members(SMALL)
    if next_command == "up":
        succeed("up", SMALL, "--nodes", "2")
        assert run("status", SMALL).returncode == 0
        members += all_members(SMALL)
    succeed("down", SMALL)
    assert_nothing_left(SMALL, members)


def test_a_down_that_was_killed_is_finished_by_the_next(before):
    """A half-removed cluster is removed."""
    succeed("up", SMALL, "--nodes", "1")
    members = all_members(SMALL)
    child = subprocess.Popen([sys.executable, str(TESTS / "cluster"), "down", "--name", SMALL], stderr=subprocess.DEVNULL)
    time.sleep(0.2)
    child.kill()
    child.wait()
    succeed("down", SMALL)
    assert_nothing_left(SMALL, members)


def test_down_leaves_nothing_behind(before, cluster):
    """Processes, mounts, namespaces, links, cgroups, settings and files are as before."""
    members = all_members(cluster)
    assert len(members) > 10
    succeed("down", cluster)
    assert_nothing_left(cluster, members)
    after = machine()
    assert after == before


def assert_nothing_left(name: str, members: list[Identity]) -> None:
    """No process of a cluster lives, and nothing bears its name."""
    assert [member for member in members if alive(member)] == []
    assert not Cgroups(name).exist()
    assert namespaces(name) == []
    assert not Folder(name).path.exists()
    assert str(Folder(name).path) not in Path("/proc/self/mountinfo").read_text()
