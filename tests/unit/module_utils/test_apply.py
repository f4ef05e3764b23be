# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.apply import judgeable
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

OBJECTS = desired_objects(agent_options(priority_class={"name": "agent"}))
BINDINGS = {"ClusterRoleBinding nanoagent-nanoagent-verifier", "RoleBinding nanoagent/nanoagent-verifier"}


def titles(objects):
    return {title(obj) for obj in objects}


def actions(*kept, action="keep"):
    steps = plan(OBJECTS, {}, [], "nanoagent.k8s")
    return [{**step, "action": action, "live": step["desired"]} if step["desired"]["kind"] in kept else step for step in steps]


def test_what_has_no_namespace_yet_cannot_be_judged():
    judged, left = judgeable(actions(), False)
    assert titles(judged) == {"Namespace nanoagent", "PriorityClass agent", "ClusterRole nanoagent-nanoagent-verifier"}
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
