# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module agent: read what is live, plan, carry out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from ansible_collections.nanoagent.k8s.plugins.module_utils import apply, applyset, credentials, live, orphans, outside_objects, pod_security
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import check_canary
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster, connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decider
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import facts_of, facts_of_nodes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.helm_release import hand_over, survey, with_live_selector
from ansible_collections.nanoagent.k8s.plugins.module_utils.idle_options import idle_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_pin import name_notes, with_image_names
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_trust import check_images
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run, secret_values, silent
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity, titled
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_names, check_options, desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes, describe, plan, still_needed
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan_diff import diff
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import adjust, node_notes, note_line
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import choose, detect
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import references
from ansible_collections.nanoagent.k8s.plugins.module_utils.profile_spyderbat import tier_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.readable_secrets import readable_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.release import canary_nodes, carry_out, former_pods
from ansible_collections.nanoagent.k8s.plugins.module_utils.render import rendered
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import selectors
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at
from ansible_collections.nanoagent.k8s.plugins.module_utils.strangers import check_strangers
from ansible_collections.nanoagent.k8s.plugins.module_utils.uninstall import absent
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import takes_them, who_is
from ansible_collections.nanoagent.k8s.plugins.module_utils.vendor_values import load_values, map_values, merge

_REVISION = "controller-revision-hash"


def work(options: dict, run: Run) -> dict:
    """The job of the module agent: its result for its options."""
    options, notes = with_values_file(options, run)
    options = with_profile_defaults(options)
    if options["state"] != "absent":
        options, names = with_image_names(options)
        notes = notes + name_notes(names) + idle_notes(options) + readable_notes(options)
    signed = check_images(options) if options["state"] != "absent" else {}
    result = {**_work(options, run), **signed}
    return {**result, "notes": notes + result.get("notes", [])} if notes else result


def with_values_file(options: dict, run: Run) -> tuple[dict, list[str]]:
    """The options with those of options["values_file"] below them, and what is to be told about that file."""
    if not options["values_file"]:
        return options, []
    mapped, notes = map_values(load_values(options["values_file"]))
    options = merge(options, mapped, run.argument_spec)
    run.secrets.update(secret_values(run.argument_spec, options))
    return options, notes


def _work(options, run):
    check_count("wait_timeout", options["wait_timeout"], 1)
    if options["state"] == "rendered":
        return _rendered(options, run)
    if options["state"] == "absent":
        check_names(options)
    with closing(connect(options, run)) as cluster:
        if options["state"] == "absent":
            return absent(cluster, options, run.check_mode, run.diff)
        return present(cluster, options, run.check_mode, run.diff, run.say)


def _rendered(options, run):
    result = rendered(options, run.check_mode, run.diff)
    steps = [{"desired": obj, "fields": []} for obj in result["manifests"]]
    return {**result, "notes": result["notes"] + pod_security.notes(options, steps, None, result["manifests"][-1]["spec"]["template"])}


def present(cluster: Cluster, options: dict, check_mode: bool, want_diff: bool, say: Callable[[str], None] = silent) -> dict:
    """Installs or repairs the agent; the module's result.

    options: the agent module's options. In check mode nothing is written and the same actions come back. say: takes
    lines of progress.
    """
    options = with_profile_defaults(options)
    check_options(options)
    check_canary(options)
    looked = look(cluster, options)
    _insist_on_nodes(looked)
    planned = plan_steps(cluster, looked)
    options, seen, steps, adoption = looked["options"], looked["seen"], planned["steps"], planned["adoption"]
    canary_nodes(options, steps, seen["nodes"])
    result = {"changed": bool(changes(steps)) or bool(adoption["patches"]), "actions": [describe(step) for step in steps]}
    result["notes"] = planned["notes"] + outside_objects.notes_of(planned["lacking"], seen["namespace"], options["wait"])
    if want_diff:
        result["diff"] = diff(steps, FIELD_MANAGER)
    if check_mode:
        apply.dry_run(cluster, planned["judged"], seen["namespace"] is not None, options["force_conflicts"])
    else:
        hand_over(cluster, adoption)
        carried = carry_out(cluster, options, steps, seen, say)
        result.update({**carried, "notes": result["notes"] + carried.get("notes", [])})
    result["requests"] = dict(cluster.requests)
    return result


def look(cluster: Cluster, options: dict) -> dict:
    """What is there before an installation, and what is wanted.

    options: the agent module's, with their profile's defaults and checked. Returns {"options": fitted to the cluster,
    "seen": of live.read, "platforms", "notes": about the platforms, "desired": objects, the DaemonSet last, "eligible": nodes}.
    """
    seen = live.read(cluster, options)
    platforms = choose(options["platform"], detect(seen["nodes"], seen["served"]))
    options, notes = adjust(_settle_namespace(options, seen["namespace"]), platforms, seen["namespace"])
    facts = facts_of(options, seen, seen["nodes"], platforms)
    desired = desired_objects(options, facts)
    decide, takes_unreal = decider(desired[-1]), takes_them(desired[-1])
    reached = [node for node in seen["nodes"] if decide(node)["run"]]
    notes += node_notes(options, platforms, desired[-1], seen["nodes"], lambda node: decide(node)["run"])
    eligible = [node for node in reached if takes_unreal or not who_is(node)]
    narrowed = {**facts, **facts_of_nodes(options, eligible, seen["parent"])}
    if eligible and narrowed != facts:
        desired = desired_objects(options, narrowed)
    return {"options": options, "seen": seen, "platforms": platforms, "notes": notes, "desired": desired, "eligible": eligible}


