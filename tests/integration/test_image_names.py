# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table and one lock file from the mirroring to the running pod, by modules on a real cluster and by playbooks from one file of variables."""

from __future__ import annotations

import json
import sys
import uuid

import pytest
import yaml
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, one_line
from checkout import CHECKOUT

MIRROR, PREFLIGHT = "nanoagent.k8s.image_mirror", "nanoagent.k8s.preflight"


@pytest.fixture
def repository():
    return f"tests/names-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def built(run_tasks, shipped, repository):
    """built(name, ...) pushes the collector's image to the plain registry; the digest, which the labels change.

    It is another image in each test: containerd tells the digest of any index that has the same image in it.
    """

    def build(name, **labels):
        given = {
            "name": name,
            "plain_http": True,
            "binaries": {"amd64": shipped["amd64"]},
            "architectures": ["amd64"],
            "labels": {"test": repository, **labels},
        }
        [result] = run_tasks([{"nanoagent.k8s.collector_image": given}])
        assert not result.get("failed"), result
        return result["digest"]

    return build


def images(kubectl, name):
    """The image of each running pod, and what its runtime says it is."""
    pods = json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]
    return {(pod["spec"]["containers"][0]["image"], pod["status"]["containerStatuses"][0]["imageID"]) for pod in pods}


def test_from_a_vendor_s_name_to_pods_that_run_the_locked_bytes(run_tasks, options, built, repository, cluster_env, kubectl, name, tmp_path):
    registry = cluster_env["REGISTRY"]
    source, mirror = f"{registry}/{repository}/vendor", f"{registry}/{repository}/mirror"
    locked = built(f"{source}/collector:1")
    shared = {"rewrites": [{"source": source, "destination": mirror}], "lock_file": str(tmp_path / "images.lock.yml")}
    copy = {MIRROR: {"images": [{"source": f"{source}/collector:1"}], "registries": [{"host": registry, "plain_http": True}], **shared}}
    install = {AGENT: {**options, "image": f"{source}/collector:1", "limit_percent": 5, **shared}}

    [early] = run_tasks([install], "--check")
    assert "images.lock.yml does not exist" in one_line(early)
    [copied] = run_tasks([copy])
    assert copied["images"][0]["image"] == f"{mirror}/collector@{locked}"

    predicted, first, again = run_tasks([{**install, "check_mode": True}, install, install])
    assert not first.get("failed"), first
    assert predicted["actions"] == first["actions"] and first["changed"] and not again["changed"]
    told = f"{source}/collector:1 is used as {mirror}/collector@{locked}"
    assert all(told in result["notes"] for result in (predicted, first, again))
    found = images(kubectl, name)
    assert {image for image, _id in found} == {f"{mirror}/collector@{locked}"} and all(image_id.endswith(locked) for _image, image_id in found)

    # The vendor moves the tag, and so does somebody at the mirror: told at both, and the pods stay as they are.
    moved = built(f"{source}/collector:1", release="moved")
    assert built(f"{mirror}/collector:1", release="moved") == moved != locked
    copied, ahead, still = run_tasks(
        [copy, {PREFLIGHT: {**install[AGENT], "registry_access": {"plain_http": True}, "skip": ["rights", "room", "sizing", "admission", "egress"]}}, install]
    )
    assert (copied["images"][0]["moved_to"], copied["images"][0]["digest"]) == (moved, locked)
    assert not ahead.get("failed"), ahead
    # The mirroring has put the tag right again.
    assert not [check for check in ahead["checks"] if "by now" in check["evidence"]]
    assert not still["changed"] and images(kubectl, name) == found
    built(f"{mirror}/collector:1", release="moved")
    [ahead] = run_tasks([{PREFLIGHT: {**install[AGENT], "registry_access": {"plain_http": True}, "skip": ["rights", "room", "sizing", "admission", "egress"]}}])
    [warning] = [check for check in ahead["checks"] if "by now" in check["evidence"]]
    assert warning["result"] == "warning" and moved in warning["evidence"]

    [wrong] = run_tasks([{AGENT: {**install[AGENT], "image": f"{source}/collector:2"}}])
    assert f"{source}/collector:2 is not in the lock file" in one_line(wrong) and images(kubectl, name) == found


def test_one_file_of_variables_serves_three_playbooks(built, repository, cluster_env, tmp_path, ansible_playbook):
    registry = cluster_env["REGISTRY"]
    source, mirror = f"{registry}/{repository}/vendor", f"{registry}/{repository}/mirror/{repository}/vendor"
    digest = built(f"{source}/collector:1")
    variables = {
        "mirror_rewrites": [{"source": source, "destination": mirror}],
        "mirror_lock_file": str(tmp_path / "images.lock.yml"),
        "mirror_images": [{"source": f"{source}/collector:1"}],
        "mirror_registries": [{"host": registry, "plain_http": True, "username": "not-asked-for", "password": "never-written"}],
        "agent_image": f"{source}/collector:1",
        "render_dir": str(tmp_path / "manifests"),
        "registry_configuration_dest": str(tmp_path / "nodes"),
        "ansible_python_interpreter": sys.executable,
    }
    (tmp_path / "variables.yml").write_text(json.dumps(variables))

    def play(name, *arguments):
        done = ansible_playbook(CHECKOUT / f"playbooks/{name}.yml", "-e", f"@{tmp_path / 'variables.yml'}", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for name in ("mirror", "render", "registry_configuration"):
        assert "changed=1" in play(name, *(["--check"] if name != "render" else []))
        if name != "render":
            assert "changed=1" in play(name, "--diff")
        assert "changed=0" in play(name)
    daemon_set = next((tmp_path / "manifests").glob("*-daemonset-*")).read_text()
    [container] = yaml.safe_load(daemon_set)["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{mirror}/collector@{digest}"
    nodes = {path: path.read_text() for path in (tmp_path / "nodes").rglob("*") if path.is_file()}
    assert f'server = "http://{registry}"' in nodes[tmp_path / f"nodes/containerd/certs.d/{registry}/hosts.toml"]
    assert not [path for path, text in nodes.items() if "never-written" in text or "not-asked-for" in text]
