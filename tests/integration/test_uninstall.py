# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State absent on a real cluster: what is ours goes, what is not stays, and what cannot go yet is named.

The image is one that no registry has: how a pod that never started ends is not what is tested here.
"""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, one_line, until

IMAGE = f"registry.example/collector@{ABSENT_DIGEST}"
LABEL = "app.kubernetes.io/name=nanoagent"
CLUSTER_SCOPED = "priorityclasses,clusterroles,clusterrolebindings,namespaces"


def changes(result: dict) -> list[str]:
    return [action["object"] for action in result["actions"]]


@pytest.fixture
def installed(run_tasks, options, name):
    """Options of an agent that is installed and whose pods wait for an image; small, so that they fit on any node."""
    small = {"resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    [result] = run_tasks([{AGENT: {**options, **small, "image": IMAGE, "wait": False, "priority_class": {"name": name}}}])
    assert result["changed"], result
    return {**options, "state": "absent", "wait_timeout": 60}


class Gadgets:
    """Objects of a kind of this test's own."""

    def __init__(self, kubectl, namespace):
        self._kubectl, self._namespace = kubectl, namespace
        self._group = f"{namespace}.example.com"
        self.resource = f"gadgets.{self._group}"
        names = {"plural": "gadgets", "kind": "Gadget"}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        self._apply(
            "apiextensions.k8s.io/v1", "CustomResourceDefinition", self.resource, group=self._group, scope="Namespaced", names=names, versions=[version]
        )

    def make(self, name):
        self._kubectl("wait", "--for=condition=established", f"crd/{self.resource}")
        self._apply(f"{self._group}/v1", "Gadget", name)

    def _apply(self, api_version, kind, name, **spec):
        metadata = {"name": name, "namespace": self._namespace}
        self._kubectl(
            "create", "-f", "-", stdin=json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {})})
        )


@pytest.fixture
def gadgets(kubectl, name):
    """Gadgets; the kind goes with the test."""
    made = Gadgets(kubectl, name)
    yield made
    kubectl("delete", "crd", made.resource, "--wait=false")


def test_a_namespace_of_ours_stays_while_others_use_it(run_tasks, installed, gadgets, kubectl, name):
    kubectl("create", "secret", "generic", "theirs", "-n", name, "--from-literal=a=b")
    kubectl("create", "service", "clusterip", "theirs", "-n", name, "--tcp=80")
    kubectl("run", "theirs", "-n", name, "--image=registry.example/none")
    remove = {AGENT: installed}
    [predicted] = run_tasks([remove], "--check")
    [gone, again] = run_tasks([remove, remove])
    assert gone["changed"] and gone["actions"] == predicted["actions"] and gone["kept"] == predicted["kept"] == again["kept"]
    assert gone["kept"] == [f"Namespace {name}: it holds what is not ours: Pod {name}/theirs, Secret {name}/theirs, Service {name}/theirs"]
    assert not again["changed"] and again["requests"]["write"] == 0
    assert not kubectl("get", "daemonsets,configmaps,serviceaccounts,roles,rolebindings", "-n", name, "-o", "name", "-l", LABEL)
    assert set(kubectl("get", "pods,services,secrets", "-n", name, "-o", "name").split()) == {"pod/theirs", "service/theirs", "secret/theirs"}

    kubectl("create", "ingress", "theirs", "-n", name, "--rule=x.example/=theirs:80")
    gadgets.make("theirs")
    kubectl("delete", "pod/theirs", "service/theirs", "secret/theirs", "-n", name, "--grace-period=0", "--force")
    [kept] = run_tasks([remove])
    assert kept["kept"] == [f"Namespace {name}: it holds what is not ours: Ingress {name}/theirs, Gadget {name}/theirs"] and not kept["changed"]

    kubectl("delete", "ingress/theirs", f"{gadgets.resource}/theirs", "-n", name)
    [last] = run_tasks([remove])
    assert changes(last) == [f"Namespace {name}"] and last["kept"] == [] and name not in kubectl("get", CLUSTER_SCOPED, "-o", "name")