def plan_steps(cluster: Cluster, looked: dict) -> dict:
    """The plan of an installation, from what `look` gave, whose "seen" is completed.

    Returns {"steps": of plan.plan, "judged": those that a dry run can judge, "adoption": of helm_release, "notes", "lacking": of
    outside_objects, "unread": what somebody else makes and may not be read, as words}.
    """
    options, seen, desired = looked["options"], looked["seen"], looked["desired"]
    strangers = live.strangers(cluster, desired, seen)
    seen["objects"].update(strangers)
    seen["pods"] += live.other_pods(cluster, seen["objects"].get(identity(desired[-1])), seen["pods"])
    desired = [with_live_selector(obj, seen["objects"].get(identity(obj))) for obj in desired]
    adoption = _adoption(cluster, options, desired, seen)
    found = [obj for key, obj in strangers.items() if key not in adoption["objects"] and not obj["metadata"].get("deletionTimestamp")]
    check_strangers(found, applyset.set_id(options["name"], options["namespace"]), FIELD_MANAGER, options["force_conflicts"])
    seen["objects"].update(adoption["objects"])
    stay = _stay(cluster, options, desired, seen)
    former = former_pods(cluster, options, adoption["desired"][-1], seen)
    wanted = orphans.remembering(applyset.remembering(adoption["desired"], stay), orphans.left_behind([], seen["parent"]), former["last"])
    steps = plan(wanted, seen["objects"], seen["members"], FIELD_MANAGER, stay) + adoption["steps"] + orphans.steps_of(former)
    # Before the hand-over Helm's fields would stay beside ours; survey has looked for other managers.
    judged = [step for step in steps if not step["desired"] or identity(step["desired"]) not in adoption["objects"]]
    notes = tier_notes(options, len(looked["eligible"])) + [note_line(note) for note in looked["notes"]] + adoption["notes"]
    notes += orphans.plan_notes(steps, former, options.get("wait", True))
    notes += pod_security.notes(options, steps, seen["namespace"], desired[-1]["spec"]["template"]) + credentials.source_notes(options, steps)
    return {"steps": steps, "judged": judged, "adoption": adoption, "notes": notes, **_outside(cluster, options, steps, seen)}


def _outside(cluster, options, steps, seen):
    """What the pods need that somebody else makes and that is lacking, and what of it may not be read."""
    wanted = outside_objects.outside_needs(options, steps)
    found = live.outside(cluster, options, {need["object"] for need in wanted}, seen)
    lacking = outside_objects.lacking(wanted, found, set())
    if any(one["fatal"] for one in lacking) and seen["namespace"] is not None:
        announced = outside_objects.external_secret_targets(live.external_secrets(cluster, options["namespace"]))
        lacking = outside_objects.lacking(wanted, found, announced)
    unread = [f"the {titled(which)}" for which in sorted({need["object"] for need in wanted} - set(found))]
    return {"lacking": lacking, "unread": unread}


def _stay(cluster, options, desired, seen):
    """Members that are no longer wanted, and that pods need which no controller replaces, or not before the run ends.

    On a node that starts again they start again, and would lack it. What a pod mounts, the revision that it is of says.
    """
    surplus = still_needed(desired, seen["members"], {identity(member) for member in seen["members"]})
    live_set = seen["objects"].get(identity(desired[-1]))
    lasts = at(desired[-1], "spec", "updateStrategy", "type") == "OnDelete" or not options.get("wait", True)
    if not surplus or not live_set or not lasts:
        return []
    hashes = {at(pod, "metadata", "labels", _REVISION) for pod in seen["pods"]}
    revisions, _version = cluster.list("ControllerRevision", options["namespace"], **selectors(options["name"], live_set)["ControllerRevision"])
    specs = [at(revision, "data", "spec", "template", "spec") for revision in revisions if at(revision, "metadata", "labels", _REVISION) in hashes]
    return still_needed(desired, seen["members"], set().union(*(references(spec, options["namespace"]) for spec in specs if spec)))


def _adoption(cluster, options, desired, seen):
    """What taking over a Helm release means, as helm_release.adoption_plan says it."""
    release = options["adopt_helm_release"]
    if not release:
        return {"desired": desired, "objects": {}, "patches": [], "steps": [], "notes": []}
    return survey(cluster, release, options["namespace"], desired, seen["objects"], options["force_conflicts"], options["adopt_helm_leftovers"] == "delete")


def _settle_namespace(options, home):
    namespace = options["namespace"]
    if home is None:
        if not options["create_namespace"]:
            raise Failure(f"the namespace {namespace} does not exist", "create it, or set create_namespace: true")
        return options
    if home["metadata"].get("deletionTimestamp"):
        raise Failure(f"the namespace {namespace} is being deleted", "wait for its end, then run again")
    # A namespace that somebody else made is used and left as it is.
    ours = applyset.is_member(home, applyset.set_id(options["name"], namespace))
    return {**options, "create_namespace": options["create_namespace"] and ours}


def _insist_on_nodes(looked):
    """Failure where no node gets an agent."""
    nodes, daemon_set = looked["seen"]["nodes"], looked["desired"][-1]
    if not nodes:
        raise Failure("the cluster has no nodes", "join a node first")
    if looked["eligible"]:
        return
    decided = [(node, decision["blockers"]) for node, decision in zip(nodes, map(decider(daemon_set), nodes))]
    why = sorted({blocker["detail"] for _node, blockers in decided for blocker in blockers})
    why += sorted({f"{who_is(node)}: no machine that an agent could watch" for node, blockers in decided if not blockers})
    fix = "change node_selector, affinity, tolerations, architectures or control_plane"
    raise Failure(f"none of the {len(nodes)} nodes is eligible: {'; '.join(why[:4])}", fix)
