# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module refuses, and what it says where the node has no such runtime; real runtimes are in tests/integration/test_preload.py."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.modules import node_image
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import docker_save, layout_files, multi, single, tar_bytes, write_layout

NAME = "registry.example/team/agent:1"


@pytest.fixture
def archive(tmp_path):
    def make(image):
        write_layout(tmp_path / "layout", **{NAME: image})
        (tmp_path / "images.tar").write_bytes(tar_bytes(layout_files(tmp_path / "layout")))
        return str(tmp_path / "images.tar")

    return make


@pytest.fixture
def refused(run_module):
    def run(**arguments):
        result = run_module(node_image.main, arguments)
        assert result["failed"] and "\n" not in result["msg"], result
        return result["msg"]

    return run


def test_a_runtime_that_is_not_there(refused, archive, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = archive(multi(1, ("amd64", "arm64", "arm", "s390x", "ppc64le", "riscv64")))
    for runtime, program in (("k3s", "k3s"), ("microk8s", "microk8s"), ("crio", "skopeo"), ("docker", "docker"), ("containerd", "ctr")):
        message = refused(archive=path, runtime=runtime)
        assert message.startswith(f"{program} cannot be run on this node") and "Next: " in message


def test_an_image_for_other_machines(refused, archive):
    assert "this node is linux/" in refused(archive=archive(single(1, architecture="mips64le")), runtime="k3s")


def test_an_archive_whose_digests_nobody_knows(refused, tmp_path):
    path = tmp_path / "saved.tar"
    for architecture in ("amd64", "arm64"):
        path.write_bytes(tar_bytes(docker_save(single(1, architecture=architecture), NAME)))
        message = refused(archive=str(path), runtime="k3s")
        assert "image_mirror" in message or "this node is" in message


def test_docker_without_a_tag(refused, archive):
    image = multi(2, ("amd64", "arm64"))
    assert "no tag" in refused(archive=archive(image), images=[{"name": f"registry.example/team/agent@{image.root}", "source": NAME}], runtime="docker")


def test_nothing_to_ask_for(refused):
    assert "archive, contents" in refused()
