# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the agent: read what is live, plan, apply, wait."""

from __future__ import annotations

from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset, report
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster, connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import causes, newest_revision, summary, verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes, describe, diff, plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_template import CONTAINER
from ansible_collections.nanoagent.k8s.plugins.module_utils.render import rendered
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import await_rollout, judge, selectors
from ansible_collections.nanoagent.k8s.plugins.module_utils.uninstall import absent

OLDEST_KUBERNETES = (1, 25)
_LOG_LINES = 3


def work(options: dict, run: Run) -> dict:
    """The job of the module agent: its result for its options."""
    if options["state"] == "rendered":
        return rendered(options)
    job = {"present": present, "absent": absent}[options["state"]]
    return job(connect(options, run), options, run.check_mode, run.diff)


def present(cluster: Cluster, options: dict, check_mode: bool, want_diff: bool) -> dict:
    """Installs or repairs the agent; the module's result.

    options: the agent module's options. In check mode nothing is written and the same actions come back.
    """
    desired, seen = _read(cluster, options)
    steps = plan(desired, seen["objects"], seen["members"], FIELD_MANAGER)
    writes = changes(steps)
    result = {"changed": bool(writes), "actions": [describe(step) for step in steps]}
    if want_diff:
        result["diff"] = diff(steps, FIELD_MANAGER)
    if not check_mode:
        _apply(cluster, writes, options["force_conflicts"])
        if options["wait"]:
            # Where nothing was written, what was read says already whether all is well.
            rows = [] if writes else _rows_if_done(desired[-1], seen)
            result.update(_facts(rows) if rows else _wait(cluster, options))
    result["requests"] = dict(cluster.requests)
    return result


def _member_lists(cluster, namespace, identifier):
    selector = f"{applyset.MEMBER_LABEL}={identifier}"
    return [partial(cluster.list, kind.kind, namespace if kind.namespaced else None, labelSelector=selector) for kind in applyset.MEMBER_KINDS]


def _read(cluster, options):
    """(desired objects, what is there), after the checks that need both.

    What is there: {"objects": identity -> object, "members": [object of our set], "nodes", "pods", "revisions"}.
    """
    desired_objects(options)
    name, namespace = options["name"], options["namespace"]
    identifier = applyset.set_id(name, namespace)
    query = selectors(name)
    version, home, parent, *lists = cluster.parallel(
        [
            cluster.version,
            partial(cluster.get, "Namespace", namespace),
            partial(cluster.get, "ConfigMap", name, namespace),
            partial(cluster.list, "Node"),
            partial(cluster.list, "Pod", namespace, **query["Pod"]),
            partial(cluster.list, "ControllerRevision", namespace, **query["ControllerRevision"]),
            *_member_lists(cluster, namespace, identifier),
        ]
    )
    if version < OLDEST_KUBERNETES:
        raise Failure(f"the API server is Kubernetes {version[0]}.{version[1]}", "use Kubernetes 1.25 or newer")
    nodes, pods, revisions, *members_by_kind = [items for items, _version in lists]
    desired = desired_objects(_settle_namespace(options, home, identifier))
    _check_nodes(desired[-1], nodes)
    members = [member for members in members_by_kind for member in members]
    objects = {identity(obj): obj for obj in [*members, home, parent] if obj}
    objects.update(_strangers(cluster, desired, objects, home))
    return desired, {"objects": objects, "members": members, "nodes": nodes, "pods": pods, "revisions": revisions}


def _strangers(cluster, desired, objects, home):
    """Objects that bear a wanted name without being in our set, by identity."""
    missing = [obj for obj in desired if identity(obj) not in objects and (home or not identity(obj)[1]) and obj["kind"] != "Namespace"]
    found = cluster.parallel([partial(cluster.get, obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in missing])
    return {identity(obj): obj for obj in found if obj}


def _settle_namespace(options, home, identifier):
    namespace = options["namespace"]
    if home is None:
        if not options["create_namespace"]:
            raise Failure(f"the namespace {namespace} does not exist", "create it, or set create_namespace: true")
        return options
    if home["metadata"].get("deletionTimestamp"):
        raise Failure(f"the namespace {namespace} is being deleted", "wait for its end, then run again")
    # A namespace that somebody else made is used and left as it is.
    return {**options, "create_namespace": options["create_namespace"] and applyset.is_member(home, identifier)}


def _check_nodes(daemon_set, nodes):
    if not nodes:
        raise Failure("the cluster has no nodes", "join a node first")
    decisions = [(node, decide(daemon_set, node)) for node in nodes]
    if any(decision["run"] and not node_facts(node)["not_real"] for node, decision in decisions):
        return
    why = sorted({blocker["detail"] for _node, decision in decisions for blocker in decision["blockers"]}) or ["no node is a real machine"]
    raise Failure(f"none of the {len(nodes)} nodes is eligible: {'; '.join(why[:4])}", "change node_selector, tolerations, architectures or control_plane")


def _apply(cluster, writes, force):
    """Takes the steps in three waves: the namespace and the set's parent, then the members, then the DaemonSet; prunes last."""
    first = [s for s in writes if s["desired"] and (s["desired"]["kind"] == "Namespace" or _is_parent(s["desired"]))]
    last = [s for s in writes if s["desired"] and s["desired"]["kind"] == "DaemonSet"]
    middle = [s for s in writes if s["desired"] and s not in first and s not in last]
    for step in first:
        _write(cluster, step, force)
    cluster.parallel([partial(_write, cluster, step, force) for step in middle])
    for step in last:
        _write(cluster, step, force)
    for step in writes:
        if step["action"] == "delete":
            cluster.delete(step["live"])


def _is_parent(obj):
    return "applyset.kubernetes.io/id" in (obj["metadata"].get("labels") or {})


def _write(cluster, step, force):
    if step["action"] == "recreate":
        cluster.delete(step["live"])
    cluster.apply(step["desired"], force)


def _rows_if_done(wanted, seen):
    """The verdicts, where the rollout has ended well; empty otherwise."""
    daemon_set = seen["objects"][identity(wanted)]
    rows = verdicts(daemon_set, seen["nodes"], seen["pods"], newest_revision(seen["revisions"], daemon_set), [])
    return rows if judge(daemon_set, rows) == "done" else []


def _facts(rows):
    return {"summary": summary(rows), "table": report.table(rows)}


def _wait(cluster, options):
    name, namespace = options["name"], options["namespace"]
    outcome, rows = await_rollout(cluster, namespace, name, options["wait_timeout"], FIELD_MANAGER)
    facts = _facts(rows)
    if outcome == "done":
        return facts
    found = causes(rows)
    log = _last_log(cluster, namespace, rows)
    how = "cannot succeed" if outcome == "stuck" else f"did not succeed within {options['wait_timeout']} s"
    raise Failure(
        f"the rollout of DaemonSet {namespace}/{name} {how} ({report.headline(facts['summary'])}): {' | '.join(found[:4]) or 'no cause is known'}{log}",
        "mend the cause and run again; what is applied stays and a rerun goes on from there",
        **facts,
        causes=found,
        requests=dict(cluster.requests),
        changed=True,
    )


def _last_log(cluster, namespace, rows):
    crashed = next((row for row in rows if row["reason"] in ("CrashLoopBackOff", "OOMKilled")), None)
    if not crashed:
        return ""
    text = cluster.logs(namespace, crashed["pod"], CONTAINER, _LOG_LINES, previous=True) or cluster.logs(namespace, crashed["pod"], CONTAINER, _LOG_LINES)
    return f" | last log of {crashed['pod']}: {' / '.join(text.splitlines())[:400]}" if text.strip() else ""
