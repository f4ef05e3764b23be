# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle is made of: files of this machine as artifacts of an OCI layout, and blobs from wherever they are nearest."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE, BlobReader
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import why_not
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import REF_NAME, ImageFiles
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import MANIFEST_TYPE, canonical_json, descriptor, make_blob, sha256_digest

FILES_TYPE = "application/vnd.nanoagent.k8s.files.v1"
_TITLE = "org.opencontainers.image.title"
_EMPTY_TYPE, _FILE_TYPE = "application/vnd.oci.empty.v1+json", "application/octet-stream"
_EMPTY = b"{}"
_MOST_FILES = 10_000


class LocalFiles(ImageFiles):
    """Files of this machine by the digests that they had when they were added.

    artifacts: a manifest for each call of add, with its entry for a layout's index. files: {"name", "digest", "size"} of each.
    blobs: descriptors of all.
    """

    def __init__(self):
        self.name = "files of the bundle"
        self.artifacts: list[tuple[dict, dict]] = []
        self.files: list[dict] = []
        self.blobs: dict[str, dict] = {}
        self._places: dict[str, tuple[str, int, int] | bytes] = {}

    def find(self, digest: str) -> tuple[str, int, int] | bytes | None:
        """Where a blob is."""
        return self._places.get(digest)

    def add(self, name: str, path: str) -> None:
        """Adds a file under a name, or a folder's files below it.

        :raises Failure: there is none, it cannot be read, or the name is none in a bundle
        """
        found = []
        for inner, each in _walk(path):
            digest, size = _digest(each)
            self._places[digest] = (each, 0, size)
            found.append((f"{name}/{inner}" if inner else name, digest, size))
        if not found:
            raise Failure(f"the folder {path} has no files", "leave it out of files, or fill it first")
        self._artifact(name, found)

    def add_text(self, name: str, data: bytes) -> None:
        """Adds a file that is made here."""
        self._places[sha256_digest(data)] = data
        self._artifact(name, [(name, sha256_digest(data), len(data))])

    def _artifact(self, name, found):
        self.files += [{"name": each, "digest": digest, "size": size} for each, digest, size in found]
        why = why_not([file["name"] for file in self.files])
        if why:
            raise Failure(f"files of a bundle: {why}", "choose other names in files")
        config = make_blob(_EMPTY_TYPE, _EMPTY)
        self._places[config["digest"]] = _EMPTY
        layers = [{"mediaType": _FILE_TYPE, "digest": digest, "size": size, "annotations": {_TITLE: each}} for each, digest, size in found]
        content = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "artifactType": FILES_TYPE, "config": descriptor(config), "layers": layers}
        manifest = make_blob(MANIFEST_TYPE, canonical_json(content))
        self.artifacts.append((manifest, {**descriptor(manifest), "annotations": {REF_NAME: name}}))
        self.blobs |= {entry["digest"]: {"digest": entry["digest"], "size": entry["size"]} for entry in (content["config"], *layers)}


class Nearest:
    """Blobs from a bundle that is here already, and where that lacks one or has damaged it, from where the image comes from."""

    def __init__(self, near: ImageFiles | None, far: Callable):
        self._near, self._far = near, far
        self._tried, self._lock = set(), threading.Lock()

    def reader(self, descriptor: dict, moved: Callable[[int], None]) -> BlobReader:
        """A blob's bytes. moved: as BlobReader takes it."""
        with self._lock:
            first = descriptor["digest"] not in self._tried
            self._tried.add(descriptor["digest"])
        if first and self._near and self._near.find(descriptor["digest"]) and self._near.has_blob(descriptor):
            return self._near.reader(descriptor, moved)
        return self._far().reader(descriptor, moved)


def _walk(path):
    """(path within, whole path) of each regular file, in order; the first is empty where the path is a file itself."""
    try:
        if not os.path.isdir(path):
            _check_regular(path)
            return [("", path)]
        found = []
        for folder, folders, names in os.walk(path, onerror=_refuse):
            folders.sort()
            found += [os.path.join(folder, name) for name in names]
            if len(found) > _MOST_FILES:
                raise Failure(f"the folder {path} has more than {_MOST_FILES} files", "pack it into an archive first")
        for each in found:
            _check_regular(each)
    except OSError as error:
        raise Failure(f"{error.filename or path} cannot be read ({error.strerror})", "correct the path in files, or make it readable for this user") from None
    return sorted((os.path.relpath(each, path), each) for each in found)


def _refuse(error):
    raise error


def _check_regular(path):
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Failure(f"{path} is neither a file nor a folder", "leave it out of files")


def _digest(path):
    hashed, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                hashed.update(piece)
                size += len(piece)
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "correct the path in files, or make it readable for this user") from None
    return "sha256:" + hashed.hexdigest(), size
