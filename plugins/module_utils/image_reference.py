# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: their parts, and what follows from them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

DOCKER_HUB = "docker.io"
DOCKER_HUB_API = "registry-1.docker.io"

_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME_SHAPE = "write it as host:port/repository:tag, for example registry.example.com:5000/team/collector:1.0"


@dataclass(frozen=True)
class Reference:
    """An image's name in its parts; tag and digest are empty where the name has none."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Host and repository, without tag and digest."""
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def is_host(first_part: str) -> bool:
    """Docker's rule: the part before the first slash is a host only if no repository could begin like that."""
    return any(sign in first_part for sign in ".:[") or first_part == "localhost" or first_part != first_part.lower()


def check_trimmed(option: str, image: str) -> None:
    """Failure for white space around the name, which the API server takes in a template and refuses in each pod."""
    if image != image.strip():
        raise Failure(f"{option} {image!r} begins or ends with white space", "trim it, as with the filter trim")


def parse_reference(text: str) -> Reference:
    """Split `host:port/repository:tag@digest`; without a host it is Docker Hub, as everywhere else.

    :raises Failure: the name is malformed; what it says in place of a password is left out of the message
    """
    text = str(text).strip()
    if "://" in text:
        raise Failure("image name begins with a URL scheme", _NAME_SHAPE)
    rest, at_sign, digest = text.partition("@")
    if at_sign and not DIGEST.fullmatch(digest):
        # In user:password@host/repository it is the password that stands before the sign.
        shown = f" {rest!r}" if "/" in rest and "/" not in digest else ""
        raise Failure(f"image name{shown} has something after '@' that is no digest (sha256: and 64 hex digits)", _NAME_SHAPE)
    first, slash, remainder = rest.partition("/")
    if slash and is_host(first):
        host, path = first, remainder
    else:
        host, path = DOCKER_HUB, rest
    repository, colon, tag = path.partition(":")
    if host in ("index.docker.io", DOCKER_HUB_API):
        host = DOCKER_HUB
    if host == DOCKER_HUB and repository and "/" not in repository:
        repository = f"library/{repository}"
    host_match = _HOST.fullmatch(host)
    if not host_match or not 0 < int(host_match["port"] or 443) < 65536:
        raise Failure(f"image name {rest!r} has the malformed host {host!r}", _NAME_SHAPE)
    if not repository:
        raise Failure(f"image name {rest!r} has no repository", _NAME_SHAPE)
    if repository != repository.lower():
        raise Failure(f"image name {rest!r} has capital letters in its repository", "write the repository in lower case")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        raise Failure(f"image name {rest!r} has the malformed repository {repository!r}", _NAME_SHAPE)
    if colon and not _TAG.fullmatch(tag):
        raise Failure(f"image name {rest!r} has the malformed tag {tag!r}", _NAME_SHAPE)
    return Reference(host, repository, tag, digest)


def registry_host(text: str) -> str:
    """The host of an entry of `registries`, as images' names have it.

    :raises Failure: no image's name could have it
    """
    if "/" in text or not is_host(text):
        raise Failure(f"registries has the host {text!r}, which is no registry's name", "write it as in images, as registry.example.com:5000")
    return parse_reference(f"{text}/any").host


def is_pinned(image: str) -> bool:
    """Whether the name ends in a sha256 digest, so that it names the same bytes everywhere and for ever."""
    return bool(DIGEST.fullmatch(image.partition("@")[2]))


def pull_policy(image: str) -> str:
    """Always for the tag latest or none; Never for the tag local and those that begin with local-; else IfNotPresent.

    A digest names the same bytes for ever, whatever tag stands beside it; an image with a local tag was loaded into the nodes.
    """
    if is_pinned(image):
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    if tag == "local" or tag.startswith("local-"):
        return "Never"
    return "Always" if tag in ("", "latest") else "IfNotPresent"
