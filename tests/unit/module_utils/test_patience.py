# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.patience import pause


def tries(status, patience=30.0, **more):
    """(how often a request is sent that always fails in the same way, the pauses in between)."""
    pauses = []
    while (seconds := pause(len(pauses) + 1, sum(pauses), patience, status, **more)) is not None:
        pauses.append(seconds)
    return len(pauses) + 1, pauses


@pytest.mark.parametrize("status", [None, 429, 502, 503, 504])
def test_who_is_away_or_busy_is_waited_for_as_long_as_the_patience_lasts(status):
    count, pauses = tries(status)
    assert count > 5 and sum(pauses) == pytest.approx(30)
    assert pauses[:-1] == sorted(pauses[:-1]) and max(pauses) == 3.0


@pytest.mark.parametrize("status", [409, 500])
def test_what_is_over_in_a_moment_or_never_is_tried_a_few_times(status):
    assert tries(status) == (4, [0.2, 0.4, 0.8])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 422, 501])
def test_a_clear_answer_is_taken(status):
    assert tries(status) == (1, [])


def test_the_server_says_how_long():
    assert tries(429, patience=10, retry_after=4)[1] == [4, 4]
    assert pause(1, 0.0, 10, 429, retry_after=10) == 10
    assert tries(503, retry_after=0)[1][:2] == [0.2, 0.4]


def test_an_hour_is_not_waited_for():
    assert tries(429, retry_after=3600) == (1, [])


def test_without_patience_nothing_is_sent_twice():
    assert all(tries(status, patience=0) == (1, []) for status in (None, 409, 429, 500, 503))
