# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything is in the parts of a bundle: drawn sizes, with Python's tarfile as the judge."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_layout import Member, arrange, segments
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from hypothesis import given
from hypothesis import strategies as st

SMALL = [Member("oci-layout", "sha256:" + "a" * 64, 30), Member("index.json", "sha256:" + "b" * 64, 700)]
HEAD = sum(member.room for member in SMALL) + 1024


def blobs_of(sizes):
    digests = ["sha256:" + hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(sizes))]
    return [{"digest": digest, "size": size} for digest, size in zip(digests, sizes)]


def bytes_of(part, content):
    """The file of a part. content: digest -> bytes."""
    data = bytearray(part.size)
    for offset, framing in part.framing():
        data[offset : offset + len(framing)] = framing
    for member, offset in part.members:
        if not member.link:
            data[offset : offset + member.size] = content[member.digest][member.start : member.start + member.size]
    return bytes(data)


@given(
    sizes=st.lists(st.integers(0, 400_000) | st.sampled_from([0, 1, 511, 512, 513, 64 << 10]), max_size=12),
    media_size=st.none() | st.integers(HEAD + (64 << 10), 1 << 20),
    named=st.booleans(),
)
def test_each_byte_has_its_place_once_and_tar_finds_it(sizes, media_size, named):
    blobs = blobs_of(sizes)
    names = {blobs[0]["digest"]: ["files/first", "files/" + "deep/" * 30 + "again"]} if blobs and named else {}
    parts = arrange(SMALL, blobs, names, media_size)
    assert parts == arrange(SMALL, blobs[::-1], names, media_size)
    assert [part.name for part in parts] == [f"bundle-{number:03}.tar" for number in range(len(parts))]
    content = {blob["digest"]: bytes([number + 1]) * blob["size"] for number, blob in enumerate(blobs)}
    content |= {member.digest: b"s" * member.size for member in SMALL}
    found = {}
    for part in parts:
        assert media_size is None or part.size <= media_size
        with tarfile.open(fileobj=io.BytesIO(bytes_of(part, content))) as archive:
            for member in archive:
                found.setdefault(member.name, archive.extractfile(member).read())
            assert archive.getnames()[:2] == ["oci-layout", "index.json"]
    for blob in blobs:
        hexadecimal = blob["digest"].partition(":")[2]
        pieces = [found[name] for name in sorted(found) if name.startswith(f"pieces/{hexadecimal}.")]
        assert (b"".join(pieces) if pieces else found[f"blobs/sha256/{hexadecimal}"]) == content[blob["digest"]]
        places = segments(parts)[blob["digest"]]
        assert sum(size for _part, _offset, size in places) == blob["size"] and len(places) == max(1, len(pieces))
        whole = f"blobs/sha256/{hexadecimal}" in found
        assert not (whole and pieces)
        for name in names.get(blob["digest"], []):
            assert not whole or found[name] == content[blob["digest"]]
    assert len(parts) == 1 or media_size


def test_a_blob_of_more_than_8_gib_has_a_header_that_tar_reads():
    [part] = arrange(SMALL, [{"digest": "sha256:" + "c" * 64, "size": 9 << 30}], {}, None)
    member, _offset = part.members[-1]
    assert tarfile.TarInfo.frombuf(member.header, "utf-8", "strict").size == 9 << 30


@pytest.mark.parametrize("media_size", [1, 1024, HEAD, HEAD + (64 << 10) - 1])
def test_media_that_hold_nothing_beside_the_names_are_refused(media_size):
    with pytest.raises(Failure, match="give a larger one"):
        arrange(SMALL, [], {}, media_size)


def test_there_is_an_end_to_the_number_of_parts():
    with pytest.raises(Failure, match="makes more than 1000 parts"):
        arrange(SMALL, blobs_of([1 << 50]), {}, HEAD + (64 << 10))
