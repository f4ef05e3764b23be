# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes, describe, plan, still_needed
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import references
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

MANAGER = "nanoagent.k8s"


def wanted(**options):
    return desired_objects(agent_options(**options))


def live_of(objects):
    """The objects as the API server holds them after our apply, each of its fields ours as a whole."""
    lived = copy.deepcopy(objects)
    for obj in lived:
        fields = {f"f:{key}": {} for key in obj if key not in ("apiVersion", "kind", "metadata")}
        owned = {"f:metadata": {f"f:{key}": {} for key in obj["metadata"] if key not in ("name", "namespace")}, **fields}
        obj["metadata"] |= {"uid": title(obj), "managedFields": [{"manager": MANAGER, "operation": "Apply", "fieldsV1": owned}]}
    return lived


def by_identity(objects):
    return {identity(obj): obj for obj in objects}


def actions(steps):
    return {describe(step)["object"]: step["action"] for step in changes(steps) if step["action"] != "patch"}


def planned(before, after):
    live = live_of(before)
    return plan(after, by_identity(live), live, MANAGER)


@pytest.mark.parametrize(
    ("before", "after", "released"),
    [
        ({"priority_class": {"name": "p"}}, {"priority_class": {"name": "p", "create": False}}, "PriorityClass p"),
        ({}, {"create_service_account": False}, "ServiceAccount nanoagent/nanoagent"),
        (
            {"registry_login": {"registry": "registry.example", "username": "u", "password": "p"}},
            {"image_pull_secrets": ["nanoagent-registry"]},
            "Secret nanoagent/nanoagent-registry",
        ),
    ],
)
def test_what_the_pods_still_need_is_released(before, after, released):
    steps = planned(wanted(**before), wanted(**after))
    assert actions(steps) == {released: "release"}
    assert [step["fields"] for step in steps if step["action"] == "release"] == [["metadata.labels.applyset.kubernetes.io/part-of"]]


def test_what_no_pod_needs_is_deleted():
    assert actions(planned(wanted(priority_class={"name": "p"}), wanted())) == {"PriorityClass p": "delete"}
    other = actions(planned(wanted(priority_class={"name": "p"}), wanted(priority_class={"name": "q", "create": False})))
    assert other == {"PriorityClass p": "delete"}


NEVER, LOWER = {"preemption_policy": "Never"}, {"preemption_policy": "PreemptLowerPriority"}


@pytest.mark.parametrize(("before", "after"), [(NEVER, LOWER), (NEVER, {}), ({}, NEVER)])
def test_a_priority_class_whose_preemption_changes_is_made_anew(before, after):
    was, want = (wanted(priority_class={"name": "p", **policy}) for policy in (before, after))
    for obj in was:
        if obj["kind"] == "PriorityClass":
            # The server fills it in, and who left it out does not own it.
            obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
    assert actions(planned(was, want)) == {"PriorityClass p": "recreate"}


def test_a_selector_of_others_cannot_be_changed_either():
    desired = wanted()
    theirs = copy.deepcopy(desired[-1])
    theirs["metadata"] |= {"uid": "u", "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}]}
    theirs["spec"]["selector"] = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
    [step] = [step for step in plan(desired, {identity(theirs): theirs}, [], MANAGER) if step["desired"]["kind"] == "DaemonSet"]
    assert step["action"] == "recreate"
    theirs["spec"]["selector"] = desired[-1]["spec"]["selector"]
    [step] = [step for step in plan(desired, {identity(theirs): theirs}, [], MANAGER) if step["desired"]["kind"] == "DaemonSet"]
    assert step["action"] == "patch"


def test_what_is_being_deleted_is_made_when_it_is_gone():
    desired = wanted()
    live = live_of(desired)
    live[-1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    [step] = changes(plan(desired, by_identity(live), live, MANAGER))
    assert (step["action"], step["live"], step["ending"]) == ("create", None, live[-1])


def test_what_pods_need_that_stay_is_left_for_later():
    before, after = wanted(tags={"a": "1"}), wanted(tags={"a": "2"})
    live = live_of(before)
    in_use = references(before[-1]["spec"]["template"]["spec"], "nanoagent")
    stay = still_needed(after, live, in_use)
    assert [obj["kind"] for obj in stay] == ["ConfigMap"] and "delete" not in actions(plan(after, by_identity(live), live, MANAGER, stay)).values()
    assert "delete" in actions(plan(after, by_identity(live), live, MANAGER)).values()
    assert still_needed(before, live, in_use) == [] == still_needed(after, live, set())
