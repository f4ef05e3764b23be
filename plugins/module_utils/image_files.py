# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in files of this machine, read in one way whether they are in a folder or in an archive."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE, BlobReader
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import blobs, children, content_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import ANSWER_LIMIT
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import referrers_tag

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"


class ImageFiles(ABC):
    """Images by tag or digest.

    name: for messages. entries: the descriptors of the images here, with their names as annotations.
    A subclass says with find(digest) where a blob is: (path, offset, size), or its bytes, or None.
    """

    name = ""
    entries: list = []
    is_far = False

    @abstractmethod
    def find(self, digest: str) -> tuple[str, int, int] | bytes | None:
        """Where a blob is."""

    def head(self, wanted: str) -> dict | None:
        """Descriptor of the image with this tag or digest, of the only one where `wanted` is empty; None where there is none.

        :raises Failure: there are several and `wanted` is empty
        """
        if DIGEST.fullmatch(wanted):
            found = self.find(wanted)
            known = next((entry for entry in self.entries if entry["digest"] == wanted), None)
            return known or (found and _descriptor(self.manifest(wanted)))
        named = [entry for entry in self.entries if not wanted or wanted in names(entry)]
        images = {entry["digest"]: entry for entry in named if wanted or not is_about_another(entry)}
        if len(images) > 1 and not wanted:
            known = sorted({name for entry in images.values() for name in names(entry)})
            raise Failure(f"{self.name} holds {len(images)} images", f"name one, of {', '.join(known)}" if known else "name one by its digest")
        return next(iter(images.values()), None)

    def manifest(self, wanted: str) -> dict | None:
        """Blob of a manifest by tag or digest, None where there is none.

        :raises Failure: its bytes are not those of the digest
        """
        entry = {"digest": wanted, "mediaType": ""} if DIGEST.fullmatch(wanted) else self.head(wanted)
        if entry is None:
            return None
        data = self._bytes(entry["digest"])
        if data is None:
            return None
        known = next((listed for listed in self.entries if listed["digest"] == entry["digest"]), entry)
        media_type = known["mediaType"] or _media_type(data)
        return {"mediaType": media_type, "digest": entry["digest"], "size": len(data), "data": data}

    def reader(self, descriptor: dict, moved: Callable[[int], None]) -> BlobReader:
        """A blob's bytes. moved: as BlobReader takes it."""
        found = self.find(descriptor["digest"])
        if found is None:
            raise Failure(f"{self.name} has no blob {descriptor['digest']}", "it is not whole: get it again")
        return BlobReader(self.name, descriptor, lambda start: pieces_of(found, start), moved)

    def referrers(self, digest: str) -> list[dict]:
        """Descriptors of the manifests whose subject is this one."""
        listed = self.manifest(referrers_tag(digest))
        return children(content_of(listed, self.name)) if listed else []

    def present(self, wanted: str) -> str | None:
        """The digest of the image with this tag or digest where it is here with all that it needs, else None."""
        entry = self.head(wanted)
        return entry["digest"] if entry and self.has_manifest(entry["digest"]) else None

    def has_manifest(self, digest: str) -> bool:
        """Whether a manifest is here with all that it needs, judged by sizes."""
        try:
            manifest = self.manifest(digest)
            content = manifest and content_of(manifest, self.name)
        except Failure:
            return False
        if not content:
            return False
        return all(self.has_manifest(child["digest"]) for child in children(content)) and all(self.has_blob(entry) for entry in blobs(content))

    def has_blob(self, descriptor: dict) -> bool:
        """Whether a blob is here, judged by its size."""
        found = self.find(descriptor["digest"])
        return found is not None and (len(found) if isinstance(found, bytes) else found[2]) == descriptor["size"]

    def _bytes(self, digest):
        found = self.find(digest)
        if found is None or isinstance(found, bytes):
            return found
        if found[2] > ANSWER_LIMIT:
            raise Failure(f"{self.name}: {digest} is no manifest, it has {found[2]} bytes", "is the source damaged?")
        data = b"".join(pieces_of(found, 0))
        if sha256_digest(data) != digest:
            raise Failure(f"{self.name}: manifest {digest} has other bytes, those of {sha256_digest(data)}", "it is damaged: get it again")
        return data


def names(entry: dict) -> list[str]:
    """The names that an entry goes by."""
    annotations = entry.get("annotations") or {}
    return [annotations[key] for key in (REF_NAME, FULL_NAME) if annotations.get(key)]


def is_about_another(entry: dict) -> bool:
    """Whether an entry is a signature or a list of what refers to an image, by its name."""
    return any(name.startswith("sha256-") for name in names(entry))


def _descriptor(manifest):
    return manifest and {key: manifest[key] for key in ("mediaType", "digest", "size")}


def _media_type(data):
    try:
        content = json.loads(data)
        return content.get("mediaType") or ""
    except (ValueError, AttributeError):
        return ""


def pieces_of(found: tuple[str, int, int] | bytes, start: int) -> Iterator[bytes]:
    """The bytes that a subclass's find() tells of, from a position on."""
    if isinstance(found, bytes):
        yield found[start:]
        return
    path, offset, size = found
    try:
        with open(path, "rb") as file:
            file.seek(offset + start)
            while start < size:
                piece = file.read(min(PIECE, size - start))
                if not piece:
                    return
                start += len(piece)
                yield piece
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "make it readable for this user") from None
