# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.orphans import left_behind, note, replaceable

LABELS = {"name": "old"}
RECREATE = {"action": "recreate", "live": {"kind": "DaemonSet", "spec": {"selector": {"matchLabels": LABELS}}}}


def pod(name, node, controlled=False, revision="x"):
    owners = [{"controller": True, "uid": "u"}] if controlled else []
    return {
        "metadata": {"name": name, "ownerReferences": owners, "labels": {"controller-revision-hash": revision} if revision else {}},
        "spec": {"nodeName": node},
    }


def test_the_parent_remembers_until_told_otherwise():
    assert left_behind([RECREATE], None) == LABELS
    spec = {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "template": {"metadata": {"labels": {"a": "b"}}}}
    assert left_behind([{**RECREATE, "live": {**RECREATE["live"], "spec": spec}}], None) == {"a": "b"}
    assert left_behind([{"action": "keep", "live": RECREATE["live"]}], None) is None
    assert left_behind([], {"metadata": {"annotations": note(LABELS)}}) == LABELS
    assert note(None) == {}


def test_a_pod_goes_only_where_a_new_one_has_taken_over():
    rows = [
        {"node": "a", "eligible": True, "state": "ready"},
        {"node": "b", "eligible": True, "state": "starting"},
        {"node": "c", "eligible": False, "state": "not eligible"},
    ]
    pods = [pod("pa", "a"), pod("pb", "b"), pod("pc", "c"), pod("new", "a", controlled=True), pod("stranger", "a", revision=None)]
    go, stay = replaceable(pods, rows)
    assert [each["metadata"]["name"] for each in go] == ["pa", "pc"]
    assert [each["metadata"]["name"] for each in stay] == ["pb"]
