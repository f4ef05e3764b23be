# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers and files on this machine."""

from __future__ import annotations

import hashlib
import random
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.nanoagent.k8s.plugins.modules import node_relay

CONTENT = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def relay(run_module):
    """relay(archive, **options) -> the module's result; every server that it started is ended afterwards."""
    started = []

    def run(archive, check_mode=False, **options):
        result = run_module(node_relay.main, {"archive": str(archive), **options}, check_mode=check_mode)
        if result.get("port"):
            started.append({"archive": str(archive), "port": result["port"], "path": result["path"]})
        return result

    yield run
    for server in started:
        run_module(node_relay.main, {**server, "state": "absent"})


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "original.tar"
    path.write_bytes(CONTENT)
    return path


def url(server):
    return f"http://127.0.0.1:{server['port']}{server['path']}"


def test_a_file_goes_from_node_to_node(relay, original, tmp_path):
    first = relay(original)
    assert first["changed"] and first["fetched"] == 0
    second = relay(tmp_path / "second.tar", url=url(first), sha256=SHA256)
    third = relay(tmp_path / "third.tar", url=url(second), sha256=SHA256)
    assert (second["fetched"], third["fetched"]) == (len(CONTENT), len(CONTENT))
    assert (tmp_path / "third.tar").read_bytes() == CONTENT
    ended = relay(tmp_path / "second.tar", state="absent", port=second["port"], path=second["path"])
    assert ended["changed"] and ended["served"] == 1 and not (tmp_path / "second.tar").exists()
    again = relay(tmp_path / "second.tar", state="absent", port=second["port"], path=second["path"])
    assert not again["changed"] and again["served"] == 0


def test_four_at_once_get_the_same(relay, original, tmp_path):
    server = relay(original)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _number: urllib.request.urlopen(url(server)).read(), range(4)))
    assert got == [CONTENT] * 4
    ended = relay(original, state="absent", port=server["port"], path=server["path"])
    assert ended["served"] == 4


def test_whoever_does_not_know_the_path_gets_nothing(relay, original):
    server = relay(original)
    for method in ("GET", "DELETE"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server['port']}/guess", method=method))
    assert urllib.request.urlopen(url(server)).read() == CONTENT


def test_other_bytes_are_refused_and_leave_nothing(relay, original, tmp_path):
    server = relay(original)
    failed = relay(tmp_path / "copy.tar", url=url(server), sha256="0" * 64)
    assert failed["failed"] and SHA256 in failed["msg"] and "Next: " in failed["msg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original.tar"]


def test_nobody_there(relay, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = relay(tmp_path / "copy.tar", url=f"http://127.0.0.1:{unused.getsockname()[1]}/x", sha256=SHA256)
    assert failed["failed"] and "did not come from 127.0.0.1" in failed["msg"] and "preload_from: controller" in failed["msg"]


def test_a_port_that_is_taken_and_a_file_that_is_not_there(relay, original, tmp_path):
    server = relay(original)
    failed = relay(original, port=server["port"])
    assert failed["failed"] and f"port {server['port']}" in failed["msg"]
    failed = relay(tmp_path / "none.tar")
    assert failed["failed"] and "cannot be served" in failed["msg"]


def test_check_mode_does_nothing(relay, original):
    assert relay(original, check_mode=True)["changed"]
    assert not relay(original, check_mode=True, state="absent")["changed"] and original.exists()


def test_a_url_needs_the_digest(relay, original):
    assert "sha256" in relay(original, url="http://127.0.0.1:1/x")["msg"]


def test_a_server_ends_when_its_time_is_over(relay, original):
    server = relay(original, time_limit=0)
    for _try in range(200):
        try:
            socket.create_connection(("127.0.0.1", server["port"]), timeout=5).close()
            time.sleep(0.1)
        except ConnectionRefusedError:
            return
    pytest.fail("it goes on")
