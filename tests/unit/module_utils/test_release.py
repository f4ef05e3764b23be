# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import release
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.orphans import note
from ansible_collections.nanoagent.k8s.plugins.module_utils.release import awaited_deployments, carry_out, former_pods
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

OPTIONS = {"namespace": "n", "wait": False}
TEMPLATE = {"metadata": {"labels": {"app": "new"}}, "spec": {"containers": [{"name": "agent", "image": "i"}]}}
WANTED = {
    "kind": "DaemonSet",
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 1},
    "spec": {"selector": {"matchLabels": {"app": "new"}}, "template": TEMPLATE},
}
LIVE = {**WANTED, "status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2}}
REMEMBERS = {"metadata": {"annotations": note({"app": "old"})}}


def pod(name, node, ready=True, owner=""):
    owners = [{"uid": owner, "controller": True}] if owner else []
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    metadata = {"name": name, "labels": {"controller-revision-hash": "h"}, "ownerReferences": owners}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}


class Cluster:
    """Has the former pods of two nodes, and counts who asks for them."""

    def __init__(self):
        self.asked = []

    def list(self, kind, _namespace, **selectors):
        self.asked.append((kind, selectors))
        return [pod("old-a", "a"), pod("old-b", "b")], "1"

    def now(self):
        return 1767225600.0


