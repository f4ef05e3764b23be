# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import blob_reader
from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import BlobReader, Body, WrongBytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import Slots

DATA = random.Random(1).randbytes(100_000)


def reader(data=DATA, given=None, size=None, moved=lambda count: None):
    """A reader of data; `given` is what the source has in its place. Where it was opened is in `opened`."""
    opened = []

    def open_at(position):
        opened.append(position)
        content = data if given is None else given
        return iter([content[start : start + 7000] for start in range(position, len(content), 7000)])

    made = BlobReader("source", {"digest": sha256_digest(data), "size": len(data) if size is None else size}, open_at, moved)
    made.opened = opened
    return made


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_reading_gives_the_bytes(seed, monkeypatch):
    monkeypatch.setattr(blob_reader, "_CHECKPOINT", 10_000)
    draw, count = random.Random(seed), []
    blob = reader(moved=count.append)
    for _try in range(30):
        position = draw.randrange(len(DATA))
        piece = blob.read(position, draw.randrange(1, 20_000))
        assert piece and DATA[position : position + len(piece)] == piece
    assert b"".join(blob.pieces()) == DATA
    assert sum(count) == len(DATA)


def test_going_back_reads_little_again(monkeypatch):
    monkeypatch.setattr(blob_reader, "_CHECKPOINT", 10_000)
    blob = reader()
    for start in range(0, 70_000, 7000):
        blob.read(start, 7000)
    blob.read(60_000, 1)
    assert blob.opened == [0, 56_000]


def test_reading_on_opens_once_and_a_body_is_a_part():
    blob = reader()
    assert b"".join(Body(blob, 0, 50_000)) + b"".join(Body(blob, 50_000, 50_000)) == DATA and len(Body(blob, 0, 9)) == 9
    assert blob.opened == [0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (DATA[:-1], "ends after 99999 of 100000 bytes"),
        (b"", "ends after 0 of 100000 bytes"),
        (DATA + b"x", "is longer than its 100000 bytes"),
        (DATA[:50] + b"x" + DATA[51:], "has other bytes"),
        (DATA[:-1] + b"x", "has other bytes"),
    ],
)
def test_the_end_is_not_given_out_where_anything_is_wrong(given, says):
    blob, seen = reader(given=given), b""
    with pytest.raises(WrongBytes, match=f"source: blob {sha256_digest(DATA)} {says}"):
        for piece in blob.pieces():
            seen += piece
    assert len(seen) < len(DATA)


def test_what_is_there_already_is_taken_over_and_checked():
    blob = reader()
    assert blob.take_over(iter([DATA[:4000], DATA[4000:30_000]])) == 30_000
    assert b"".join(blob.pieces(30_000)) == DATA[30_000:] and blob.opened == [30_000] and blob.counted == 70_000
    wrong = reader()
    wrong.take_over(iter([b"x" * 30_000]))
    with pytest.raises(WrongBytes):
        list(wrong.pieces(30_000))
    whole = reader()
    assert whole.take_over(iter([DATA])) == len(DATA) and list(whole.pieces(len(DATA))) == [] and whole.opened == []
    with pytest.raises(WrongBytes):
        reader().take_over(iter([DATA[:-1] + b"x"]))


def test_what_is_left_out_is_not_read_and_going_back_reads_and_checks_all():
    blob = reader()
    blob.leave_out(60_000)
    assert b"".join(blob.pieces(60_000)) == DATA[60_000:] and blob.opened == [60_000] and blob.counted == 40_000
    assert b"".join(blob.pieces()) == DATA and blob.opened == [60_000, 0] and blob.counted == 40_000
    wrong = reader(given=b"x" + DATA[1:])
    wrong.leave_out(60_000)
    list(wrong.pieces(60_000))
    with pytest.raises(WrongBytes):
        list(wrong.pieces())


def test_a_slot_is_held_from_the_first_byte_until_it_is_closed():
    slots = Slots(1)
    blob = BlobReader("source", {"digest": sha256_digest(DATA), "size": len(DATA)}, lambda position: iter([DATA[position:]]), slots=slots)
    assert slots.try_take()
    slots.give_back()
    blob.prepare(50_000)
    assert not slots.try_take()
    blob.prepare(0)
    assert not slots.try_take()
    blob.close()
    assert slots.try_take()


def test_an_empty_blob():
    assert list(reader(b"").pieces()) == []
    with pytest.raises(WrongBytes):
        list(BlobReader("source", {"digest": sha256_digest(b"x"), "size": 0}, lambda position: iter([])).pieces())
