# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import watch
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.verify import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.watch import changes, lines, standing
from ansible_collections.nanoagent.k8s.plugins.modules.agent_info import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, row

pytestmark = pytest.mark.loopback

CASE = {case[1]: case for _weight, case in CASES}
LABELS = {"app.kubernetes.io/name": "nanoagent"}
DAEMON_SET = {
    "metadata": {"name": "nanoagent", "namespace": "nanoagent", "uid": "ds", "generation": 1},
    "spec": {"selector": {"matchLabels": LABELS}, "template": {"spec": {"containers": [{"name": "collector"}]}}},
    "status": {"observedGeneration": 1},
}
REVISION = {"metadata": {"name": "r", "uid": "r", "labels": {"controller-revision-hash": "new"}, "ownerReferences": [{"uid": "ds"}]}, "revision": 1}


def node(name):
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"operatingSystem": "linux"}},
    }


def pod(name, on, ready=True):
    labels = {**LABELS, "controller-revision-hash": "new"}
    metadata = {"name": name, "namespace": "nanoagent", "uid": f"uid-{name}", "labels": labels, "ownerReferences": [{"uid": "ds", "controller": True}]}
    return {
        "metadata": metadata,
        "spec": {"nodeName": on, "containers": [{"name": "collector", "readinessProbe": {"exec": {}}}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "collector", "ready": ready, "state": {"running": {}}}],
        },
    }


class Story:
    """What an API server holds of one agent. Each watch ends after what it has to say, and the second one of pods is too old."""

    def __init__(self):
        self._lock, self._version, self._pod_watches = threading.Lock(), 0, 0
        self._objects, self._events = {}, []

    def put(self, resource, obj):
        with self._lock:
            self._version += 1
            obj["metadata"]["resourceVersion"] = str(self._version)
            known = (resource, obj["metadata"]["name"]) in self._objects
            self._objects[resource, obj["metadata"]["name"]] = obj
            self._events.append((self._version, resource, {"type": "MODIFIED" if known else "ADDED", "object": obj}))

    def remove(self, resource, name):
        with self._lock:
            self._version += 1
            obj = self._objects.pop((resource, name))
            gone = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
            self._events.append((self._version, resource, {"type": "DELETED", "object": gone}))

    def answer(self, _method, path, query):
        return *self._answer(path, query), {"Date": "Sun, 01 Mar 2026 12:00:00 GMT"}

    def _answer(self, path, query):
        parts = path.split("/")
        resource = next(part for part in reversed(parts) if part.endswith("s"))
        with self._lock:
            if query.get("watch"):
                return 200, self._watch(resource, int(query["resourceVersion"]))
            if parts[-1] != resource:
                return (200, self._objects[resource, parts[-1]]) if (resource, parts[-1]) in self._objects else (404, {})
            items = [obj for (each, _name), obj in self._objects.items() if each == resource]
            return 200, {"items": items, "metadata": {"resourceVersion": str(self._version)}}

    def _watch(self, resource, since):
        if resource == "pods":
            self._pod_watches += 1
            if self._pod_watches == 2:
                return json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410}}).encode() + b"\n"
        return b"".join(json.dumps(event).encode() + b"\n" for version, each, event in self._events if each == resource and version > since)


def options(server, **given):
    found = ArgumentSpecValidator(argument_spec()).validate({"host": server.url, "api_key": "a-token-of-this-test", "drift": "ignore", "watch": True, **given})
    assert not found.error_messages
    return found.validated_parameters


@pytest.fixture
def story():
    made = Story()
    made.put("daemonsets", DAEMON_SET)
    made.put("controllerrevisions", REVISION)
    for name in ("a", "b"):
        made.put("nodes", node(name))
        made.put("pods", pod(f"pod-{name}", name))
    return made


