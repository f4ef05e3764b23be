# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forward proxy for tests: opens a way for CONNECT, and says where to."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_BLOCK = 65536


class ForwardProxy:
    """Serves while it is entered, at `url` (http) on the given address.

    names: host name -> address, for hosts that no name service knows; hosts that are not in it are refused with 403.
    login: user:password that it insists on; None for none. asked: the hosts and ports of all CONNECT requests.
    """

    def __init__(self, address: str, names: dict[str, str]):
        self.names = names
        self.login: str | None = None
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://{address}:{self._server.server_address[1]}"

    def __enter__(self) -> ForwardProxy:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(proxy):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer waits 40 ms for a delayed acknowledgement of its head.
        disable_nagle_algorithm = True

        def do_CONNECT(self):
            if proxy.login and self.headers.get("Proxy-Authorization") != f"Basic {base64.b64encode(proxy.login.encode()).decode()}":
                self.send_error(407)
                return
            proxy.asked.append(self.path)
            host, _colon, port = self.path.rpartition(":")
            if host not in proxy.names:
                self.send_error(403)
                return
            try:
                far = socket.create_connection((proxy.names[host], int(port)), timeout=10)
            except OSError:
                self.send_error(502)
                return
            with far:
                self.send_response(200)
                self.end_headers()
                _join(self.connection, far)
            self.close_connection = True

        def log_message(self, *_arguments):
            pass

    return Handler


def _join(near, far):
    """Hands bytes on in both directions until one side ends."""
    other = {near: far, far: near}
    while True:
        readable, _writable, _failed = select.select([near, far], [], [], 60)
        for side in readable:
            block = b""
            with contextlib.suppress(OSError):
                block = side.recv(_BLOCK)
            if not block:
                return
            other[side].sendall(block)
        if not readable:
            return
