# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from benchmark import quiet


def seconds_waited(monkeypatch, tmp_path, shares):
    """How many seconds pass where the processors are busy for these shares of each; the last one goes on for ever."""
    stat, passed = tmp_path / "stat", []
    totals = [0] * 10

    def write():
        stat.write_text(f"cpu  {' '.join(map(str, totals))}\ncpu0 1 2 3\n")

    def sleep(_seconds):
        share = shares[min(len(passed), len(shares) - 1)]
        # As many of user, idle and iowait; and a guest's time, that is part of user's.
        totals[0] += round(200 * share)
        totals[8] += round(200 * share)
        totals[3] += round(100 * (1 - share))
        totals[4] += round(100 * (1 - share))
        passed.append(share)
        write()

    write()
    monkeypatch.setattr(quiet.time, "sleep", sleep)
    quiet.wait_until_quiet(stat)
    return len(passed)


def test_two_seconds_of_rest_are_enough(monkeypatch, tmp_path):
    assert seconds_waited(monkeypatch, tmp_path, [0.1]) == 2


def test_work_in_between_begins_the_count_anew(monkeypatch, tmp_path):
    assert seconds_waited(monkeypatch, tmp_path, [0.9, 0.1, 0.8, 0.49, 0.3]) == 5


def test_a_machine_that_never_rests_is_waited_for_a_minute(monkeypatch, tmp_path):
    assert seconds_waited(monkeypatch, tmp_path, [0.51]) == 60
