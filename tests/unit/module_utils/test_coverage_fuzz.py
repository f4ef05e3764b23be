# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts over objects whose fields are missing or absurd: never an exception, never wrongly green.

An ordinary run tries the same few hundred worlds each time; FUZZ_SECONDS=3600 goes on with new ones for that much processor time.
"""

from __future__ import annotations

import copy
import json
import os
import time
from pathlib import Path

from ansible_collections.nanoagent.k8s.plugins.module_utils import acceptance, report
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import (
    causes,
    groups,
    strangers,
    summary,
    united,
    without_nodes,
    without_pods,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import newest_revision, revision_of_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.monitor_status import monitor_causes, monitors
from ansible_collections.nanoagent.k8s.plugins.module_utils.progress import progress_text
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import judge, nudges
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import records
from ansible_collections.nanoagent.k8s.plugins.module_utils.verdict import STATES
from ansible_collections.nanoagent.k8s.plugins.module_utils.verify import verify
from ansible_collections.nanoagent.k8s.tests.unit.fakes.cluster_objects import EARLIER, NEWEST, NOW, daemon_set, event, node, pending, pod
from ansible_collections.nanoagent.k8s.tests.unit.module_utils.test_corner_cases import CASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 0)
ODD = [None, True, False, 0, -1, 2**70, 1.5, "", "True", "Ready", "Running", "n1", "n2", "uid-of-nanoagent", [], {}, [None], [[]], {"": None}]
ODD += ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+292277026596-12-04T15:30:07Z", "2026-03-01T12:00:00.123456789Z", "now", "\x00", "é" * 300]
ABSURD = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=8),
    st.integers(),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
OPTIONS = {"name": "nanoagent", "namespace": "nanoagent", "daemon_sets": None, "live": False, "drift": "ignore"}
# (where, as a share of all places; what is done there; with which value)
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["set", "set", "drop", "double"]), ABSURD), max_size=6)
CORPUS = [(agent, [of, node("n2"), node("n3", ready="Unknown")], [*pods, pod("n2"), pod("n3")], events) for _n, _w, agent, of, pods, events, _e in CASES]
CORPUS += [
    (daemon_set(), [node("n1"), node("n2"), node("n3")], [pod("n1"), pod("n2"), pod("n3")], []),
    (daemon_set(), [node("n1"), node("n2")], [pod("n1", revision=EARLIER), pending("n2")], [event("FailedCreate", "exceeded quota")]),
]
RECORDED = {kind: json.loads((Path(__file__).parents[2] / f"bench/recorded/{kind}.json").read_text()) for kind in ("daemonset", "node", "pod")}
CORPUS += [(RECORDED["daemonset"], [RECORDED["node"], node("n2")], [RECORDED["pod"], pod("n2")], [])] * 8
REVISIONS = [NEWEST, EARLIER, "", RECORDED["pod"]["metadata"]["labels"]["controller-revision-hash"]]
WORLDS = st.tuples(st.sampled_from(CORPUS), CHANGES, st.booleans(), st.sampled_from([NOW, None, 0.0, -1e18, 1e18]), st.sampled_from(REVISIONS))


def places(value, path=()):
    """Every (path) in a value, outermost first."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def changed(world, changes):
    """The world with each change made at its place: set to another value, dropped, or doubled where it is in a list."""
    world = copy.deepcopy(world)
    for share, how, value in changes:
        found = [path for path in places(world) if len(path) > 1]
        if not found:
            return world
        *way, last = found[int(share * len(found))]
        holder = world
        for key in way:
            holder = holder[key]
        if how == "set":
            holder[last] = copy.deepcopy(value)
        elif how == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        else:
            del holder[last]
    return world


def is_really_ready(name, pods, agents):
    """Whether an agent's own pod, by uid, is Ready on the node: written once more, for objects of any shape."""
    known = [agent["metadata"].get("uid") for agent in agents if isinstance(agent.get("metadata"), dict)]
    uids = [uid for uid in known if isinstance(uid, str) and uid]
    for each in pods:
        try:
            metadata, status = each["metadata"], each["status"]
            owned = any(owner.get("uid") in uids for owner in metadata["ownerReferences"] if isinstance(owner, dict))
            conditions = [one for one in status["conditions"] if isinstance(one, dict) and one.get("type") == "Ready"]
            runs = owned and not metadata.get("deletionTimestamp") and status["phase"] == "Running"
            if runs and conditions[0]["status"] == "True" and each["spec"]["nodeName"] == name:
                return True
        except (KeyError, TypeError, IndexError, AttributeError):
            continue
    return False


