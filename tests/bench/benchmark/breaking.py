# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay between a client and a server that resets connections now and then."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading

_BLOCK = 256 << 10


class Breaking:
    """Relays TCP from `host` to `upstream` while it is entered.

    every: bytes, of both directions and all connections together, after which one connection is reset on average; where exactly is
    drawn from the seed. So each client of a seed meets the resets after the same amounts of bytes.
    """

    def __init__(self, upstream: str, every: int):
        self._upstream = upstream
        self._every = every
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.host = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.resets = 0
        self.begin(0)

    def begin(self, seed: int | str) -> None:
        """From here on the draws of this seed hold."""
        with self._lock:
            self._draw = random.Random(seed)
            self._left = self._draw.expovariate(1 / self._every)
            self.resets = 0

    def __enter__(self) -> Breaking:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error):
        # Wakes the thread that accepts, which close alone does not.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        host, port = self._upstream.rsplit(":", 1)
        with client, contextlib.suppress(OSError), socket.create_connection((host, int(port))) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._relay(client, server)

    def _relay(self, client, server):
        """Hands bytes on until both sides have ended, or a reset is due."""
        other = {client: server, server: client}
        speaking, block = [client, server], memoryview(bytearray(_BLOCK))
        while speaking:
            for end in select.select(speaking, [], [])[0]:
                size = end.recv_into(block)
                if not size:
                    speaking.remove(end)
                    other[end].shutdown(socket.SHUT_WR)
                elif self._due(size):
                    for broken in (client, server):
                        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                else:
                    other[end].sendall(block[:size])

    def _due(self, size):
        with self._lock:
            self._left -= size
            if self._left > 0:
                return False
            self._left = self._draw.expovariate(1 / self._every)
            self.resets += 1
            return True
