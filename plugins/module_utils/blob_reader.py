# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bytes of a blob, read from any position on and checked against its digest on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import RateLimit, Slots

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
    :param slots: of the source; one of them is held from the first byte that is read until the reader is closed
    """

    def __init__(
        self,
        name: str,
        descriptor: dict,
        open_at: Callable[[int], Iterator[bytes]],
        moved: Callable[[int], None] = lambda count: None,
        slots: Slots | None = None,
    ):
        self.name = name
        self.digest, self.size = descriptor["digest"], descriptor["size"]
        # What all bytes that are handed out have to pass; set by whoever moves blobs.
        self.limit: RateLimit | None = None
        # Whether the source may be asked for several parts at once; set by whoever knows how much else is under way.
        self.in_parts = False
        # How many bytes were told to `moved`.
        self.counted = 0
        self._open_at, self._moved, self._slots = open_at, moved, slots
        self._has_slot, self._furthest = False, 0
        self._restart()

    @property
    def is_remote(self) -> bool:
        """Whether reading a byte again costs as much as reading it first."""
        return self._slots is not None

    def take_over(self, pieces: Iterator[bytes]) -> int:
        """Takes what the destination has already as the beginning, checked like the rest; how many bytes that is.

        :raises WrongBytes: it is all of the blob, or more, and does not fit
        """
        self._drop()
        self._restart()
        for piece in pieces:
            self._accept(piece)
        self._position, self._furthest = self._hashed, max(self._furthest, self._hashed)
        return self._hashed

    def leave_out(self, position: int) -> None:
        """Begins at a position. What comes before is not read, so nothing is checked here: only for a destination that has that and checks all of it."""
        self._drop()
        self._restart()
        self._position = self._hashed = position
        self._hash, self._checkpoints = None, [(position, None)]
        self._furthest = max(self._furthest, position)

    def prepare(self, position: int) -> None:
        """Makes sure that the bytes at a position are there, so that nothing is asked of a destination while the source lets us wait."""
        if position != self._position:
            self._go_to(position)
        if not self._rest and position < self.size:
            self._advance()

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes from the position, at least one before the end. The last ones are given out only where all of them fit the digest.

        :raises WrongBytes: the source has other bytes, or more or fewer of them
        """
        self.prepare(position)
        length = min(length, self.limit.piece if self.limit else PIECE)
        piece, self._rest = (self._rest, b"") if len(self._rest) <= length else (self._rest[:length], self._rest[length:])
        self._position += len(piece)
        if self.limit:
            self.limit.take(len(piece))
        return piece

    def pieces(self, position: int = 0) -> Iterator[bytes]:
        """All bytes from a position on; checked also where there are none. Closes the reader.

        :raises WrongBytes: as read does
        """
        try:
            if not self.size:
                self._check()
            while position < self.size:
                piece = self.read(position, PIECE)
                position += len(piece)
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Lets go of the source."""
        self._drop()
        if self._has_slot:
            self._has_slot = False
            self._slots.give_back()

    def _drop(self):
        close = getattr(self._pieces, "close", None)
        if close:
            close()
        self._pieces = None

    def _restart(self):
        self._pieces, self._rest, self._position = None, b"", 0
        self._hashed, self._hash = 0, hashlib.sha256()
        self._checkpoints = [(0, self._hash.copy())]

    def _go_to(self, position):
        self._drop()
        if position < self._checkpoints[0][0]:
            self._restart()
        self._hashed, hashed = next((at, state) for at, state in reversed(self._checkpoints) if at <= position)
        self._checkpoints = [(at, state) for at, state in self._checkpoints if at <= position]
        self._hash, self._rest = hashed and hashed.copy(), b""
        while self._hashed < position:
            self._advance()
        # What came beyond the position is kept for the next read.
        self._rest = self._rest[len(self._rest) - (self._hashed - position) :]
        self._position = position

    def _advance(self):
        """Reads one more piece into the empty rest."""
        if self._slots and not self._has_slot:
            self._slots.take()
            self._has_slot = True
        if self._pieces is None:
            self._pieces = self._open_at(self._hashed)
        piece = next(self._pieces, b"")
        if not piece:
            self._wrong(f"ends after {self._hashed} of {self.size} bytes")
        self._accept(piece)
        if self._hashed > self._furthest:
            fresh, self._furthest = self._hashed - self._furthest, self._hashed
            self.counted += fresh
            self._moved(fresh)
        self._rest = piece

    def _accept(self, piece):
        if self._hashed + len(piece) > self.size:
            self._wrong(f"is longer than its {self.size} bytes")
        if self._hash:
            self._hash.update(piece)
        self._hashed += len(piece)
        if self._hashed - self._checkpoints[-1][0] >= _CHECKPOINT:
            self._checkpoints.append((self._hashed, self._hash and self._hash.copy()))
        if self._hashed == self.size:
            self._check()

    def _check(self):
        if self._hash is None:
            return
        digest = "sha256:" + self._hash.hexdigest()
        if digest != self.digest:
            self._wrong(f"has other bytes, those of {digest}")

    def _wrong(self, how):
        self._drop()
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
