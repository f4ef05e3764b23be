# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle as a place that images are read from.

Nothing is unpacked by the names that stand in its archives: where the bytes of a digest are follows from the description.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import BlobReader
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import DESCRIPTION, LARGEST_DESCRIPTION, SIGNATURE, Content
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_layout import segments
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import ImageFiles, pieces_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest

_LARGEST_SIGNATURE = 64 << 10


class BundleFiles(ImageFiles):
    """The images and files of a bundle, whose content is `content`, in the folder `path`."""

    def __init__(self, path: str, content: Content):
        self.path, self.name, self.content = path, f"bundle {path}", content
        self.entries = content.index
        self._manifests = {entry["digest"] for entry in content.manifests}
        self._segments = segments(content.parts)
        self._needs = {entry["digest"]: entry for entry in content.needs}
        self._is_there = {part.name: _size(os.path.join(path, part.name)) == part.size for part in content.parts}

    def find(self, digest: str) -> tuple[str, int, int] | bytes | None:
        """Where a blob is; of one that is cut, where it begins."""
        places = self._places(digest)
        if digest in self._manifests:
            # It is in each part at the same place: any will do.
            copies = (pieces_of((os.path.join(self.path, name), *places[0][1:]), 0) for name, is_there in self._is_there.items() if is_there)
            whole = next((data for data in map(b"".join, copies) if sha256_digest(data) == digest), None)
            if whole is not None:
                return whole
        return places[0] if places and os.path.isfile(places[0][0]) else None

    def reader(self, descriptor: dict, moved: Callable[[int], None]) -> BlobReader:
        """A blob's bytes. moved: as BlobReader takes it."""
        digest = descriptor["digest"]
        needed = self._needs.get(digest)
        if needed:
            raise Failure(f"{self.name} leaves out the blob {digest}, and the destination lacks it", "make a bundle without inventory, or with a new one")
        places = self._places(digest)
        if not places:
            raise Failure(f"{self.name} has no blob {digest}", "it is not whole: get it again")
        for path, _offset, _size in places:
            # A pipe of that name would be waited for.
            if not os.path.isfile(path):
                raise Failure(f"{path} is missing, or no file", "copy it again from its medium")
        return BlobReader(self.name, descriptor, lambda start: _joined(places, start), moved)

    def has_blob(self, descriptor: dict) -> bool:
        """Whether a blob is here, or is left out because its destination has it."""
        known = self._needs.get(descriptor["digest"])
        if known:
            return known["size"] == descriptor["size"]
        places = self._segments.get(descriptor["digest"])
        return bool(places) and all(self._is_there[name] for name, _offset, _size in places) and sum(place[2] for place in places) == descriptor["size"]

    def is_there(self) -> bool:
        """Whether all parts are here, judged by their sizes."""
        return all(self._is_there.values())

    def left_out(self, digest: str) -> dict | None:
        """The entry of a blob that is left out; None where it is here."""
        return self._needs.get(digest)

    def _places(self, digest):
        return [(os.path.join(self.path, name), offset, size) for name, offset, size in self._segments.get(digest, [])]


def _joined(places, start) -> Iterator[bytes]:
    for place in places:
        if start < place[2]:
            yield from pieces_of(place, start)
        start = max(0, start - place[2])


def _size(path):
    return os.path.getsize(path) if os.path.isfile(path) else None


def read_files(folder: str) -> tuple[bytes, bytes | None]:
    """The bytes of a bundle's description and of its signature, None without one; nothing in them is looked at.

    :raises Failure: there is no bundle, or it cannot be read
    """
    description = _read(folder, DESCRIPTION, LARGEST_DESCRIPTION)
    if description is None:
        raise Failure(f"{folder} holds no bundle (no {DESCRIPTION})", f"give the folder with {DESCRIPTION} and the parts of all media")
    return description, _read(folder, SIGNATURE, _LARGEST_SIGNATURE)


def _read(folder, name, most):
    path = os.path.join(folder, name)
    if not os.path.lexists(path):
        return None
    if not os.path.isfile(path):
        raise Failure(f"{path} is no file", "get the bundle again")
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "make it readable for this user") from None
    if len(data) > most:
        raise Failure(f"{path} is larger than {most} bytes", "it belongs to no bundle")
    return data
