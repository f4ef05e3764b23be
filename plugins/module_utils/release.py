# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plan gets to the nodes: all at once or a few nodes first, awaited, and back where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import apply, canary, orphans, report, rotation
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import causes_of_failure, summary, verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import coming_secret, secret_hash, watched_secret
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import agent_container, newest_revision, owned_by, revision_of_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.deployment import Followed, Unavailable, await_deployments, is_done
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import is_ready, target_node
from ansible_collections.nanoagent.k8s.plugins.module_utils.progress import Progress
from ansible_collections.nanoagent.k8s.plugins.module_utils.proof import prove_all
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import await_rollout, judge, selectors
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, one_line

_LOG_LINES = 3
_PROOF_SECONDS, _PROOF_PARALLEL = 10, 32
_NO_CANARY = "there was no canary: the DaemonSet had to be made anew, and its former pods stay until the new ones are ready"


def carry_out(cluster: Cluster, options: dict, steps: list[dict], seen: dict, say: Callable[[str], None]) -> dict:
    """Takes a plan's steps and waits for the nodes; what the module's result says of them.

    steps: of plan.plan; the last one with an object is the DaemonSet's. seen: of live.read; its pods are gone from it once others are
    awaited. Failure where the rollout fails; what is then in the cluster, the message says.
    """
    worked = {target_node(pod) for pod in seen["pods"] if is_ready(pod)}
    seen = {**seen, "at": cluster.now(), "left_behind": orphans.left_behind(steps, seen["parent"]), "worked": worked}
    force = options["force_conflicts"]
    step = _daemon_set_step(steps)
    chosen = canary_nodes(options, steps, seen["nodes"])
    if chosen:
        _try_on_a_few(cluster, options, steps, step, seen, chosen, say)
    notes = [_NO_CANARY] if options["canary"] and step["action"] == "recreate" else []
    for note in notes:
        say(note)
    apply.write(cluster, steps, seen["parent"], force)
    try:
        return _see_through(cluster, options, steps, step, seen, notes, say)
    except Failure as failure:
        failure.facts.setdefault("changed", bool(changes(steps)))
        raise


def canary_nodes(options: dict, steps: list[dict], nodes: list[dict]) -> list[str]:
    """Names of the nodes that get the new pods first; none where there is no canary, or nothing for it. Pure.

    :raises Failure: no node is fit for it
    """
    step = _daemon_set_step(steps)
    if not options["canary"] or not canary.changes_pods(step):
        return []
    return canary.choose(options["canary"], verdicts(step["desired"], nodes, [], "", []), nodes)


def former_pods(cluster: Cluster, options: dict, wanted: dict, seen: dict) -> dict:
    """What becomes of the pods that an earlier run left behind, as orphans.fates says it; no request where it left none.

    wanted: the DaemonSet. seen: of live.read, with strangers and the pods of the live DaemonSet. A preflight's options have no "wait".
    """
    labels = orphans.left_behind([], seen["parent"])
    pods = _labelled(cluster, options["namespace"], labels) if labels else []
    daemon_set = seen["objects"].get(identity(wanted))
    go, stay = [], orphans.orphans(pods)
    if stay and daemon_set and not daemon_set["metadata"].get("deletionTimestamp"):
        # The live pods on the nodes that are wanted: a canary that was cut short has kept it from some.
        revision = _revision(cluster, daemon_set, seen["pods"])
        rows = verdicts({**daemon_set, "spec": wanted["spec"]}, seen["nodes"], seen["pods"], revision, [], cluster.now())
        go, stay = orphans.replaceable(pods, rows)
    return orphans.fates(go, stay, seen["nodes"], options.get("wait", True))


def _daemon_set_step(steps):
    return next(step for step in steps if step["desired"] and step["desired"]["kind"] == "DaemonSet")


def _see_through(cluster, options, steps, step, seen, notes, say):
    """What follows the writing: waiting for the nodes, and removing what is no longer wanted."""
    force = options["force_conflicts"]
    members = [each for each in steps if not orphans.is_former(each)]
    if not options["wait"]:
        _delete(cluster, [each["live"] for each in steps if orphans.is_former(each)])
        apply.finish(cluster, members, seen["parent"], orphans.is_remembered(steps), force)
        return {"notes": notes}
    behind = seen["left_behind"]
    # Where nothing was written, what was read says already whether all is well.
    rows = [] if changes(steps) else _rows_if_done(cluster, step["desired"], seen)
    rows = _await_all(cluster, options, steps, step, seen, rows, awaited_deployments(steps), say)
    stay = _remove_left_behind(cluster, options["namespace"], behind, rows) if behind else []
    apply.finish(cluster, members, seen["parent"], bool(stay), force, _code_that_came(cluster, options, steps))
    return {**_facts(rows), "notes": [*notes, *_owed(rows)]}


