# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is there and judging it: the work of agent_info."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import acceptance, coverage, report, watch
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.backend_query import arrivals
from ansible_collections.nanoagent.k8s.plugins.module_utils.backend_query import check as check_expected
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster, connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import agent_container, full_name, newest_revision, revision_of_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.drift import find_drift, lines
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count
from ansible_collections.nanoagent.k8s.plugins.module_utils.monitor_status import SELECTOR, elects, monitor_causes, monitors, with_leader
from ansible_collections.nanoagent.k8s.plugins.module_utils.profile_bundled import CONTAINER
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.proof import latency, losses, prove_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.report_files import check_paths, deliver
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import EVENTS, relevant_events, selectors
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, one_line, stamp, text

# Pods whose log is read, and lines of it.
_LOGS, _LOG_LINES = 3, 3


def work(options: dict, run: Run) -> dict:
    """The job of the module agent_info: its result for its options."""
    for option in ("live_timeout", "live_parallel", "watch_timeout"):
        check_count(option, options[option], 1)
    check_expected(options["expect_events_at"], options["live"])
    wanted = acceptance.policy(options)
    check_paths(options["reports"], run.check_mode)
    with closing(connect(options, run)) as cluster:
        options = with_profile_defaults(options)
        look = partial(verify, cluster, options, wanted)
        result = watch.follow(cluster, options, wanted, run.say, look, partial(_seen_rows, cluster)) if options["watch"] else look()
        result = deliver(result, options["reports"], run)
        return {**result, "nodes": report.not_well(result["nodes"])} if options["nodes_returned"] == "not_well" else result


def verify(cluster: Cluster, options: dict, wanted: acceptance.Policy = acceptance.STRICT) -> dict:
    """The module's result: a verdict for every node, and with options["live"] a proof for every ready one.

    ok is True only where acceptance.judge says so of the nodes, every DaemonSet that is asked for is there to stay, and each cluster
    monitor is well; with options["drift"] fail also only where nothing is changed or missing of what was applied.
    """
    result, faults = _report(cluster, options)
    if options["drift"] != "ignore":
        found = _drift(cluster, result, options)
        if options["drift"] == "fail":
            faults += [f"whether anything was changed is not known: {found['drift_unknown']}"] if found["drift_unknown"] else []
            faults += lines(found)
        result.update(found)
    return {**result, **acceptance.judge(wanted, result, faults), "requests": dict(cluster.requests)}


def _drift(cluster, result, options):
    """drift.find_drift of each agent that was judged."""
    named = options["daemon_sets"] or ([] if options["selector"] else [options["name"]])
    names = [name.partition("/")[2] for name in result["daemon_sets"]] or named
    found = [find_drift(cluster, name, options["namespace"]) for name in names]
    together = {key: [row for each in found for row in each[key]] for key in ("drift", "missing")}
    return {**together, "drift_unknown": "; ".join(each["drift_unknown"] for each in found if each["drift_unknown"])}


