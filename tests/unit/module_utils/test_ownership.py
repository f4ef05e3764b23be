# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Against objects that a real API server gave back after a server-side apply (data/applied.json)."""

import copy
import json
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import differences, owned_at, owned_view
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import changes, describe, plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan_diff import diff

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "applied.json").read_text())
MANAGER = RECORDED["manager"]
PAIRS = list(zip(RECORDED["desired"], RECORDED["live"]))
NAMES = [title(desired) for desired, _live in PAIRS]
DAEMON_SET = next(pair for pair in PAIRS if pair[0]["kind"] == "DaemonSet")


def leaves(value, path=()):
    """Paths of every scalar below a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def at(value, path):
    for step in path:
        value = value[step]
    return value


def changed_at(value, path, new):
    copied = copy.deepcopy(value)
    at(copied, path[:-1])[path[-1]] = new
    return copied


def removed_at(value, path):
    copied = copy.deepcopy(value)
    del at(copied, path[:-1])[path[-1]]
    return copied


def content(desired):
    """Leaves that are not the object's identity."""
    return [p for p in leaves(desired) if p[0] not in ("apiVersion", "kind") and p not in (("metadata", "name"), ("metadata", "namespace"))]


@pytest.mark.parametrize(("desired", "live"), PAIRS, ids=NAMES)
def test_what_was_applied_is_no_difference(desired, live):
    assert differences(desired, live, MANAGER) == []


@pytest.mark.parametrize(("desired", "live"), PAIRS, ids=NAMES)
def test_every_changed_leaf_is_a_difference(desired, live):
    for path in content(desired):
        old = at(desired, path)
        new = not old if isinstance(old, bool) else old + 1 if isinstance(old, int) else f"{old}x"
        assert differences(changed_at(desired, path, new), live, MANAGER), path


@pytest.mark.parametrize(("desired", "live"), PAIRS, ids=NAMES)
def test_every_leaf_that_is_taken_away_is_a_difference(desired, live):
    for path in content(desired):
        assert differences(removed_at(desired, path), live, MANAGER), path


@pytest.mark.parametrize(("desired", "live"), PAIRS, ids=NAMES)
def test_without_ownership_everything_is_a_difference(desired, live):
    stranger = copy.deepcopy(live)
    stranger["metadata"]["managedFields"] = []
    assert differences(desired, stranger, MANAGER)


@pytest.mark.parametrize(("desired", "live"), PAIRS, ids=NAMES)
def test_fields_of_others_are_no_difference(desired, live):
    other = copy.deepcopy(live)
    other["metadata"]["labels"]["somebody"] = "else"
    other["status"] = {"anything": 1}
    assert differences(desired, other, MANAGER) == []


