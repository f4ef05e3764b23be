# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of a registry as a place that images are copied from and to."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import BlobReader
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import content_of, referrer_descriptor, subject
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE, canonical_json, make_blob
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import StreamingRegistry, referrers_tag


class RegistryPlace:
    """The same methods as LayoutFolder has, for a repository."""

    def __init__(self, registry: StreamingRegistry, repository: str):
        self.registry, self.repository = registry, repository
        self.name = f"{registry.host}/{repository}"
        self._locks = defaultdict(threading.Lock)

    @property
    def is_far(self) -> bool:
        """Whether answers take so long that one stream does not fill the line."""
        return self.registry.is_far

    def head(self, wanted: str) -> dict | None:
        """Descriptor of the image with this tag or digest, None where there is none."""
        return self.registry.head_manifest(self.repository, wanted)

    def present(self, wanted: str) -> str | None:
        """The digest of the image with this tag or digest, None where there is none; registries have no half ones."""
        found = self.head(wanted)
        return found and found["digest"]

    def manifest(self, wanted: str) -> dict | None:
        """Blob of a manifest by tag or digest, None where there is none."""
        return self.registry.get_manifest(self.repository, wanted)

    def reader(self, descriptor: dict, moved: Callable[[int], None]) -> BlobReader:
        """A blob's bytes. moved: as BlobReader takes it."""

        def open_at(start: int) -> Iterator[bytes]:
            return self.registry.blob_pieces(self.repository, descriptor, start, reader.in_parts)

        reader = BlobReader(self.name, descriptor, open_at, moved, self.registry.slots)
        return reader

    def referrers(self, digest: str) -> list[dict]:
        """Descriptors of the manifests whose subject is this one."""
        return self.registry.referrers(self.repository, digest)

    def has_blob(self, descriptor: dict) -> bool:
        """Whether a blob is here."""
        return self.registry.has_blob(self.repository, descriptor["digest"])

    def has_manifest(self, digest: str) -> bool:
        """Whether a manifest is here; registries see to it that then all it needs is."""
        return self.head(digest) is not None

    def put_blob(self, reader: BlobReader, mount_from: str = "") -> bool:
        """Makes the repository hold a blob; whether it was mounted from another one, so that nothing was sent."""
        return self.registry.send_blob(self.repository, reader, mount_from if mount_from != self.repository else "")

    def put_manifest(self, manifest: dict, tag: str, is_image: bool = False) -> None:
        """Stores a manifest under a tag, or else its digest. is_image is of no meaning here."""
        content = content_of(manifest, self.name)
        headers = self.registry.put_manifest(self.repository, tag or manifest["digest"], manifest)
        if subject(content) and "OCI-Subject" not in headers:
            self._attach(subject(content), referrer_descriptor(manifest, content))

    def _attach(self, about, entry):
        """Where the registry keeps no list of referrers, its clients do, under a tag."""
        tag = referrers_tag(about)
        with self._locks[tag]:
            present = self.manifest(tag)
            listed = content_of(present, self.name).get("manifests", []) if present else []
            if entry["digest"] not in [each["digest"] for each in listed]:
                index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [*listed, entry]}
                self.registry.put_manifest(self.repository, tag, make_blob(INDEX_TYPE, canonical_json(index)))
