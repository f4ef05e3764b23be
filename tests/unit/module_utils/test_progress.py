# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.progress import Progress, estimate, progress_text


def rows_of(**counts):
    rows = []
    for state, count in counts.items():
        name = state.replace("_", " ")
        about = {"state": name, "eligible": name != "not eligible", "reason": "ImageNotFound"}
        if name == "old":
            about |= {"state": "rolling", "reason": "OldRevision"}
        rows += [{"node": f"{state}{i}", **about} for i in range(count)]
    return rows


def test_one_line_says_where_the_nodes_are():
    rows = rows_of(ready=12, rolling=3, old=2, node_down=1, blocked=4, not_eligible=9)
    assert progress_text(rows) == (
        "12 of 22 nodes ready, 3 starting, 2 waiting for their turn, 1 down, 4 blocked by ImageNotFound (blocked0, blocked1, blocked2, ...)"
    )


def test_the_estimate_follows_the_pace():
    assert estimate(left=20, gained=10, seconds=20) == "; about 40 s left"
    assert estimate(left=20, gained=1, seconds=20) == "; about 7 min left"
    assert estimate(left=20, gained=0, seconds=20) == ""
    assert estimate(left=0, gained=3, seconds=5) == ""


def test_nodes_that_wait_for_their_turn_are_still_to_come():
    said, now = [], [0.0]
    progress = Progress(said.append, "rollout", clock=lambda: now[0])
    progress(rows_of(rolling=5, old=25))
    now[0] = 20.0
    progress(rows_of(ready=10, rolling=5, old=15, node_down=3))
    assert said == ["rollout: 10 of 33 nodes ready, 5 starting, 15 waiting for their turn, 3 down; about 40 s left"]


def counters(wanted, ready, updated, seen=2):
    status = {"observedGeneration": seen, "desiredNumberScheduled": wanted, "numberReady": ready, "updatedNumberScheduled": updated}
    return {"metadata": {"generation": 2}, "status": status}


def test_between_two_looks_the_controller_s_counters_are_told():
    said, now = [], [0.0]
    progress = Progress(said.append, "rollout", clock=lambda: now[0])

    def at(seconds, *numbers, **more):
        now[0] = seconds
        progress.count(counters(*numbers, **more))
        return said[-1:]

    assert at(9, 1000, 900, 0) == [], "before the first look nothing is known"
    progress(rows_of(rolling=1000))
    said.clear()
    assert at(20, 1000, 250, 400) == ["rollout: 250 of 1000 nodes ready, 400 with the new pod; about 60 s left"]
    at(22, 1000, 260, 410)
    at(27, 1000, 500, 900, seen=1)
    assert len(said) == 1, "too early, and counters of the spec before"
    assert at(40, 1000, 999, 1000) == ["rollout: 999 of 1000 nodes ready; about 0 s left"]


def test_two_ways_to_say_the_same_are_no_news_to_each_other():
    said, now = [], [0.0]
    progress = Progress(said.append, "rollout", clock=lambda: now[0])
    for second in range(120):
        now[0] = float(second)
        progress(rows_of(ready=1, rolling=1, blocked=1))
        progress.count(counters(3, 1, 3))
    # Each once, and then one line in thirty seconds.
    assert len(said) == 5 and sum("blocked by" in line for line in said[:2]) == 1


def test_an_update_s_ready_nodes_are_not_all_of_the_new_pod():
    said, now = [], [0.0]
    progress = Progress(said.append, "rollout", clock=lambda: now[0])
    progress(rows_of(old=100))
    now[0] = 10.0
    progress.count(counters(100, 90, 20))
    assert said == ["rollout: 90 of 100 nodes ready, 20 with the new pod; about 40 s left"]


def test_lines_come_only_when_it_takes_long_and_when_something_is_new():
    said, now = [], [0.0]
    progress = Progress(said.append, "rollout", clock=lambda: now[0])

    def at(seconds, **counts):
        now[0] = seconds
        progress(rows_of(**counts))
        return len(said)

    assert at(1, ready=0, rolling=4) == 0
    assert at(5, ready=1, rolling=3) == 1
    assert at(7, ready=2, rolling=2) == 1
    assert at(10, ready=2, rolling=2) == 2
    assert at(20, ready=2, rolling=2) == 2
    assert at(40, ready=2, rolling=2) == 3
    assert said[0] == "rollout: 1 of 4 nodes ready, 3 starting; about 15 s left"
