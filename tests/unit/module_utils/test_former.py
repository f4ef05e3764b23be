# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.former import former

ME, CONTAINER = "m", 'k:{"name":"c"}'


def entry(manager, fields, operation="Apply"):
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def containers(*fields, **more):
    return {"f:spec": {"f:containers": {CONTAINER: {f"f:{field}": {} for field in fields} | more}}}


def daemon_set(container, *entries, **spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "d", "managedFields": list(entries)},
        "spec": {"containers": [container], **spec},
    }


LIVE = daemon_set(
    {"name": "c", "image": "theirs", "args": ["ours"], "tty": True, "stdin": True},
    entry(ME, containers("name", "args")),
    entry("kubectl-set", containers("image", "tty"), "Update"),
    minReadySeconds=3,
)


def test_what_was_taken_from_others_comes_back_and_no_more():
    # Written by force: image and minReadySeconds. tty stays theirs; stdin and minReadySeconds are nobody's, as what a server fills in.
    written = daemon_set({}, entry(ME, {"f:spec": {**containers("name", "args", "image")["f:spec"], "f:minReadySeconds": {}}}))
    back = former(LIVE, written, ME)
    assert back == {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "d"},
        "spec": {"containers": [{"name": "c", "image": "theirs", "args": ["ours"]}]},
    }


def test_what_was_not_written_is_as_ours_was():
    assert former(LIVE, LIVE, ME) == former(LIVE, None, ME)
    assert former(LIVE, None, ME)["spec"] == {"containers": [{"name": "c", "args": ["ours"]}]}


def test_an_element_comes_back_with_its_name():
    live = daemon_set({"name": "c", "image": "theirs"}, entry("kubectl-set", containers("image"), "Update"))
    assert former(live, daemon_set({}, entry(ME, containers("name", "image"))), ME)["spec"] == {"containers": [{"name": "c", "image": "theirs"}]}


def test_what_is_owned_as_a_whole_comes_back_as_a_whole():
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}}
    live = daemon_set({"name": "c", "resources": resources}, entry(ME, containers("name")), entry("other", containers(**{"f:resources": {"f:limits": {}}})))
    written = daemon_set({}, entry(ME, containers("name", **{"f:resources": {"f:limits": {"f:cpu": {}}}})))
    assert former(live, written, ME)["spec"] == {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}
    whole = daemon_set({}, entry(ME, containers("name", **{"f:resources": {}})))
    assert former(live, whole, ME)["spec"] == {"containers": [{"name": "c", "resources": resources}]}


def test_the_status_is_nobody_s():
    live = {**LIVE, "metadata": {"name": "d", "managedFields": [{**entry("kubelet", containers("image"), "Update"), "subresource": "status"}]}}
    assert "spec" not in former(live, daemon_set({}, entry(ME, containers("name", "image"))), ME)
