# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module node_relay: a file goes from node to node, over HTTP, by a name that nobody guesses, checked by its digest."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import os
import secrets
import socket
import threading
from contextlib import suppress
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run

_PIECE = 1 << 20
# Without a byte for so long a transfer is given up.
_SILENCE = 30.0
# The only one who may end a server, beside its time limit, is the node itself.
_HERE = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def work(options: dict, run: Run) -> dict:
    """The module's result; in check mode nothing is fetched, served or ended.

    :raises Failure: with one line for the user
    """
    if options["state"] == "absent":
        ended, served = (False, 0) if run.check_mode else _end(options)
        return {"changed": ended, "served": served}
    if run.check_mode:
        return {"changed": True, "port": 0, "path": "", "fetched": 0}
    fetched = fetch(options["url"], options["archive"], options["sha256"]) if options["url"] else 0
    port, path = serve(options["archive"], options["port"], options["time_limit"])
    return {"changed": True, "port": port, "path": path, "fetched": fetched}


def fetch(url: str, path: str, sha256: str) -> int:
    """Gets a file from another node; number of its bytes. The file appears only when it is whole.

    :raises Failure: the other does not answer or breaks off, the bytes are others, the disk is full
    """
    part, digest, count = f"{path}.part", hashlib.sha256(), 0
    step = "see whether the nodes reach each other at this port, or use preload_from: controller"
    try:
        # A proxy is for what is outside.
        with build_opener(ProxyHandler({})).open(url, timeout=_SILENCE) as answer, open(part, "wb") as file:
            while piece := answer.read(_PIECE):
                digest.update(piece)
                file.write(piece)
                count += len(piece)
    except (URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise Failure(f"the archive did not come from {urlsplit(url).netloc} ({getattr(error, 'reason', error) or type(error).__name__})", step) from None
    except OSError as error:
        raise Failure(f"the archive could not be taken from {urlsplit(url).netloc} to {path} ({error.strerror or error})", "make room there") from None
    try:
        if digest.hexdigest() != sha256:
            raise Failure(f"what came from {urlsplit(url).netloc} is not the archive: SHA-256 {digest.hexdigest()} instead of {sha256}", step)
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)
    return count


def serve(archive: str, port: int, time_limit: int) -> tuple[int, str]:
    """Starts a process that serves one file, until it is told to end or its time is over; (its port, the URL's path).

    port: 0 for any that is free. time_limit: seconds.
    :raises Failure: the file is not there, or the port is taken
    """
    try:
        file = open(archive, "rb")  # noqa: SIM115 (the server closes it)
    except OSError as error:
        raise Failure(f"archive {archive} cannot be served ({error.strerror})", "is it there, and readable?") from None
    with file:
        path = f"/{secrets.token_urlsafe(24)}"
        try:
            server = _listen(port, file, path)
        except OSError as error:
            raise Failure(f"port {port} cannot be listened at ({error.strerror})", "choose another with preload_port") from None
        with server.socket:
            port = server.server_address[1]
            child = os.fork()
            if child == 0:
                _become_server(server, time_limit)
            os.waitpid(child, 0)
    return port, path


def _become_server(server, time_limit):
    """Never returns. The process belongs to nobody then, so that the connection to this node can end."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        threading.Timer(time_limit, server.shutdown).start()
        server.serve_forever(poll_interval=0.1)
        # Whoever is being served gets the rest.
        server.server_close()
    finally:
        os._exit(0)


def _listen(port, file, path):
    family, address = (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")

    class Server(http.server.ThreadingHTTPServer):
        address_family = family
        daemon_threads = False
        served = 0
        ending = False

        def server_bind(self):
            if family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()

    size = os.fstat(file.fileno()).st_size
    return Server((address, port), _handler(file.fileno(), size, path))


def _handler(handle, size, path):
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = _SILENCE

        def do_GET(self):  # noqa: N802 (the name that http.server asks for)
            if not self._is_meant():
                return
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            position = 0
            # Several are served at once: each reads from its own position.
            while piece := os.pread(handle, _PIECE, position):
                self.wfile.write(piece)
                position += len(piece)
            self.server.served += position == size

        def do_DELETE(self):  # noqa: N802
            if not self._is_meant(self.client_address[0] in _HERE):
                return
            self.server.ending = True
            body = json.dumps({"served": self.server.served}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            threading.Thread(target=self.server.shutdown).start()

        def _is_meant(self, allowed=True):
            meant = allowed and not self.server.ending and secrets.compare_digest(self.path.encode(), path.encode())
            if not meant:
                self.send_error(404)
            return meant

        def log_message(self, *arguments):
            """Nobody reads what the server has to say."""

    return Handler


def _end(options):
    """Ends the server, where it still runs, and removes the archive: (whether there was something of it, how often it was served)."""
    ended, served = False, 0
    if options["port"] and options["path"]:
        request = Request(f"http://127.0.0.1:{options['port']}{options['path']}", method="DELETE")
        with suppress(URLError, OSError, http.client.HTTPException, ValueError), build_opener(ProxyHandler({})).open(request, timeout=_SILENCE) as answer:
            ended, served = True, json.loads(answer.read())["served"]
    for path in (options["archive"], f"{options['archive']}.part"):
        with suppress(FileNotFoundError):
            os.unlink(path)
            ended = True
    return ended, served
