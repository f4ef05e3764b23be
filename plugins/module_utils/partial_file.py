# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to files that appear when they are whole, and going on with what an earlier run has left of them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from typing import BinaryIO

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE, BlobReader, WrongBytes


class PartialFile:
    """A file on its way to a path.

    What there is of it is in `.NAME.partial` beside it, also after a failure or a kill. Where another process is at that, this is a file of its own,
    which is not kept.
    :raises OSError: it cannot be written
    """

    def __init__(self, target: str):
        folder, name = os.path.split(target)
        self._target, self._path = target, os.path.join(folder, f".{name}.partial")
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._is_kept = _is_ours(handle, self._path)
        if not self._is_kept:
            os.close(handle)
            handle, self._path = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        self.file: BinaryIO = os.fdopen(handle, "r+b", buffering=0)

    def publish(self) -> None:
        """Puts the file in its place; to be called once it is whole."""
        os.fchmod(self.file.fileno(), 0o644)
        os.replace(self._path, self._target)
        self._is_kept = True

    def discard(self) -> None:
        """What there is of it is of no use."""
        self._is_kept = False

    def close(self) -> None:
        """Leaves what there is to the next run."""
        if not self._is_kept:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        self.file.close()


def write_blob(target: str, reader: BlobReader) -> None:
    """Writes a blob to a path, from where an earlier run has left it.

    :raises WrongBytes: the source gives other bytes than those of the digest
    :raises OSError: it cannot be written
    """
    partial = PartialFile(target)
    try:
        file, there = partial.file, 0
        if 0 < os.fstat(file.fileno()).st_size <= reader.size:
            with suppress(WrongBytes):
                there = reader.take_over(iter(lambda: file.read(PIECE), b""))
        file.seek(there)
        file.truncate()
        for piece in reader.pieces(there):
            _write(file, piece)
        partial.publish()
    except WrongBytes:
        partial.discard()
        raise
    finally:
        partial.close()


def _write(file, piece):
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _is_ours(handle, path):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock may have put the file in its place meanwhile.
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False
