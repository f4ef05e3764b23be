# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules agent and agent_info on a real cluster: check mode, apply, apply again, wrong input."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, INFO, audited, one_line, pods


def test_from_nothing_to_proof_and_back(run_tasks, options, push, shipped, kubectl, cluster_env, name):
    image = push(shipped)
    install = {AGENT: {**options, "image": image, "priority_class": {"name": name}}}

    [predicted] = run_tasks([install], "--check", "--diff")
    assert predicted["changed"] and not kubectl("get", "namespace", name, "--ignore-not-found")

    mark = os.path.getsize(cluster_env["AUDIT_LOG"]) if cluster_env.get("AUDIT_LOG") else 0
    [first] = run_tasks([install])
    assert first["changed"] and first["actions"] == predicted["actions"]
    if cluster_env.get("AUDIT_LOG"):
        assert [verb for verb, _path in audited(cluster_env, mark, name)].count("patch") == first["requests"]["write"] == len(first["actions"])
    counts = first["summary"]
    assert counts["ready"] == counts["eligible"] == counts["nodes"] > 0
    before = pods(kubectl, name)

    mark = os.path.getsize(cluster_env["AUDIT_LOG"]) if cluster_env.get("AUDIT_LOG") else 0
    [check, second] = run_tasks([install, install], "--diff")
    assert not check["changed"] and not second["changed"]
    assert second["requests"]["write"] == 0
    if cluster_env.get("AUDIT_LOG"):
        requests = audited(cluster_env, mark, name)
        assert requests and not [request for request in requests if request[0] not in ("get", "list", "watch")], requests
    assert pods(kubectl, name) == before

    [info] = run_tasks([{INFO: {**options, "live": True}}])
    assert info["ok"] and info["causes"] == []
    for row in info["nodes"]:
        assert row["state"] == "ready" and row["proof"]["proven"] and row["proof"]["latency_ms"] > 0, row
    assert {row["node"] for row in info["nodes"]} == set(before)

    remove = {AGENT: {**options, "state": "absent"}}
    [predicted] = run_tasks([remove], "--check")
    [gone, again] = run_tasks([remove, remove])
    assert gone["changed"] and gone["actions"] == predicted["actions"]
    assert not again["changed"] and again["requests"]["write"] == 0
    kinds = "priorityclasses,clusterroles,clusterrolebindings,namespaces"
    assert name not in kubectl("get", kinds, "-o", "name")


def test_an_upgrade_replaces_every_pod_and_a_wrong_one_names_its_cause(run_tasks, options, push, shipped, kubectl, name, cluster_env):
    old, new = push(shipped, release="old"), push(shipped, release="new")
    run_tasks([{AGENT: {**options, "image": old}}])
    before = pods(kubectl, name)
    [upgraded] = run_tasks([{AGENT: {**options, "image": new, "max_unavailable": "100%"}}])
    # The ConfigMap is the set's parent, which remembers what was applied.
    assert [action["object"] for action in upgraded["actions"] if action["action"] != "keep"] == [f"ConfigMap {name}/{name}", f"DaemonSet {name}/{name}"]
    after = pods(kubectl, name)
    assert after.keys() == before.keys() and not {uid for uid, _restarts in after.values()} & {uid for uid, _restarts in before.values()}

    broken = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    [failed] = run_tasks([{AGENT: {**options, "image": broken, "max_unavailable": "1", "wait_timeout": 120, "rollback": False}}])
    message = one_line(failed)
    assert "cannot succeed" in message and "ImageNotFound" in message and "OldRevision" in message
    assert failed["summary"]["ready"] < failed["summary"]["eligible"] and not failed["rolled_back"]

    [mended] = run_tasks([{AGENT: {**options, "image": new, "max_unavailable": "1"}}])
    assert mended["changed"] and mended["summary"]["ready"] == mended["summary"]["eligible"]


def test_a_crash_is_told_with_its_log(run_tasks, options, push, liar):
    [failed] = run_tasks([{AGENT: {**options, "image": push(liar("crash")), "architectures": ["amd64"], "wait_timeout": 120}}])
    message = one_line(failed)
    assert "CrashLoopBackOff" in message and "exit code 7" in message and "no luck today" in message


def test_a_collector_that_has_seen_nothing_proves_nothing(run_tasks, options, push, liar):
    tasks = [{AGENT: {**options, "image": push(liar("calm")), "architectures": ["amd64"]}}, {INFO: {**options, "live": True}}]
    [_installed, info] = run_tasks(tasks)
    assert info["summary"]["ready"] == info["summary"]["eligible"] > 0
    assert not info["ok"] and info["summary"]["proven"] == 0
    assert all("nonce" in row["proof"]["reason"] for row in info["nodes"])


