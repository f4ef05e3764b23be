# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Against objects that a real API server gave back after a server-side apply (data/applied.json)."""

import copy
import json
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import drift
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import enrol, parent, remembering, set_id
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import KEY, comparable, recall, remember
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan_diff import diff

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "applied.json").read_text())
MANAGER = RECORDED["manager"]
WANTED = recall({"data": remember(RECORDED["desired"])})
LIVE = {identity(obj): obj for obj in RECORDED["live"]}
DAEMON_SET = next(key for key in LIVE if key[0] == "DaemonSet")


def compare(live):
    return drift.compare(WANTED, live, MANAGER)


def with_change(key, change):
    """LIVE with one object changed by change(object, our fieldsV1 tree)."""
    obj = copy.deepcopy(LIVE[key])
    [ours] = [entry for entry in obj["metadata"]["managedFields"] if entry["manager"] == MANAGER]
    change(obj, ours["fieldsV1"])
    return {**LIVE, key: obj}


def take(obj, tree, path, value, entry):
    """Somebody sets a field below path by an Update: it is theirs now, not ours."""
    theirs = {}
    obj["metadata"]["managedFields"].append({**entry, "fieldsV1": theirs})
    for key in path[:-1]:
        above, tree, theirs = tree, tree[f"f:{key}"], theirs.setdefault(f"f:{key}", {})
        obj = obj[key]
    obj[path[-1]] = value
    theirs[f"f:{path[-1]}"] = tree.pop(f"f:{path[-1]}")
    if not tree:
        del above[f"f:{path[-2]}"]


def test_what_was_applied_is_no_drift():
    assert len(WANTED) == len(LIVE) and compare(LIVE) == {"drift": [], "missing": []}


def test_a_field_that_another_took_is_told_with_who_and_when():
    entry = {"manager": "kubectl-edit", "operation": "Update", "time": "2026-03-01T12:00:00Z"}
    path = ("spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
    live = with_change(DAEMON_SET, lambda obj, tree: take(obj, tree, path, 7, entry))
    expected = {"object": title(LIVE[DAEMON_SET]), "field": ".".join(path), "manager": "kubectl-edit", "operation": "Update", "at": entry["time"]}
    assert compare(live) == {"drift": [expected], "missing": []}
    assert drift.lines(compare(live)) == [f"{expected['object']}: {expected['field']} changed by kubectl-edit at 2026-03-01T12:00:00Z"]


def test_the_status_and_whoever_only_made_a_map_are_not_blamed():
    def change(obj, tree):
        entry = {"manager": "kubectl-label", "operation": "Update", "time": "2026-03-01T12:00:00Z"}
        obj["metadata"]["managedFields"] += [
            {**entry, "manager": "first", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:another": {}}}}},
            {**entry, "manager": "controller", "subresource": "status", "fieldsV1": {"f:metadata": {"f:labels": {"f:app.kubernetes.io/name": {}}}}},
        ]
        del obj["metadata"]["labels"]["app.kubernetes.io/name"], tree["f:metadata"]["f:labels"]["f:app.kubernetes.io/name"]

    found = compare(with_change(DAEMON_SET, change))
    assert [(row["field"], row["manager"]) for row in found["drift"]] == [("metadata.labels.app.kubernetes.io/name", "")]
    assert drift.lines(found)[0].endswith("changed by somebody who left no trace")


def test_an_element_of_a_list_is_named_by_its_key():
    def change(obj, tree):
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
        [(key, container)] = tree["f:spec"]["f:template"]["f:spec"]["f:containers"].items()
        del container["f:image"]
        theirs = {"f:spec": {"f:template": {"f:spec": {"f:containers": {key: {"f:image": {}}}}}}}
        obj["metadata"]["managedFields"].append({"manager": "kubectl-set", "operation": "Update", "time": "t", "fieldsV1": theirs})

    [row] = compare(with_change(DAEMON_SET, change))["drift"]
    assert row["field"] == "spec.template.spec.containers[collector].image" and row["manager"] == "kubectl-set"


def test_what_others_add_is_theirs():
    def change(obj, tree):
        obj["metadata"].setdefault("annotations", {})["example.com/theirs"] = "x"

    assert compare(with_change(DAEMON_SET, change)) == {"drift": [], "missing": []}


def test_an_object_that_somebody_made_anew_is_one_line():
    def change(obj, tree):
        obj["metadata"]["managedFields"] = [{"manager": "kubectl-create", "operation": "Update", "time": "t", "fieldsV1": {"f:spec": {}}}]

    [row] = compare(with_change(DAEMON_SET, change))["drift"]
    assert row["field"] == "*" and row["manager"] == "kubectl-create"


def test_missing_objects_are_named():
    found = compare({key: obj for key, obj in LIVE.items() if key != DAEMON_SET})
    assert found == {"drift": [], "missing": [title(LIVE[DAEMON_SET])]} and drift.lines(found) == [f"{title(LIVE[DAEMON_SET])} is missing"]


def test_no_secret_is_remembered_and_long_text_only_by_its_digest():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"key": "Y2FuYXJ5"}, "stringData": {"other": "canary"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"ca": "x" * 100_000, "short": "y"}}
    text = remember([secret, config])[KEY]
    assert "Y2FuYXJ5" not in text and "canary" not in text and len(text) < 1000
    [recalled_config, recalled_secret] = recall({"data": {KEY: text}})
    assert recalled_config == comparable(config) != config and recalled_config["data"]["short"] == "y"
    assert recalled_secret["data"] == {"key": ""}
    assert comparable({**config, "data": {"ca": "x" * 99_999}})["data"]["ca"] != recalled_config["data"]["ca"]


def test_the_same_objects_are_remembered_by_the_same_bytes():
    assert remember(RECORDED["desired"]) == remember(list(reversed(RECORDED["desired"])))
    turned = [dict(reversed(obj.items())) for obj in RECORDED["desired"]]
    assert remember(turned) == remember(RECORDED["desired"])


@pytest.mark.parametrize("data", [None, {}, {KEY: "no json"}, {KEY: "{}"}, {KEY: '["x"]'}, {KEY: '[{"kind": "Pod"}]'}])
def test_a_memory_that_cannot_be_read(data):
    assert recall({"data": data}) is None


def test_the_parent_remembers_members_as_they_are_applied():
    member = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "n"}}
    enrolled = enrol(member, set_id("n", "n"))
    made = parent("n", "n", [member], {})
    assert recall(made) == [enrolled]
    changed = {**enrolled, "automountServiceAccountToken": False}
    [parent_after, member_after] = remembering([made, changed])
    assert recall(parent_after) == [changed] and member_after == changed and remembering([parent_after, changed]) == [parent_after, changed]


def test_the_diff_does_not_say_everything_twice():
    [made] = remembering([parent("n", "n", [], {})])
    [shown] = diff([{"action": "create", "fields": [], "desired": made, "live": None}], MANAGER)
    assert KEY not in shown["after"] and shown["after_header"] == "ConfigMap n/n"
    assert diff([{"action": "patch", "fields": ["data"], "desired": made, "live": {**made, "data": {KEY: "[]"}}}], MANAGER) == []
