# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting registries and storing images, with small programs in their place."""

from __future__ import annotations

import os
import socket
import sys

import pytest
import requests
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import everything, multi
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry
from judging.programs import version
from judging.pushing import put
from judging.registries import Registry, free_port, listens

SERVE = "import socket, sys, time; server = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print('GET', flush=True); time.sleep(60)"


def test_versions_are_those_of_the_pins():
    assert all(version(name).startswith("v0.") for name in ("crane", "regctl"))


def test_a_registry_is_there_while_it_is_entered(tmp_path):
    port = free_port()
    with Registry([sys.executable, "-c", SERVE, str(port)], f"127.0.0.1:{port}", tmp_path / "log"):
        socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert (tmp_path / "log").read_text() == "GET\n"


def test_a_registry_that_ends_says_why(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('no such folder')"]
    with pytest.raises(RuntimeError, match="127.0.0.1:1 does not start: no such folder"), Registry(command, "127.0.0.1:1", tmp_path / "log"):
        pass


def test_only_who_listens_is_seen():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listens(os.getpid(), port)
    assert not listens(os.getpid(), port)


@pytest.mark.parametrize("tag", ["1", ""])
def test_an_image_is_stored_whole(tag):
    image = multi("put")
    with FakeRegistry() as registry:
        put(f"http://{registry.host}", "some/image", image, tag)
        stored = {digest for _repository, digest in (*registry.blobs, *registry.manifests)}
        assert set(everything(image)) <= stored | ({image.root} if tag else set())
        assert ("some/image", tag or image.root) in registry.manifests


def test_what_a_registry_refuses_is_no_secret():
    with FakeRegistry(auth="basic") as registry, pytest.raises(requests.HTTPError, match="401"):
        put(f"http://{registry.host}", "some/image", multi("put"))
