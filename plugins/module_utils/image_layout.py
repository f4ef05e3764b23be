# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that is an OCI image layout: read as any images in files, and written blob by blob."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import BlobReader
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import write_atomically
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import REF_NAME, ImageFiles, names
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import content_of, referrer_descriptor, subject
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE, canonical_json, descriptor, make_blob
from ansible_collections.nanoagent.k8s.plugins.module_utils.partial_file import write_blob
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import referrers_tag

LAYOUT_MARK = canonical_json({"imageLayoutVersion": "1.0.0"})


def index_entries(data: bytes, name: str) -> list[dict]:
    """The entries of a layout's index.json.

    :raises Failure: it is no such file
    """
    try:
        entries = json.loads(data)["manifests"]
        if all(DIGEST.fullmatch(entry["digest"]) and isinstance(entry["size"], int) and entry["mediaType"] for entry in entries):
            return entries
    except (ValueError, KeyError, TypeError):
        pass
    raise Failure(f"the index.json of {name} is none of an OCI image layout", "is it damaged?")


class LayoutFolder(ImageFiles):
    """An OCI image layout, there already or to be made.

    :raises Failure: there is something else at its path
    """

    def __init__(self, path: str):
        self.path, self.name = path, f"layout {path}"
        self._lock = threading.RLock()
        self.entries = self._read()

    def find(self, digest: str) -> tuple[str, int, int] | None:
        """Where a blob is."""
        path = self._blob_path(digest)
        with suppress(OSError):
            return path, 0, os.stat(path).st_size
        return None

    def put_blob(self, reader: BlobReader, mount_from: str = "") -> bool:
        """Writes a blob; False, since nothing is mounted in a folder. What it gets of one that breaks off is there for the next run.

        :raises Failure: the folder cannot be written to, or is full; the blob is not whole
        """
        with self._blob(reader.digest) as target:
            write_blob(target, reader)
        return False

    def put_manifest(self, manifest: dict, tag: str, is_image: bool = False) -> None:
        """Stores a manifest, and names it where there is a tag. is_image: whether it is listed also without one."""
        content = content_of(manifest, self.name)
        with self._blob(manifest["digest"]) as target:
            write_atomically(target, manifest["data"])
        if subject(content):
            self._attach(subject(content), referrer_descriptor(manifest, content))
        if tag or is_image:
            self._name(tag, manifest)

    def _attach(self, about, entry):
        with self._lock:
            listed = self.referrers(about)
            if entry["digest"] not in [each["digest"] for each in listed]:
                index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*listed, entry]}
                self.put_manifest(make_blob(INDEX_TYPE, canonical_json(index)), referrers_tag(about))

    def _name(self, tag, manifest):
        with self._lock:
            others = [entry for entry in self.entries if (tag not in names(entry) if tag else entry["digest"] != manifest["digest"] or names(entry))]
            self.entries = [*others, {**descriptor(manifest), **({"annotations": {REF_NAME: tag}} if tag else {})}]
            index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": self.entries}
            write_atomically(os.path.join(self.path, "oci-layout"), LAYOUT_MARK)
            write_atomically(os.path.join(self.path, "index.json"), canonical_json(index))

    def _read(self):
        if not os.path.lexists(self.path):
            return []
        try:
            if not os.listdir(self.path):
                return []
            with open(os.path.join(self.path, "index.json"), "rb") as file:
                return index_entries(file.read(), self.name)
        except FileNotFoundError:
            if os.listdir(self.path) == ["blobs"]:
                return []
            raise Failure(f"the folder {self.path} is no OCI image layout (no index.json)", "give a layout, or an empty folder to write one") from None
        except OSError as error:
            raise Failure(f"the folder {self.path} cannot be read ({error.strerror})", "give a folder that this user can read") from None

    def _blob_path(self, digest):
        return os.path.join(self.path, "blobs", *digest.split(":"))

    @contextmanager
    def _blob(self, digest) -> Iterator[str]:
        """The path of a blob that is going to be written."""
        target = self._blob_path(digest)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            yield target
        except OSError as error:
            raise Failure(f"{target} cannot be written ({error.strerror})", "give a folder that this user can write to, with room") from None
