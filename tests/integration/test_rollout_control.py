# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few nodes first, the way back, progress lines, and a DaemonSet that has to be made anew."""

from __future__ import annotations

import json
import threading

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import is_ready
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import DEFAULT
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, one_line, pods, until


def images(kubectl, name: str) -> dict:
    """Node -> image of the agent's pod there."""
    items = json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]
    return {pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"] for pod in items if not pod["metadata"].get("deletionTimestamp")}


def test_a_canary_that_fails_goes_back_and_touches_no_other_node(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    good = push(shipped)
    [installed] = run_tasks([{AGENT: {**options, "image": good, "canary": {"nodes": "1"}}}])
    assert installed["summary"]["ready"] == installed["summary"]["eligible"] > 1
    before = pods(kubectl, name)

    broken = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    [failed] = run_tasks([{AGENT: {**options, "image": broken, "cluster_name": "other", "canary": {"nodes": "1"}, "wait_timeout": 120}}])
    message = one_line(failed)
    assert "the canary on 1 node" in message and "ImageNotFound" in message and "the previous revision is back" in message
    assert failed["rolled_back"] and failed["summary"]["ready"] == failed["summary"]["eligible"]
    after = pods(kubectl, name)
    assert sum(after[node] != before[node] for node in before) == 1
    assert set(images(kubectl, name).values()) == {good}

    # Everything is as it was: the same options find nothing to do.
    [again] = run_tasks([{AGENT: {**options, "image": good}}])
    assert not again["changed"] and again["requests"]["write"] == 0


def test_a_canary_that_failed_on_a_first_install_does_not_let_the_next_one_loose(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    broken = [f"{cluster_env['REGISTRY']}/tests/{repository}@{ABSENT_DIGEST}" for repository in ("agent", "other")]
    given = {**options, "canary": {"nodes": "1"}, "wait_timeout": 60}
    for failed in run_tasks([{AGENT: {**given, "image": image}} for image in broken]):
        assert "the canary on 1 node" in one_line(failed) and "ImageNotFound" in failed["msg"], failed
        assert not failed["rolled_back"]
    # The second one is on the same node, and on that alone.
    assert list(images(kubectl, name).values()) == broken[1:]
    good = {**given, "image": push(shipped)}
    [installed, again] = run_tasks([{AGENT: good}, {AGENT: good}])
    assert installed["summary"]["ready"] == installed["summary"]["eligible"] > 1, installed
    assert not again["changed"] and again["requests"]["write"] == 0


def test_a_canary_that_is_well_is_followed_by_all_nodes(run_tasks, options, push, shipped, kubectl, name):
    old, new = push(shipped, release="canary-old"), push(shipped, release="canary-new")
    run_tasks([{AGENT: {**options, "image": old}}])
    update = {**options, "image": new, "max_unavailable": "100%", "canary": {"nodes": "10%", "pause": 1}}
    nowhere = {**update, "canary": {"selector": {"pool": "none"}}}
    [predicted, refused] = run_tasks([{AGENT: update}, {AGENT: nowhere}], "--check")
    assert "has the canary's labels pool=none" in one_line(refused)
    [updated] = run_tasks([{AGENT: update}])
    assert updated["actions"] == predicted["actions"]
    assert f"canary of DaemonSet {name}/{name}" in run_tasks.process.stdout
    assert set(images(kubectl, name).values()) == {new}
    assert kubectl("get", "daemonset", "-n", name, name, "-o", "jsonpath={.spec.updateStrategy.type}") == "RollingUpdate"
    [again] = run_tasks([{AGENT: update}])
    assert not again["changed"] and again["requests"]["write"] == 0


def test_an_update_that_fails_goes_back(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    good = push(shipped)
    given = {**options, "image": good, "max_unavailable": "1", "cluster_name": "one", "priority_class": {"name": name}}
    run_tasks([{AGENT: given}])
    broken = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    [failed] = run_tasks([{AGENT: {**given, "image": broken, "cluster_name": "two", "tags": {"a": "b"}, "labels": {"made": "now"}}}])
    assert failed["rolled_back"] and "the previous revision is back" in one_line(failed)
    assert set(images(kubectl, name).values()) == {good}
    [again] = run_tasks([{AGENT: given}])
    assert not again["changed"] and again["requests"]["write"] == 0


def test_a_node_that_had_no_working_agent_before_does_not_undo_an_update(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    good = push(shipped)
    kubectl("create", "namespace", name)
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[-1:].metadata.name}")
    spec = {"nodeName": node, "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": good}]}
    other = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": name, "labels": {"keeps": "off"}}, "spec": spec}
    kubectl("apply", "-f", "-", stdin=json.dumps(other))
    term = {"labelSelector": {"matchLabels": {"keeps": "off"}}, "topologyKey": "kubernetes.io/hostname"}
    given = {**options, "image": good, "max_unavailable": "100%", "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}
    update = {**given, "cluster_name": "other", "wait_timeout": 30}
    run_tasks([{AGENT: {**given, "wait": False}}])
    agents = ("get", "daemonset", "-n", name, name, "-o", "jsonpath={.status.numberReady}/{.status.desiredNumberScheduled}")
    until(lambda: kubectl(*agents) == "2/3")

    [failed] = run_tasks([{AGENT: update}])
    assert "PodAffinity on 1 node" in one_line(failed) and not failed["rolled_back"] and failed["summary"]["ready"] == 2, failed
    [again] = run_tasks([{AGENT: {**update, "wait": False}}])
    assert {"action": "keep", "object": f"DaemonSet {name}/{name}", "fields": []} in again["actions"], again

    broken = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    [failed] = run_tasks([{AGENT: {**update, "image": broken}}])
    assert failed["rolled_back"] and "the previous revision is back" in one_line(failed), failed
    until(lambda: kubectl(*agents) == "2/3")


def test_pods_that_were_denied_come_at_once_when_the_cause_is_mended(run_tasks, options, push, shipped, kubectl, name):
    kubectl("create", "namespace", name)
    given = {AGENT: {**options, "image": push(shipped)}}
    for _turn in range(3):
        kubectl("delete", "daemonset", "-n", name, name, "--ignore-not-found")
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
        # The second run writes nothing, and finds the cause as it is.
        for result in run_tasks([given, given]):
            assert "cannot succeed" in one_line(result) and "PodSecurity" in result["msg"], result
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
        [mended, again] = run_tasks([given, given])
        assert not mended.get("failed") and not mended["changed"], mended
        # The controller alone tries again in ten to twenty seconds, and in up to 17 minutes later on; it may have come before the run.
        if mended["requests"]["write"]:
            break
    assert mended["requests"]["write"] == 2, mended
    assert "nanoagent.k8s/wake" not in kubectl("get", "daemonset", "-n", name, name, "-o", "json", "--show-managed-fields")
    assert not again["changed"] and again["requests"]["write"] == 0, again


def test_a_monitor_that_cannot_run_ends_the_run_before_the_agents_are_done(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    good = {**options, "image": push(shipped), "max_unavailable": "100%"}
    run_tasks([{AGENT: good}])
    monitor = {"enabled": True, "image": f"{cluster_env['REGISTRY']}/tests/monitor@{ABSENT_DIGEST}"}
    [failed] = run_tasks([{AGENT: {**good, "monitor": monitor, "cluster_name": "other", "min_ready_seconds": 20}}])
    message = one_line(failed)
    assert f"Deployment {name}/{name}-monitor cannot become available: ImageNotFound" in message and failed["rolled_back"], failed
    assert "ready for less than minReadySeconds 20" in message
    [again] = run_tasks([{AGENT: good}])
    assert not again["changed"] and again["requests"]["write"] == 0, again


def test_fields_that_were_taken_from_others_come_back(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    given = {**options, "image": push(shipped, release="ours"), "max_unavailable": "100%"}
    theirs = push(shipped, release="theirs")
    run_tasks([{AGENT: given}])
    kubectl("set", "image", "-n", name, f"daemonset/{name}", f"*={theirs}")
    kubectl("rollout", "status", "daemonset", "-n", name, name, "--timeout=60s")
    broken = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    [failed] = run_tasks([{AGENT: {**given, "image": broken, "force_conflicts": True}}])
    assert failed["rolled_back"] and "the previous revision is back" in one_line(failed), failed
    assert set(images(kubectl, name).values()) == {theirs}


def test_a_run_after_a_canary_that_was_cut_short_goes_back_to_what_was_before(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    good = {**options, "image": push(shipped), "max_unavailable": "100%"}
    run_tasks([{AGENT: good}])
    nodes = set(pods(kubectl, name))
    broken = {**good, "image": f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}", "cluster_name": "other", "canary": {"nodes": "1"}}
    # A run that may not go back leaves the same as one that is killed.
    [left] = run_tasks([{AGENT: {**broken, "rollback": False}}])
    assert left["rolled_back"] is False and len(set(images(kubectl, name).values())) == 2, left
    before = pods(kubectl, name)
    [failed] = run_tasks([{AGENT: broken}])
    assert failed["rolled_back"] and "the previous revision is back" in one_line(failed), failed
    assert set(images(kubectl, name).values()) == {good["image"]}
    after = pods(kubectl, name)
    assert sum(after[node] != before[node] for node in nodes) == 1
    [again] = run_tasks([{AGENT: good}])
    assert not again.get("failed") and pods(kubectl, name) == after, again


def test_progress_is_told_while_it_runs(run_tasks, options, name):
    nowhere = f"127.0.0.1:9/nothing@{ABSENT_DIGEST}"
    [failed] = run_tasks([{AGENT: {**options, "image": nowhere, "wait_timeout": 14}}])
    assert "did not succeed within 14 s" in one_line(failed) and "ImageRegistryUnreachable" in failed["msg"]
    lines = [line for line in run_tasks.process.stdout.splitlines() if line.startswith(f"[localhost] rollout of DaemonSet {name}/{name}: ")]
    assert lines and all("nodes ready" in line for line in lines)
    assert any("blocked by ImageRegistryUnreachable" in line for line in lines)


@pytest.fixture
def theirs(run_tasks, kubectl, name):
    """theirs(options) -> names of its nodes: the DaemonSet of these options with a selector of its own, made by somebody else, is up."""

    def make(given: dict) -> set[str]:
        # Without the request of local storage, which not every cluster that tests run on accounts for.
        [rendered] = run_tasks([{AGENT: {**given, "state": "rendered", "resources": DEFAULT}}])
        daemon_set = next(obj for obj in rendered["manifests"] if obj["kind"] == "DaemonSet")
        labels = {"app.kubernetes.io/name": "theirs", "app.kubernetes.io/instance": name}
        daemon_set["spec"]["selector"]["matchLabels"] = labels
        daemon_set["spec"]["template"]["metadata"]["labels"] = labels
        kubectl("delete", "daemonset", "-n", name, name, "--wait")
        kubectl("apply", "--server-side", "--field-manager=nanoagent.k8s", "-f", "-", stdin=json.dumps(daemon_set))
        kubectl("rollout", "status", "daemonset", "-n", name, name, "--timeout=120s")
        return set(pods(kubectl, name))

    return make


def left(kubectl, name: str) -> list[str]:
    """Names of the pods with that selector that nobody has asked to end."""
    items = json.loads(kubectl("get", "pods", "-n", name, "-l", "app.kubernetes.io/name=theirs", "-o", "json"))["items"]
    return sorted(f"Pod {name}/{pod['metadata']['name']}" for pod in items if not pod["metadata"].get("deletionTimestamp"))


def test_a_selector_that_cannot_change_never_leaves_a_node_without_its_agent(run_tasks, options, push, shipped, kubectl, name, theirs):
    image = push(shipped)
    run_tasks([{AGENT: {**options, "image": image, "wait": False}}])
    nodes = theirs({**options, "image": image})

    bare, done = [], threading.Event()

    def watch():
        while not done.wait(0.2):
            items = json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]
            ready = {
                pod["spec"].get("nodeName")
                for pod in items
                if not pod["metadata"].get("deletionTimestamp")
                and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or [])
            }
            bare.extend(nodes - ready)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        [predicted] = run_tasks([{AGENT: {**options, "image": image}}], "--check")
        [taken] = run_tasks([{AGENT: {**options, "image": image}}])
    finally:
        done.set()
        watcher.join()
    [recreated] = [action for action in taken["actions"] if action["action"] == "recreate"]
    labels = [f"spec.template.metadata.labels.app.kubernetes.io/{label}" for label in ("component", "name")]
    assert (recreated["object"], recreated["fields"]) == (f"DaemonSet {name}/{name}", ["spec.selector", *labels])
    assert predicted["actions"] == taken["actions"]
    assert not bare
    assert not left(kubectl, name)
    assert "left-behind" not in kubectl("get", "configmap", "-n", name, name, "-o", "json")
    [again] = run_tasks([{AGENT: {**options, "image": image}}])
    assert not again["changed"] and again["requests"]["write"] == 0

    # A run that does not wait leaves them to a later one, which need not wait either.
    theirs({**options, "image": image})
    hasty = {AGENT: {**options, "image": image, "wait": False}}
    [predicted] = run_tasks([hasty], "--check")
    [taken] = run_tasks([hasty])
    former = left(kubectl, name)
    assert predicted["actions"] == taken["actions"] and predicted["notes"] == taken["notes"] and len(former) == len(nodes)
    assert any("stay beside the new ones" in note for note in taken["notes"])
    kubectl("rollout", "status", "daemonset", "-n", name, name, "--timeout=120s")
    [predicted] = run_tasks([hasty], "--check")
    [completed, again] = run_tasks([hasty, hasty])
    assert predicted["actions"] == completed["actions"] and predicted["changed"] and completed["changed"]
    assert sorted(each["object"] for each in completed["actions"] if each["action"] == "delete") == former and not left(kubectl, name)
    assert not again["changed"] and again["requests"]["write"] == 0 and again["notes"] == []


def test_where_both_need_one_port_of_the_node_a_selector_changes_node_by_node(run_tasks, options, push, shipped, kubectl, name, theirs):
    metrics = {"scrape": "annotations", "port": 29464}
    given = {**options, "image": push(shipped), "host_network": True, "metrics": metrics, "max_unavailable": "2", "wait_timeout": 120}
    run_tasks([{AGENT: {**given, "wait": False}}])
    nodes = theirs(given)

    most, done = [0], threading.Event()

    def watch():
        while not done.wait(0.1):
            items = json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]
            ready = {pod["spec"].get("nodeName") for pod in items if is_ready(pod)}
            most[0] = max(most[0], len(nodes - ready))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        [predicted] = run_tasks([{AGENT: given}], "--check")
        [taken, again] = run_tasks([{AGENT: given}, {AGENT: given}])
    finally:
        done.set()
        watcher.join()
    assert not taken.get("failed") and taken["summary"]["ready"] == len(nodes), taken
    assert any("29464/TCP" in note and "a moment without an agent" in note for note in taken["notes"]) and predicted["notes"] == taken["notes"]
    assert 0 < most[0] <= 2 and not left(kubectl, name)
    assert not again["changed"] and again["requests"]["write"] == 0
