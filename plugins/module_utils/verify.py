# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is there and judging it: the work of agent_info."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import report
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster, connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import agent_container, causes, newest_revision, summary, verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.drift import find_drift, lines
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.profile_bundled import CONTAINER
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.proof import prove_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import relevant_events, selectors


def work(options: dict, run: Run) -> dict:
    """The job of the module agent_info: its result for its options."""
    with closing(connect(options, run)) as cluster:
        return verify(cluster, with_profile_defaults(options))


def verify(cluster: Cluster, options: dict) -> dict:
    """The module's result: a verdict for every node, and with options["live"] a proof for every ready one.

    ok is True only where at least one node is eligible, every eligible node is ready, and with live every one is proven;
    with options["drift"] fail also only where nothing is changed or missing of what was applied.
    """
    result = _judge_nodes(cluster, options)
    if options["drift"] == "ignore":
        return {**result, "requests": dict(cluster.requests)}
    found = find_drift(cluster, options["name"], options["namespace"])
    if options["drift"] == "fail":
        unknown = [f"whether anything was changed is not known: {found['drift_unknown']}"] if found["drift_unknown"] else []
        result["causes"] += unknown + lines(found)
        result["ok"] = result["ok"] and not unknown + lines(found)
    return {**result, **found, "requests": dict(cluster.requests)}


def _judge_nodes(cluster, options):
    name, namespace = options["name"], options["namespace"]
    daemon_set = cluster.get("DaemonSet", name, namespace)
    query = selectors(name, daemon_set)
    (nodes, _v1), (pods, _v2), (revisions, _v3), (events, _v4) = cluster.parallel(
        [
            partial(cluster.list, "Node"),
            partial(cluster.list, "Pod", namespace, **query["Pod"]),
            partial(cluster.list, "ControllerRevision", namespace, **query["ControllerRevision"]),
            partial(cluster.list, "Event", namespace, **query["Event"]),
        ]
    )
    if daemon_set is None:
        nothing = {"nodes": len(nodes), "eligible": 0, "ready": 0, "states": {}}
        return {
            "installed": False,
            "ok": False,
            "nodes": [],
            "table": [],
            "headline": report.headline(nothing),
            "summary": nothing,
            "causes": [f"DaemonSet {namespace}/{name} does not exist: the agent is not installed; run the playbook nanoagent.k8s.install"],
        }
    if options["live"] and agent_container(daemon_set) != CONTAINER:
        raise Failure(f"the agent of DaemonSet {namespace}/{name} is not our collector and cannot prove that it sees", "set live: false")
    revision = newest_revision(revisions, daemon_set)
    rows = verdicts(daemon_set, nodes, pods, revision, relevant_events(events, daemon_set, FIELD_MANAGER))
    counts, found = summary(rows), causes(rows)
    ok = counts["eligible"] > 0 and counts["ready"] == counts["eligible"]
    if not counts["eligible"]:
        found.append("no node is eligible")
    if options["live"]:
        counts["proven"] = _prove(cluster, namespace, rows, options, found)
        ok = ok and counts["proven"] == counts["eligible"]
    return {
        "installed": True,
        "ok": ok,
        "nodes": rows,
        "table": report.table(rows),
        "headline": report.headline(counts),
        "summary": counts,
        "causes": found,
    }


def _prove(cluster, namespace, rows, options, found):
    """Adds a proof to the rows and the failed ones to `found`; how many nodes are proven."""
    proofs = prove_all(cluster, namespace, [row for row in rows if row["eligible"]], options["live_timeout"], options["live_parallel"])
    for row in rows:
        if row["node"] in proofs:
            row["proof"] = proofs[row["node"]]
    failed = [(node, proof["reason"]) for node, proof in sorted(proofs.items()) if not proof["proven"]]
    found.extend(f"no proof from {node}: {reason}" for node, reason in failed)
    return len(proofs) - len(failed)
