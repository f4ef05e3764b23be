# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wait looks, rests, wakes the controller and ends, on a clock of its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import listing, rollout

NAME = {"name": "a", "namespace": "n"}
WANTED = {"kind": "DaemonSet", "metadata": NAME}
# 2026-01-01T00:00:00Z
START = 1767225600.0
STATUS = {"observedGeneration": 1, "desiredNumberScheduled": 30}
DAEMON_SET = {**WANTED, "metadata": {**NAME, "uid": "u", "generation": 1}, "spec": {}, "status": STATUS}


class World:
    """A clock that only what waits or looks moves, a rollout that is seen as `rows` say, and the cluster that it is in."""

    def __init__(self, monkeypatch, rows, look=0.0):
        self.time, self.looks, self.patches, self.pods, self.kinds_watched, self.kinds_listed = 0.0, [], [], [], [], []
        self.nodes = []
        self.status = lambda: STATUS
        self._rows, self._look = rows, look
        event = SimpleNamespace(clear=lambda: None, wait=self.pass_by)
        monkeypatch.setattr(rollout, "threading", SimpleNamespace(Event=lambda: event))
        monkeypatch.setattr(rollout, "time", SimpleNamespace(monotonic=lambda: self.time, sleep=self.pass_by))
        monkeypatch.setattr(rollout, "Reflector", self.reflector)
        monkeypatch.setattr(listing, "Reflector", self.reflector)
        monkeypatch.setattr(rollout, "verdicts", self.verdicts)

    def pass_by(self, seconds):
        assert seconds >= 0
        self.time += seconds

    def reflector(self, _cluster, _changed, kind, *_rest, **_selectors):
        self.kinds_watched.append(kind)
        objects = {"DaemonSet": lambda: [{**DAEMON_SET, "status": self.status()}], "Pod": lambda: self.pods, "Node": lambda: self.nodes}.get(kind, list)
        return SimpleNamespace(start=lambda: None, stop=lambda: None, refreshed=lambda: True, failure=None, trouble=None, objects=objects)

    def verdicts(self, *_seen):
        self.time += self._look
        self.looks.append(self.time)
        return self._rows(self)

    def now(self):
        return START + self.time

    def patch(self, _obj, change):
        self.patches.append(change["metadata"]["annotations"])

    def list(self, kind, *_namespace, **_selectors):
        self.kinds_listed.append(kind)
        return [], "8"

    def wait(self, timeout=600, since=START, **more):
        return rollout.await_rollout(self, WANTED, timeout, "m", since=since, **more)[0]


def row(number, state="rolling", final=False, last=""):
    evidence = {"source": "event" if last else "none", "last": last}
    ready = state == "ready"
    pod = "" if last else f"p{number}"
    facts = {"eligible": True, "up": True, "ready": ready, "reason": "Some", "final": final, "pod": pod, "evidence": evidence}
    return {"node": f"n{number}", "state": state, **facts}


@pytest.mark.parametrize("look", [0.01, 0.2, 1.0])
def test_enough_hopeless_nodes_end_the_wait_one_look_after_they_have_settled(monkeypatch, look):
    first = []

    def rows(world):
        hopeless = world.time > 20
        if hopeless and not first:
            first.append(world.time)
        return [row(n, "blocked" if hopeless and n < 5 else "rolling", final=hopeless and n < 5) for n in range(30)]

    world = World(monkeypatch, rows, look)
    assert world.wait() == "failing"
    assert 8.0 <= world.time - first[0] <= 8.0 + look + 1e-6


def test_a_cluster_that_takes_long_to_look_at_is_left_alone_meanwhile(monkeypatch):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    assert world.wait(timeout=100) == "timeout"
    assert all(later - earlier == pytest.approx(11.0) for earlier, later in zip(world.looks, world.looks[1:-1]))
    # The time that was given is not exceeded by a rest.
    assert world.time <= 101.0


MANY = ([{}] * 500, "7")


def growing(world, speed):
    """Counters that grow by `speed` nodes a second."""
    world.status = lambda: {**STATUS, "desiredNumberScheduled": 500, "numberReady": min(499, int(speed * world.time))}


def test_of_many_nodes_the_pods_are_listed_at_each_look_while_they_get_on(monkeypatch):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    growing(world, speed=8)
    assert world.wait(timeout=60, known_nodes=MANY) == "timeout"
    assert world.kinds_listed == ["Pod"] * len(world.looks) and "Pod" not in world.kinds_watched
    # And seldom: after a look come five seconds, and three rests of five.
    assert all(later - earlier == pytest.approx(21.0, abs=0.1) for earlier, later in zip(world.looks, world.looks[1:-1]))