def awaited_deployments(steps: list[dict]) -> list[dict]:
    """The Deployments that have to become available before a run ends; where nothing is written, not those that were when they were read. Pure.

    steps: of plan.plan.
    """
    written = bool(changes(steps))
    deployments = [each for each in steps if each["desired"] and each["desired"]["kind"] == "Deployment"]
    return [each["desired"] for each in deployments if written or not is_done(each["live"])]


def _await_all(cluster, options, steps, step, seen, rows, deployments, say):
    """The verdicts when the DaemonSet, unless `rows` say that it is well, and the Deployments beside it are; Failure where one cannot be."""
    beside = [Followed(cluster, each, seen["at"]) for each in deployments]
    latest = list(rows)

    def look(newest):
        latest[:] = newest
        for each in beside:
            each.glance()

    try:
        if not rows:
            outcome, latest = _await(cluster, options, step["desired"], say, "rollout", seen, look=look)
            if outcome != "done":
                _give_up(cluster, options, steps, step, seen, outcome, latest, say, "the rollout", _harmed(latest, seen))
        await_deployments(beside, options["wait_timeout"], say)
    except Unavailable as failure:
        if not _may_go_back(options, step, seen):
            raise
        _give_up(cluster, options, steps, step, seen, failure.what, latest, say, "the rollout")
    return latest


def _code_that_came(cluster, options, steps):
    """What the parent has to remember of a registration code that came while the nodes were awaited; nothing where it was there before."""
    name = watched_secret(options) if coming_secret(options) and changes(steps) else None
    if not name or any(rotation.NOTE in (step["desired"]["metadata"].get("annotations") or {}) for step in steps if step["desired"]):
        return {}
    current = secret_hash(options, cluster.get("Secret", name, options["namespace"]))
    return rotation.note(name, current) if current else {}


def _owed(rows):
    """Lines about the nodes that the rollout did not wait for; none where there are none."""
    down = [row["node"] for row in rows if row["eligible"] and row["state"] == "node down"]
    # With OnDelete nobody replaces them but the user.
    broken = [row["node"] for row in rows if row["reason"] == "OldRevision" and not row["ready"]]
    lines = []
    if down:
        lines.append(f"{len(down)} {'nodes that are' if len(down) > 1 else 'node that is'} down will follow when the kubelet is back: {_some(down)}")
    if broken:
        which = f"{len(broken)} node{'s' if len(broken) > 1 else ''} with an agent of an earlier revision that is not ready"
        lines.append(f"{which}: {_some(broken)}; delete its pod")
    return lines


def _some(names):
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _facts(rows):
    return {"summary": summary(rows), "table": report.table(rows)}


def _await(cluster, options, daemon_set, say, what, seen, nodes=None, look=None):
    """What await_rollout says; look: is given the verdicts at every look as well."""
    told = Progress(say, f"{what} of {title(daemon_set)}")

    def progress(rows):
        told(rows)
        if look:
            look(rows)

    # Not two copies of thousands of pods at a time.
    seen["pods"].clear()
    known, labels = (seen["nodes"], seen["node_version"]), seen["left_behind"]
    turns = _Turns(cluster, options["namespace"], labels, nodes, say) if labels else None
    # The counters are of all nodes.
    count = told.count if nodes is None else None
    secret = coming_secret(options)
    return await_rollout(cluster, daemon_set, options["wait_timeout"], FIELD_MANAGER, progress, nodes, known, secret, seen["at"], turns, count)


class _Turns:
    """Former pods go as orphans.turns says, where they hold the port that the new ones need; nothing is asked for where none is held."""

    def __init__(self, cluster, namespace, labels, nodes, say):
        self._cluster, self._namespace, self._labels, self._nodes, self._say = cluster, namespace, labels, nodes, say
        self._told = False

    def __call__(self, daemon_set, rows):
        if not any(row["reason"] == "HostPortTaken" for row in rows):
            return rows
        go, rows = orphans.turns(daemon_set, rows, _labelled(self._cluster, self._namespace, self._labels), self._nodes)
        if go and not self._told:
            self._told = True
            self._say(f"former pods of {title(daemon_set)} hold the node's port: on each node in turn there is a moment without an agent")
        _delete(self._cluster, go)
        return rows


