# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server that answers what a test tells it to; for answers that a real one gives only on bad days."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class FakeApiServer:
    """Serves on loopback while it is entered.

    answer(method, path, query) -> (status, body) or (status, body, headers); body is JSON data, or bytes that are sent
    as they are. seen: list of (method, path, query), in order.
    """

    def __init__(self, answer):
        self.seen: list[tuple] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Otherwise each answer waits 40 ms for a delayed acknowledgement of its head.
            disable_nagle_algorithm = True

            def respond(self):
                address = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(address.query).items()}
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, address.path, query))
                status, body, *more = answer(self.command, address.path, query)
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response_only(status)
                # The clock may be the test's.
                for name, value in {"Date": self.date_time_string(), **(more[0] if more else {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PATCH = do_DELETE = do_POST = respond

            def log_message(self, *_arguments):
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeApiServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()
