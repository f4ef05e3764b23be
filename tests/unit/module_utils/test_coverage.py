# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import causes, causes_of_failure, summary, verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import newest_revision
from ansible_collections.nanoagent.k8s.plugins.module_utils.report import headline, table
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import relevant_events

DAEMON_SET = {
    "metadata": {"name": "agent", "namespace": "n", "uid": "ds", "generation": 2},
    "spec": {"template": {"spec": {"containers": [{"name": "collector"}]}}},
    "status": {"observedGeneration": 2},
}


def node(name, up=True, taints=(), annotations=None, unschedulable=False):
    status = {"conditions": [{"type": "Ready", "status": "True" if up else "Unknown", "message": "Kubelet stopped posting node status."}]}
    return {
        "metadata": {"name": name, "uid": name, "annotations": annotations or {}},
        "spec": {"taints": list(taints), "unschedulable": unschedulable},
        "status": status,
    }


def pod(name, on, ready=True, revision="new", owner="ds", created="2026-01-01T00:00:00Z", waiting=None, deleting=False):
    statuses = [{"name": "collector", "containerID": f"containerd://{name}-id", "state": {"waiting": waiting} if waiting else {"running": {}}}]
    metadata = {"name": name, "labels": {"controller-revision-hash": revision}, "ownerReferences": [{"uid": owner}], "creationTimestamp": created}
    if deleting:
        metadata["deletionTimestamp"] = created
    return {
        "metadata": metadata,
        "spec": {"nodeName": on},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], "containerStatuses": statuses},
    }


def states(nodes, pods, events=()):
    return {row["node"]: (row["state"], row["reason"]) for row in verdicts(DAEMON_SET, nodes, pods, "new", list(events))}


def test_every_state():
    nodes = [
        node("a-ready"),
        node("b-old"),
        node("c-starting"),
        node("d-image"),
        node("e-tainted", taints=[{"key": "t", "effect": "NoSchedule"}]),
        node("f-down", up=False),
        node("g-fake", annotations={"kwok.x-k8s.io/node": "fake"}),
        node("h-podless"),
    ]
    pods = [
        pod("pa", "a-ready"),
        pod("pb", "b-old", revision="old"),
        pod("pc", "c-starting", ready=False),
        pod("pd", "d-image", ready=False, waiting={"reason": "ErrImagePull", "message": "not found"}),
        pod("pf", "f-down", ready=False),
        pod("pg", "g-fake"),
    ]
    assert states(nodes, pods) == {
        "a-ready": ("ready", "Ready"),
        "b-old": ("rolling", "OldRevision"),
        "c-starting": ("rolling", "NotReady"),
        "d-image": ("blocked", "ImageNotFound"),
        "e-tainted": ("not eligible", "NotEligible"),
        "f-down": ("node down", "NodeDown"),
        "g-fake": ("not a real node", "NotReal"),
        "h-podless": ("rolling", "NoPod"),
    }


def test_a_denied_pod_is_named_on_every_podless_node():
    about = {"kind": "DaemonSet", "name": "agent"}
    event = {"involvedObject": about, "reason": "FailedCreate", "message": "exceeded quota: q", "lastTimestamp": "2026-01-01T00:00:00Z"}
    assert states([node("a"), node("b")], [], [event]) == {"a": ("blocked", "QuotaExceeded"), "b": ("blocked", "QuotaExceeded")}
    another = {**event, "involvedObject": {**about, "name": "another"}}
    assert states([node("a")], [], [another]) == {"a": ("rolling", "NoPod")}


