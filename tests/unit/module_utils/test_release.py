# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.orphans import note
from ansible_collections.nanoagent.k8s.plugins.module_utils.release import awaited_deployments, former_pods

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