def _report(cluster, options):
    """(the report but for what the policy says of it, lines of what is wrong beside the nodes)."""
    daemon_sets, absent = _daemon_sets(cluster, options)
    # Only reports show it.
    release = cluster.release if any((options.get("reports") or {}).values()) else str
    version, seen = cluster.parallel([release, partial(_read, cluster, options["namespace"], daemon_sets)])
    watchers, unseen = _monitors(cluster, _known(seen, "Deployment"))
    head = {
        "installed": bool(daemon_sets),
        "at": stamp(cluster.now()),
        "cluster": {"server": cluster.server, "version": version},
        "daemon_sets": [full_name(daemon_set) for daemon_set in daemon_sets],
        "monitors": watchers,
        "warnings": _not_read(seen, ("Event", "Deployment", "ControllerRevision")) + unseen,
    }
    if not daemon_sets:
        counts = {"nodes": len(_known(seen, "Node")), "real": 0, "eligible": 0, "ready": 0, "states": {}}
        return {**head, "nodes": [], "groups": [], "table": [], "headline": report.headline(counts), "summary": counts}, absent
    if options["live"]:
        _check_provable(daemon_sets)
    agents = _agents(daemon_sets, seen)
    rows = _rows(cluster, agents, seen)
    _read_logs(cluster, options["namespace"], rows)
    head["warnings"] += coverage.strangers(agents, _known(seen, "Pod"))
    proofs = _prove(cluster, options, rows) if options["live"] else None
    counts = coverage.summary(rows)
    if proofs is not None:
        counts["proven"] = sum(1 for proof in proofs.values() if proof["proven"])
        head["latency_ms"] = latency(proofs)
        head["warnings"] += losses(proofs)
    result = {**head, "nodes": rows, "table": report.table(rows), "headline": report.headline(counts), "summary": counts}
    faults = absent + _not_read(seen, ("Node", "Pod")) + monitor_causes(head["monitors"]) + _ending(daemon_sets)
    return {**result, "groups": acceptance.groups(rows, result)}, faults


def _monitors(cluster, deployments):
    """(monitor_status.monitors with their leaders, a line for each whose Lease may not be read)."""
    electing = {full_name(deployment): deployment["metadata"] for deployment in deployments if elects(deployment)}
    rows, unseen = [], []
    for row in monitors(deployments):
        try:
            about = electing.get(row["name"])
            rows.append(with_leader(row, cluster.get("Lease", about["name"], about["namespace"]), cluster.now()) if about else row)
        except ApiFailure as failure:
            if failure.status != 403:
                raise
            rows.append(row)
            unseen.append(f"{failure.what}; {failure.next_step}")
    return rows, unseen


def _agents(daemon_sets, seen):
    return [{"daemon_set": daemon_set, "revision": _revision(daemon_set, seen)} for daemon_set in daemon_sets]


def _seen_rows(cluster, daemon_sets, seen):
    """The verdicts of what watches have seen."""
    return _rows(cluster, _agents(daemon_sets, seen), seen)


def _daemon_sets(cluster, options):
    """(the DaemonSets that are asked for and exist, sorted by name; a line for each that does not)."""
    namespace = options["namespace"]
    if options["selector"]:
        found = cluster.list("DaemonSet", namespace, labelSelector=options["selector"])[0]
        absent = [] if found else [f"no DaemonSet in namespace {namespace} has the labels {options['selector']}"]
        return _sorted(found), absent
    names = sorted(set(options["daemon_sets"] or [options["name"]]))
    if len(names) == 1:
        one = cluster.get("DaemonSet", names[0], namespace)
        found = [one] if one else []
    else:
        found = [daemon_set for daemon_set in cluster.list("DaemonSet", namespace)[0] if _name(daemon_set) in names]
    missing = [name for name in names if name not in map(_name, found)]
    return _sorted(found), [_not_installed(namespace, name) for name in missing]


def _not_installed(namespace, name):
    return f"DaemonSet {namespace}/{name} does not exist: the agent is not installed; run the playbook nanoagent.k8s.install"


def _sorted(daemon_sets):
    return sorted(daemon_sets, key=_name)


def _name(daemon_set):
    return text(at(daemon_set, "metadata", "name"))


def _ending(daemon_sets):
    """A line for each DaemonSet that is being deleted: what runs now will not stay."""
    ending = [daemon_set for daemon_set in daemon_sets if at(daemon_set, "metadata", "deletionTimestamp")]
    return [f"DaemonSet {full_name(daemon_set)} is being deleted; install it again when it is gone" for daemon_set in ending]