def look(world):
    (agent, nodes, pods, events), changes, two, now, revision = world
    agents, nodes, pods, events = changed([[agent] + ([{**agent, "metadata": {**agent["metadata"], "uid": "b"}}] if two else []), nodes, pods, events], changes)
    # What is no object is not among the items of a list.
    agents, nodes, pods, events = map(records, (agents, nodes, pods, events))
    if not agents:
        return
    pairs = [{"daemon_set": one, "revision": revision} for one in agents]
    for images in (False, True):
        rows = united(pairs, nodes, pods, events, now, images)
        check(rows, agents, nodes, pods)
    check(without_pods(united(pairs, nodes, [], events, now), "no right", "grant it"), agents, nodes, [])
    check(without_nodes(pairs, pods, "no right", "grant it"), agents, [], pods)
    strangers(pairs, pods)
    for one in agents:
        assert isinstance(newest_revision(pods, one), str) and isinstance(revision_of_all(one, pods), str)
    assert isinstance(monitor_causes(monitors([*agents, *pods])), list)
    lists = {"DaemonSet": agents, "Node": nodes, "Pod": pods, "Event": events, "Deployment": pods, "ControllerRevision": pods}
    result = verify(Recorded(lists, now), {**OPTIONS, "selector": "a=b" if two else None})
    json.dumps(result)
    if result["ok"]:
        assert any(row["eligible"] for row in result["nodes"])
        assert all(is_really_ready(row["node"], pods, agents) for row in result["nodes"] if row["eligible"])


class Recorded:
    """Answers what an API server with these objects would."""

    server = "https://192.0.2.1:6443"

    def __init__(self, lists, now):
        self.lists, self.moment, self.requests = lists, now, {"read": 0, "write": 0}

    def get(self, kind, _name, _namespace):
        return next(iter(self.lists.get(kind, [])), None)

    def list(self, kind, _namespace=None, **_selectors):
        return self.lists[kind], "1"

    def parallel(self, calls):
        return [call() for call in calls]

    def last_words(self, *_which):
        return "\x1b[2J\nbye"

    def now(self):
        return self.moment


def is_well(rows):
    whole = {"installed": True, "nodes": rows, "summary": summary(rows), "at": "2026-03-01T12:00:00Z"}
    lax = acceptance.judge(acceptance.Policy(share=100, younger=10**9), whole, [])
    # Whatever is allowed: nobody eligible and a node of which nothing is known are never well.
    assert not lax["ok"] or (any(row["eligible"] for row in rows) and all(row["state"] != "unknown" for row in rows))
    return acceptance.judge(acceptance.STRICT, whole, [])["ok"]


def check(rows, agents, nodes, pods):
    json.dumps(rows)
    assert [row["node"] for row in rows] == sorted(row["node"] for row in rows)
    for row in rows:
        assert row["state"] in STATES and row["reason"], row
        assert isinstance(row["passing"], bool) and isinstance(row["final"], bool) and isinstance(row["eligible"], bool), row
        if row["ready"] or row["state"] == "ready":
            assert is_really_ready(row["node"], pods, agents), row
        if row["state"] == "ready":
            assert row["ready"] and row["eligible"] and row["up"] and row["current"] is True and row["confidence"] in ("probed", "started"), row
        assert row["node"] or (row["state"] != "ready" and not row["ready"]), row
    counts = summary(rows)
    assert sum(counts["states"].values()) == counts["nodes"] == len(rows) and counts["ready"] <= counts["eligible"]
    if is_well(rows):
        assert counts["eligible"] and "unknown" not in counts["states"]
        assert all(is_really_ready(row["node"], pods, agents) for row in rows if row["eligible"])
    named = [name for group in groups(rows) for name in group["nodes"]]
    assert len(named) == sum(1 for row in rows if row["state"] not in ("ready", "not eligible", "not a real node"))
    for line in [*causes(rows), *report.table(rows), report.headline(counts), progress_text(rows)]:
        assert "\n" not in line


SETTINGS = settings(max_examples=2000 if SECONDS else 250, deadline=None, derandomize=not SECONDS, database=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(WORLDS)
def one_round(world):
    look(world)


def test_no_world_raises_or_is_wrongly_green():
    end = time.process_time() + SECONDS
    rounds = 1
    one_round()
    while time.process_time() < end:
        one_round()
        rounds += 1
    print(f"{rounds} rounds of {SETTINGS.max_examples} worlds in {time.process_time() - end + SECONDS:.0f} s of processor time")


def test_the_corpus_holds_worlds_that_are_well_and_worlds_that_are_not():
    found = [
        is_well(united([{"daemon_set": agent, "revision": revision}], nodes, pods, events, NOW))
        for agent, nodes, pods, events in CORPUS
        for revision in REVISIONS
    ]
    assert found.count(True) >= 8 and found.count(False) > 100


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(CORPUS), st.booleans())
def test_the_wait_judges_every_world_of_the_corpus(world, old_is_fine):
    agent, nodes, pods, events = world
    rows = united([{"daemon_set": agent, "revision": NEWEST}], nodes, pods, events, NOW)
    assert judge(agent, rows, old_is_fine) in ("done", "stuck", "failing", "waiting")
    assert set(nudges(agent, rows)) <= {each["metadata"]["name"] for each in pods}
