# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import in_use

ACCOUNT, SECRET, URGENT = ("ServiceAccount", "n", "a"), ("Secret", "n", "s"), ("PriorityClass", "", "urgent")
SPEC = {"serviceAccountName": "a", "priorityClassName": "urgent", "volumes": [{"secret": {"secretName": "s"}}], "containers": []}


def obj(kind, name="x", namespace="n", owner=None, spec=None, **metadata):
    owners = {"ownerReferences": [{"kind": owner[0], "name": owner[1], "uid": "o", "controller": True}]} if owner else {}
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "uid": f"{kind} {name}", **owners, **metadata}, "spec": spec or {}}


def test_what_pods_may_name_and_an_uninstall_deletes():
    members = [
        obj("ServiceAccount", "a"),
        obj("PriorityClass", "urgent"),
        obj("Role"),
        obj("Secret", "ending", deletionTimestamp="t"),
        obj("Secret", "copy", owner=("ExternalSecret", "e")),
    ]
    assert in_use.usable(members) == {ACCOUNT, URGENT}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Pod", SPEC),
        ("DaemonSet", {"template": {"spec": SPEC}}),
        ("Deployment", {"template": {"spec": SPEC}}),
        ("StatefulSet", {"template": {"spec": SPEC}}),
        ("CronJob", {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}),
    ],
)
def test_what_pods_name_is_noted_before_it_is_trimmed(kind, spec):
    wanted = {ACCOUNT, SECRET, ("Secret", "n", "unused")}
    noted = in_use.noted(obj(kind, spec={**spec}), wanted)
    assert noted["uses"] == {ACCOUNT, SECRET} and "volumes" not in noted["spec"]
    assert "uses" not in in_use.noted(obj(kind, namespace="m", spec={**spec}), wanted)
    assert "uses" not in in_use.noted(obj("Job", spec={"template": {"spec": SPEC}}), wanted)


def test_of_pods_elsewhere_only_those_that_use_something_are_kept():
    assert in_use.outline(obj("Pod", spec={**SPEC}), {URGENT}, "n") == {}
    assert in_use.outline(obj("Pod", namespace="m"), {URGENT}, "n") == {}
    kept = in_use.outline(obj("Pod", namespace="m", spec={**SPEC}), {URGENT, ACCOUNT}, "n")
    assert kept["uses"] == {URGENT} and "spec" not in kept and in_use.users([kept]) == {URGENT: ["Pod m/x"]}


def test_pods_of_ours_are_no_others_whatever_their_labels():
    daemon_set = {**obj("DaemonSet", "n"), "uses": {ACCOUNT}}
    own = {**obj("Pod", "own", owner=("DaemonSet", "n")), "uses": {ACCOUNT}}
    left = {**obj("Pod", "left", labels={"app": "monitor"}), "uses": {ACCOUNT}}
    theirs = {**obj("Pod", "theirs", owner=("StatefulSet", "s"), labels={"app": "monitor"}), "uses": {ACCOUNT}}
    found = in_use.of_others([daemon_set, own, left, theirs, obj("Pod", "idle")], [daemon_set], [{"app": "monitor"}], {("DaemonSet", "n", "n")})
    assert found == [theirs]


def test_users_are_told_once_and_only_those_that_last():
    uses = {"uses": {ACCOUNT}}
    pods = [{**obj("Pod", name, owner=("DaemonSet", "b")), **uses} for name in ("b-1", "b-2")]
    over = [{**obj("Pod", "ending", deletionTimestamp="t"), **uses}, {**obj("Pod", "ended"), **uses, "status": {"phase": "Failed"}}]
    assert in_use.users([*pods, {**obj("DaemonSet", "b"), **uses}, {**obj("CronJob", "c"), **uses}, *over]) == {ACCOUNT: ["CronJob n/c", "DaemonSet n/b"]}
