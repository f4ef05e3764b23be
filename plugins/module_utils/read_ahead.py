# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading parts of something at the same time and handing them out in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from threading import Event

from ansible_collections.nanoagent.k8s.plugins.module_utils.background import begin
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import Slots


def read_ahead(fetch: Callable[[int, int, Event], list[bytes] | None], start: int, end: int, part: int, most: int, slots: Slots) -> Iterator[bytes]:
    """The bytes from start to end, in pieces. It ends early where fetch gives None.

    fetch: takes first position, end, and an event that says that nobody wants it any more; gives the bytes between as pieces.
    part: bytes that are fetched at once. most: how many parts at the same time. slots: the caller has one; each further part that is under
    way or waits to be handed out takes another where one is free, so that memory stays below slots times part.
    """
    under_way, position, own_is_free, unwanted = deque(), start, True, Event()
    try:
        while under_way or position < end:
            while position < end and len(under_way) < most and (own_is_free or slots.try_take()):
                is_own, own_is_free = own_is_free, False
                until = min(position + part, end)
                under_way.append((begin(fetch, position, until, unwanted), is_own))
                position = until
            future, is_own = under_way[0]
            pieces = future.result()
            if pieces is None:
                return
            yield from pieces
            del pieces, future
            under_way.popleft()
            if is_own:
                own_is_free = True
            else:
                slots.give_back()
    finally:
        unwanted.set()
        for future, is_own in under_way:
            if not is_own:
                future.add_done_callback(lambda _future: slots.give_back())