def _read(cluster, namespace, daemon_sets):
    """Kind -> objects, or the ApiFailure of a right that is missing."""
    queries = [selectors(_name(daemon_set), daemon_set) for daemon_set in daemon_sets]
    reads = [("Node", None, {}), ("Event", namespace, EVENTS), ("Deployment", namespace, SELECTOR)]
    reads += [("Pod", namespace, query["Pod"]) for query in _distinct(queries)]
    answers = cluster.parallel([partial(_list, cluster, *read) for read in reads])
    seen = {kind: [] for kind in ("Node", "Event", "Deployment", "Pod", "ControllerRevision")}
    for (kind, _namespace, _query), answer in zip(reads, answers):
        _take(seen, kind, answer)
    if not all(revision_of_all(daemon_set, _known(seen, "Pod")) for daemon_set in daemon_sets):
        for query in _distinct(queries):
            _take(seen, "ControllerRevision", _list(cluster, "ControllerRevision", namespace, query["ControllerRevision"]))
    return seen


def _distinct(queries):
    return list({query["Pod"]["labelSelector"]: query for query in queries}.values())


def _list(cluster, kind, namespace, query):
    try:
        return cluster.list(kind, namespace, **query)[0]
    except ApiFailure as failure:
        if failure.status != 403:
            raise
        return failure


def _take(seen, kind, answer):
    if isinstance(answer, ApiFailure) or isinstance(seen[kind], ApiFailure):
        seen[kind] = answer if isinstance(answer, ApiFailure) else seen[kind]
    else:
        seen[kind] = seen[kind] + answer


def _known(seen, kind):
    return [] if isinstance(seen[kind], ApiFailure) else seen[kind]


def _not_read(seen, kinds):
    return [f"{seen[kind].what}; {seen[kind].next_step}" for kind in kinds if isinstance(seen[kind], ApiFailure)]


def _revision(daemon_set, seen):
    known = revision_of_all(daemon_set, _known(seen, "Pod"))
    if known or isinstance(seen["ControllerRevision"], ApiFailure):
        return known
    return newest_revision(seen["ControllerRevision"], daemon_set)


def _rows(cluster, agents, seen):
    pods, nodes = seen["Pod"], seen["Node"]
    events = _known(seen, "Event")
    for agent in agents:
        events = relevant_events(events, agent["daemon_set"], FIELD_MANAGER)
    if isinstance(nodes, ApiFailure):
        return coverage.without_nodes(agents, _known(seen, "Pod"), nodes.what, nodes.next_step)
    if isinstance(pods, ApiFailure):
        return coverage.without_pods(coverage.united(agents, nodes, [], events, cluster.now()), pods.what, pods.next_step)
    return coverage.united(agents, nodes, pods, events, cluster.now(), images=True)


def _check_provable(daemon_sets):
    for daemon_set in daemon_sets:
        if agent_container(daemon_set) != CONTAINER:
            name = full_name(daemon_set)
            raise Failure(f"the agent of DaemonSet {name} is not our collector and cannot prove that it sees", "set live: false")


def _read_logs(cluster, namespace, rows):
    """Adds the last log lines of a few containers that ended to what is said of them."""
    for row in [row for row in rows if row["container"]][:_LOGS]:
        which = namespace, row["pod"], row["container"], _LOG_LINES
        said = cluster.last_words(*which)
        words = one_line(" / ".join(said.split("\n")).strip(" /"))[:400]
        if words:
            row["detail"] += f"; last log: {words}"
            row["evidence"] = {**row["evidence"], "source": "log", "text": words}


def _prove(cluster, options, rows):
    """Node -> proof; the rows get theirs."""
    eligible, parallel = [row for row in rows if row["eligible"]], options["live_parallel"]
    with arrivals(options["expect_events_at"], parallel) as (expect, add_arrivals):
        proofs = prove_all(cluster, options["namespace"], eligible, options["live_timeout"], parallel, expect)
        add_arrivals(proofs)
    for row in rows:
        if row["node"] in proofs:
            row["proof"] = proofs[row["node"]]
            row["confidence"] = "proven" if row["proof"]["proven"] else row["confidence"]
    return proofs
