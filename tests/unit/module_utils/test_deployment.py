# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import deployment
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.deployment import Followed, Unavailable, await_deployments, is_done
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure


def live(**status):
    return {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, True),
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, False),
        ({"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}, False),
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}, False),
        ({}, False),
    ],
)
def test_only_new_and_available_pods_count(status, done):
    assert is_done(live(**status)) is done


class OnePod:
    """A cluster with one pod of one Deployment, which runs and is never ready."""

    def __init__(self, events):
        self.events = events

    def get(self, _kind, _name, _namespace):
        return {**live(observedGeneration=3, updatedReplicas=1), "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "m"}}}}

    def list(self, kind, _namespace, **_selectors):
        if kind == "Event" and self.events is None:
            raise Failure("no right to list events", "ask for it")
        status = {"phase": "Running", "containerStatuses": [{"name": "m", "ready": False, "state": {"running": {}}}]}
        pods = [{"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {}, "status": status}]
        return (self.events if kind == "Event" else pods), "1"


@pytest.mark.parametrize(("events", "says"), [([{"reason": "Unhealthy", "message": "services: no right to list"}], True), ([], False), (None, False)])
def test_what_the_probe_said_is_told_where_it_can_be_read(events, says):
    wanted = {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}}
    with pytest.raises(Failure) as caught:
        await_deployments([Followed(OnePod(events), wanted)], 0)
    assert "did not become available within 0 s" in caught.value.message and "\n" not in caught.value.message
    assert ("services: no right to list" in caught.value.message) is says


def test_what_is_waited_for_is_said_while_it_lasts(monkeypatch):
    clock, said = [0.0], []
    monkeypatch.setattr(deployment, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds)))
    wanted = {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}}
    with pytest.raises(Unavailable):
        await_deployments([Followed(OnePod([]), wanted)], 60, lambda line: said.append((clock[0], line)))
    assert [at for at, _line in said] == [5.0, 35.0]
    assert said[0][1].startswith("Deployment n/m: 0 of 1 pods available, ")


def test_what_is_said_is_one_line_whatever_a_webhook_answers():
    denied = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "denied:\n  no\x1b[31m luck"}
    cluster = OnePod([])
    cluster.get = lambda *_: {**live(conditions=[denied]), "spec": {"replicas": 1}}
    followed = Followed(cluster, {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}})
    followed.look()
    assert followed.standing.startswith("Deployment n/m: 0 of 1 pods available, FailedCreate: denied:") and followed.standing.isprintable()


def test_a_deployment_that_cannot_be_available_is_told_beside_another_wait(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(deployment, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    denied = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    cluster = OnePod([])
    cluster.get = lambda *_: {**live(conditions=[denied]), "spec": {"replicas": 1}}
    followed = Followed(cluster, {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}})
    followed.glance()
    clock[0] = 101.9
    followed.glance()
    clock[0] = 102.5
    with pytest.raises(Unavailable, match="Deployment n/m cannot become available: FailedCreate: exceeded quota"):
        followed.glance()


def test_a_deployment_that_is_well_is_not_looked_at_again():
    cluster, asked = OnePod([]), []
    well = live(observedGeneration=3, replicas=2, updatedReplicas=2, availableReplicas=2)
    cluster.get = lambda *_: asked.append(1) or well
    followed = Followed(cluster, {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}})
    for _again in range(3):
        followed.glance()
    assert asked == [1]


# 2026-01-01T00:00:10Z, when the run began to write.
BEGAN = 1767225610.0
WANTED = {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}}


class Refused:
    """A cluster that has refused the pods of a Deployment since `at`, until `mended` says that it no longer does; its clock is the test's."""

    def __init__(self, monkeypatch, at, mended=lambda cluster: False, may_list=True):
        self.time, self.patches, self._mended, self._may_list = 100.0, [], mended, may_list
        self.condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota", "lastUpdateTime": at}
        monkeypatch.setattr(deployment, "time", SimpleNamespace(monotonic=lambda: self.time, sleep=self.sleep))

    def sleep(self, seconds):
        self.time += seconds

    def now(self):
        return BEGAN + self.time

    def get(self, _kind, _name, _namespace):
        metadata = {"uid": "d", "generation": 1}
        if self._mended(self):
            well = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
            return {"metadata": metadata, "spec": {"replicas": 1}, "status": well}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "m"}}}
        return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": 1, "conditions": [self.condition]}}

    def list(self, kind, _namespace, **_selectors):
        assert kind == "ReplicaSet"
        if not self._may_list:
            raise ApiFailure("the user may not list replicasets", "grant it", 403, "Forbidden")
        sets = [("new", "d", [self.condition]), ("old", "d", []), ("another's", "e", [self.condition])]
        return [{"metadata": {"name": name, "ownerReferences": [{"uid": uid}]}, "status": {"conditions": told}} for name, uid, told in sets], "1"

    def patch(self, obj, change):
        self.patches.append((obj["metadata"]["name"], change["metadata"]["annotations"]))

    def seconds_until_it_fails(self):
        with pytest.raises(Unavailable, match="cannot become available: FailedCreate: exceeded quota"):
            await_deployments([Followed(self, WANTED, BEGAN)], 600)
        return self.time - 100.0