def seen(parent, daemon_set):
    nodes = [{"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}} for name in "ab"]
    pods = [pod("new-a", "a", owner="u"), pod("new-b", "b", ready=False, owner="u")]
    return {"parent": parent, "objects": {identity(WANTED): daemon_set} if daemon_set else {}, "nodes": nodes, "pods": pods}


@pytest.mark.parametrize("parent", [None, {"metadata": {}}])
def test_where_nothing_was_left_behind_nothing_is_asked_for(parent):
    cluster = Cluster()
    assert former_pods(cluster, OPTIONS, WANTED, seen(parent, LIVE)) == {"go": [], "wait": [], "last": []} and not cluster.asked


@pytest.mark.parametrize(("wait", "expected"), [(False, (["old-a"], [], ["old-b"])), (True, (["old-a"], ["old-b"], []))])
def test_former_pods_go_where_the_new_one_is_ready_for_one_request(wait, expected):
    cluster = Cluster()
    former = former_pods(cluster, {**OPTIONS, "wait": wait}, WANTED, seen(REMEMBERS, LIVE))
    assert tuple([each["metadata"]["name"] for each in former[key]] for key in ("go", "wait", "last")) == expected
    assert cluster.asked == [("Pod", {"labelSelector": "app=old"})]


@pytest.mark.parametrize("daemon_set", [None, {**LIVE, "metadata": {**LIVE["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}])
def test_as_long_as_there_is_no_new_daemon_set_they_all_stay(daemon_set):
    former = former_pods(Cluster(), OPTIONS, WANTED, seen(REMEMBERS, daemon_set))
    assert [each["metadata"]["name"] for each in former["last"]] == ["old-a", "old-b"] and former["go"] == []


def test_a_node_from_which_only_an_unfinished_canary_keeps_the_new_one_stays_watched():
    spec = {**TEMPLATE["spec"], "nodeSelector": {"canary": "yes"}}
    status = {**LIVE["status"], "desiredNumberScheduled": 1, "updatedNumberScheduled": 1}
    known = seen(REMEMBERS, {**LIVE, "spec": {**LIVE["spec"], "template": {**TEMPLATE, "spec": spec}}, "status": status})
    former = former_pods(Cluster(), OPTIONS, WANTED, {**known, "pods": known["pods"][:1]})
    assert [each["metadata"]["name"] for each in former["go"]] == ["old-a"] and [each["metadata"]["name"] for each in former["last"]] == ["old-b"]


def deployment(action, available):
    status = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available}
    wanted = {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}, "spec": {"replicas": 1}}
    live = {**wanted, "metadata": {**wanted["metadata"], "generation": 2}, "status": status} if action != "create" else None
    return {"action": action, "fields": [], "desired": wanted, "live": live}


@pytest.mark.parametrize(
    ("own", "other", "awaited"),
    [
        (deployment("keep", 1), "keep", False),
        (deployment("keep", 0), "keep", True),
        (deployment("keep", 1), "patch", True),
        (deployment("patch", 1), "keep", True),
        (deployment("create", 0), "keep", True),
    ],
)
def test_a_deployment_that_is_well_is_looked_at_again_only_where_something_is_written(own, other, awaited):
    steps = [{"action": other, "fields": [], "desired": WANTED, "live": LIVE}, own]
    assert awaited_deployments(steps) == ([own["desired"]] if awaited else [])


class Rollouts:
    """A cluster whose rollouts end as `outcomes` say, one after the other; what was awaited, taken back and deleted is kept.

    pods: those that are there once something was written.
    """

    requests = {"read": 0, "write": 0}
    pods = ()

    def __init__(self, monkeypatch, *outcomes):
        self.awaited, self.undone, self.deleted, self._outcomes = [], 0, [], list(outcomes)
        monkeypatch.setattr(release, "await_rollout", self._await)
        monkeypatch.setattr(release.apply, "write", lambda *_steps: None)
        monkeypatch.setattr(release.apply, "undo", self._undo)
        monkeypatch.setattr(release.apply, "finish", lambda *_steps: None)

    def _await(self, _cluster, _wanted, _timeout, _manager, progress, nodes=None, *_rest):
        outcome, rows = self._outcomes.pop(0)
        self.awaited.append(nodes)
        progress(rows)
        return outcome, rows

    def _undo(self, *_steps):
        self.undone += 1

    def now(self):
        return 1767225600.0

    def parallel(self, calls):
        return [call() for call in calls]

    def delete(self, pod):
        self.deleted.append(pod["metadata"]["name"])

    def list(self, kind, *_where, **_selectors):
        return list(self.pods) if kind == "Pod" else [], "1"


def verdict(node, state="ready", reason="Ready", ready=None, final=False):
    ready = state == "ready" if ready is None else ready
    row = {**node_facts({"metadata": {"name": node}}), "pod": f"p-{node}", "eligible": True, "container": "", "detail": "as it is", "fix": ""}
    return {**row, "passing": False, "confidence": "", "state": state, "reason": reason, "ready": ready, "final": final}


def updated(cluster, pods, **given):
    """The result of an update of LIVE, or the Failure."""
    options = agent_options(**{"name": "a", "namespace": "n", "wait_timeout": 9, **given})
    steps = [{"action": "patch", "fields": ["spec.template.spec.containers"], "desired": WANTED, "live": LIVE}]
    nodes = [{"metadata": {"name": name}} for name in "ab"]
    known = {"parent": None, "objects": {identity(WANTED): LIVE}, "nodes": nodes, "node_version": "1", "pods": list(pods)}
    try:
        return carry_out(cluster, options, steps, known, lambda _line: None)
    except Failure as failure:
        return failure


WORKS, BROKEN = pod("old-a", "a", owner="u"), pod("old-b", "b", ready=False, owner="u")
PENDING = verdict("b", "blocked", "InsufficientCpu")


@pytest.mark.parametrize("outcome", ["timeout", "stuck", "failing"])
def test_a_node_that_had_no_working_agent_before_is_no_reason_to_go_back(monkeypatch, outcome):
    cluster = Rollouts(monkeypatch, (outcome, [verdict("a"), PENDING]))
    failure = updated(cluster, [WORKS, BROKEN])
    assert "InsufficientCpu on 1 node (b)" in failure.message and "what is applied stays" in failure.message
    assert not failure.facts["rolled_back"] and cluster.undone == 0


def test_a_node_that_is_to_have_no_agent_any_more_is_no_reason_to_go_back(monkeypatch):
    left_out = {**verdict("a", "not eligible", "NotEligible"), "eligible": False}
    cluster = Rollouts(monkeypatch, ("stuck", [left_out, PENDING]))
    assert not updated(cluster, [WORKS, BROKEN]).facts["rolled_back"] and cluster.undone == 0


def test_a_node_that_only_waits_for_its_turn_is_no_reason_to_go_back(monkeypatch):
    waits = verdict("a", "rolling", "OldRevision", ready=True)
    cluster = Rollouts(monkeypatch, ("stuck", [waits, PENDING]))
    assert not updated(cluster, [WORKS, BROKEN]).facts["rolled_back"] and cluster.undone == 0


def test_the_way_back_is_awaited_on_nodes_that_worked_before(monkeypatch):
    harmed = verdict("a", "blocked", "ImageNotFound", final=True)
    cluster = Rollouts(monkeypatch, ("stuck", [harmed, PENDING]), ("done", [verdict("a")]))
    failure = updated(cluster, [WORKS, BROKEN])
    assert failure.facts["rolled_back"] and "the previous revision is back and verified" in failure.message
    assert cluster.undone == 1 and cluster.awaited == [None, {"a"}]


def test_a_way_back_that_takes_longer_is_told_as_such(monkeypatch):
    harmed = verdict("a", "blocked", "ImageNotFound", final=True)
    cluster = Rollouts(monkeypatch, ("stuck", [harmed]), ("unfinished", [verdict("a", "rolling", "OldRevision")]))
    failure = updated(cluster, [WORKS])
    assert not failure.facts["rolled_back"] and "the previous revision is on its way back" in failure.message


def test_a_rollout_that_gets_on_is_not_taken_back(monkeypatch):
    cluster = Rollouts(monkeypatch, ("unfinished", [verdict("a"), verdict("b", "rolling", "NotReady")]))
    failure = updated(cluster, [WORKS, pod("old-b", "b", owner="u")])
    assert "is not over after 9 s" in failure.message and "larger wait_timeout" in failure.message
    assert not failure.facts["rolled_back"] and cluster.undone == 0


def test_a_canary_that_is_not_over_in_time_goes_back(monkeypatch):
    monkeypatch.setattr(release, "canary_nodes", lambda *_known: ["a", "b"])
    monkeypatch.setattr(release.canary, "trial", lambda wanted, *_known: wanted)
    unscheduled = pod("unscheduled", None, ready=False, owner="u")
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    unscheduled["spec"]["affinity"] = {"nodeAffinity": required}
    foreign = pod("of-a-deployment", "a", owner="another")
    cluster = Rollouts(monkeypatch, ("unfinished", [verdict("a"), verdict("b", "rolling", "NotReady")]), ("done", [verdict("a"), verdict("b")]))
    remade, newest = pod("remade-a", "a", owner="u"), pod("newest-b", "b", owner="u")
    newest["metadata"]["labels"] = {"controller-revision-hash": "h2"}
    cluster.pods = [remade, unscheduled, foreign, newest, pod("elsewhere", "c", owner="u")]
    failure = updated(cluster, [WORKS, unscheduled, foreign], canary={"nodes": "2"})
    assert "the canary on 2 nodes" in failure.message and failure.facts["rolled_back"], failure.message
    # The agents of the chosen nodes alone, also one that has no place yet or was made anew since the others were read, and none of the new ones.
    assert cluster.deleted == ["remade-a", "unscheduled"]


def test_with_on_delete_former_agents_that_do_not_work_are_told(monkeypatch):
    old = verdict("b", "rolling", "OldRevision", ready=False)
    result = updated(Rollouts(monkeypatch, ("done", [verdict("a"), old])), [WORKS, BROKEN])
    assert result["notes"] == ["1 node with an agent of an earlier revision that is not ready: b; delete its pod"]
