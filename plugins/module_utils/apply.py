# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the steps of a plan: what comes first, what goes side by side, what waits for the rollout, and the way back."""

from __future__ import annotations

from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import secret_by_operator
from ansible_collections.nanoagent.k8s.plugins.module_utils.former import former
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.orphans import forgetting, left_behind, note
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_view
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, number

_WORKLOADS = ("DaemonSet", "Deployment")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
# Seconds that an object that is deleted has to go before its successor can be made: one that somebody else deleted, and ours.
_ENDS, _ENDS_OF_OURS = 20.0, 60.0
# Pods a second that the garbage collector makes orphans of, at least; each is a write, and it may send 20 a second by default.
_ORPHANING = 10


def write(cluster: Cluster, steps: list[dict], parent_live: dict | None, force: bool) -> None:
    """Writes everything that a step creates, patches or recreates; deletes nothing that is only no longer wanted.

    The namespace and the set's parent come first, bindings after the roles that they name, which the server looks up, and the
    workloads last. The parent stays wide until `finish`.
    """
    due = [step for step in changes(steps) if step["desired"]]
    if not due:
        return
    for step in due:
        if step["desired"]["kind"] == "Namespace":
            cluster.apply(step["desired"], force)
    parent = _parent(steps)
    wide = applyset.widened(parent["desired"], parent_live, **note(left_behind(steps, parent_live)))
    if parent in due or wide != parent["desired"]:
        cluster.apply(wide, force)
    members = [step for step in due if step is not parent and step["desired"]["kind"] != "Namespace"]
    bindings, workloads = ([step for step in members if step["desired"]["kind"] in kinds] for kinds in (_BINDINGS, _WORKLOADS))
    for group in ([step for step in members if step not in bindings and step not in workloads], bindings, workloads):
        cluster.parallel([partial(_write, cluster, step, force) for step in group])


def finish(cluster: Cluster, steps: list[dict], parent_live: dict | None, keep_note: bool, force: bool, noticed: dict | None = None) -> None:
    """Deletes or releases what is no longer wanted, and lets the parent list just what is there.

    keep_note: whether the parent has to remember pods of an earlier DaemonSet that still run. noticed: further annotations of
    the parent, of what was learnt meanwhile.
    """
    wanted = {identity(step["desired"]) for step in steps if step["desired"]}
    for step in steps:
        if step["action"] == "delete":
            # The Secret that an operator made for it goes with it, also where we have written that one meanwhile.
            cluster.delete(step["live"], "Orphan" if secret_by_operator(step["live"]) in wanted else "Background")
        elif step["action"] == "release":
            cluster.patch(step["live"], {"metadata": {"labels": {applyset.MEMBER_LABEL: None}}})
    parent = _parent(steps)
    behind = left_behind(steps, parent_live)
    wide = applyset.widened(parent["desired"], parent_live, **note(behind))
    final = applyset.widened(forgetting(parent["desired"]), None, **note(behind if keep_note else None), **(noticed or {}))
    if changes(steps) and wide != final:
        cluster.apply(final, force)


def undo(cluster: Cluster, steps: list[dict]) -> None:
    """Takes back what `write` wrote: fields get their former values, what was made is deleted, the parent narrows last."""
    back = [step for step in changes(steps) if step["desired"]]
    parent = _parent(steps)
    before = [step for step in back if step["live"] is not None and step is not parent]
    for step in sorted(before, key=lambda step: step["desired"]["kind"] in _WORKLOADS):
        made = _made(cluster, step)
        if made and step["action"] == "recreate":
            cluster.delete(made)
        cluster.apply(former(step["live"], made, FIELD_MANAGER), True)
    for step in reversed(back):
        if step["live"] is None and step["desired"]["kind"] != "Namespace" and (made := _made(cluster, step)):
            cluster.delete(made)
    if parent in back and parent["live"] is not None:
        cluster.apply(owned_view(parent["live"], FIELD_MANAGER), True)


def dry_run(cluster: Cluster, steps: list[dict], namespace_exists: bool, force: bool) -> None:
    """Lets the API server judge each write without taking it: fields that it refuses, and fields that others hold."""
    judged, _left = judgeable(steps, namespace_exists)
    cluster.parallel([partial(cluster.apply, obj, force, True) for obj in judged])


def judgeable(steps: list[dict], namespace_exists: bool) -> tuple[list[dict], list[dict]]:
    """The objects that a plan writes: those that a dry run can judge, and those that it cannot. Pure.

    It cannot where the namespace is not there yet; nor a binding whose role is not, since the server looks up what the role
    holds, unless the user may bind any; nor what is made anew under a name that is taken.
    """
    due = [step for step in changes(steps) if step["desired"] and step["action"] != "recreate"]
    made = {identity(step["desired"]) for step in due if step["action"] == "create"}
    fit = [step["desired"] for step in due if (namespace_exists or not identity(step["desired"])[1]) and _role(step["desired"]) not in made]
    return fit, [step["desired"] for step in changes(steps) if step["desired"] and step["desired"] not in fit]


def _role(obj):
    """The identity of the role that a binding names; None for everything else."""
    if obj["kind"] not in _BINDINGS:
        return None
    return identity({"kind": obj["roleRef"]["kind"], "metadata": {"name": obj["roleRef"]["name"], "namespace": obj["metadata"].get("namespace")}})


def _made(cluster, step):
    return cluster.get(step["desired"]["kind"], step["desired"]["metadata"]["name"], step["desired"]["metadata"].get("namespace"))


def _parent(steps):
    return next(step for step in steps if step["desired"] and applyset.id_of(step["desired"]))


def _write(cluster, step, force):
    if step["action"] == "recreate":
        # Of a Deployment nobody would end the ReplicaSet that it leaves.
        cluster.delete(step["live"], "Orphan" if step["live"]["kind"] == "DaemonSet" else "Background")
        cluster.await_gone(step["live"], _end(step["live"], _ENDS_OF_OURS))
    elif step.get("ending"):
        cluster.await_gone(step["ending"], _end(step["ending"], _ENDS))
    cluster.apply(step["desired"], force)


def _end(obj, least):
    """For how many seconds the end of an object is waited for, whose pods may have to become orphans."""
    return max(least, number(at(obj, "status", "currentNumberScheduled")) / _ORPHANING)