def following(world, speed, most=500):
    """Counters of an installation on 500 nodes, of which `speed` follow in a second and `most` at all."""
    followed = min(most, int(speed * world.time))
    return {**STATUS, "desiredNumberScheduled": 500, "numberReady": followed, "updatedNumberScheduled": followed}


def test_shortly_before_its_end_a_fast_rollout_is_not_looked_at(monkeypatch):
    world = World(monkeypatch, lambda world: [row(1, "ready" if world.time > 25 else "rolling")], look=1.0)
    world.status = lambda: following(world, speed=20)
    assert world.wait(known_nodes=MANY) == "done"
    # After 21 seconds four fifths are ready, and as many as came last are more than those that are missing.
    assert world.looks == [pytest.approx(1.0), pytest.approx(26.0, abs=0.1)]


def test_a_rollout_that_stops_shortly_before_its_end_is_looked_at(monkeypatch):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    world.status = lambda: following(world, speed=20, most=440)
    assert world.wait(timeout=60, known_nodes=MANY) == "timeout"
    assert world.looks[1] == pytest.approx(27.0, abs=0.1)


def test_between_two_looks_the_counters_are_handed_on(monkeypatch):
    world, counted = World(monkeypatch, lambda _world: [row(1)], look=1.0), []
    growing(world, speed=8)

    def count(daemon_set):
        counted.append((world.time, daemon_set["status"]["numberReady"]))

    world.wait(timeout=60, known_nodes=MANY, count=count)
    between = [time for time, _ready in counted if 6 <= time <= world.looks[1] - 1]
    assert between and max(later - earlier for earlier, later in zip(between, between[1:])) < 1.0
    assert all(ready == int(8 * time) for time, ready in counted)


def test_of_few_nodes_the_counters_say_nothing_that_the_verdicts_do_not(monkeypatch):
    world, counted = World(monkeypatch, lambda _world: [row(1)], look=0.3), []
    world.wait(timeout=60, known_nodes=([{}] * 5, "7"), count=counted.append)
    assert not counted and len(world.looks) > 3


@pytest.mark.parametrize("speed", [0, 2])
def test_a_slow_rollout_of_many_nodes_is_watched(monkeypatch, speed):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    growing(world, speed)
    assert world.wait(timeout=100, known_nodes=MANY) == "timeout"
    assert world.kinds_listed == ["Pod"] * 3 and len(world.looks) > 3 and world.kinds_watched[-1] == "Pod"
    assert all(later - earlier == pytest.approx(11.0, abs=0.1) for earlier, later in zip(world.looks, world.looks[1:-1]))


def test_an_update_that_begins_with_fewer_ready_nodes_gets_on(monkeypatch):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    done = {"desiredNumberScheduled": 500}
    world.status = lambda: {**STATUS, **done, "numberReady": 500 - min(50, int(8 * world.time)), "updatedNumberScheduled": min(499, int(8 * world.time))}
    assert world.wait(timeout=60, known_nodes=MANY) == "timeout"
    assert "Pod" not in world.kinds_watched


def test_of_few_nodes_the_pods_are_watched(monkeypatch):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    assert world.wait(timeout=100, known_nodes=([{}] * 5, "7")) == "timeout"
    assert world.kinds_listed == [] and "Pod" in world.kinds_watched


DONE = {"observedGeneration": 1, "desiredNumberScheduled": 30, "numberReady": 30, "updatedNumberScheduled": 30}


def test_counters_that_say_that_it_has_ended_are_looked_into_at_once(monkeypatch):
    world = World(monkeypatch, lambda world: [row(1, "ready" if world.time > 8 else "rolling")], look=1.0)
    world.status = lambda: DONE if world.time > 7 else STATUS
    assert world.wait() == "done"
    # A look from 0 to 1, then nothing new for 5 seconds: the rest after that ends with the counters' word.
    assert world.looks == [pytest.approx(1.0), pytest.approx(8.0, abs=0.1)]


def test_counters_that_were_looked_into_in_vain_are_no_reason_to_look_without_a_rest(monkeypatch):
    world = World(monkeypatch, lambda _world: [row(1)], look=1.0)
    world.status = lambda: DONE
    assert world.wait(timeout=100) == "timeout"
    assert all(later - earlier == pytest.approx(10.0) for earlier, later in zip(world.looks, world.looks[1:-1]))


