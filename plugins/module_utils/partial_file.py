# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a blob to a file that appears when it is whole, and going on with what an earlier run has left of it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE, BlobReader, WrongBytes


def write_blob(target: str, reader: BlobReader) -> None:
    """Writes a blob to a path.

    What there is of it so far is in `.NAME.partial` beside it, and stays there where this fails or is killed, unless it is wrong.
    :raises WrongBytes: the source gives other bytes than those of the digest
    :raises OSError: it cannot be written
    """
    with _partial(target) as (file, path):
        there = 0
        if 0 < os.fstat(file.fileno()).st_size <= reader.size:
            with suppress(WrongBytes):
                there = reader.take_over(iter(lambda: file.read(PIECE), b""))
        file.seek(there)
        file.truncate()
        try:
            for piece in reader.pieces(there):
                file.write(piece)
        except WrongBytes:
            os.unlink(path)
            raise
        os.fchmod(file.fileno(), 0o644)
        os.replace(path, target)


@contextmanager
def _partial(target) -> Iterator[tuple[BinaryIO, str]]:
    """The file that keeps what there is so far, and its path; one of our own, which is not kept, where another process is at it."""
    folder, name = os.path.split(target)
    path = os.path.join(folder, f".{name}.partial")
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644), "r+b", buffering=0) as file:
        if _is_ours(file, path):
            yield file, path
            return
    handle, path = tempfile.mkstemp(prefix=".", dir=folder)
    try:
        with open(handle, "r+b", buffering=0) as file:
            yield file, path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _is_ours(file, path):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock may have put the file in its place meanwhile.
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False
