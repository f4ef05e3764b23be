# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images into real container runtimes: containerd, Docker, the storage of CRI-O; from node to node; and into a cluster's nodes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, IMAGE, INFO, one_line, until
from ansible_collections.nanoagent.k8s.tests.integration.runtimes import containerd, docker, node_sockets, storage, unpacked

NODE_IMAGE, MIRROR, PRESENCE = "nanoagent.k8s.node_image", "nanoagent.k8s.image_mirror", "nanoagent.k8s.image_presence_info"
NAME = "registry.invalid/preload/collector:1"

pytestmark = pytest.mark.skipif(not shutil.which("containerd") or os.geteuid() != 0, reason="containers need root and a containerd")


@pytest.fixture
def archive(run_tasks, shipped, tmp_path):
    """Path of an OCI archive with the collector's image for both architectures, without a name; label makes it another image."""

    def make(label="1"):
        path = str(tmp_path / f"collector-{label}.tar")
        [made] = run_tasks([{IMAGE: {"archive": path, "binaries": shipped, "labels": {"test": label}}}])
        assert not made.get("failed"), made
        return path, made["digest"]

    return make


@pytest.fixture
def docker_archive(archive, run_tasks, tmp_path):
    """Path of an archive for Docker, with the part for this machine and another name than the wanted one; its index's digest."""
    path, _digest = archive()
    target = str(tmp_path / "docker.tar")
    [made] = run_tasks(
        [{MIRROR: {"images": [{"source": f"oci-archive:{path}", "destination": f"docker-archive:{target}:r.invalid/x:2", "platforms": [here()]}]}}]
    )
    assert not made.get("failed"), made
    return target, made["images"][0]["digest"]


def here():
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def ctr(socket, *arguments):
    return subprocess.run(["ctr", "--address", socket, "--namespace", "k8s.io", *arguments], capture_output=True, text=True, check=True).stdout


def names(socket):
    return sorted(ctr(socket, "images", "ls", "-q").split())


def test_containerd_gets_an_image_under_tag_and_digest(run_tasks, archive, tmp_path):
    path, digest = archive()
    pinned = f"{NAME.rpartition(':')[0]}@{digest}"
    with containerd(tmp_path / "c") as socket:
        task = {NODE_IMAGE: {"archive": path, "images": [{"name": NAME}], "runtime": "containerd", "address": socket}}
        [foretold] = run_tasks([task], "--check", "--diff")
        assert foretold["changed"] and foretold["copied"] == 0 and names(socket) == []
        [done] = run_tasks([task], "--diff")
        assert done["changed"] and done["copied"] == os.path.getsize(path) and done["diff"] == foretold["diff"]
        assert names(socket) == sorted([NAME, pinned])
        assert done["images"] == [{"names": [NAME, pinned], "digest": digest, "changed": True, "before": {NAME: None, pinned: None}}]
        before = ctr(socket, "content", "ls", "-q").split()
        [again, known] = run_tasks([task, {NODE_IMAGE: {"contents": done["contents"], "runtime": "containerd", "address": socket}}])
        assert not again["changed"] and again["copied"] == 0 and not known["changed"]
        # Nothing came; what is of other platforms, the runtime takes away at a time of its own.
        assert {digest} <= {*ctr(socket, "content", "ls", "-q").split()} <= {*before}
        assert not list(Path("~/.ansible/tmp").expanduser().rglob("images.tar"))


def test_a_tag_moves_to_the_image_of_another_archive(run_tasks, archive, tmp_path):
    (first, old), (second, new) = archive("1"), archive("2")
    with containerd(tmp_path / "c") as socket:
        where = {"images": [{"name": NAME}], "runtime": "containerd", "address": socket}
        before, after = run_tasks([{NODE_IMAGE: {"archive": path, **where}} for path in (first, second)])
        assert before["changed"] and after["changed"] and after["images"][0]["before"][NAME] == old
        assert re.search(rf"^{NAME}\s.*{new}", ctr(socket, "images", "ls"), re.MULTILINE)


def test_an_image_that_is_not_whole_is_loaded_again(run_tasks, archive, tmp_path):
    path, _digest = archive()
    with containerd(tmp_path / "c") as socket:
        task = {NODE_IMAGE: {"archive": path, "images": [{"name": NAME}], "runtime": "containerd", "address": socket}}
        [done] = run_tasks([task])
        layer = max(line.split() for line in ctr(socket, "content", "ls").splitlines() if "MB" in line)[0]
        ctr(socket, "content", "rm", layer)
        assert "incomplete" in ctr(socket, "images", "check")
        [mended, again] = run_tasks([task, task])
        assert done["changed"] and mended["changed"] and not again["changed"]