def test_it_tells_what_happens_and_ends_when_all_is_well(story):
    story.remove("pods", "pod-b")
    said = []

    def say(line):
        said.append(line[9:])
        if len(said) == 1:
            story.remove("pods", "pod-a")
            story.put("pods", pod("pod-a2", "a", ready=False))
        elif "a ready -> rolling" in line:
            story.put("nodes", node("c"))
        elif "c new -> rolling" in line:
            story.put("pods", pod("pod-b2", "b"))
        elif "b rolling -> ready" in line:
            story.remove("nodes", "c")
        elif "c rolling -> gone" in line:
            story.put("pods", pod("pod-a2", "a"))

    with FakeApiServer(story.answer) as server:
        result = work(options(server), Run(say=say))
    assert result["ok"] and result["summary"]["ready"] == 2
    assert [line.partition(",")[0] for line in said] == [
        "1 of 2 nodes ready",
        "a ready -> rolling",
        "c new -> rolling",
        "b rolling -> ready",
        "c rolling -> gone",
        "a rolling -> ready",
    ]
    assert [(each["node"], each["from"], each["to"]) for each in result["changes"]] == [
        ("a", "ready", "rolling"),
        ("c", "", "rolling"),
        ("b", "rolling", "ready"),
        ("c", "rolling", ""),
        ("a", "rolling", "ready"),
    ]
    assert [each["at"][:16] for each in result["changes"]] == ["2026-03-01T12:00"] * 5


def only_on(name, daemon_set):
    """The DaemonSet, bound to one node."""
    spec = daemon_set["spec"]
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    return {**daemon_set, "spec": {**spec, "template": {"spec": {**spec["template"]["spec"], "affinity": affinity}}}}


def test_several_daemon_sets_are_followed_together(story):
    story.remove("pods", "pod-b")
    story.put("daemonsets", only_on("a", DAEMON_SET))
    story.put("nodes", node("c"))
    story.put("pods", pod("pod-c", "c", ready=False))
    other = only_on("b", {**DAEMON_SET, "metadata": {**DAEMON_SET["metadata"], "name": "other", "uid": "ds-other"}})
    said = []

    def say(line):
        said.append(line[9:])
        if len(said) == 1:
            theirs = pod("pod-b2", "b")
            theirs["metadata"]["ownerReferences"][0]["uid"] = "ds-other"
            story.put(
                "controllerrevisions", {**REVISION, "metadata": {**REVISION["metadata"], "name": "o", "uid": "o", "ownerReferences": [{"uid": "ds-other"}]}}
            )
            story.put("daemonsets", other)
            story.put("pods", theirs)

    with FakeApiServer(story.answer) as server:
        result = work(options(server, daemon_sets=["nanoagent", "other"], watch_timeout=60), Run(say=say))
    assert result["ok"] and result["daemon_sets"] == ["nanoagent/nanoagent", "nanoagent/other"]
    assert {row["node"]: row["daemon_set"] for row in result["nodes"] if row["eligible"]} == {"a": "nanoagent/nanoagent", "b": "nanoagent/other"}


def test_of_thousands_that_change_few_lines_are_said_and_the_newest_changes_kept():
    story, count = Story(), 2500
    story.put("daemonsets", DAEMON_SET)
    story.put("controllerrevisions", REVISION)
    for number in range(count):
        story.put("nodes", node(f"n{number:04}"))
        story.put("pods", pod(f"pod-{number}", f"n{number:04}", ready=number > 0))
    said = []

    def say(line):
        said.append(line[9:])
        if len(said) == 1:
            for number in range(1, count):
                story.put("pods", pod(f"pod-{number}", f"n{number:04}", ready=False))
        elif "ready -> rolling" in line and not any("rolling -> ready" in each for each in said):
            for number in range(count):
                story.put("pods", pod(f"pod-{number}", f"n{number:04}"))

    with FakeApiServer(story.answer) as server:
        result = work(options(server, watch_timeout=120), Run(say=say))
    assert result["ok"] and result["summary"]["ready"] == count
    assert len(said) < 60 and max(map(len, said)) < 300, said
    assert len(result["changes"]) == 1000 and result["changes"][-1]["to"] == "ready"