def _rows_if_done(cluster, wanted, seen):
    """The verdicts, where the rollout has ended well; empty otherwise."""
    daemon_set = seen["objects"][identity(wanted)]
    rows = verdicts(daemon_set, seen["nodes"], seen["pods"], _revision(cluster, daemon_set, seen["pods"]), [], cluster.now())
    on_delete = (daemon_set["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    return rows if judge(daemon_set, rows, old_is_fine=on_delete) == "done" else []


def _revision(cluster, daemon_set, pods):
    """The newest revision's hash; not asked for where the controller says that all pods have it and they agree."""
    known = revision_of_all(daemon_set, pods)
    if known:
        return known
    return newest_revision(_revisions(cluster, daemon_set), daemon_set)


def _revisions(cluster, daemon_set):
    namespace, name = daemon_set["metadata"]["namespace"], daemon_set["metadata"]["name"]
    revisions, _version = cluster.list("ControllerRevision", namespace, **selectors(name, daemon_set)["ControllerRevision"])
    return revisions


def _try_on_a_few(cluster, options, steps, step, seen, chosen, say):
    """Brings the new pod template to the chosen nodes only; returns when they are well, Failure where they are not."""
    wanted, live = step["desired"], step["live"]
    say(f"canary of {title(wanted)}: {', '.join(chosen[:10])}{', ...' if len(chosen) > 10 else ''} first")
    eligible = [row["node"] for row in verdicts(wanted, seen["nodes"], [], "", []) if row["eligible"]]
    if live is None:
        desired = canary.trial(wanted, chosen, exists=False)
    else:
        before = canary.note_before(live, _revision(cluster, live, seen["pods"]), FIELD_MANAGER)
        desired = canary.trial(wanted, chosen, True, canary.holders(live, seen["pods"]), eligible, before)
    trial = {**step, "desired": desired}
    trial_steps = [trial if each is step else each for each in steps if each["action"] != "delete"]
    apply.write(cluster, trial_steps, seen["parent"], options["force_conflicts"])
    if live is not None:
        _replace_pods(cluster, live, seen, chosen)
    outcome, rows = _await(cluster, options, wanted, say, "canary", seen, set(chosen))
    if outcome == "done" and options["canary"]["pause"]:
        time.sleep(options["canary"]["pause"])
        outcome, rows = _await(cluster, options, wanted, say, "canary", seen, set(chosen))
    if outcome == "done" and options["canary"]["verify"]:
        unproven = _unproven(cluster, options["namespace"], wanted, rows)
        outcome = f"no proof from {'; '.join(unproven[:3])}" if unproven else "done"
    # A trial that is left to itself would keep the other nodes from following.
    outcome = "timeout" if outcome == "unfinished" else outcome
    if outcome != "done":
        _give_up(cluster, options, trial_steps, trial, seen, outcome, rows, say, f"the canary on {len(chosen)} node{'s' if len(chosen) > 1 else ''}")


def _replace_pods(cluster, live, seen, nodes):
    """Asks the pods of former revisions on these nodes to end; they are read again, since one may have been made anew."""
    former = {_hash(pod) for pod in seen["pods"] if owned_by(pod, live)}
    # Not two copies of thousands of pods at a time.
    seen["pods"].clear()
    pods, _version = cluster.list("Pod", live["metadata"]["namespace"], **selectors(live["metadata"]["name"], live)["Pod"])
    own = [pod for pod in pods if owned_by(pod, live) and target_node(pod) in nodes and not pod["metadata"].get("deletionTimestamp")]
    _delete(cluster, [pod for pod in own if _hash(pod) in former])


def _hash(pod):
    return at(pod, "metadata", "labels", "controller-revision-hash")


def _unproven(cluster, namespace, daemon_set, rows):
    """`node: reason` for each node whose collector does not answer; empty for agents that are not our collector."""
    if agent_container(daemon_set) != "collector":
        return []
    proofs = prove_all(cluster, namespace, rows, _PROOF_SECONDS, _PROOF_PARALLEL)
    return [f"{node}: {proof['reason']}" for node, proof in sorted(proofs.items()) if not proof["proven"]]


def _give_up(cluster, options, steps, step, seen, outcome, rows, say, what, harmed=True):
    """Goes back where there is something good to go back to, then raises the Failure. harmed: of _harmed, where that decides."""
    name, namespace = options["name"], options["namespace"]
    facts = _facts(rows)
    found = causes_of_failure(rows)
    if outcome in ("stuck", "failing"):
        how = "cannot succeed"
    elif outcome == "timeout":
        how = f"did not succeed within {options['wait_timeout']} s"
    elif outcome == "unfinished":
        how = f"is not over after {options['wait_timeout']} s"
    else:
        how, found = "failed", [outcome, *found]
    log = _last_log(cluster, namespace, rows)
    text = f"{what} of DaemonSet {namespace}/{name} {how} ({report.headline(facts['summary'])}): {' | '.join(found[:4]) or 'no cause is known'}{log}"
    facts.update(causes=found, changed=True)
    if outcome == "unfinished":
        after = "run again to wait on, with a larger wait_timeout: nodes still follow, so nothing is taken back"
        raise Failure(text, after, **facts, rolled_back=False, requests=dict(cluster.requests))
    # A DaemonSet that had to be made anew has left its former pods running: nothing better is behind it.
    if not harmed or not _may_go_back(options, step, seen):
        after = "mend the cause and run again; what is applied stays and a rerun goes on from there"
        raise Failure(text, after, **facts, rolled_back=False, requests=dict(cluster.requests))
    say(f"{text}; going back to the previous revision")
    try:
        apply.undo(cluster, [_from_before_a_trial(cluster, each) if each is step else each for each in steps])
        back, rows = _await(cluster, options, step["live"], say, "way back", seen, _worked_before(step["live"], seen))
    except Failure as failure:
        text += f"; the way back could not be taken: {failure.what}"
        raise Failure(text, "mend the cause and run again", **facts, rolled_back=False, requests=dict(cluster.requests)) from failure
    facts.update(_facts(rows), rolled_back=back == "done", requests=dict(cluster.requests))
    if back == "done":
        text += f"; the previous revision is back and verified ({report.headline(facts['summary'])})"
        raise Failure(text, "mend the cause and run again", **facts)
    if back == "unfinished":
        text += f"; the previous revision is on its way back ({report.headline(facts['summary'])})"
        raise Failure(text, "mend the cause, and run agent_info until all nodes are ready", **facts)
    text += f"; going back to the previous revision did not help either ({report.headline(facts['summary'])}): {' | '.join(causes_of_failure(rows)[:2])}"
    raise Failure(text, "mend the cause and run again", **facts)


def _harmed(rows, seen):
    """Whether a node that had a working agent before the run, and is to have one, has none now."""
    return any(row["eligible"] and row["node"] in seen["worked"] and not row["ready"] and row["state"] != "node down" for row in rows)


def _worked_before(live, seen):
    """The nodes that a way back is awaited on; None for all, as where nobody replaces pods."""
    return None if at(live, "spec", "updateStrategy", "type") == "OnDelete" else seen["worked"]


def _may_go_back(options, step, seen):
    """Whether the run may take back what it wrote, and something that worked is behind it."""
    return options["rollback"] and step["action"] == "patch" and bool(seen["worked"])


def _from_before_a_trial(cluster, step):
    """The DaemonSet's step; where a run before left a trial behind, from what was there before that."""
    live = step["live"]
    return {**step, "live": canary.as_before(live, _revisions(cluster, live), FIELD_MANAGER)} if canary.is_trial(live) else step


def _last_log(cluster, namespace, rows):
    crashed = next((row for row in rows if row["container"]), None)
    if not crashed:
        return ""
    which = namespace, crashed["pod"], crashed["container"], _LOG_LINES
    text = one_line(" / ".join(cluster.last_words(*which).splitlines()))[:400]
    return f" | last log of {crashed['pod']}: {text}" if text else ""


def _remove_left_behind(cluster, namespace, labels, rows):
    """Deletes the pods that nobody controls any more where a new one has taken over; those that have to stay."""
    go, stay = orphans.replaceable(_labelled(cluster, namespace, labels), rows)
    _delete(cluster, go)
    return stay


def _labelled(cluster, namespace, labels):
    pods, _version = cluster.list("Pod", namespace, labelSelector=",".join(f"{key}={value}" for key, value in sorted(labels.items())))
    return pods


def _delete(cluster, pods):
    cluster.parallel([partial(cluster.delete, pod) for pod in pods])