def test_an_archive_that_is_on_the_node_stays_there(run_tasks, archive, tmp_path):
    path, _digest = archive()
    with containerd(tmp_path / "c") as socket:
        options = {"archive": path, "remote_src": True, "images": [{"name": NAME}], "runtime": "containerd", "address": socket}
        [done, missing] = run_tasks([{NODE_IMAGE: options}, {NODE_IMAGE: {**options, "archive": f"{path}.none"}}])
        assert done["changed"] and done["copied"] == 0 and os.path.exists(path)
        assert "does not exist" in one_line(missing)


def test_a_runtime_that_does_not_answer(run_tasks, archive, tmp_path):
    path, _digest = archive()
    [failed] = run_tasks([{NODE_IMAGE: {"archive": path, "images": [{"name": NAME}], "runtime": "containerd", "address": str(tmp_path / "none.sock")}}])
    assert "failed with exit code" in one_line(failed) and "none.sock" in failed["msg"]


def test_the_storage_of_crio(run_tasks, archive, tmp_path):
    path, digest = archive()
    root = None if shutil.which("skopeo") else unpacked()
    environment = storage(tmp_path / "s", root)
    if not shutil.which("skopeo", path=environment.get("PATH")):
        pytest.skip("there is no skopeo, and apt cannot give one")
    task = {NODE_IMAGE: {"archive": path, "images": [{"name": NAME}], "runtime": "crio"}, "environment": environment}
    [foretold] = run_tasks([task], "--check")
    [done, again] = run_tasks([task, task])
    assert foretold["changed"] and done["changed"] and not again["changed"]
    assert again["images"][0]["before"][f"{NAME.rpartition(':')[0]}@{digest}"] == digest


def test_docker(run_tasks, docker_archive, archive, tmp_path):
    path, _digest = docker_archive
    root = unpacked()
    if root is None:
        pytest.skip("apt cannot give Debian's docker.io")
    with containerd(tmp_path / "c") as below, docker(tmp_path / "d", root, below) as (socket, environment):
        options = {"archive": path, "images": [{"name": NAME, "source": "2"}], "runtime": "docker", "address": socket}
        task = {NODE_IMAGE: options, "environment": environment}
        [foretold] = run_tasks([task], "--check")
        [done, again] = run_tasks([task, task])
        assert foretold["changed"] and done["changed"] and not again["changed"], done
        listed = subprocess.run([root / "usr/bin/docker", "--host", f"unix://{socket}", "images"], capture_output=True, text=True, check=True).stdout
        assert NAME.rpartition(":")[0] in listed
        # This one is older than 25 and reads no OCI archives.
        [refused] = run_tasks([{NODE_IMAGE: {**options, "archive": archive("2")[0], "images": [{"name": NAME}]}, "environment": environment}])
        assert "docker archives" in one_line(refused)


