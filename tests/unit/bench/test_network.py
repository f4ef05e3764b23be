# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bad networks of the benchmarks: a relay that breaks connections, a wire that takes its time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading

import pytest
from benchmark.breaking import Breaking
from benchmark.wire import FAR, Wire

DATA = random.Random(1).randbytes(3 << 20)
DELAY = 0.02
SERVE = """
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 7))
print("ready", flush=True)
connection = server.accept()[0]
with connection.makefile("rb") as stream:
    print(hashlib.sha256(stream.read()).hexdigest())
"""
SEND = """
import socket, sys, time
begin = time.monotonic()
with socket.create_connection((sys.argv[1], 7)) as connection:
    print(time.monotonic() - begin)
    connection.sendall(sys.stdin.buffer.read())
"""


@pytest.fixture
def upstream():
    """host:port of a server that sends back all that it gets once the client has ended."""

    def serve(connection):
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            connection.sendall(stream.read())

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def exchange(host):
    name, port = host.split(":")
    with socket.create_connection((name, int(port))) as connection:
        connection.sendall(DATA)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return stream.read()


def test_a_relay_hands_on_every_byte(upstream):
    with Breaking(upstream, 1 << 50) as relay:
        assert exchange(relay.host) == DATA and relay.resets == 0


def test_a_relay_breaks_connections_by_the_amount_of_bytes(upstream):
    with Breaking(upstream, 1 << 20) as relay:
        broken = 0
        for _attempt in range(20):
            try:
                assert exchange(relay.host) == DATA
            except OSError:
                broken += 1
        assert broken == relay.resets > 0


def test_the_same_seed_breaks_at_the_same_places():
    def places(seed):
        relay = Breaking("127.0.0.1:1", 1000)
        relay.begin(seed)
        return [number for number in range(5000) if relay._due(10)]

    assert places("a") == places("a") != places("b")
    assert 30 < len(places("a")) < 80


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"), reason="network namespaces and devices need root and TUN")
def test_a_wire_takes_its_time_and_loses_nothing():
    with Wire(DELAY) as wire:
        with subprocess.Popen([*wire.at("far"), sys.executable, "-c", SERVE, FAR], stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout.readline() == "ready\n"
            sent = subprocess.run([*wire.at("near"), sys.executable, "-c", SEND, FAR], input=DATA, capture_output=True, check=True)
            assert server.stdout.read().strip() == hashlib.sha256(DATA).hexdigest()
        # The first two packets of a connection are a round trip, which cannot be shorter.
        assert float(sent.stdout) >= 2 * DELAY
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"nanoagent-bench-{os.getpid()}" not in names