def test_what_another_installation_uses_stays_and_the_last_one_takes_the_namespace(run_tasks, installed, options, kubectl, name):
    """As the message about a stranger's object advises: the second installation uses the first one's account and priority class."""
    small = {"resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    second = {**options, **small, "name": f"{name}-b", "image": IMAGE, "wait": False, "create_namespace": False}
    second |= {"service_account": installed["name"], "create_service_account": False, "priority_class": {"name": name, "create": False}}
    remove = {AGENT: installed}
    [made] = run_tasks([{AGENT: second}])
    assert made["changed"], made
    [predicted] = run_tasks([remove], "--check")
    [gone, again] = run_tasks([remove, remove])
    account, user = f"ServiceAccount {name}/{installed['name']}", f"DaemonSet {name}/{name}-b"
    used = {line for line in gone["kept"] if "in use by" in line}
    assert used == {f"{account}: in use by {user}", f"PriorityClass {name}: in use by {user}"}, gone
    assert gone["actions"] == predicted["actions"] and gone["kept"] == predicted["kept"]
    assert {"release"} == {action["action"] for action in gone["actions"] if action["object"] in (account, f"PriorityClass {name}")}
    assert kubectl("get", "serviceaccount", installed["name"], "-n", name, "-o", "name") and kubectl("get", "priorityclass", name, "-o", "name")
    assert not again["changed"], again
    # Of neither any more: who wants them gone deletes them.
    kubectl("delete", "serviceaccount", installed["name"], "-n", name)
    kubectl("delete", "priorityclass", name)
    [last] = run_tasks([{AGENT: {**installed, "name": f"{name}-b"}}])
    assert last["changed"] and not last["kept"], last
    assert not kubectl("get", "namespace", name, "--ignore-not-found", "-o", "name")


def test_what_has_not_our_label_stays(run_tasks, options, kubectl, name):
    kubectl("create", "namespace", name)
    kubectl("create", "configmap", name, "-n", name)
    install = {**options, "image": IMAGE, "wait": False, "priority_class": {"name": name}}
    run_tasks([{AGENT: {**install, "force_conflicts": True}}])
    for kind in ("priorityclass", "serviceaccount"):
        kubectl("label", kind, name, "-n", name, "applyset.kubernetes.io/part-of-")
    [gone] = run_tasks([{AGENT: {**options, "state": "absent"}}])
    released = [f"{each}: it no longer carries this installation's label" for each in (f"PriorityClass {name}", f"ServiceAccount {name}/{name}")]
    assert gone["changed"] and sorted(gone["kept"]) == sorted([f"Namespace {name}: this collection did not make it", *released])
    assert not {f"PriorityClass {name}", f"ServiceAccount {name}/{name}"} & set(changes(gone))
    assert kubectl("get", f"priorityclass/{name}", f"serviceaccount/{name}", "-n", name, "-o", "name").split()
    kubectl("delete", "priorityclass", name)


def test_pods_whose_daemon_set_was_taken_away_go_too(run_tasks, installed, kubectl, name):
    pods = until(lambda: kubectl("get", "pods", "-n", name, "-o", "name").split())
    kubectl("delete", "daemonset", name, "-n", name, "--cascade=orphan")
    kubectl("delete", "configmap", name, "-n", name)
    until(lambda: not kubectl("get", "pods", "-n", name, "-o", "jsonpath={.items[*].metadata.ownerReferences[*].uid}"))
    remove = {AGENT: installed}
    [predicted] = run_tasks([remove], "--check")
    [gone, again] = run_tasks([remove, remove])
    assert gone["actions"] == predicted["actions"] and not again["changed"]
    assert {f"Pod {name}/{pod.removeprefix('pod/')}" for pod in pods} <= set(changes(gone)) and f"Namespace {name}" in changes(gone)
    assert name not in kubectl("get", CLUSTER_SCOPED, "-o", "name")


def test_a_namespace_that_is_gone_or_going(run_tasks, installed, kubectl, name):
    kubectl("create", "configmap", "held", "-n", name)
    kubectl("patch", "configmap", "held", "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/held"]}}')
    kubectl("delete", "namespace", name, "--wait=false")
    until(lambda: "example.com/held" in kubectl("get", "namespace", name, "-o", "jsonpath={.status.conditions[*].message}"))
    [stuck] = run_tasks([{AGENT: {**installed, "wait_timeout": 3}}])
    message = one_line(stuck)
    assert "still there after 3 s" in message and f"Namespace {name}: " in message and "example.com/held" in message
    assert stuck["changed"] and [row["object"] for row in stuck["leftovers"]] == [f"Namespace {name}"] and stuck["owed"] == []
    # What lies outside the namespace has gone all the same.
    left = kubectl("get", CLUSTER_SCOPED, "-o", "name").split()
    assert [item for item in left if name in item] == [f"namespace/{name}"]

    kubectl("patch", "configmap", "held", "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    [done, again] = run_tasks([{AGENT: installed}, {AGENT: installed}])
    assert not done.get("failed") and not done["changed"] and not again["changed"]
    assert not kubectl("get", "namespace", name, "--ignore-not-found")


def test_a_finalizer_is_named_with_its_object(run_tasks, installed, kubectl, name):
    kubectl("patch", "serviceaccount", name, "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/held"]}}')
    kubectl("patch", "daemonset", name, "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/also"]}}')
    [stuck] = run_tasks([{AGENT: {**installed, "wait_timeout": 3}}])
    one_line(stuck)
    reasons = {row["object"]: row["reason"] for row in stuck["leftovers"]}
    assert reasons[f"ServiceAccount {name}/{name}"] == "held by the finalizer example.com/held"
    assert reasons[f"DaemonSet {name}/{name}"] == "held by the finalizer example.com/also"
    for held in (f"serviceaccount/{name}", f"daemonset/{name}"):
        kubectl("patch", held, "-n", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    [done] = run_tasks([{AGENT: installed}])
    assert not done.get("failed") and not kubectl("get", "namespace", name, "--ignore-not-found")


def test_nothing_there_is_no_change(run_tasks, options):
    [gone] = run_tasks([{AGENT: {**options, "state": "absent"}}], "--diff")
    assert (gone["changed"], gone["actions"], gone["kept"], gone["owed"]) == (False, [], [], []) and gone["requests"]["write"] == 0
