# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a blob, read from any position on and checked against its digest on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

# At most this much is handed out at once, so that memory stays flat whatever the size of a blob.
PIECE = 1 << 20
# How far a reader that goes back may have to read again what it has had.
_CHECKPOINT = 8 << 20


class WrongBytes(Failure):
    """A source gave other bytes than those of the digest."""


class BlobReader:
    """A blob on its way. One thread at a time.

    :param name: of the source, for messages
    :param descriptor: says digest and size
    :param open_at: takes a position, gives an iterator of the bytes from there on in pieces
    :param moved: told how many bytes were read that were never read before
    """

    def __init__(self, name: str, descriptor: dict, open_at: Callable[[int], Iterator[bytes]], moved: Callable[[int], None] = lambda count: None):
        self.name = name
        self.digest, self.size = descriptor["digest"], descriptor["size"]
        self._open_at, self._moved = open_at, moved
        self._furthest = 0
        self._restart()

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes from the position, at least one before the end. The last ones are given out only where all of them fit the digest.

        :raises WrongBytes: the source has other bytes, or more or fewer of them
        """
        if position != self._position:
            self._go_to(position)
        if not self._rest and position < self.size:
            self._advance()
        piece, self._rest = self._rest[: min(length, PIECE)], self._rest[min(length, PIECE) :]
        self._position += len(piece)
        return piece

    def pieces(self) -> Iterator[bytes]:
        """All bytes from the beginning; checked also where there are none.

        :raises WrongBytes: as read does
        """
        if not self.size:
            self._check()
        position = 0
        while position < self.size:
            piece = self.read(position, PIECE)
            position += len(piece)
            yield piece

    def close(self) -> None:
        """Lets go of the source."""
        close = getattr(self._pieces, "close", None)
        if close:
            close()
        self._pieces = None

    def _restart(self):
        self._pieces, self._rest, self._position = None, b"", 0
        self._hashed, self._hash = 0, hashlib.sha256()
        self._checkpoints = [(0, self._hash.copy())]

    def _go_to(self, position):
        self.close()
        self._hashed, hashed = next((at, state) for at, state in reversed(self._checkpoints) if at <= position)
        self._checkpoints = [(at, state) for at, state in self._checkpoints if at <= position]
        self._hash, self._rest = hashed.copy(), b""
        while self._hashed < position:
            self._advance()
        # What came beyond the position is kept for the next read.
        self._rest = self._rest[len(self._rest) - (self._hashed - position) :]
        self._position = position

    def _advance(self):
        """Reads one more piece into the empty rest."""
        if self._pieces is None:
            self._pieces = self._open_at(self._hashed)
        piece = next(self._pieces, b"")
        if not piece or self._hashed + len(piece) > self.size:
            self._wrong(f"ends after {self._hashed} of {self.size} bytes" if not piece else f"is longer than its {self.size} bytes")
        self._hash.update(piece)
        self._hashed += len(piece)
        if self._hashed - self._checkpoints[-1][0] >= _CHECKPOINT:
            self._checkpoints.append((self._hashed, self._hash.copy()))
        if self._hashed == self.size:
            self._check()
        if self._hashed > self._furthest:
            self._moved(self._hashed - self._furthest)
            self._furthest = self._hashed
        self._rest = piece

    def _check(self):
        digest = "sha256:" + self._hash.hexdigest()
        if digest != self.digest:
            self._wrong(f"has other bytes, those of {digest}")

    def _wrong(self, how):
        self.close()
        self._restart()
        raise WrongBytes(f"{self.name}: blob {self.digest} {how}", "do not use it; is the source damaged, or a proxy in between?")


class Body:
    """A part of a blob as the body of a request, with the length that makes the client name it in advance."""

    def __init__(self, blob: BlobReader, start: int, length: int):
        self._blob, self._start, self._length = blob, start, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        position, end = self._start, self._start + self._length
        while position < end:
            piece = self._blob.read(position, end - position)
            position += len(piece)
            yield piece
