# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is whose: objects that others made, that another installation made, and that are to be ours no longer.

The image is one that no registry has: pods wait for it, and are not what is tested here.
"""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, one_line, until

IMAGE = f"registry.example/collector@{ABSENT_DIGEST}"
PART_OF = "applyset.kubernetes.io/part-of"


@pytest.fixture
def install(options):
    """Options of an agent that is not waited for; small, so that it fits on any node."""
    return {**options, "image": IMAGE, "wait": False, "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}


def done(result):
    return [(action["action"], action["object"]) for action in result["actions"] if action["action"] != "keep"]


def read(kubectl, kind, name, namespace):
    return json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))


def test_what_others_made_is_not_taken(run_tasks, install, kubectl, name):
    login = {"registry": "registry.example", "username": "u", "password": "{{ secret }}"}
    wanted = {**install, "priority_class": {"name": name, "value": 900}, "registry_login": login}
    kubectl("create", "namespace", name)
    try:
        kubectl("create", "serviceaccount", name, "-n", name)
        kubectl("create", "secret", "generic", f"{name}-registry", "-n", name, "--from-literal=theirs=1")
        kubectl("create", "configmap", name, "-n", name, "--from-literal=theirs=1")
        kubectl("create", "priorityclass", name, "--value=500")
        which = [("serviceaccount", name), ("secret", f"{name}-registry"), ("configmap", name), ("priorityclass", name)]
        before = [read(kubectl, *each, name) for each in which]
        [predicted] = run_tasks([{AGENT: wanted}], "--check", variables={"secret": "a-password"})
        [refused] = run_tasks([{AGENT: wanted}], variables={"secret": "a-password"})
        message = one_line(refused)
        assert message == one_line(predicted) and "force_conflicts" in message and "create_service_account: false" in message
        for named in (f"ServiceAccount {name}/{name}", f"Secret {name}/{name}-registry", f"ConfigMap {name}/{name}", f"PriorityClass {name}"):
            assert named in message
        assert f"PriorityClass {name} (made by kubectl-create)" in message
        assert [read(kubectl, *each, name) for each in which] == before
        assert not kubectl("get", "daemonset", "-n", name, "-o", "name")

        kubectl("delete", "secret", f"{name}-registry", "-n", name)
        kubectl("delete", "configmap", name, "-n", name)
        theirs = {**wanted, "create_service_account": False, "priority_class": {"name": name, "create": False}}
        [used, gone] = run_tasks([{AGENT: theirs}, {AGENT: {**install, "state": "absent"}}], variables={"secret": "a-password"})
        assert not used.get("failed") and gone["changed"]
        assert [read(kubectl, *each, name) for each in which if each[0] in ("serviceaccount", "priorityclass")] == [before[0], before[3]]
    finally:
        kubectl("delete", "priorityclass", name, "--ignore-not-found")


def test_two_installations_in_one_namespace(run_tasks, install, kubectl, name):
    one, two = {AGENT: install}, {AGENT: {**install, "name": f"{name}-b"}}
    gone = {AGENT: {**install, "name": f"{name}-b", "state": "absent"}}
    shared = {AGENT: {**two[AGENT], "service_account": name, "force_conflicts": True}}
    [first, second, first_again, second_again, refused, removed, last] = run_tasks([one, two, one, two, shared, gone, one])
    assert first["changed"] and second["changed"] and not first_again["changed"] and not second_again["changed"]
    assert f"ServiceAccount {name}/{name} belongs to the installation {name} in {name}" in one_line(refused)
    assert removed["changed"] and not last["changed"] and last["requests"]["write"] == 0


def test_what_is_to_be_no_longer_ours_stays_for_the_pods_that_need_it(run_tasks, install, kubectl, name):
    ours = {**install, "priority_class": {"name": name, "value": 900}}
    theirs = {**install, "priority_class": {"name": name, "create": False}, "create_service_account": False}
    try:
        run_tasks([{AGENT: ours}])
        [predicted] = run_tasks([{AGENT: theirs}], "--check", "--diff")
        [released, again, gone] = run_tasks([{AGENT: theirs}, {AGENT: theirs}, {AGENT: {**install, "state": "absent", "wait": True}}])
        assert released["actions"] == predicted["actions"] and not again["changed"]
        assert {("release", f"PriorityClass {name}"), ("release", f"ServiceAccount {name}/{name}")} < set(done(released))
        assert gone["changed"] and PART_OF not in read(kubectl, "priorityclass", name, name)["metadata"]["labels"]
    finally:
        kubectl("delete", "priorityclass", name, "--ignore-not-found")


def test_a_configuration_stays_as_long_as_pods_need_it(run_tasks, install, kubectl, name):
    def configurations():
        return set(kubectl("get", "configmap", "-n", name, "-l", "app.kubernetes.io/name=nanoagent", "-o", "name").split())

    first = {**install, "update_strategy": "OnDelete", "tags": {"a": "1"}}
    second = {AGENT: {**first, "tags": {"a": "2"}}}
    run_tasks([{AGENT: first}])
    until(lambda: len(kubectl("get", "pods", "-n", name, "-o", "name").split()) >= 1)
    before = configurations()
    [changed, again] = run_tasks([second, second])
    assert changed["changed"] and not again["changed"] and again["requests"]["write"] == 0
    assert before < configurations()
    kubectl("delete", "pods", "--all", "-n", name, "--grace-period=0", "--force")
    old = before - {f"configmap/{name}"}
    until(lambda: not any(each.partition("/")[2] in kubectl("get", "pods", "-n", name, "-o", "json") for each in old))
    [later, last] = run_tasks([second, second])
    assert [action for action, _object in done(later)].count("delete") == 1 and not old & configurations() and not last["changed"]
