# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.apply import finish, judgeable, write
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

OBJECTS = desired_objects(agent_options(priority_class={"name": "agent"}))
BINDINGS = {"ClusterRoleBinding nanoagent.nanoagent-verifier", "RoleBinding nanoagent/nanoagent-verifier"}


def titles(objects):
    return {title(obj) for obj in objects}


def actions(*kept, action="keep"):
    steps = plan(OBJECTS, {}, [], "nanoagent.k8s")
    return [{**step, "action": action, "live": step["desired"]} if step["desired"]["kind"] in kept else step for step in steps]


def test_what_has_no_namespace_yet_cannot_be_judged():
    judged, left = judgeable(actions(), False)
    assert titles(judged) == {"Namespace nanoagent", "PriorityClass agent", "ClusterRole nanoagent.nanoagent-verifier"}
    assert titles(judged) | titles(left) == titles(OBJECTS) and not titles(judged) & titles(left)


def test_a_binding_waits_for_its_role():
    judged, left = judgeable(actions("Namespace"), True)
    assert titles(left) == BINDINGS and titles(judged) == titles(OBJECTS) - BINDINGS - {"Namespace nanoagent"}
    # A role that is there is looked up; one that only changes as well.
    assert judgeable(actions("Role", "ClusterRole"), True)[1] == [] == judgeable(actions("Role", "ClusterRole", action="patch"), True)[1]


def test_what_is_made_anew_cannot_be_judged_under_its_name():
    _judged, left = judgeable(actions("DaemonSet", action="recreate"), True)
    assert titles(left) == BINDINGS | {"DaemonSet nanoagent/nanoagent"}


def test_what_stays_is_not_judged():
    everything = {obj["kind"] for obj in OBJECTS}
    assert judgeable(actions(*everything), True) == ([], [])


class Writes:
    """A server that takes every write and keeps their order; what is sent side by side is one group."""

    def __init__(self):
        self.groups, self.gone, self.patched, self.patience = [], [], [], []

    def parallel(self, calls):
        self.groups.append([])
        return [call() for call in calls]

    def apply(self, obj, force=False, dry_run=False):
        (self.groups[-1] if self.groups else []).append(title(obj))
        return obj

    def delete(self, obj, propagation="Background"):
        self.gone.append((title(obj), propagation))

    def await_gone(self, obj, timeout=0):
        self.gone.append((title(obj), "awaited"))
        self.patience.append(timeout)

    def patch(self, obj, change):
        self.patched.append((title(obj), change))


def test_a_binding_is_written_after_its_role_and_a_workload_last():
    server = Writes()
    write(server, plan(OBJECTS, {}, [], "nanoagent.k8s"), None, False)
    first, bindings, workloads = map(set, server.groups)
    assert bindings == BINDINGS and workloads == {"DaemonSet nanoagent/nanoagent"} and {"ClusterRole nanoagent.nanoagent-verifier"} < first


def test_only_a_daemon_set_leaves_its_pods_behind():
    server = Writes()
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "monitor", "namespace": "nanoagent"}}
    daemon_set = OBJECTS[-1]
    steps = [{**step, "action": "keep"} for step in plan(OBJECTS[:-1], {}, [], "nanoagent.k8s")]
    steps += [{"action": "recreate", "fields": [], "desired": obj, "live": obj} for obj in (deployment, daemon_set)]
    write(server, steps, None, False)
    assert [each for each in server.gone if each[1] != "awaited"] == [(title(deployment), "Background"), (title(daemon_set), "Orphan")]


def test_what_is_being_deleted_is_waited_for():
    server = Writes()
    steps = [{**step, "action": "keep"} for step in plan(OBJECTS[:-1], {}, [], "nanoagent.k8s")]
    steps.append({"action": "create", "fields": [], "desired": OBJECTS[-1], "live": None, "ending": OBJECTS[-1]})
    write(server, steps, None, False)
    assert server.gone == [(title(OBJECTS[-1]), "awaited")] and server.groups[-1] == [title(OBJECTS[-1])]


def test_what_is_released_loses_our_label_and_stays():
    server = Writes()
    account = next(obj for obj in OBJECTS if obj["kind"] == "ServiceAccount")
    steps = [{**step, "action": "keep"} for step in plan(OBJECTS, {}, [], "nanoagent.k8s")]
    finish(server, [*steps, {"action": "release", "fields": [], "desired": None, "live": account}], None, False, False)
    assert server.gone == [] and server.patched == [(title(account), {"metadata": {"labels": {MEMBER_LABEL: None}}})]


@pytest.mark.parametrize(("pods", "of_ours", "of_others"), [(None, 60, 20), (3, 60, 20), (5000, 500, 500)])
def test_the_end_of_a_daemon_set_takes_as_long_as_its_pods_need_to_become_orphans(pods, of_ours, of_others):
    live = {**OBJECTS[-1], "status": {"currentNumberScheduled": pods} if pods else {}}
    kept = [{**step, "action": "keep"} for step in plan(OBJECTS[:-1], {}, [], "nanoagent.k8s")]
    server = Writes()
    write(server, [*kept, {"action": "recreate", "fields": [], "desired": OBJECTS[-1], "live": live}], None, False)
    write(server, [*kept, {"action": "create", "fields": [], "desired": OBJECTS[-1], "live": None, "ending": live}], None, False)
    assert server.patience == [of_ours, of_others]


@pytest.mark.parametrize(
    ("target", "propagation"),
    [({"name": "nanoagent-credentials"}, "Orphan"), ({"name": "other"}, "Background"), ({}, "Background")],
)
def test_an_external_secret_goes_without_a_secret_that_is_ours_now(target, propagation):
    desired = desired_objects(agent_options(profile="spyderbat", registration_code="code"))
    assert "Secret nanoagent/nanoagent-credentials" in titles(desired)
    external = {"kind": "ExternalSecret", "metadata": {"name": "e", "namespace": "nanoagent"}, "spec": {"target": target}}
    steps = [{**step, "action": "keep"} for step in plan(desired, {}, [], "nanoagent.k8s")]
    server = Writes()
    finish(server, [*steps, {"action": "delete", "fields": [], "desired": None, "live": external}], None, False, False)
    assert server.gone == [("ExternalSecret nanoagent/e", propagation)]
