# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import deployment
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
        return {**live(observedGeneration=3), "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "m"}}}}

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
        await_deployments(OnePod(events), [wanted], 0)
    assert "did not become available within 0 s" in caught.value.message and "\n" not in caught.value.message
    assert ("services: no right to list" in caught.value.message) is says


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
