# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collectors on a real cluster that send to a backend through a proxy, with an authority and a token of its own."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION
from ansible_collections.nanoagent.k8s.tests.backend.backend import Backend
from ansible_collections.nanoagent.k8s.tests.backend.forward_proxy import ForwardProxy
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, INFO, audited, one_line, pods, until

# A name that only the proxy knows: whatever gets there went through it.
NAME = "backend.example"
TOKEN, NEXT_TOKEN = "canary-f00dfeed-token", "canary-f00dfeed-next"


@pytest.fixture
def place(cluster_env):
    """The machine's address as pods reach it."""
    if not cluster_env.get("KUBE_BINARY"):
        pytest.skip("the pods of a cluster elsewhere do not reach this machine")
    return cluster_env["REGISTRY"].rpartition(":")[0]


@pytest.fixture
def authority(tmp_path, place):
    return Authority(tmp_path / "authority", (NAME, place))


@pytest.fixture
def backend(place, authority):
    with Backend(place, TOKEN, authority.serving(anybody=True), NAME) as running:
        yield running


@pytest.fixture
def proxy(place):
    with ForwardProxy(place, {NAME: place}) as running:
        yield running


@pytest.fixture
def sending(options, push, shipped, backend, proxy, authority):
    """Options of an agent that sends to the backend."""
    return {
        **options,
        "image": push({"amd64": shipped["amd64"]}),
        "orc_url": f"{backend.url}/events",
        "registration_code": TOKEN,
        "https_proxy": proxy.url,
        "ca_bundle": authority.ca.read_text(),
        "events": ["exec"],
        "wait_timeout": 120,
    }


@pytest.fixture
def asking(options, backend, proxy, authority):
    """Options of agent_info that expects the markers' events there."""
    expected = {
        "url": f"{backend.url}/events?contains={{nonce}}",
        "jmespath": "events[?type=='exec' && node=='{node}'][]",
        "secret_headers": {"Authorization": f"Bearer {TOKEN}"},
        "ca_cert": str(authority.ca),
        "proxy": proxy.url,
        "timeout": 20,
    }
    return {**options, "live": True, "expect_events_at": expected}


def seen_by_nobody(text, run_tasks):
    assert TOKEN not in text and TOKEN not in run_tasks.process.stdout + run_tasks.process.stderr


def test_events_reach_the_backend_and_are_proven_there(run_tasks, kubectl, cluster_env, sending, asking, backend, proxy, name):
    [checked] = run_tasks([{AGENT: sending}], "--check", "--diff")
    assert checked["changed"] and not backend.events
    [applied] = run_tasks([{AGENT: sending}])
    assert not applied.get("failed"), applied
    seen_by_nobody(json.dumps([checked, applied]), run_tasks)
    objects = json.loads(kubectl("get", "daemonsets,pods,configmaps,networkpolicies", "-n", name, "-o", "json"))
    assert TOKEN not in json.dumps(objects)

    [found] = run_tasks([{INFO: asking}])
    assert found.get("ok"), found.get("causes") or found
    nodes = {row["node"]: row for row in found["nodes"] if row["eligible"]}
    assert len(nodes) == found["summary"]["proven"] > 0
    assert all(row["proof"]["backend_ms"] > 0 for row in nodes.values())
    seen_by_nobody(json.dumps(found), run_tasks)

    # Each node's stream is whole, and everything came through the proxy.
    assert len(backend.streams) == len(nodes) and not any(backend.missing().values())
    assert {event["node"] for event in backend.events} == set(nodes)
    assert set(proxy.asked) == {f"{NAME}:{backend.port}"}
    assert backend.agents == {f"nanoagent-collector/{VERSION}"}

    before, mark = pods(kubectl, name), os.path.getsize(cluster_env["AUDIT_LOG"])
    [again] = run_tasks([{AGENT: sending}])
    assert not again["changed"] and pods(kubectl, name) == before
    assert {verb for verb, _path in audited(cluster_env, mark, name)} <= {"get", "list", "watch"}


def test_a_backend_that_does_not_get_the_events_is_named(run_tasks, sending, asking, backend):
    [applied] = run_tasks([{AGENT: sending}])
    assert not applied.get("failed"), applied
    until(lambda: len(backend.streams) == applied["summary"]["ready"])
    backend.answer = (503, {})
    asking["expect_events_at"]["timeout"] = 3
    [found] = run_tasks([{INFO: asking}])
    assert not found.get("failed") and found["ok"] is False
    nodes = [row for row in found["nodes"] if row["eligible"]]
    assert {row["state"] for row in nodes} == {"ready"}
    assert {row["proof"]["reason"] for row in nodes} == {"the event did not reach the backend within 3 s"}
    assert all(any(row["node"] in cause for cause in found["causes"]) for row in nodes)

    # What waited meanwhile comes when it takes events again.
    backend.answer = None
    asking["expect_events_at"]["timeout"] = 60
    [found] = run_tasks([{INFO: asking}])
    assert found.get("ok"), found.get("causes") or found
    assert not any(backend.missing().values())

    backend.stop()
    [found] = run_tasks([{INFO: {**asking, "expect_events_at": {**asking["expect_events_at"], "timeout": 1}}}])
    assert found["ok"] is False
    reasons = {row["proof"]["reason"] for row in found["nodes"] if row["eligible"]}
    assert len(reasons) == 1 and f"the backend {NAME}:{backend.port} could not be asked" in reasons.pop()


def test_a_new_token_needs_no_new_pods(run_tasks, kubectl, sending, asking, backend, name):
    [applied] = run_tasks([{AGENT: sending}])
    assert not applied.get("failed"), applied
    before = pods(kubectl, name)
    backend.token = NEXT_TOKEN
    [applied] = run_tasks([{AGENT: {**sending, "registration_code": NEXT_TOKEN}}])
    assert applied["changed"] and pods(kubectl, name) == before
    streams = set(backend.streams)
    asking["expect_events_at"].update(timeout=150, secret_headers={"Authorization": f"Bearer {NEXT_TOKEN}"})
    [found] = run_tasks([{INFO: asking}])
    assert found.get("ok"), found
    assert set(backend.streams) >= streams and pods(kubectl, name) == before


@pytest.mark.parametrize(
    ("module", "given", "says"),
    [
        (AGENT, {"orc_url": "http://backend.example"}, "orc_url is no https URL"),
        (AGENT, {"orc_url": "", "registration_code": TOKEN}, "means nothing to the profile bundled without a backend"),
        (INFO, {"live": False}, "expect_events_at needs live: true"),
        (INFO, {"expect_events_at": {"url": f"https://user:{TOKEN}@backend.example"}}, "without user and password"),
    ],
)
def test_wrong_options_are_one_line(run_tasks, sending, asking, module, given, says):
    options = sending if module == AGENT else asking
    [result] = run_tasks([{module: {**options, **given}}])
    assert says in one_line(result)
    assert TOKEN not in result["msg"]