@pytest.mark.parametrize(
    ("created", "message", "final"),
    [
        ("2025-12-31T23:59:59Z", "exceeded quota: q", True),
        ("2026-01-01T00:00:00Z", "exceeded quota: q", True),
        ("2026-01-01T00:00:01Z", "exceeded quota: q", False),
        ("2025-12-31T23:59:59Z", "etcdserver: request timed out", False),
        ("2025-12-31T23:59:59Z", "etcdserver: leader changed", False),
        ("2025-12-31T23:59:59Z", 'Post "https://10.0.0.1/api/v1/namespaces/n/pods": dial tcp 10.0.0.1:443: connect: connection refused', False),
        ("2025-12-31T23:59:59Z", 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please apply your changes', False),
    ],
)
def test_what_the_controller_was_refused_for_a_moment_is_not_final(created, message, final):
    about = {"kind": "DaemonSet", "name": "agent"}
    event = {"involvedObject": about, "reason": "FailedCreate", "message": f"Error creating: {message}", "lastTimestamp": "2026-01-01T00:00:00Z"}
    rows = verdicts(DAEMON_SET, [node("a"), node("b")], [pod("p", "b", created=created)], "new", [event])
    assert [(row["state"], row["final"]) for row in rows] == [("blocked", final), ("ready", False)]


def test_pods_of_other_owners_do_not_count():
    assert states([node("a")], [pod("p", "a", owner="somebody")]) == {"a": ("rolling", "NoPod")}


def test_the_new_pod_leads_over_an_ending_one():
    pods = [pod("old", "a", revision="old", deleting=True), pod("young", "a", created="2026-02-01T00:00:00Z")]
    [row] = verdicts(DAEMON_SET, [node("a")], pods, "new", [])
    assert (row["pod"], row["state"], row["container_id"]) == ("young", "ready", "young-id")


def test_a_cordoned_node_stays_eligible_and_shows_as_such():
    rows = verdicts(DAEMON_SET, [node("a", unschedulable=True)], [pod("p", "a")], "new", [])
    assert rows[0]["eligible"] and rows[0]["cordoned"]
    assert "ready (cordoned)" in table(rows)[1]


def test_a_pod_without_a_readiness_probe_is_shown_as_such():
    probed = pod("p", "b")
    probed["spec"]["containers"] = [{"name": "collector", "readinessProbe": {"exec": {}}}]
    lines = table(verdicts(DAEMON_SET, [node("a"), node("b")], [pod("q", "a"), probed], "new", []))
    assert [line.endswith("no readiness probe") for line in lines] == [False, True, False]


def test_summary_and_causes():
    rows = verdicts(DAEMON_SET, [node("a"), node("b"), node("c", up=False)], [pod("p", "a")], "new", [])
    counts = summary(rows)
    assert counts == {"nodes": 3, "real": 3, "eligible": 3, "ready": 1, "states": {"ready": 1, "rolling": 1, "node down": 1}}
    assert headline(counts) == "nodes 3, eligible 3, ready 1"
    assert [line.split(":")[0] for line in causes(rows)] == ["NoPod on 1 node (b)", "NodeDown on 1 node (c)"]


def test_newest_revision_of_this_owner():
    def revision(number, owner, digest):
        return {"revision": number, "metadata": {"ownerReferences": [{"uid": owner}], "labels": {"controller-revision-hash": digest}}}

    assert newest_revision([revision(1, "ds", "a"), revision(3, "ds", "c"), revision(9, "x", "z")], DAEMON_SET) == "c"
    assert newest_revision([], DAEMON_SET) == ""


def test_events_from_before_our_last_write_do_not_count():
    daemon_set = {"metadata": {"name": "agent", "managedFields": [{"manager": "m", "operation": "Apply", "time": "2026-01-01T10:00:00Z", "fieldsV1": {}}]}}
    times = [{"lastTimestamp": "2026-01-01T09:59:59Z"}, {"lastTimestamp": "2026-01-01T10:00:00Z"}, {"eventTime": "2026-01-01T10:00:01.000000Z"}, {}]
    events = [{"involvedObject": {"kind": "DaemonSet", "name": "agent"}, **time} for time in times]
    of_a_pod = {"involvedObject": {"kind": "Pod", "name": "agent"}, **times[0]}
    assert relevant_events([*events, of_a_pod], daemon_set, "m") == [*events[1:3], of_a_pod]


def test_a_node_without_a_machine_counts_only_where_our_daemon_set_was_told_to():
    fake = node("a", annotations={"kwok.x-k8s.io/node": "fake"})
    [theirs] = verdicts(DAEMON_SET, [fake], [pod("p", "a")], "new", [])
    assert (theirs["state"], theirs["eligible"]) == ("not a real node", False)
    ours = {**DAEMON_SET, "metadata": {**DAEMON_SET["metadata"], "labels": {"app.kubernetes.io/managed-by": "nanoagent.k8s"}}}
    [told] = verdicts(ours, [fake], [pod("p", "a")], "new", [])
    assert (told["state"], told["eligible"]) == ("ready", True)


def test_a_node_that_cannot_be_read_is_unknown_and_never_green():
    odd = node("a", taints=[{"key": 5, "effect": "NoSchedule"}])
    [row] = verdicts(DAEMON_SET, [odd], [], "new", [])
    assert (row["state"], row["reason"], row["eligible"], row["ready"]) == ("unknown", "Unreadable", True, False)
    assert "key is not a string" in row["detail"]


def test_what_cannot_heal_is_told_first_and_who_waits_for_its_turn_last():
    def row(node, state, reason, final=False):
        return {"node": node, "state": state, "reason": reason, "final": final, "detail": "d", "fix": "", "passing": not final}

    rows = [row("a", "rolling", "OldRevision"), row("b", "rolling", "OldRevision"), row("c", "blocked", "NotReady"), row("d", "blocked", "ImageNotFound", True)]
    assert [line.split(" on ")[0] for line in causes(rows)] == ["OldRevision", "NotReady", "ImageNotFound"]
    assert [line.split(" on ")[0] for line in causes_of_failure(rows)] == ["ImageNotFound", "NotReady", "OldRevision"]