def test_a_denied_pod_is_told_with_the_rule(run_tasks, options, push, shipped, kubectl, name):
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    [failed] = run_tasks([{AGENT: {**options, "image": push(shipped), "wait_timeout": 120}}])
    message = one_line(failed)
    assert "PodSecurity on " in message and "violates PodSecurity" in message and "cannot succeed" in message
    # The namespace was there before: it stays.
    [gone] = run_tasks([{AGENT: {**options, "state": "absent"}}])
    assert gone["changed"] and kubectl("get", "namespace", name, "-o", "name")
    assert not kubectl("get", "daemonsets,configmaps,serviceaccounts,roles,rolebindings", "-n", name, "-o", "name", "-l", "app.kubernetes.io/name=nanoagent")


@pytest.mark.usefixtures("nodes_alone")
def test_tainted_and_cordoned_nodes_show_as_such(run_tasks, options, push, shipped, kubectl, name):
    workers = kubectl("get", "nodes", "-l", "!node-role.kubernetes.io/control-plane", "-o", "jsonpath={.items[*].metadata.name}").split()
    tainted, cordoned = workers[0], workers[1]
    kubectl("taint", "node", tainted, f"{name}=x:NoSchedule")
    try:
        kubectl("cordon", cordoned)
        control_plane = [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]
        [_installed, info] = run_tasks([{AGENT: {**options, "image": push(shipped), "tolerations": control_plane}}, {INFO: options}])
        rows = {row["node"]: row for row in info["nodes"]}
        assert rows[tainted]["state"] == "not eligible" and f"{name}=x:NoSchedule" in rows[tainted]["detail"]
        assert rows[cordoned]["state"] == "ready" and rows[cordoned]["cordoned"]
        assert any("ready (cordoned)" in line for line in info["table"])
        desired = kubectl("get", "daemonset", "-n", name, name, "-o", "jsonpath={.status.desiredNumberScheduled}")
        assert info["summary"]["eligible"] == int(desired) and info["ok"]
    finally:
        kubectl("taint", "node", tainted, f"{name}-")
        kubectl("uncordon", cordoned)


def test_no_eligible_node_is_refused_before_anything_is_written(run_tasks, options, push, shipped, kubectl, name):
    [failed] = run_tasks([{AGENT: {**options, "image": push(shipped), "node_selector": {"no": "where"}}}])
    message = one_line(failed)
    assert "none of the" in message and "no=where" in message
    assert not kubectl("get", "namespace", name, "--ignore-not-found")


def test_fields_of_another_manager_are_named_and_taken_only_on_demand(run_tasks, options, push, shipped, kubectl, name):
    install = {**options, "image": push(shipped), "wait": False}
    run_tasks([{AGENT: install}])
    kubectl("patch", "daemonset", "-n", name, name, "--field-manager=somebody", "-p", '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":3}}}}')
    [refused, taken, again] = run_tasks([{AGENT: install}, {AGENT: {**install, "force_conflicts": True}}, {AGENT: install}])
    message = one_line(refused)
    assert "maxUnavailable" in message and "held by somebody" in message and "force_conflicts" in message
    assert taken["changed"] and not again["changed"]


def test_what_is_no_longer_wanted_is_pruned(run_tasks, options, push, shipped, kubectl, name):
    install = {**options, "image": push(shipped), "max_unavailable": "100%"}
    login = {"registry": "registry.example", "username": "u", "password": "canary-f00dfeed", "secret_name": f"{name}-login"}
    [first, second, third] = run_tasks([{AGENT: {**install, "registry_login": login, "wait": False}}, {AGENT: install}, {AGENT: install}], "--diff", "-vvv")
    assert {"action": "delete", "object": f"Secret {name}/{name}-login", "fields": []} in second["actions"]
    assert first["changed"] and second["changed"] and not third["changed"]
    assert not kubectl("get", "secrets", "-n", name, "-o", "name")
    told = run_tasks.process.stdout + run_tasks.process.stderr
    assert "canary-f00dfeed" not in told and "dTpjYW5hcnktZjAwZGZlZWQ" not in told


def test_without_waiting_what_the_former_pods_mount_stays(run_tasks, options, push, shipped, kubectl, name):
    def config_maps():
        return set(kubectl("get", "configmaps", "-n", name, "-l", "applyset.kubernetes.io/part-of", "-o", "name").split())

    given = {**options, "image": push(shipped), "max_unavailable": "100%"}
    run_tasks([{AGENT: given}])
    before, changed = config_maps(), {**given, "cluster_name": "other"}
    [hasty] = run_tasks([{AGENT: {**changed, "wait": False}}])
    assert hasty["changed"] and not [action for action in hasty["actions"] if action["action"] == "delete"]
    assert before < config_maps()
    [patient, again] = run_tasks([{AGENT: changed}, {AGENT: changed}])
    assert [action["action"] for action in patient["actions"] if action["action"] != "keep"] == ["delete"] and not again["changed"]
    assert not before & config_maps()


