# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing an archive of images whose parts come in any order and at the same time, the same bytes each time.

All sizes are known beforehand, so each blob has its place in the file before any of them is there.
"""

from __future__ import annotations

import os
import tarfile
import threading
from contextlib import suppress

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE, BlobReader, WrongBytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_archive import docker_manifest
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import FULL_NAME, REF_NAME
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_layout import LAYOUT_MARK
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import blobs, children, content_of, referrer_descriptor, subject
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE, TAR_BLOCK, canonical_json, descriptor, make_blob
from ansible_collections.nanoagent.k8s.plugins.module_utils.partial_file import PartialFile
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import referrers_tag

# At least what file systems keep track of at once.
_BLOCK = 64 << 10


class ArchiveWriter:
    """One archive on its way. First everything is announced, then it begins, then the blobs come.

    docker: whether docker load is to understand it, beside everything that reads OCI archives.
    """

    is_far = False

    def __init__(self, path: str, docker: bool):
        self.path, self.name, self._docker = path, f"archive {path}", docker
        self._manifests, self._blobs, self._entries, self._about = {}, {}, [], {}
        self._docker_images = []
        self._offsets, self._partial = {}, None
        # Blobs of which what was there turned out to be wrong.
        self._goes_on, self._doubtful = False, set()
        self._lock = threading.Lock()

    def announce(self, manifests: list[dict], blobs_needed: list[dict], tags: list[tuple[dict, str, str]]) -> None:
        """Something that will be in it. tags: (manifest, tag, full name) of what the index lists; either name may be empty.

        :raises Failure: docker load does not take such an image
        """
        self._manifests |= {manifest["digest"]: manifest for manifest in manifests}
        self._blobs |= {entry["digest"]: entry["size"] for entry in blobs_needed}
        for manifest in manifests:
            content = content_of(manifest, self.name)
            if subject(content):
                self._about.setdefault(subject(content), {})[manifest["digest"]] = referrer_descriptor(manifest, content)
        for manifest, tag, full_name in tags:
            annotations = {key: value for key, value in ((REF_NAME, tag), (FULL_NAME, full_name)) if value}
            self._entries.append({**descriptor(manifest), **({"annotations": annotations} if annotations else {})})
            if self._docker and not tag.startswith("sha256-"):
                self._docker_images.append(self._docker_image(manifest, full_name))

    def begin(self) -> None:
        """Makes the file, with everything in place but the blobs.

        :raises Failure: it cannot be written
        """
        for about, entries in sorted(self._about.items()):
            index = make_blob(INDEX_TYPE, canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entries[key] for key in sorted(entries)]}))
            self._manifests[index["digest"]] = index
            self._entries.append({**descriptor(index), "annotations": {REF_NAME: referrers_tag(about)}})
        small = {"oci-layout": LAYOUT_MARK, "index.json": canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": self._entries})}
        if self._docker:
            small["manifest.json"] = b"[" + b",".join(image[1:-1] for image in self._docker_images) + b"]"
        parts = {digest: manifest["data"] for digest, manifest in self._manifests.items()} | self._blobs
        try:
            self._partial = PartialFile(os.path.realpath(self.path))
            fixed, end = [], 0
            for name, data in [*small.items(), *((_place(digest), parts[digest]) for digest in sorted(parts))]:
                size = data if isinstance(data, int) else len(data)
                header = _header(name, size)
                fixed.append((end, header + (b"" if isinstance(data, int) else data)))
                self._offsets[name] = end + len(header)
                end += len(header) + size + -size % TAR_BLOCK
            self._prepare(fixed, end + 2 * TAR_BLOCK)
        except OSError as error:
            raise self._unwritable(error) from None

    def put_blob(self, reader: BlobReader, mount_from: str = "") -> bool:
        """Writes a blob to its place; False, since nothing is mounted in a file.

        :raises Failure: the disk is full; the blob is not whole
        """
        begin = self._offsets[_place(reader.digest)]
        try:
            there = self._there(reader, begin)
            for piece in reader.pieces(there):
                self._pwrite(piece, begin + there)
                there += len(piece)
        except WrongBytes:
            self._doubtful.add(reader.digest)
            raise
        except OSError as error:
            raise self._unwritable(error) from None
        return False

    def finish(self) -> None:
        """Puts the file in its place; to be called once every blob is there.

        :raises Failure: it cannot be written
        """
        try:
            os.fsync(self._partial.file.fileno())
            self._partial.publish()
        except OSError as error:
            raise self._unwritable(error) from None

    def abandon(self) -> None:
        """Leaves what is not finished to the next run."""
        if self._partial:
            self._partial.close()

    def _prepare(self, fixed, size):
        """Writes everything but the blobs, where that is not what an earlier run has left; only then its blobs are of use."""
        handle = self._partial.file.fileno()
        self._goes_on = os.fstat(handle).st_size == size and all(os.pread(handle, len(data), position) == data for position, data in fixed)
        if not self._goes_on:
            os.ftruncate(handle, 0)
            for position, data in fixed:
                self._pwrite(data, position)
            os.ftruncate(handle, size)

    def _there(self, reader, begin):
        """How much of a blob an earlier run has left; it is taken over by the reader."""
        if not self._goes_on or reader.digest in self._doubtful or not reader.size:
            return 0
        end = self._written_until(begin, begin + reader.size)
        with suppress(WrongBytes):
            return reader.take_over(self._pieces(begin, end))
        return 0

    def _written_until(self, begin, end):
        """Where the first hole of the file begins. Its neighbour may be written in part only, so it does not count."""
        hole = os.lseek(self._partial.file.fileno(), begin, os.SEEK_HOLE) if hasattr(os, "SEEK_HOLE") else end
        return end if hole >= end else max(begin, hole - _BLOCK)

    def _pieces(self, position, end):
        while position < end and (piece := os.pread(self._partial.file.fileno(), min(PIECE, end - position), position)):
            position += len(piece)
            yield piece

    def _pwrite(self, data, position):
        view = memoryview(data)
        while view:
            count = os.pwrite(self._partial.file.fileno(), view, position)
            view, position = view[count:], position + count

    def _unwritable(self, error):
        return Failure(f"{self.name} cannot be written ({error.strerror})", "give a folder that exists and this user can write to, with room")

    def _docker_image(self, manifest, full_name):
        content = content_of(manifest, self.name)
        single = children(content)
        if len(single) == 1 and single[0]["digest"] in self._manifests:
            content = content_of(self._manifests[single[0]["digest"]], self.name)
        elif single:
            what = f"{self.name} is to hold an image of {len(single)} platforms, docker load takes one"
            raise Failure(what, "choose it with platforms, or write an oci-archive")
        layers = [entry["digest"] for entry in content["layers"]]
        if len({*layers}) != len({entry["digest"] for entry in blobs(content)} - {content["config"]["digest"]}):
            raise Failure(f"{self.name} is to hold an image with layers that are kept elsewhere", "write an oci-archive")
        return docker_manifest(content["config"]["digest"], layers, full_name)


def _place(digest):
    return "blobs/" + digest.replace(":", "/")


def _header(name, size):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    # The older format ends at 8 GiB, the other is not known everywhere.
    return entry.tobuf(format=tarfile.USTAR_FORMAT if size < 1 << 33 else tarfile.GNU_FORMAT)
