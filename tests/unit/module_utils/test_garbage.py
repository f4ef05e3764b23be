# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector is off while anybody needs it off, and on again afterwards."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.garbage import uncollected


@pytest.fixture(autouse=True)
def collector_on():
    gc.enable()
    yield
    gc.enable()
    gc.unfreeze()


def test_off_inside_on_outside():
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_on_again_after_an_error():
    with pytest.raises(ValueError), uncollected():
        raise ValueError
    assert gc.isenabled()


def test_the_last_of_several_threads_switches_it_on():
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with uncollected():
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(20)
    with uncollected():
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join(20)
    assert gc.isenabled()


def test_who_had_it_off_keeps_it_off():
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


class Held:
    """Something that a weak reference can watch."""


def test_later_collections_leave_out_what_was_made_meanwhile():
    with uncollected():
        made = [{"number": number} for number in range(10)]
    assert not any(each is made[0] for each in gc.get_objects())
    assert gc.get_freeze_count() > 0


def test_what_nobody_refers_to_any_more_is_freed_all_the_same():
    with uncollected():
        held = [Held()]
    watched = weakref.ref(held[0])
    del held
    assert watched() is None


def test_cycles_that_are_made_afterwards_are_collected():
    with uncollected():
        pass
    cycle = Held()
    cycle.itself = cycle
    watched = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert watched() is None
