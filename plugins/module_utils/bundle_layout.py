# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything is in the parts of a bundle. Pure.

Each part is a tar archive. It begins with the same small files, so that each says what the whole bundle is. Then come blobs,
whole where one fits into a part; one that does not is cut. All of it follows from names, digests and sizes.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import TAR_BLOCK

END = bytes(2 * TAR_BLOCK)
# What has to be left of a part beside the small files.
_LEAST_ROOM = 64 << 10
_MOST_PARTS = 1000


@dataclass(frozen=True)
class Member:
    """A file in a part, whose `size` bytes are those of a blob from `start` on; or a link, a second name of another file."""

    name: str
    digest: str
    size: int
    start: int = 0
    link: str = ""

    @cached_property
    def header(self) -> bytes:
        """What comes before it."""
        entry = tarfile.TarInfo(self.name)
        entry.mode = 0o644
        if self.link:
            entry.type, entry.linkname = tarfile.LNKTYPE, self.link
            return entry.tobuf(format=tarfile.GNU_FORMAT)
        entry.size = self.size
        # The older format ends at 8 GiB, the other is not known everywhere.
        return entry.tobuf(format=tarfile.USTAR_FORMAT if self.size < 1 << 33 else tarfile.GNU_FORMAT)

    @property
    def room(self) -> int:
        """Bytes that it takes, with header and padding."""
        return len(self.header) + self.size + -self.size % TAR_BLOCK


@dataclass
class Part:
    """name: of its file. members: in their order, each with the offset of its content. size: of the whole file."""

    name: str
    members: list[tuple[Member, int]] = field(default_factory=list)
    size: int = len(END)

    def add(self, *members: Member) -> None:
        """Puts members behind those that are there."""
        for member in members:
            self.members.append((member, self.size - len(END) + len(member.header)))
            self.size += member.room

    def framing(self) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of all that is no content: headers, padding, end."""
        for member, offset in self.members:
            yield offset - len(member.header), member.header
            if member.size % TAR_BLOCK:
                yield offset + member.size, bytes(-member.size % TAR_BLOCK)
        yield self.size - len(END), END


def arrange(small: list[Member], blobs: list[dict], names: dict[str, list[str]], media_size: int | None) -> list[Part]:
    """The parts of a bundle.

    small: what stands at the beginning of each. blobs: digest and size of each. names: digest -> what the blob is called beside it,
    where it is not cut. media_size: the largest size of a part, None for all in one.
    :raises Failure: media_size is too small
    """
    head = sum(member.room for member in small) + len(END)
    room = (media_size - head) if media_size else 0
    if media_size and room < _LEAST_ROOM:
        raise Failure(f"media_size is {media_size} bytes, and each part begins with {head} that say what there is", "give a larger one")
    parts: list[Part] = []

    def add(members, anew=False):
        needed = sum(member.room for member in members)
        for part in [] if anew else parts:
            if not media_size or part.size + needed <= media_size:
                break
        else:
            part = Part(f"bundle-{len(parts):03}.tar")
            if len(parts) == _MOST_PARTS:
                raise Failure(f"media_size is {media_size} bytes, which makes more than {_MOST_PARTS} parts", "give a larger one")
            part.add(*small)
            parts.append(part)
        part.add(*members)

    add([])
    # The largest first, so that small ones fill what is left.
    for blob in sorted(blobs, key=lambda blob: (-blob["size"], blob["digest"])):
        whole = Member(_place(blob["digest"]), blob["digest"], blob["size"])
        members = [whole, *(Member(name, blob["digest"], 0, link=whole.name) for name in sorted(names.get(blob["digest"], [])))]
        if not media_size or sum(member.room for member in members) <= room:
            add(members)
            continue
        most = (room - TAR_BLOCK) // TAR_BLOCK * TAR_BLOCK
        for number, start in enumerate(range(0, blob["size"], most)):
            size = min(most, blob["size"] - start)
            add([Member(_piece(blob["digest"], number), blob["digest"], size, start)], anew=size == most)
    return parts


def segments(parts: list[Part]) -> dict[str, list[tuple[str, int, int]]]:
    """Digest -> (name of the part, offset, size) of each piece of the content, in order. Of the small files the first place only."""
    found: dict[str, list[tuple[int, str, int, int]]] = {}
    for part in parts:
        for member, offset in part.members:
            places = found.setdefault(member.digest, [])
            if not member.link and all(place[0] != member.start for place in places):
                places.append((member.start, part.name, offset, member.size))
    return {digest: [place[1:] for place in sorted(places)] for digest, places in found.items()}


def _place(digest):
    return "blobs/" + digest.replace(":", "/")


def _piece(digest, number):
    return f"pieces/{digest.partition(':')[2]}.{number:03}"