def test_a_refusal_that_is_mended_is_tried_again_at_once(monkeypatch):
    cluster = Refused(monkeypatch, "2025-12-31T23:50:00Z", mended=lambda cluster: bool(cluster.patches) and cluster.time > 104)
    await_deployments([Followed(cluster, WANTED, BEGAN)], 600)
    # Set and taken away again, of the one whose pods are refused.
    assert [(name, [(key, bool(value)) for key, value in change.items()]) for name, change in cluster.patches] == [
        ("new", [("nanoagent.k8s/wake", True)]),
        ("new", [("nanoagent.k8s/wake", False)]),
    ]


def test_a_refusal_that_stands_after_another_try_counts(monkeypatch):
    cluster = Refused(monkeypatch, "2025-12-31T23:50:00Z")
    assert 12 <= cluster.seconds_until_it_fails() <= 13.5 and len(cluster.patches) == 2


@pytest.mark.parametrize("at", ["2026-01-01T00:00:10Z", "2026-01-01T00:00:12Z"])
def test_a_refusal_of_this_run_counts_at_once(monkeypatch, at):
    cluster = Refused(monkeypatch, at)
    assert cluster.seconds_until_it_fails() <= 3 and not cluster.patches


def test_without_the_right_to_wake_the_controller_its_own_next_try_is_awaited(monkeypatch):
    cluster = Refused(monkeypatch, "2026-01-01T00:00:09Z", may_list=False)
    assert cluster.seconds_until_it_fails() >= 12 and not cluster.patches


def test_a_refusal_that_nobody_could_mend_in_time_is_told(monkeypatch):
    cluster = Refused(monkeypatch, "2025-12-31T23:50:00Z")
    with pytest.raises(Unavailable, match="did not become available within 5 s: FailedCreate: exceeded quota"):
        await_deployments([Followed(cluster, WANTED, BEGAN)], 5)


class OldAndNew:
    """A Deployment whose earlier pod cannot start and stays; the new one is there from `made` on, available from `ready` on, and `waits` till then."""

    def __init__(self, clock, made, ready, waits):
        self._clock, self._made, self._ready, self._waits = clock, made, ready, waits

    def get(self, _kind, _name, _namespace):
        new, available = (int(self._clock[0] >= since) for since in (self._made, self._ready))
        status = {"observedGeneration": 3, "updatedReplicas": new, "replicas": 1 + new - available, "availableReplicas": available}
        return {**live(**status), "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "m"}}}}

    def list(self, _kind, _namespace, **_selectors):
        def pod(revision, created, waits):
            status = {"phase": "Pending", "containerStatuses": [{"name": "m", "ready": False, "state": {"waiting": {"reason": waits}}}]}
            metadata = {"name": revision, "namespace": "n", "uid": revision, "labels": {"pod-template-hash": revision}, "creationTimestamp": created}
            return {"metadata": metadata, "spec": {}, "status": status}

        old, new = pod("a", "2026-01-01T00:00:00Z", "InvalidImageName"), pod("b", "2026-01-02T00:00:00Z", self._waits)
        return [old, new] if self._clock[0] >= self._made else [old], "1"


@pytest.mark.parametrize("made", [0.0, 10.0])
def test_what_keeps_an_earlier_pod_is_no_cause(monkeypatch, made):
    clock = [0.0]
    monkeypatch.setattr(deployment, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds)))
    wanted = {"kind": "Deployment", "metadata": {"name": "m", "namespace": "n"}}
    await_deployments([Followed(OldAndNew(clock, made, 30.0, "ContainerCreating"), wanted)], 60)
    assert 30 <= clock[0] < 31
    clock[0] = 0.0
    with pytest.raises(Unavailable, match="cannot become available: ErrImageNeverPull"):
        await_deployments([Followed(OldAndNew(clock, made, 90.0, "ErrImageNeverPull"), wanted)], 60)
    assert made + 2 <= clock[0] < made + 4
