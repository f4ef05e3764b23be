# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority
from ansible_collections.nanoagent.k8s.tests.faults.fault import Answer, Away, Cut, Lose, Reset, Shorten, Slow, Truncate
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy

BODY = json.dumps({"text": "x" * 3000}).encode()
BROKEN = (http.client.HTTPException, OSError)


class Server:
    """Says what it was asked, streams five lines at /stream, and echoes after an upgrade."""

    def __init__(self):
        self.seen, self.bodies = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def respond(self):
                outer.seen.append((self.command, self.path))
                outer.bodies.append((self.rfile.read(int(self.headers.get("Content-Length") or 0)), dict(self.headers)))
                if "upgrade" in self.headers:
                    self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
                    while block := self.connection.recv(100):
                        self.wfile.write(block.upper())
                    self.close_connection = True
                    return
                self.send_response(200)
                if self.path.startswith("/stream"):
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for number in range(5):
                        self.wfile.write(b"7\r\nline %d\n\r\n" % number)
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.send_header("Content-Length", str(len(BODY)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(BODY)

            do_GET = do_HEAD = do_PUT = do_PATCH = respond

            def log_message(self, *_arguments):
                """Nothing on standard error."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def through(server):
    """through(fault, ...) -> a proxy whose first requests meet these faults and whose others meet none."""
    with contextlib.ExitStack() as stack:

        def enter(*faults, **options):
            plan, left = Plan(0), list(faults)
            plan.meet = lambda request: left.pop(0) if left else None
            return stack.enter_context(FaultProxy(server.url, plan, **options))

        yield enter


def connect(proxy):
    address = urlsplit(proxy.url)
    return http.client.HTTPConnection(address.hostname, address.port, timeout=20)


def ask(proxy, path="/a?b=c", method="GET", body=None, connection=None):
    connection = connection or connect(proxy)
    connection.request(method, path, body=body)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def test_without_a_fault_nothing_changes(through, server):
    proxy = through()
    connection = connect(proxy)
    assert ask(proxy, connection=connection)[:2] == (200, BODY)
    status, body, headers = ask(proxy, "/b", "PUT", b"sent", connection)
    assert (status, body) == (200, BODY) and headers["Content-Length"] == str(len(BODY))
    status, body, headers = ask(proxy, "/c", "HEAD", connection=connection)
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(BODY)))
    assert ask(proxy, "/stream", connection=connection)[1] == b"".join(b"line %d\n" % number for number in range(5))
    assert server.seen == [("GET", "/a?b=c"), ("PUT", "/b"), ("HEAD", "/c"), ("GET", "/stream")]
    assert server.bodies[1][0] == b"sent"


def test_a_chunked_body_arrives_whole(through, server):
    proxy = through()
    connection = connect(proxy)
    connection.request("PUT", "/up", body=iter([b"one ", b"two"]), encode_chunked=True)
    assert connection.getresponse().status == 200
    assert server.bodies[0][0] == b"one two"


def test_an_answer_of_the_proxy_never_reaches_the_server(through, server):
    proxy = through(Answer(429, b"{}", {"Retry-After": "1"}))
    status, body, headers = ask(proxy)
    assert (status, body, headers["Retry-After"]) == (429, b"{}", "1") and server.seen == []


@pytest.mark.parametrize(("fault", "arrives"), [(Reset(), 0), (Lose(), 1)])
def test_resets_before_and_after_the_server_has_acted(through, server, fault, arrives):
    proxy = through(fault)
    with pytest.raises(ConnectionResetError):
        ask(proxy, method="PATCH", body=b"x")
    assert len(server.seen) == arrives
    assert ask(proxy)[0] == 200


def test_a_truncated_body_breaks_its_promise_and_a_shortened_one_does_not(through):
    proxy = through(Truncate(0.5), Truncate(1.0), Shorten(0.5))
    for most in (0.5, 1):
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(proxy)
        assert len(caught.value.partial) <= len(BODY) * most and len(caught.value.partial) + caught.value.expected == len(BODY)
    assert ask(proxy)[1] == BODY[: len(BODY) // 2]


def test_a_slow_body_is_whole(through):
    assert ask(through(Slow(4, 0.01)))[1] == BODY


def test_streams_are_cut_where_the_plan_says(through):
    proxy = through(Cut(10, False), Cut(10, True))
    assert ask(proxy, "/stream")[1] == b"line 0\nlin"
    with pytest.raises(BROKEN):
        ask(proxy, "/stream")


def upgrade(proxy):
    address = urlsplit(proxy.url)
    client = socket.create_connection((address.hostname, address.port), timeout=20)
    client.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    return client


def read_until(client, end):
    data = b""
    while not data.endswith(end):
        block = client.recv(100)
        if not block:
            break
        data += block
    return data


def test_an_upgraded_connection_is_handed_through_and_cut(through):
    proxy = through(None, Cut(20, True), Cut(30, False))
    with upgrade(proxy) as client:
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        for word in (b"one", b"two"):
            client.sendall(word)
            assert read_until(client, word.upper()) == word.upper()
    with upgrade(proxy) as client, pytest.raises(ConnectionResetError):
        while client.recv(100):
            pass
    with upgrade(proxy) as client:
        assert len(read_until(client, b"never")) == 30


def test_a_server_that_is_away_refuses_and_comes_back(through):
    proxy = through(None, Away(0.4))
    idle = connect(proxy)
    ask(proxy, connection=idle)
    with pytest.raises(BROKEN):
        ask(proxy)
    assert idle.sock.recv(1) == b""
    refused = False
    while True:
        try:
            assert ask(proxy)[0] == 200
            break
        except ConnectionRefusedError:
            refused = True
        except BROKEN:
            pass
    assert refused


def test_a_server_that_is_away_for_good_stays_so(through):
    proxy = through(Away(None))
    with pytest.raises(BROKEN):
        ask(proxy)
    for _again in range(3):
        with pytest.raises(BROKEN):
            ask(proxy)


def test_a_server_that_is_not_there_shows_as_a_broken_connection(through, server):
    proxy = through()
    server.server.server_close()
    with pytest.raises(ConnectionResetError):
        ask(proxy)


def test_tls_lets_in_only_the_holder_of_the_certificate(through, tmp_path):
    authority = Authority(tmp_path / "ca")
    proxy = through(serving_tls=authority.serving(), headers={"Authorization": "Bearer t"})
    address = urlsplit(proxy.url)
    stranger = ssl.create_default_context(cafile=str(authority.ca))
    with pytest.raises(OSError):
        https = http.client.HTTPSConnection(address.hostname, address.port, context=stranger, timeout=20)
        https.request("GET", "/")
        https.getresponse()
    known = ssl.create_default_context(cafile=str(authority.ca))
    known.load_cert_chain(authority.client_cert, authority.client_key)
    connection = http.client.HTTPSConnection(address.hostname, address.port, context=known, timeout=20)
    assert ask(proxy, connection=connection)[:2] == (200, BODY)
    assert authority.client_key.stat().st_mode & 0o077 == 0


def test_headers_of_the_proxy_reach_the_server(through, server):
    ask(through(headers={"Authorization": "Bearer t"}))
    assert server.bodies[0][1]["Authorization"] == "Bearer t"
