# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import RateLimit, Slots


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize("rate", [16 << 10, 1 << 20, 200 << 20])
def test_no_more_bytes_than_the_rate_in_any_time(rate):
    clock = Clock()
    limit = RateLimit(rate, clock, clock.sleep)
    passed = []
    for _time in range(50):
        limit.take(limit.piece)
        passed.append(clock.now)
    # The first goes at once, each other one when the one before it has had its time.
    assert passed == pytest.approx([100 + number * limit.piece / rate for number in range(50)])


def test_a_pause_is_not_made_up_for():
    clock = Clock()
    limit = RateLimit(1000, clock, clock.sleep)
    limit.take(1000)
    clock.now += 60
    limit.take(1000)
    before = clock.now
    limit.take(1000)
    assert clock.now == before + 1


def test_pieces_are_small_where_the_rate_is():
    assert [RateLimit(rate).piece for rate in (16 << 10, 1 << 20, 1 << 30)] == [4 << 10, (1 << 20) // 10, 1 << 20]


def test_never_more_than_there_are():
    slots, at_once, most, lock = Slots(3), 0, 0, threading.Lock()

    def work():
        nonlocal at_once, most
        for _time in range(200):
            with slots.held():
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                with lock:
                    at_once -= 1

    threads = [threading.Thread(target=work) for _number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 3 and all(slots.try_take() for _number in range(3)) and not slots.try_take()


def test_whoever_waits_comes_before_whoever_only_tries():
    slots = Slots(1)
    slots.take()
    waiting = threading.Thread(target=slots.take)
    waiting.start()
    while not slots._waiting:
        pass
    slots.give_back()
    waiting.join()
    assert not slots.try_take()
    slots.give_back()
    assert slots.try_take()
