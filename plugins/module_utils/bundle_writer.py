# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a bundle whose blobs come in any order and at the same time, and going on with one that was cut short.

Each blob has its place in the parts before any is there. What an interrupted run has left is looked at by digest, so that
it need not be fetched again.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import BlobReader, WrongBytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import DESCRIPTION, SIGNATURE, Content
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_layout import segments
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import write_atomically
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import pieces_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_progress import megabytes

_UNFINISHED = ".unfinished"
_PART = re.compile(r"bundle-[0-9]{3}\.tar")


class BundleWriter:
    """One bundle on its way into a folder. manifests: digest -> bytes of those of the content."""

    is_far = False

    def __init__(self, folder: str, content: Content, manifests: dict[str, bytes]):
        self.name = f"bundle {folder}"
        self._folder, self._content = folder, content
        self._small = manifests | {sha256_digest(data): data for data in content.small_files.values()}
        self._segments = segments(content.parts)
        self._handles: dict[str, int] = {}

    def begin(self, run: Callable[[Callable, Iterable], list]) -> set[str]:
        """Makes the parts, with everything in place but the blobs; the digests of those that an interrupted run has left there.

        run: runs a function over items in parallel, as a list in their order.
        :raises Failure: the folder cannot be written to, or has no room
        """
        plan = self._path(f".{DESCRIPTION}{_UNFINISHED}")
        goes_on = _bytes(plan) == self._content.description
        try:
            os.makedirs(self._folder, exist_ok=True)
            if not goes_on:
                self._drop_unfinished()
                free = shutil.disk_usage(self._folder).free
                if free < self._content.size:
                    what = f"{self.name} takes {megabytes(self._content.size)} MB, and its disk has {megabytes(free)} MB left"
                    raise Failure(what, "make room, or give another folder")
            for part in self._content.parts:
                self._handles[part.name] = os.open(self._path(_unfinished(part.name)), os.O_RDWR | os.O_CREAT, 0o644)
                os.ftruncate(self._handles[part.name], part.size)
            there = set(filter(None, run(self._left_there, self._content.blobs))) if goes_on else set()
            for part in self._content.parts:
                for offset, data in part.framing():
                    self._pwrite(part.name, data, offset)
                for member, offset in part.members:
                    if member.digest in self._small and not member.link:
                        self._pwrite(part.name, self._small[member.digest], offset)
        except OSError as error:
            raise self._unwritable(error) from None
        write_atomically(plan, self._content.description)
        return there

    def put_blob(self, reader: BlobReader, mount_from: str = "") -> bool:
        """Writes a blob to its place; False, since nothing is mounted in a file.

        :raises Failure: the disk is full; the blob is not whole
        """
        position, places = 0, self._segments[reader.digest]
        try:
            for piece in reader.pieces():
                self._put(places, piece, position)
                position += len(piece)
        except OSError as error:
            raise self._unwritable(error) from None
        return False

    def finish(self, signature: bytes | None) -> None:
        """Puts the bundle in its place, its description last; to be called once every blob is there.

        :raises Failure: it cannot be written
        """
        try:
            for handle in self._handles.values():
                # What an image or a manifest is made of is no secret, whatever the umask.
                os.fchmod(handle, 0o644)
                os.fsync(handle)
            for name in (DESCRIPTION, SIGNATURE):
                with suppress(FileNotFoundError):
                    os.unlink(self._path(name))
            for name in self._handles:
                os.replace(self._path(_unfinished(name)), self._path(name))
            for name in os.listdir(self._folder):
                if _PART.fullmatch(name) and name not in self._handles:
                    os.unlink(self._path(name))
        except OSError as error:
            raise self._unwritable(error) from None
        if signature is not None:
            write_signature(self._folder, signature)
        write_atomically(self._path(DESCRIPTION), self._content.description)
        with suppress(OSError):
            self._drop_unfinished()

    def close(self) -> None:
        """Lets go of the files; what is not finished stays for the next run."""
        while self._handles:
            os.close(self._handles.popitem()[1])

    def _left_there(self, blob):
        places = [(self._path(_unfinished(name)), offset, size) for name, offset, size in self._segments[blob["digest"]]]
        try:
            for _piece in BlobReader(self.name, blob, lambda start: (piece for place in places for piece in pieces_of(place, 0))).pieces():
                pass
            return blob["digest"]
        except WrongBytes:
            return None

    def _put(self, places, piece, position):
        begins = 0
        for name, offset, size in places:
            first, last = max(position, begins), min(position + len(piece), begins + size)
            if first < last:
                self._pwrite(name, memoryview(piece)[first - position : last - position], offset + first - begins)
            begins += size

    def _pwrite(self, name, data, position):
        view = memoryview(data)
        while view:
            count = os.pwrite(self._handles[name], view, position)
            view, position = view[count:], position + count

    def _drop_unfinished(self):
        for name in os.listdir(self._folder):
            if name.startswith(".bundle") and name.endswith(_UNFINISHED):
                os.unlink(self._path(name))

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _unwritable(self, error):
        return Failure(f"{self.name} cannot be written ({error.strerror})", "give a folder that this user can write to, with room")


def write_signature(folder: str, signature: bytes) -> None:
    """Puts the signature beside the description.

    :raises Failure: it cannot be written
    """
    write_atomically(os.path.join(folder, SIGNATURE), signature)


def _unfinished(name):
    return f".{name}{_UNFINISHED}"


def _bytes(path):
    with suppress(OSError), open(path, "rb") as file:
        return file.read()
    return None