def test_where_all_is_well_it_ends_at_once(story):
    said = []
    with FakeApiServer(story.answer) as server:
        result = work(options(server), Run(say=said.append))
    assert result["ok"] and result["changes"] == [] and len(said) == 1


def test_it_waits_for_an_agent_that_is_not_there_yet(story):
    story.remove("daemonsets", "nanoagent")
    said = []

    def say(line):
        said.append(line[9:])
        if len(said) == 1:
            story.put("daemonsets", DAEMON_SET)

    with FakeApiServer(story.answer) as server:
        assert work(options(server), Run(say=say))["ok"]
    assert said == ["there is no such DaemonSet", "2 of 2 nodes ready"]


def test_the_time_limit_ends_it_with_what_is_there_then(story):
    story.remove("pods", "pod-b")
    with FakeApiServer(story.answer) as server:
        result = work(options(server, watch_timeout=1), Run())
    assert not result["ok"] and result["changes"] == []
    assert result["failures"] == ["1 of 2 eligible nodes is not ready"]


def test_what_the_policy_lets_pass_is_not_waited_for(story):
    story.remove("pods", "pod-b")
    with FakeApiServer(story.answer) as server:
        assert work(options(server, max_unready="50%"), Run())["allowed"] == ["b"]


def test_a_rule_of_the_house_is_waited_for_too(story, monkeypatch):
    monkeypatch.setattr(watch, "_SOON", 0.0)
    said, looked = [], []

    def answer(method, path, query):
        if query.get("watch") and looked == ["nodes"]:
            looked.append("told")
            story.put("pods", pod("pod-c", "c"))
            story.put("nodes", node("c"))
        response = story.answer(method, path, query)
        # The list of nodes after the first line is that of a look, which so does not find the third node yet.
        if said and not looked and path.endswith("/nodes") and not query.get("watch"):
            looked.append("nodes")
        return response

    with FakeApiServer(answer) as server:
        result = work(options(server, accept="summary.ready == `3`"), Run(say=said.append))
    assert result["ok"] and [(each["node"], each["to"]) for each in result["changes"]] in ([("c", "ready")], [("c", "rolling"), ("c", "ready")])


def test_a_right_that_is_missing_ends_it_with_a_result_that_says_so(story):
    def answer(method, path, query):
        if path.endswith("/nodes"):
            return 403, {"message": 'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope'}
        return story.answer(method, path, query)

    with FakeApiServer(answer) as server:
        result = work(options(server), Run())
    assert not result["ok"] and "eve may not list nodes" in result["failures"][0]


def test_a_token_that_is_refused_is_an_error(story):
    with FakeApiServer(lambda *_: (401, {"message": "Unauthorized"})) as server, pytest.raises(Failure):
        work(options(server), Run())


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([row("a")], [row("a")], []),
        ([row("a")], [], [("a", "ready", "")]),
        ([], [row("a")], [("a", "", "ready")]),
        ([row("a", CASE["Starting"])], [row("a", CASE["OldRevision"])], []),
        ([row("a", CASE["ImageNotFound"])], [row("a", CASE["Unschedulable"])], [("a", "blocked", "blocked")]),
        ([row("b"), row("a")], [row("a", CASE["NodeDown"]), row("b", CASE["NodeDown"])], [("a", "ready", "node down"), ("b", "ready", "node down")]),
    ],
)
def test_changes(before, after, found):
    assert [(each["node"], each["from"], each["to"]) for each in changes(standing(before), after)] == found


def test_many_that_change_alike_are_one_line():
    before = standing([row(f"n{number}") for number in range(400)])
    after = [row(f"n{number}", CASE["NodeDown"] if number < 398 else CASE["ImageNotFound"]) for number in range(400)]
    told = lines(changes(before, after))
    assert told[0] == "398 nodes (n0, n1, n10, ...) ready -> node down, NodeDown"
    assert [line.partition(":")[0] for line in told[1:]] == ["n398 ready -> blocked, ImageNotFound", "n399 ready -> blocked, ImageNotFound"]
