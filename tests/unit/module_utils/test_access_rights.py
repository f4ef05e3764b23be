# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.access_rights import escalation_rights, judge_rights, needed_rights, review_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options


def asked(steps_of=lambda steps: steps, seen=None, **given):
    options = {**agent_options(**given)}
    steps = plan(desired_objects(options), {}, [], "nanoagent.k8s")
    return needed_rights(options, steps_of(steps), seen)


def words(specs):
    """{(verb, resource, namespace)}"""
    found = set()
    for spec in specs:
        attributes = spec.get("resourceAttributes")
        if attributes:
            resource = attributes["resource"] + (f"/{attributes['subresource']}" if "subresource" in attributes else "")
            found.add((attributes["verb"], resource, attributes.get("namespace", "")))
        else:
            found.add((spec["nonResourceAttributes"]["verb"], spec["nonResourceAttributes"]["path"], ""))
    return found


def test_an_installation_from_nothing():
    needed = words(asked())
    assert {("create", "daemonsets", "nanoagent"), ("patch", "daemonsets", "nanoagent"), ("create", "namespaces", ""), ("get", "namespaces", "")} <= needed
    assert {("watch", "pods", "nanoagent"), ("watch", "nodes", ""), ("list", "nodes", ""), ("list", "controllerrevisions", "nanoagent")} <= needed
    # Nothing is deleted, and no pod is entered.
    assert not {one for one in needed if one[0] == "delete"}
    assert ("create", "pods/exec", "nanoagent") in needed  # handed on by the verifier's role
    assert all("_handed_on" not in review_spec(spec) for spec in asked())


def test_what_is_kept_needs_no_right_to_write_and_what_goes_needs_one_to_delete():
    def kept(steps):
        return [{**step, "action": "keep", "live": step["desired"]} for step in steps]

    def gone(steps):
        return [{"action": "delete", "fields": [], "desired": None, "live": step["desired"]} for step in steps if step["desired"]["kind"] == "PriorityClass"]

    def released(steps):
        return [{**step, "action": "release"} for step in gone(steps)]

    needed = {one for one in words(asked(released, priority_class={"name": "agent"})) if one[1] == "priorityclasses"}
    assert ("patch", "priorityclasses", "") in needed and ("delete", "priorityclasses", "") not in needed
    assert not {one for one in words(asked(kept)) if one[0] in ("create", "patch", "delete")}
    assert ("delete", "priorityclasses", "") in words(asked(gone, priority_class={"name": "agent"}))


def test_an_update_may_have_to_go_back():
    def updated(steps):
        return [{**step, "action": "patch", "live": step["desired"]} if step["desired"]["kind"] == "DaemonSet" else step for step in steps]

    assert {("delete", "pods", "nanoagent"), ("delete", "roles", "nanoagent")} <= words(asked(updated))
    assert ("delete", "roles", "nanoagent") not in words(asked(updated, rollback=False))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"canary": {"nodes": "1"}}, ("get", "pods/exec", "nanoagent")),
        ({"profile": "spyderbat", "require_digest": False}, ("get", "namespaces", "")),
        (
            {
                "profile": "spyderbat",
                "require_digest": False,
                "registration_code": None,
                "credentials": {"existing_secret": {"name": "s", "restart_on_change": True}},
            },
            ("get", "secrets", "nanoagent"),
        ),
        ({"network_policy": True}, ("patch", "networkpolicies", "nanoagent")),
    ],
)
def test_options_that_need_more(given, expected):
    assert expected in words(asked(**given))


def test_a_role_hands_on_what_its_maker_holds():
    handed = [spec for spec in asked() if spec.get("_handed_on")]
    assert {("list", "nodes", ""), ("create", "pods/exec", "nanoagent"), ("get", "pods/log", "nanoagent")} <= words(handed)
    allowed = [False] * len(handed)
    assert judge_rights(handed, allowed, True)[0]["result"] == "ok"
    refused = judge_rights(handed, allowed, False)
    assert {one["result"] for one in refused} == {"error"} and any("hands on" in one["evidence"] for one in refused)
    assert len(escalation_rights()) == 4


def test_missing_verbs_are_told_by_resource_and_place():
    specs = [spec for spec in asked() if spec.get("resourceAttributes", {}).get("resource") == "daemonsets" and not spec.get("_handed_on")]
    [finding] = judge_rights(specs, [False] * len(specs), False)
    assert finding["evidence"].startswith("the user may not ") and finding["evidence"].endswith(" daemonsets.apps in namespace nanoagent")
    assert finding["fix"].startswith("grant ") and {"list", "watch", "create", "patch"} <= set(finding["fix"].replace(",", "").split())
    [well] = judge_rights(specs, [True] * len(specs), False)
    assert well["result"] == "ok"