def test_the_verifier_s_rights_suffice_for_proof_and_for_nothing_else(run_tasks, options, push, shipped, kubectl, cluster_env, name):
    image = push(shipped)
    run_tasks([{AGENT: {**options, "image": image}}])
    token = kubectl("create", "token", "-n", name, f"{name}-verifier").strip()
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    for user in config["users"]:
        user["user"] = {"token": token}
    limited = {**options, "kubeconfig": config}
    [info, removal] = run_tasks([{INFO: {**limited, "live": True}}, {AGENT: {**limited, "state": "absent"}}], "-vvvv")
    assert info["ok"] and info["summary"]["proven"] == info["summary"]["eligible"]
    told = run_tasks.process.stdout + run_tasks.process.stderr + json.dumps([info, removal])
    assert token not in told
    message = one_line(removal)
    assert f"system:serviceaccount:{name}:{name}-verifier may not" in message and "grant the verb" in message


def test_without_the_right_to_list_nodes_nothing_is_green(run_tasks, options, kubectl, name):
    kubectl("create", "namespace", name)
    kubectl("create", "serviceaccount", "-n", name, "powerless")
    token = kubectl("create", "token", "-n", name, "powerless").strip()
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    for user in config["users"]:
        user["user"] = {"token": token}
    [failed] = run_tasks([{INFO: {**options, "kubeconfig": config}}])
    assert "powerless may not" in one_line(failed)


def test_an_api_server_that_is_not_there_or_refuses(run_tasks, options, kubectl, tmp_path):
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    image = f"registry.example/c@{ABSENT_DIGEST}"

    def with_cluster(**changed):
        return {**config, "clusters": [{"name": c["name"], "cluster": {**c["cluster"], **changed}} for c in config["clusters"]]}

    gone = with_cluster(server="https://127.0.0.1:1")
    stale = {**config, "users": [{"name": user["name"], "user": {"token": "expired"}} for user in config["users"]]}
    other = {"server": config["clusters"][0]["cluster"]["server"]}
    untrusted = {**config, "clusters": [{"name": c["name"], "cluster": other} for c in config["clusters"]]}
    results = run_tasks([{AGENT: {**options, "image": image, "kubeconfig": given}} for given in (gone, stale, untrusted, str(tmp_path / "none"))])
    messages = [one_line(result) for result in results]
    assert "https://127.0.0.1:1 cannot be reached: " in messages[0] and "refused" in messages[0]
    assert "refused the credentials (401 Unauthorized)" in messages[1]
    assert "certificate" in messages[2] and "ca_cert" in messages[2]
    assert "does not exist" in messages[3]


def test_wrong_options_are_refused(run_tasks, options):
    image = f"registry.example/c@{ABSENT_DIGEST}"
    wrong = [
        {"image": "registry.example/c:latest"},
        {"image": image, "max_unavailable": "many"},
        {"image": image, "priority_class": {"name": "p", "value": 2_000_000_000}},
        {"image": image, "state": "rendered", "ring_bytes": 5},
    ]
    for result in run_tasks([{AGENT: {**options, **given}} for given in wrong]):
        one_line(result)
    [unknown, missing] = run_tasks([{AGENT: {**options, "image": image, "imagee": image}}, {AGENT: options}])
    assert "imagee" in unknown["msg"] and "image is missing" in one_line(missing)


def test_rendered_manifests_are_what_the_server_takes(run_tasks, options, push, shipped, kubectl, name):
    given = {**options, "image": push(shipped), "state": "rendered", "priority_class": {"name": name}}
    [one, two] = run_tasks([{AGENT: given}, {AGENT: given}])
    assert one["manifest"] == two["manifest"] and not one["changed"]
    kubectl("create", "namespace", name)
    answer = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=one["manifest"])
    assert answer.count("serverside-applied (server dry run)") == len(one["manifests"])


def test_local_storage_is_asked_for_where_every_node_accounts_for_it(run_tasks, options, push, shipped, kubectl, name):
    install = {AGENT: {**options, "image": push(shipped)}}
    [first, second] = run_tasks([install, install])
    assert first["summary"]["ready"] == first["summary"]["nodes"] > 0 and not second["changed"]
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    container = json.loads(kubectl("get", "daemonset", "-n", name, name, "-o", "json"))["spec"]["template"]["spec"]["containers"][0]
    everywhere = all("ephemeral-storage" in node["status"]["allocatable"] for node in nodes)
    assert ("ephemeral-storage" in container["resources"]["requests"]) is everywhere
