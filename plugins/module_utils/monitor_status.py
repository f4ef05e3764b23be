# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cluster monitors are: those of our Deployments whose pods are one. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import full_name
from ansible_collections.nanoagent.k8s.plugins.module_utils.monitor_bundled import MONITOR
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, number, records, seconds, text

# What our Deployments bear; which of them is a cluster monitor, the label of its pods says.
SELECTOR = {"labelSelector": "app.kubernetes.io/name=nanoagent"}
_COMPONENT = ("app.kubernetes.io/component", "cluster-monitor")
# A leader says every 2 s that it is there; for so many seconds it may be silent, which leaves room for clocks that differ.
_SILENT = 120


def monitors(deployments: list[dict]) -> list[dict]:
    """{"name": namespace/name, "replicas", "ready", "leader", "ok", "detail"} for each cluster monitor, sorted by name; no monitor is none.

    leader is empty before with_leader() has looked.
    """
    rows = [_row(deployment) for deployment in deployments if at(deployment, "spec", "template", "metadata", "labels", _COMPONENT[0]) == _COMPONENT[1]]
    return sorted(rows, key=lambda row: row["name"])


def elects(deployment: dict) -> bool:
    """Whether its pods are our own monitor, whose replicas agree on a leader by a Lease of the Deployment's name."""
    containers = records(at(deployment, "spec", "template", "spec", "containers"))
    return bool(containers) and containers[0].get("command") == [MONITOR]


def with_leader(row: dict, lease: dict | None, now: float | None) -> dict:
    """The row of a monitor that elects, and what its Lease says: a monitor that nobody leads says nothing."""
    holder, renewed = text(at(lease, "spec", "holderIdentity")), seconds(at(lease, "spec", "renewTime"))
    silent = renewed is None or (now is not None and now - renewed > _SILENT)
    leader = "" if silent else holder
    detail = row["detail"] or ("" if leader else "none of its replicas leads; look at its log")
    return {**row, "leader": leader, "ok": not detail, "detail": detail}


def monitor_causes(rows: list[dict]) -> list[str]:
    """Why the monitors are not as they should be, as lines: each with all its replicas ready, and not more than one monitor."""
    lines = [f"cluster monitor {row['name']}: {row['detail']}" for row in rows if not row["ok"]]
    if len(rows) > 1:
        lines.append(f"{len(rows)} cluster monitors watch the cluster ({', '.join(row['name'] for row in rows)}); remove all but one")
    return lines


def _row(deployment):
    status = at(deployment, "status")
    wanted = at(deployment, "spec", "replicas")
    replicas = 1 if wanted is None else number(wanted)
    ready, updated = number(at(status, "readyReplicas")), number(at(status, "updatedReplicas"))
    detail = ""
    if at(deployment, "metadata", "deletionTimestamp"):
        detail = "it is being deleted"
    elif replicas < 1:
        detail = "it has been scaled to 0 replicas; scale it to 1, or set monitor.enabled: false"
    elif number(at(status, "observedGeneration")) < number(at(deployment, "metadata", "generation")):
        detail = "the Deployment controller has not seen its newest change yet; check that kube-controller-manager runs, if it stays"
    elif ready < replicas or updated < replicas:
        said = [condition for condition in records(at(status, "conditions")) if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"]
        why = f": {' '.join(text(said[0].get('message')).split())}" if said else ""
        detail = f"{ready} of {replicas} replicas are ready, {updated} are of the newest revision{why}; look at its pods with kubectl describe"
    return {"name": full_name(deployment), "replicas": replicas, "ready": ready, "leader": "", "ok": not detail, "detail": detail}
