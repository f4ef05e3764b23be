# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan_diff import diff

MANAGER = "nanoagent.k8s"


def daemon_set(containers, owned=None, **spec):
    managed = {"managedFields": [{"manager": MANAGER, "operation": "Apply", "fieldsV1": owned}]} if owned else {}
    metadata = {"name": "n", "namespace": "n", **managed}
    pod = {"containers": containers}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {**spec, "template": {"spec": pod}}}


def parts(step):
    [found] = diff([step], MANAGER)
    assert found["before_header"] == found["after_header"] == "DaemonSet n/n"
    return [json.loads(found[side]) for side in ("before", "after")]


def test_what_others_hold_and_we_want_is_shown_as_it_is():
    owned = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:args": {}}}}}}}
    live = daemon_set(
        [{"name": "c", "image": "nope:1", "args": ["run"], "stdin": True}, {"name": "theirs", "image": "x"}], owned, minReadySeconds=7, revisionHistoryLimit=3
    )
    wanted = daemon_set([{"name": "c", "image": "good:1"}], minReadySeconds=3)
    before, after = parts({"action": "patch", "fields": [], "desired": wanted, "live": live})
    assert before["spec"] == {"minReadySeconds": 7, "template": {"spec": {"containers": [{"name": "c", "image": "nope:1", "args": ["run"]}]}}}
    assert after["spec"] == wanted["spec"]


def test_one_volume_at_two_paths_stays_two_mounts():
    def mount(path):
        return {"name": "data", "mountPath": path}

    def mounted(image):
        return daemon_set([{"name": "c", "image": image, "volumeMounts": [mount("/a"), mount("/b")]}])

    owned = {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:image": {}, "f:volumeMounts": {}}}}
    for path in ("/a", "/b"):
        key = "k:" + json.dumps({"mountPath": path}, separators=(",", ":"))
        owned["f:containers"]['k:{"name":"c"}']["f:volumeMounts"][key] = {".": {}, "f:mountPath": {}, "f:name": {}}
    live = mounted("old:1")
    live["metadata"]["managedFields"] = [{"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": owned}}}}]
    before, after = parts({"action": "patch", "fields": [], "desired": mounted("new:1"), "live": live})
    container = before["spec"]["template"]["spec"]["containers"][0]
    assert container == {"name": "c", "image": "old:1", "volumeMounts": [mount("/a"), mount("/b")]}
    assert after == {**before, "spec": mounted("new:1")["spec"]}


def test_what_is_made_and_what_goes():
    obj = daemon_set([{"name": "c"}])
    [made] = diff([{"action": "create", "fields": [], "desired": obj, "live": None}], MANAGER)
    [gone] = diff([{"action": "delete", "fields": [], "desired": None, "live": obj}], MANAGER)
    assert made["before"] == "" == gone["after"] and '"c"' in made["after"] and '"name": "n"' in gone["before"]
    assert diff([{"action": "keep", "fields": [], "desired": obj, "live": obj}], MANAGER) == []


def test_what_is_released_loses_a_label():
    live = daemon_set([{"name": "c"}])
    live["metadata"]["labels"] = {MEMBER_LABEL: "set", "other": "x"}
    before, after = parts({"action": "release", "fields": [], "desired": None, "live": live})
    assert before["metadata"]["labels"] == {MEMBER_LABEL: "set"} and after["metadata"]["labels"] == {} and "spec" not in before
