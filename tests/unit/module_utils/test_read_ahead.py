# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
import threading

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.read_ahead import read_ahead
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import Slots

DATA = random.Random(1).randbytes(10_000)


def fetch_from(data, gate=None):
    def fetch(first, end, _unwanted):
        if gate:
            gate.wait()
        return [data[first : first + 300], data[first + 300 : end]]

    return fetch


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_in_order_and_all_slots_are_given_back(count):
    slots = Slots(count)
    slots.take()
    assert b"".join(read_ahead(fetch_from(DATA), 17, len(DATA), 900, 100, slots)) == DATA[17:]
    assert sum(slots.try_take() for _number in range(count)) == count - 1


def test_as_many_at_once_as_there_are_slots():
    slots = Slots(4)
    slots.take()
    # Each of the first four waits for the other three.
    gate = threading.Barrier(4)
    assert b"".join(read_ahead(fetch_from(DATA[:4000], gate), 0, 4000, 1000, 100, slots)) == DATA[:4000]


def test_a_part_waits_in_memory_until_there_is_room():
    slots, fetched = Slots(2), []
    slots.take()

    def fetch(first, end, unwanted):
        fetched.append(first)
        return fetch_from(DATA)(first, end, unwanted)

    reading = read_ahead(fetch, 0, len(DATA), 1000, 100, slots)
    next(reading)
    assert set(fetched) <= {0, 1000}
    reading.close()


def test_no_more_at_once_than_wanted():
    slots, fetched = Slots(10), []
    slots.take()

    def fetch(first, end, unwanted):
        fetched.append(first)
        return fetch_from(DATA)(first, end, unwanted)

    reading = read_ahead(fetch, 0, len(DATA), 1000, 3, slots)
    next(reading)
    assert set(fetched) <= {0, 1000, 2000}
    reading.close()


def test_it_ends_where_there_are_no_parts_and_where_one_fails():
    slots = Slots(3)
    slots.take()
    assert not list(read_ahead(lambda *_arguments: None, 0, 5000, 1000, 100, slots))

    def broken(first, end, unwanted):
        if first == 2000:
            raise ValueError("broken")
        return fetch_from(DATA)(first, end, unwanted)

    seen = b""
    with pytest.raises(ValueError, match="broken"):
        for piece in read_ahead(broken, 0, 5000, 1000, 100, slots):
            seen += piece
    assert seen == DATA[:2000]


def test_closing_tells_the_others_that_nobody_wants_them():
    slots, told = Slots(3), threading.Event()
    slots.take()

    def fetch(first, end, unwanted):
        if first:
            assert unwanted.wait(60)
            told.set()
        return fetch_from(DATA)(first, end, unwanted)

    reading = read_ahead(fetch, 0, len(DATA), 1000, 100, slots)
    next(reading)
    reading.close()
    assert told.wait(60)
