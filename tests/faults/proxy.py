# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP proxy that stands where the server should, and lets a plan decide what goes wrong on the way."""

from __future__ import annotations

import contextlib
import http.client
import os
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from ansible_collections.nanoagent.k8s.tests.faults.fault import Answer, Away, Corrupt, Cut, Lose, Request, Reset, Shorten, Slow, Truncate
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan

_BLOCK = 65536
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
_BODILESS = (204, 304)
_SERVER_ERRORS = (OSError, http.client.HTTPException)


class FaultProxy:
    """Serves on loopback while it is entered, at `url`; every request goes to `upstream` unless the plan has other ideas.

    upstream: URL of the server, without a path. upstream_tls: for an https upstream. serving_tls: makes the proxy itself
    speak TLS. port: 0 for any that is free. headers: sent to the server beside the client's own, such as a login. An upstream that cannot be reached
    shows as a broken connection.
    """

    def __init__(
        self,
        upstream: str,
        plan: Plan,
        upstream_tls: ssl.SSLContext | None = None,
        serving_tls: ssl.SSLContext | None = None,
        headers: dict | None = None,
        port: int = 0,
    ):
        address = urlsplit(upstream)
        self.plan = plan
        self.headers = headers or {}
        self.upstream = (address.hostname, address.port or (443 if address.scheme == "https" else 80))
        self.upstream_tls = (upstream_tls or ssl.create_default_context()) if address.scheme == "https" else None
        self.serving_tls = serving_tls
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._server: _Server | None = _Server(("127.0.0.1", port), self)
        self._port = self._server.server_address[1]
        self.url = f"{'https' if serving_tls else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> FaultProxy:
        self._server.start()
        return self

    def __exit__(self, *_error):
        self._closed.set()
        self._stop()

    def go_away(self, seconds: float | None) -> None:
        """Breaks every connection and refuses new ones, for some seconds or (None) for good; returns at once."""
        threading.Thread(target=self._be_away, args=(seconds,), daemon=True).start()

    def track(self, connection: socket.socket) -> None:
        """Remembers a connection, of either side, that ends when the proxy goes away."""
        with self._lock:
            self._open.add(connection)

    def forget(self, connection: socket.socket) -> None:
        """The opposite of track."""
        with self._lock:
            self._open.discard(connection)

    def _be_away(self, seconds):
        if not self._stop() or seconds is None or self._closed.wait(seconds):
            return
        server = _Server(("127.0.0.1", self._port), self)
        with self._lock:
            if not self._closed.is_set():
                self._server = server
                server.start()
                return
        server.server_close()

    def _stop(self) -> bool:
        """Whether there was something to stop."""
        with self._lock:
            server, self._server = self._server, None
        if server is None:
            return False
        server.shutdown()
        server.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address, proxy):
        self.proxy = proxy
        super().__init__(address, _Handler)

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and the one to the server that belongs to it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.proxy = self.server.proxy
        self.upstream = None
        if self.proxy.serving_tls:
            self.request = self.proxy.serving_tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.proxy.track(self.connection)

    def finish(self):
        self._drop_upstream()
        self.proxy.forget(self.connection)
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()

    def relay(self):
        """Takes one request through whatever the plan has for it."""
        address = urlsplit(self.path)
        request = Request(self.command, address.path, address.query, "upgrade" in self.headers)
        body = self._body()
        fault = self.proxy.plan.meet(request)
        try:
            if isinstance(fault, Answer):
                self._answer(fault)
            elif isinstance(fault, Away):
                self.proxy.go_away(fault.seconds)
                self._reset()
            elif isinstance(fault, Reset):
                self._reset()
            elif request.upgrade:
                self._relay_upgrade(fault)
            else:
                self._relay_answer(request, self._ask(body), fault)
        except _SERVER_ERRORS:
            self._reset()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = relay

    def log_message(self, *_arguments):
        """Nothing on standard error; the plan's log tells more."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, answer):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _ask(self, body) -> http.client.HTTPResponse:
        """The server's answer, its body not yet read."""
        if self.upstream is None:
            host, port = self.proxy.upstream
            tls = self.proxy.upstream_tls
            self.upstream = http.client.HTTPSConnection(host, port, context=tls) if tls else http.client.HTTPConnection(host, port)
            self.upstream.connect()
            self.proxy.track(self.upstream.sock)
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self._forwarded_headers():
            self.upstream.putheader(name, value)
        self.upstream.putheader("Content-Length", str(len(body)))
        self.upstream.endheaders(body or None)
        return self.upstream.getresponse()

    def _forwarded_headers(self):
        own = {name.lower() for name in self.proxy.headers}
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP | own | {"content-length", "host"}:
                yield name, value
        host, port = self.proxy.upstream
        yield "Host", f"{host}:{port}"
        yield from self.proxy.headers.items()

    def _relay_answer(self, request, response, fault):
        if isinstance(fault, Lose | Truncate | Shorten | Corrupt | Slow):
            self._relay_whole(response, response.read(), fault)
            return
        self._head(response, response.getheader("Content-Length"))
        chunked = response.getheader("Content-Length") is None
        if self.command == "HEAD" or response.status in _BODILESS:
            response.read()
            return
        left = fault.size if isinstance(fault, Cut) else None
        while block := response.read1(_BLOCK):
            if left is not None:
                block, left = block[:left], left - len(block)
            if block:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            if left is not None and left <= 0:
                self._drop_upstream()
                if fault.reset or not chunked:
                    self._reset()
                    return
                break
        # Without this http.client takes the next answer of this connection for one too many.
        response.close()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _relay_whole(self, response, body, fault):
        if isinstance(fault, Lose):
            self._reset()
        elif isinstance(fault, Slow):
            self._head(response, len(body))
            size = max(1, -(-len(body) // fault.pieces))
            for start in range(0, len(body), size):
                self.wfile.write(body[start : start + size])
                time.sleep(fault.pause)
        elif isinstance(fault, Corrupt):
            self._head(response, len(body))
            at = int(len(body) * fault.share)
            self.wfile.write(body[:at] + bytes(byte ^ 1 for byte in body[at : at + 1]) + body[at + 1 :])
        else:
            part = body[: min(int(len(body) * fault.share), max(0, len(body) - 1))]
            self._head(response, len(part) if isinstance(fault, Shorten) else len(body))
            self.wfile.write(part)
            self.close_connection = self.close_connection or isinstance(fault, Truncate)

    def _head(self, response, length):
        self.send_response(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP | {"content-length", "date", "server"}:
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        elif self.command != "HEAD" and response.status not in _BODILESS:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _relay_upgrade(self, fault):
        """Hands bytes both ways until either side ends; the server's first ones are its answer to the handshake."""
        self.close_connection = True
        server = socket.create_connection(self.proxy.upstream)
        if self.proxy.upstream_tls:
            server = self.proxy.upstream_tls.wrap_socket(server, server_hostname=self.proxy.upstream[0])
        self.proxy.track(server)
        try:
            kept = [(name, value) for name, value in self.headers.items() if name.lower() in ("connection", "upgrade")]
            lines = [f"{self.command} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in [*kept, *self._forwarded_headers()])]
            server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            for block in self._exchange(server, fault.size if isinstance(fault, Cut) else None):
                self.connection.sendall(block)
            if fault and fault.reset:
                self._reset()
        finally:
            self.proxy.forget(server)
            server.close()

    def _exchange(self, server, left) -> Iterator[bytes]:
        """What the server sends, at most `left` bytes of it; what the client sends goes to the server meanwhile."""
        # Not select(): a process with hundreds of proxies has descriptors beyond the 1,024 that it takes.
        with selectors.DefaultSelector() as watched:
            for end in (server, self.connection):
                watched.register(end, selectors.EVENT_READ)
            while left is None or left > 0:
                ready = [end for end in (server, self.connection) if isinstance(end, ssl.SSLSocket) and end.pending()]
                for end in ready or [key.fileobj for key, _events in watched.select()]:
                    block = end.recv(_BLOCK)
                    if not block:
                        return
                    if end is self.connection:
                        server.sendall(block)
                        continue
                    yield block[:left]
                    left = None if left is None else left - len(block)

    def _drop_upstream(self):
        if self.upstream is not None:
            if self.upstream.sock is not None:
                self.proxy.forget(self.upstream.sock)
            self.upstream.close()
            self.upstream = None

    def _reset(self):
        """Ends the connection with a TCP reset, past TLS and past what is still buffered."""
        self.close_connection = True
        self.proxy.forget(self.connection)
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
