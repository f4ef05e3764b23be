# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Corner case 34: the cluster monitor."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.monitor_status import elects, monitor_causes, monitors, with_leader

REFUSED = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}


def deployment(name="monitor", replicas=1, ready=1, component="cluster-monitor", status=None, **metadata):
    return {
        "metadata": {"name": name, "namespace": "n", "generation": 2, **metadata},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": {"app.kubernetes.io/component": component}}}},
        "status": {"observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": replicas, **(status or {})},
    }


@pytest.mark.parametrize(
    ("found", "ok", "detail"),
    [
        (deployment(), True, ""),
        (deployment(replicas=2, ready=2), True, ""),
        (deployment(replicas=None), True, ""),
        (deployment(ready=0), False, "0 of 1 replicas are ready"),
        (deployment(replicas=2, ready=1), False, "1 of 2 replicas are ready"),
        (deployment(status={"updatedReplicas": 0}), False, "0 are of the newest revision"),
        (deployment(ready=0, status={"conditions": [REFUSED]}), False, "exceeded quota"),
        (deployment(replicas=0, ready=0), False, "scaled to 0 replicas"),
        (deployment(status={"observedGeneration": 1}), False, "has not seen its newest change"),
        (deployment(deletionTimestamp="2026-03-01T12:00:00Z"), False, "it is being deleted"),
        ({**deployment(), "status": None}, False, "has not seen its newest change"),
    ],
)
def test_a_monitor(found, ok, detail):
    if found["spec"]["replicas"] is None:
        found["status"]["updatedReplicas"] = 1
    [row] = monitors([found])
    assert (row["name"], row["ok"]) == ("n/monitor", ok) and detail in row["detail"]
    assert len(monitor_causes([row])) == (0 if ok else 1)


def test_other_deployments_are_none():
    assert monitors([deployment(component="web"), {"metadata": {}}]) == []
    assert monitor_causes([]) == []


NOW = 1772366400.0


@pytest.mark.parametrize(
    ("spec", "now", "leader"),
    [
        ({"holderIdentity": "monitor-a", "renewTime": "2026-03-01T11:59:58.000000Z"}, NOW, "monitor-a"),
        ({"holderIdentity": "monitor-a", "renewTime": "2026-03-01T12:00:30.000000Z"}, NOW, "monitor-a"),
        ({"holderIdentity": "monitor-a", "renewTime": "2026-03-01T11:50:00.000000Z"}, NOW, ""),
        ({"holderIdentity": "monitor-a", "renewTime": "2026-03-01T11:50:00.000000Z"}, None, "monitor-a"),
        ({"holderIdentity": "", "renewTime": "2026-03-01T12:00:00.000000Z"}, NOW, ""),
        ({"holderIdentity": "monitor-a"}, NOW, ""),
        ({}, NOW, ""),
        (None, NOW, ""),
    ],
)
def test_our_own_monitor_needs_a_leader(spec, now, leader):
    row = with_leader(monitors([deployment(replicas=2, ready=2)])[0], {"spec": spec}, now)
    assert (row["leader"], row["ok"]) == (leader, bool(leader))
    assert leader or "none of its replicas leads" in row["detail"]
    assert not with_leader(row, None, now)["ok"]


def test_who_elects():
    ours = deployment()
    ours["spec"]["template"]["spec"] = {"containers": [{"command": ["/monitor"]}]}
    assert elects(ours) and not elects(deployment()) and not elects({})


def test_two_monitors_are_one_too_many():
    rows = monitors([deployment("b"), deployment("a")])
    assert [row["name"] for row in rows] == ["n/a", "n/b"]
    assert monitor_causes(rows) == ["2 cluster monitors watch the cluster (n/a, n/b); remove all but one"]
