# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The large clusters of the benchmark are what they say."""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.coverage import summary, verdicts
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import newest_revision
from benchmark.recorded import NAMESPACE, Lists, counts

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def get(lists, path, **query):
    status, body = lists.answer(path, query)
    return status, json.loads(body)


def test_a_verdict_finds_what_the_benchmark_expects():
    lists = Lists(500)
    _status, daemon_set = get(lists, f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/nanoagent")
    nodes, pods = (get(lists, path)[1]["items"] for path in ("/api/v1/nodes", PODS))
    revisions = get(lists, f"/apis/apps/v1/namespaces/{NAMESPACE}/controllerrevisions")[1]["items"]
    found = summary(verdicts(daemon_set, nodes, pods, newest_revision(revisions, daemon_set), []))
    assert {key: found[key] for key in ("nodes", "ready")} == counts(500)
    assert 0 < counts(500)["ready"] < 500
    assert found["states"]["node down"] and found["states"]["blocked"]


def test_pages_together_are_the_list():
    lists = Lists(7)
    whole = get(lists, PODS)[1]
    first = get(lists, PODS, limit="5")[1]
    second = get(lists, PODS, limit="5", **{"continue": first["metadata"]["continue"]})[1]
    assert first["items"] + second["items"] == whole["items"] and len(first["items"]) == 5
    assert "continue" not in second["metadata"] and "continue" not in whole["metadata"]


def test_names_and_uids_are_of_one_node_only():
    nodes = get(Lists(300), "/api/v1/nodes")[1]["items"]
    assert len({node["metadata"]["uid"] for node in nodes}) == len({node["metadata"]["name"] for node in nodes}) == 300


def test_what_is_not_there_is_empty_or_not_found():
    lists = Lists(1)
    status, events = get(lists, f"/api/v1/namespaces/{NAMESPACE}/events")
    assert status == 200 and events["items"] == []
    assert get(lists, "/api/v1/namespaces/nanoagent/configmaps/nanoagent")[0] == 404
