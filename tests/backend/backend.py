# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend for tests: takes the collector's batches by HTTPS, keeps each line under its number, and answers queries."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import ssl
import threading
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_QUERY_LIMIT = 1000


class Backend:
    """Serves while it is entered, at `url` (https) on the given address and name.

    address: to listen on. token: the bearer token that every request needs. tls: of the server. name: host name in
    `url`; without it the address. Whatever `answer` gives (status, headers) is the answer to the next batches; None
    takes them.
    """

    def __init__(self, address: str, token: str, tls: ssl.SSLContext, name: str = ""):
        self.token = token
        self.streams: dict[str, dict[int, dict]] = defaultdict(dict)
        self.twice = 0
        self.agents: set[str] = set()
        self.statuses = Counter()
        self.answer = None
        self._lock = threading.Lock()
        self._server = _Server((address, 0), _handler(self))
        self._server.tls = tls
        self.port = self._server.server_address[1]
        self.url = f"https://{name or address}:{self.port}"

    def __enter__(self) -> Backend:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self.stop()

    def stop(self) -> None:
        """Goes away: connections are refused from now on, those that are open are cut."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._thread.join()

    @property
    def events(self) -> list[dict]:
        """All lines, in the order of their numbers within a stream."""
        with self._lock:
            return [lines[number] for lines in self.streams.values() for number in sorted(lines)]

    def missing(self) -> dict[str, list[int]]:
        """Stream -> numbers up to its last one that never came."""
        with self._lock:
            return {stream: sorted(set(range(1, max(lines) + 1)) - set(lines)) for stream, lines in self.streams.items()}

    def take(self, packed: bytes) -> None:
        """Keeps a batch.

        :raises ValueError: it is none
        """
        head, *lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
        if head["type"] != "batch" or head["lines"] != len(lines):
            raise ValueError(f"{len(lines)} lines after {head}")
        with self._lock:
            kept = self.streams[head["stream"]]
            for number, line in enumerate(lines, head["first"]):
                self.twice += number in kept
                kept[number] = line

    def find(self, contains: str = "", nonce_sha256: str = "") -> list[dict]:
        """Events whose text contains a text, or that have an argument with this SHA-256; the newest ones of many."""
        found = [event for event in self.events if contains in json.dumps(event)]
        if nonce_sha256:
            found = [event for event in found if nonce_sha256 in {_sha256(word) for word in (event.get("process") or {}).get("argv") or []}]
        return found[-_QUERY_LIMIT:]


def _sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.tls = None
        self._open = set()

    def get_request(self):
        connection, address = super().get_request()
        # The handshake is left to the connection's own thread: a slow client must not hold up the others.
        connection = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self):
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.close()

    def handle_error(self, request, client_address):
        """A client that goes away, or does not trust this server, is no news."""


def _handler(backend):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer waits 40 ms for a delayed acknowledgement of its head.
        disable_nagle_algorithm = True
        timeout = 60

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not self._known():
                return
            backend.agents.add(self.headers.get("User-Agent", ""))
            status, headers = backend.answer or (204, {})
            if status == 204:
                try:
                    backend.take(body)
                except (ValueError, KeyError, OSError) as error:
                    status, headers = 400, {"X-Reason": str(error)}
            self._send(status, b"", headers)

        def do_GET(self):
            if not self._known():
                return
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            if set(query) - {"contains", "nonce_sha256"}:
                self._send(404, json.dumps({"unknown": self.path}).encode())
                return
            self._send(200, json.dumps({"query": self.path, "events": backend.find(**query)}).encode())

        def _known(self):
            if self.headers.get("Authorization") == f"Bearer {backend.token}":
                return True
            self._send(401, b"")
            return False

        def _send(self, status, body, headers=None):
            backend.statuses[f"{self.command} {status}"] += 1
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    return Handler