@pytest.fixture
def play(tmp_path, ansible_playbook):
    """play(hosts, tasks, *arguments) runs the role on hosts of this machine: its output, and for each host what it registered under result."""

    def run(hosts, tasks, *arguments):
        variables = {"ansible_connection": "local", "ansible_host": "127.0.0.1", "ansible_python_interpreter": sys.executable}
        (tmp_path / "inventory.json").write_text(json.dumps({"nodes": {"hosts": hosts, "vars": variables}}))
        keep = {"keep": {"content": "{{ result | default({}) | to_json }}", "path": f"{tmp_path}/{{{{ inventory_hostname }}}}.json"}}
        play = {"hosts": "nodes", "gather_facts": False, "roles": ["nanoagent.k8s.preload"], "tasks": [*tasks, keep]}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        done = ansible_playbook("-i", tmp_path / "inventory.json", tmp_path / "play.yml", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, {host: json.loads((tmp_path / f"{host}.json").read_text()) for host in hosts}

    return run


KEEP = [{"ansible.builtin.set_fact": {"result": {"sent": "{{ preload_sent | default({}) }}", "ended": "{{ preload_ended | default({}) }}"}}}]


@pytest.fixture
def three(archive, tmp_path):
    """(host -> variables of the role, host -> socket of its containerd, digest of the archive's image)."""
    path, digest = archive()
    with ExitStack() as stack:
        sockets = {f"host{number}": stack.enter_context(containerd(tmp_path / f"c{number}")) for number in range(3)}
        hosts = {}
        for host, socket in sockets.items():
            (tmp_path / host).mkdir()
            hosts[host] = {"preload_address": socket, "preload_peer_folder": str(tmp_path / host)}
            hosts[host] |= {"preload_archive": path, "preload_images": [{"name": NAME}], "preload_from": "peers", "preload_runtime": "containerd"}
        yield hosts, sockets, digest


def senders(results):
    """The hosts to which the controller sent the archive."""
    return [host for host, result in results.items() if result["sent"].get("changed")]


def test_the_controller_sends_it_once(three, tmp_path, play):
    hosts, sockets, digest = three
    said, _results = play(hosts, KEEP, "--check")
    assert all(names(socket) == [] for socket in sockets.values()) and "would be loaded" in said
    _said, results = play(hosts, KEEP)
    assert senders(results) == ["host0"]
    assert {host: result["ended"]["served"] for host, result in results.items()} == {"host0": 2, "host1": 0, "host2": 0}
    assert all(names(socket) == sorted([NAME, f"{NAME.rpartition(':')[0]}@{digest}"]) for socket in sockets.values())
    assert [list((tmp_path / host).iterdir()) for host in hosts] == [[], [], []]
    said, _results = play(hosts, [])
    assert re.findall(r"changed=(\d+)", said) == ["0", "0", "0"]


def test_nodes_that_do_not_reach_each_other_get_it_from_the_controller(three, tmp_path, play):
    hosts, sockets, _digest = three
    hosts["host0"]["preload_peer_address"] = "nobody.invalid"
    said, results = play(hosts, KEEP)
    assert senders(results) == ["host0", "host1", "host2"] and "the archive did not come from nobody.invalid" in said
    assert all(NAME in names(socket) for socket in sockets.values())
    assert [list((tmp_path / host).iterdir()) for host in hosts] == [[], [], []]


@pytest.fixture
def own_image(cluster_env, archive):
    """(archive, a name that no registry has, its digest); every node of the local cluster loses it afterwards."""
    path, digest = archive(uuid.uuid4().hex)
    name = f"registry.invalid/{uuid.uuid4().hex[:8]}/collector:1"
    sockets = node_sockets(cluster_env)
    if not sockets:
        pytest.skip("only of the local cluster it is known where its nodes' containerds listen")
    yield path, name, digest, sockets
    for socket in sockets.values():
        for listed in names(socket):
            if listed.startswith(name.rpartition(":")[0]):
                ctr(socket, "images", "rm", listed)


@pytest.mark.parametrize("pinned", [False, True], ids=["tag", "digest"])
def test_an_agent_whose_registry_is_off(run_tasks, kubectl, cluster_env, options, own_image, play, pinned):
    path, name, digest, sockets = own_image
    wanted = f"{name.rpartition(':')[0]}@{digest}" if pinned else name
    asked = {PRESENCE: {"kubeconfig": cluster_env["KUBECONFIG"], "images": [wanted]}}
    [before] = run_tasks([asked])
    assert before["images"][0]["held"] == [] and not before["everywhere"]
    hosts = {node: {"preload_address": socket, "preload_archive": path, "preload_images": [{"name": name}]} for node, socket in sockets.items()}
    play(
        {node: {**variables, "preload_reported_runtime": "containerd://1.6", "preload_runtime": "containerd"} for node, variables in hosts.items()},
        [],
    )
    install = {AGENT: {**options, "image": wanted, "image_pull_policy": "IfNotPresent" if pinned else "Never", "require_digest": pinned}}
    [installed, seen] = run_tasks([install, {INFO: {**options, "live": True}}])
    assert not installed.get("failed"), installed
    assert seen["ok"] and seen["summary"]["ready"] == len(sockets)
    # A kubelet tells of its images now and then only.
    after = until(lambda: (row := run_tasks([asked])[0])["everywhere"] and row, 150)
    assert after["images"][0]["held"] == sorted(sockets) and after["images"][0]["size"] > 1_000_000
    pulled = json.loads(kubectl("get", "events", "-n", options["namespace"], "-o", "json"))["items"]
    assert not [event for event in pulled if event["reason"] in ("Pulling", "Failed")]