def test_an_added_element_of_another_manager_is_no_difference():
    desired, live = DAEMON_SET
    other = copy.deepcopy(live)
    other["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    assert differences(desired, other, MANAGER) == []


def test_a_new_element_of_a_keyed_list_is_named():
    desired, live = DAEMON_SET
    more = copy.deepcopy(desired)
    more["spec"]["template"]["spec"]["volumes"].append({"name": "extra", "emptyDir": {}})
    assert differences(more, live, MANAGER) == ["spec.template.spec.volumes[extra]"]


def test_equal_quantities_are_equal_only_where_they_are_quantities():
    desired, live = DAEMON_SET
    limits = ("spec", "template", "spec", "containers", 0, "resources", "limits")
    assert at(desired, limits)["cpu"] == "1000m" and at(live, limits)["cpu"] == "1"
    assert differences(changed_at(desired, (*limits, "memory"), "1024Mi"), live, MANAGER) == []
    assert differences(changed_at(desired, (*limits, "memory"), "1025Mi"), live, MANAGER)
    assert differences(changed_at(desired, ("metadata", "labels", "app.kubernetes.io/name"), "nanoagent "), live, MANAGER)


@pytest.mark.parametrize(("desired", "live"), PAIRS, ids=NAMES)
def test_the_owned_view_is_what_was_applied(desired, live):
    view = owned_view(live, MANAGER)
    assert set(map(str, leaves(view))) == set(map(str, leaves(desired)))
    assert "managedFields" not in json.dumps(view) and "status" not in view


def test_owned_at_is_the_server_s_time():
    assert owned_at(DAEMON_SET[1], MANAGER).endswith("Z")
    assert owned_at(DAEMON_SET[1], "nobody") == ""


def live_by_identity():
    return {identity(live): live for _desired, live in PAIRS}


def test_a_plan_of_what_is_there_keeps_everything():
    steps = plan(RECORDED["desired"], live_by_identity(), RECORDED["live"], MANAGER)
    members_only = [step for step in steps if step["action"] == "delete"]
    assert changes(steps) == [] and members_only == []


def test_a_plan_creates_patches_recreates_and_prunes():
    desired = [obj for obj in copy.deepcopy(RECORDED["desired"]) if obj["kind"] != "Secret"]
    live = live_by_identity()
    for obj in desired:
        if obj["kind"] == "PriorityClass":
            obj["value"] = 2000
        if obj["kind"] == "DaemonSet":
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
            del obj["spec"]["template"]["spec"]["imagePullSecrets"]
        if obj["kind"] == "Role":
            del live[identity(obj)]
    steps = plan(desired, live, RECORDED["live"], MANAGER)
    assert {(step["action"], step["object"]) for step in map(describe, changes(steps))} == {
        ("recreate", "PriorityClass recorded"),
        ("patch", "DaemonSet recorded/recorded"),
        ("create", "Role recorded/recorded-verifier"),
        ("delete", "Secret recorded/recorded-registry"),
    }
    patch = next(step for step in steps if step["action"] == "patch")
    assert patch["fields"] == ["spec.template.spec.containers[collector].image", "spec.template.spec.imagePullSecrets"]


def test_a_diff_shows_our_fields_and_no_secret():
    desired = copy.deepcopy(RECORDED["desired"])
    for obj in desired:
        if obj["kind"] == "Secret":
            obj["data"][".dockerconfigjson"] = "Y2FuYXJ5"
        if obj["kind"] == "ConfigMap" and "data" in obj:
            obj["data"]["collector.json"] = "{}"
    shown = diff(plan(desired, live_by_identity(), RECORDED["live"], MANAGER), MANAGER)
    text = "".join(part["before"] + part["after"] for part in shown)
    secret = next(live for _desired, live in PAIRS if live["kind"] == "Secret")
    assert secret["data"][".dockerconfigjson"] not in text and "Y2FuYXJ5" not in text
    assert [part["after_header"] for part in shown if "(hidden, changed)" in part["after"]] == ["Secret recorded/recorded-registry"]
    assert "managedFields" not in text and "resourceVersion" not in text and "status" not in text


def test_the_empty_value_of_a_variable_is_not_stored_and_no_difference():
    desired, live = (copy.deepcopy(obj) for obj in DAEMON_SET)
    key = json.dumps({"name": "EMPTY"}, separators=(",", ":"))
    live["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "EMPTY"})
    [entry] = [entry for entry in live["metadata"]["managedFields"] if entry["manager"] == MANAGER]
    [container] = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].values()
    container["f:env"][f"k:{key}"] = {".": {}, "f:name": {}}
    env = desired["spec"]["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "EMPTY", "value": ""})
    assert differences(desired, live, MANAGER) == []
    env[-1]["value"] = "filled"
    assert [path.rpartition(".")[2] for path in differences(desired, live, MANAGER)] == ["value"]


FILLED_IN = {"conversionStrategy": "Default", "decodingStrategy": "None", "metadataPolicy": "None", "nullBytePolicy": "Ignore"}


@pytest.mark.parametrize(
    ("wanted", "present", "differs"),
    [
        ({"key": "k"}, {"key": "k"}, False),
        ({"key": "k"}, {"key": "k", **FILLED_IN}, False),
        ({"key": "k", "property": "p"}, {"key": "k", "property": "p", **FILLED_IN}, False),
        ({"key": "k"}, {"key": "k", "property": "p", **FILLED_IN}, True),
        ({"key": "k", "property": "p"}, {"key": "k", **FILLED_IN}, True),
        ({"key": "k"}, {"key": "k", **FILLED_IN, "decodingStrategy": "Base64"}, True),
    ],
)
def test_what_the_server_fills_in_below_an_atomic_list_is_no_difference(wanted, present, differs):
    def external(remote):
        data = [{"secretKey": "code", "remoteRef": remote}]
        return {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "n", "namespace": "n"}, "spec": {"data": data}}

    live = external(present)
    live["metadata"]["managedFields"] = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:data": {}}}}]
    assert differences(external(wanted), live, MANAGER) == (["spec.data"] if differs else [])


def test_of_an_object_that_is_not_ours_only_its_identity_is_seen():
    live = copy.deepcopy(DAEMON_SET[1])
    assert owned_view(live, "somebody") == {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {key: live["metadata"][key] for key in ("name", "namespace")},
    }
