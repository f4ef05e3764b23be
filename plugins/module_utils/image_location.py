# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an image is: in a registry, a folder or an archive, as the transports' usual names say. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST, Reference, parse_reference

REGISTRY, LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE = "docker", "oci", "oci-archive", "docker-archive"
_PATHS = (LAYOUT, OCI_ARCHIVE, DOCKER_ARCHIVE)


@dataclass(frozen=True)
class Location:
    """A place and the image in it.

    transport: of the constants above. reference: the image's name in a registry, else None. path: of the folder or
    archive, else empty. tag, digest: which image there; both empty where the place may hold only one.
    """

    transport: str
    reference: Reference | None = None
    path: str = ""
    tag: str = ""
    digest: str = ""

    @property
    def place(self) -> tuple:
        """What locations of the same place have in common."""
        return (self.transport, *((self.reference.host, self.reference.repository) if self.reference else (self.path,)))

    @property
    def wanted(self) -> str:
        """The digest where there is one, else the tag, else empty: which image of the place is meant."""
        return self.digest or self.tag

    @property
    def is_archive(self) -> bool:
        """Whether the place is one file, which is written as a whole."""
        return self.transport in (OCI_ARCHIVE, DOCKER_ARCHIVE)

    def at(self, tag: str = "", digest: str = "") -> Location:
        """Another image of the same place."""
        reference = self.reference and replace(self.reference, tag=tag, digest=digest)
        return replace(self, reference=reference, tag=tag, digest=digest)

    def __str__(self) -> str:
        if self.reference:
            return str(self.reference)
        name = f"@{self.digest}" if self.digest else f":{self.tag}" if self.tag else ""
        return f"{self.transport}:{self.path}{name}"


def source_of(text: str) -> Location:
    """`docker://host/repository:tag`, the same without a prefix, `oci:folder:tag`, `oci-archive:file:tag` or
    `docker-archive:file:name`; a digest may stand in place of a tag. In a registry, neither means the tag latest.

    :raises Failure: malformed
    """
    location = _parse(text)
    return location.at(tag="latest") if location.reference and not location.wanted else location


def destination_of(source: Location, text: str) -> Location:
    """The destination of a copy, written as a source is; without a tag of its own it takes the source's.

    :raises Failure: malformed, or with a digest, which follows from the content
    """
    location = _parse(text)
    if location.digest:
        raise Failure(
            f"destination {str(location)!r} has a digest, but the digest follows from the content", "leave it out, and give a tag if there is to be one"
        )
    if location.tag or not source.tag:
        return location
    if location.transport == DOCKER_ARCHIVE and source.reference:
        return location.at(tag=f"{source.reference.name}:{source.tag}")
    # What stands in a folder or archive may be a whole name.
    tag = source.tag.rpartition("/")[2].rpartition(":")[2] if location.reference else source.tag
    return location.at(tag=tag)


def _parse(text):
    text = str(text).strip()
    transport, colon, rest = text.partition(":")
    if colon and transport in _PATHS:
        return _parse_path(transport, rest, text)
    if colon and rest.startswith("//") and transport != REGISTRY:
        raise Failure(f"an image has the unknown transport {transport!r}", f"use one of {', '.join((REGISTRY, *_PATHS))}, or none")
    reference = parse_reference(text.removeprefix(f"{REGISTRY}://"))
    return Location(REGISTRY, reference, tag=reference.tag, digest=reference.digest)


def _parse_path(transport, rest, text):
    path, at_sign, digest = rest.partition("@")
    if at_sign and not DIGEST.fullmatch(digest):
        raise Failure(f"image {text!r} has something after '@' that is no digest (sha256: and 64 hex digits)", f"write {transport}:path@sha256:...")
    path, _colon, tag = path.partition(":")
    if not path:
        raise Failure(f"image {text!r} has no path", f"write {transport}:path or {transport}:path:tag")
    return Location(transport, path=os.path.abspath(os.path.expanduser(path)), tag=tag, digest=digest)