BEFORE, SINCE = "2025-12-31T23:59:00Z", "2026-01-01T00:00:03Z"


def denied(last):
    return [row(1, "blocked", final=True, last=last), row(2, "ready")]


def test_what_was_denied_before_the_run_is_tried_again_first(monkeypatch):
    def rows(world):
        return denied(BEFORE) if world.time < 4 else [row(1, "ready"), row(2, "ready")]

    world = World(monkeypatch, rows)
    assert world.wait() == "done"
    # Set once and taken away again.
    assert [[key, bool(value)] for change in world.patches for key, value in change.items()] == [["nanoagent.k8s/wake", True], ["nanoagent.k8s/wake", False]]
    assert world.patches[1] == {"nanoagent.k8s/wake": None}


def test_what_is_denied_again_ends_the_wait(monkeypatch):
    world = World(monkeypatch, lambda world: denied(BEFORE if world.time < 3 else SINCE))
    assert world.wait() == "stuck"
    # Woken twice, with all that is said after each.
    assert len(world.patches) == 4 and 5 <= world.time <= 10


def test_a_cause_that_admission_still_saw_a_moment_after_it_was_mended_is_tried_once_more(monkeypatch):
    def rows(world):
        if len(world.patches) == 4:
            return [row(1, "ready"), row(2, "ready")]
        return denied(SINCE if world.time >= 3 else BEFORE)

    world = World(monkeypatch, rows)
    assert world.wait() == "done" and world.time < 10


def test_pods_that_the_second_try_has_made_leave_no_doubt_of_the_others(monkeypatch):
    world = World(monkeypatch, lambda world: denied(SINCE if world.time >= 3 else BEFORE))
    made = {"metadata": {"name": "p1", "creationTimestamp": "2026-01-01T00:00:02Z"}}
    monkeypatch.setattr(world, "pods", [made])
    # Of the first try.
    assert world.wait(timeout=60) == "stuck"
    again = World(monkeypatch, lambda world: denied(SINCE if world.time >= 3 else BEFORE))
    again.pods = [{"metadata": {"name": "p1", "creationTimestamp": "2026-01-01T00:00:30Z"}}]
    assert again.wait(timeout=60) == "timeout"


def test_a_controller_that_says_and_does_nothing_more_is_still_denied(monkeypatch):
    world = World(monkeypatch, lambda _world: denied(BEFORE))
    assert world.wait() == "stuck"
    assert len(world.patches) == 2 and 12 <= world.time <= 17


def test_a_controller_that_has_made_a_pod_is_no_longer_denied(monkeypatch):
    world = World(monkeypatch, lambda _world: denied(BEFORE))
    world.pods = [{"metadata": {"name": "p1", "creationTimestamp": "2026-01-01T00:00:01Z"}}]
    assert world.wait(timeout=60) == "timeout"


def test_what_is_denied_in_this_run_wakes_nobody(monkeypatch):
    world = World(monkeypatch, lambda _world: denied("2026-01-01T00:00:00Z"))
    assert world.wait() == "stuck"
    assert not world.patches and world.time <= 3


@pytest.mark.parametrize(
    ("ends", "final", "outcome"),
    [(1000, False, "unfinished"), (70, False, "unfinished"), (50, False, "timeout"), (0, False, "timeout"), (1000, True, "timeout")],
)
def test_a_rollout_that_still_gets_on_when_the_time_is_up_is_unfinished(monkeypatch, ends, final, outcome):
    """One node follows each second until `ends`; one of the others may have a cause that cannot heal itself."""

    def rows(world):
        followed = int(min(world.time, ends))
        return [row(n, "ready" if n < followed else "rolling") for n in range(200)] + [row(200, "blocked" if final else "rolling", final=final)]

    world = World(monkeypatch, rows, look=0.001)
    assert world.wait(timeout=90) == outcome and world.time >= 90


@pytest.mark.parametrize(("made", "outcome"), [("2025-12-31T23:59:59Z", "timeout"), ("2026-01-01T00:00:00Z", "timeout"), ("2026-01-01T00:00:01Z", "done")])
def test_a_node_that_joins_during_the_run_is_not_waited_for(monkeypatch, made, outcome):
    world = World(monkeypatch, lambda _world: [row(1, "ready"), row(2, "joining")])
    world.nodes = [{"metadata": {"name": "n1", "creationTimestamp": "2025-01-01T00:00:00Z"}}, {"metadata": {"name": "n2", "creationTimestamp": made}}]
    assert world.wait(timeout=30) == outcome
