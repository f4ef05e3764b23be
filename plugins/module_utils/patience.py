# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request to the API server that failed is worth being sent again, and after which pause. Pure.

Every request of this collection may be sent twice: reads, server-side apply, merge patches, and deletes that name a uid.
"""

from __future__ import annotations

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0
# The server, or what stands before it, is busy or not there: worth waiting as long as the patience lasts.
_BUSY = (429, 502, 503, 504)
# Etcd elects a leader, or somebody wrote at the same moment: over in a moment, or never.
_MOMENTARY = (409, 500)
_MOMENTARY_TRIES = 4


def pause(tries: int, waited: float, patience: float, status: int | None = None, retry_after: float | None = None) -> float | None:
    """Seconds to wait before the next try; None where there should be none.

    tries: how often the request was sent. waited: seconds since it was sent first. patience: seconds after which no
    further try begins. status: of the answer, None where the connection broke. retry_after: what the server asked for,
    in seconds; where that is beyond the patience, waiting less would be of no use.
    """
    if status in _MOMENTARY:
        if tries >= _MOMENTARY_TRIES:
            return None
    elif status is not None and status not in _BUSY:
        return None
    left = patience - waited
    if left <= 0 or (retry_after or 0.0) > left:
        return None
    # The last try comes at the end of the patience, not one long pause before it.
    return min(max(_FIRST_PAUSE * 2 ** (tries - 1), retry_after or 0.0), max(_LONGEST_PAUSE, retry_after or 0.0), left)
