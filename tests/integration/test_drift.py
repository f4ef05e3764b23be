# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people do to an installed agent with kubectl: agent_info lists it, the next run mends it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, INFO, one_line

IMAGE = f"registry.example/collector@{ABSENT_DIGEST}"


@pytest.fixture
def install(options):
    return {AGENT: {**options, "image": IMAGE, "wait": False, "tags": {"team": "security"}}}


@pytest.fixture
def edit(cluster_env):
    """kubectl edit, with a program for sed as the editor."""

    def run(program: str, *arguments: str) -> None:
        environment = {**os.environ, "KUBECONFIG": cluster_env["KUBECONFIG"], "KUBE_EDITOR": f"sed -i {program}"}
        subprocess.run([cluster_env.get("KUBECTL", "kubectl"), "edit", *arguments], env=environment, capture_output=True, check=True)

    return run


def told(info: dict) -> set[tuple]:
    return {(row["object"], row["field"], row["manager"], row["operation"]) for row in info["drift"]}


def test_every_change_is_named_and_the_next_run_mends_it(run_tasks, install, options, kubectl, edit, name):
    [_installed, fresh] = run_tasks([install, {INFO: options}])
    assert (fresh["drift"], fresh["missing"], fresh["drift_unknown"]) == ([], [], "")

    daemon_set, account = f"DaemonSet {name}/{name}", f"ServiceAccount {name}/{name}"
    edit("s/maxUnavailable:.*/maxUnavailable:\\ 3/", "daemonset", name, "-n", name)
    kubectl("set", "image", "-n", name, f"daemonset/{name}", "collector=registry.example/another:1")
    kubectl("patch", "daemonset", name, "-n", name, "--type=json", "-p", '[{"op":"remove","path":"/spec/template/spec/containers/0/livenessProbe"}]')
    kubectl("annotate", "daemonset", name, "-n", name, "example.com/theirs=1")
    kubectl("label", "serviceaccount", name, "-n", name, "--overwrite", "app.kubernetes.io/name=theirs", f"{MEMBER_LABEL}-")
    edit("s/nodes/pods/", "clusterrole", f"{name}.{name}-verifier")
    kubectl("delete", "role", f"{name}-verifier", "-n", name)
    config = kubectl("get", "daemonset", name, "-n", name, "-o", "jsonpath={.spec.template.spec.volumes[?(@.name=='config')].configMap.name}")
    kubectl("delete", "configmap", config, "-n", name)
    kubectl("create", "configmap", config, "-n", name, "--from-literal=collector.json={}")

    [info, judged, ignored] = run_tasks([{INFO: options}, {INFO: {**options, "drift": "fail"}}, {INFO: {**options, "drift": "ignore"}}])
    assert told(info) == {
        (daemon_set, "spec.updateStrategy.rollingUpdate.maxUnavailable", "kubectl-edit", "Update"),
        (daemon_set, "spec.template.spec.containers[collector].image", "kubectl-set", "Update"),
        *((daemon_set, field, "", "") for field in {row["field"] for row in info["drift"]} if ".livenessProbe" in field),
        (account, "metadata.labels.app.kubernetes.io/name", "kubectl-label", "Update"),
        (account, f"metadata.labels.{MEMBER_LABEL}", "", ""),
        (f"ClusterRole {name}.{name}-verifier", "rules", "kubectl-edit", "Update"),
        (f"ConfigMap {name}/{config}", "*", "kubectl-create", "Update"),
    }
    assert any(".livenessProbe" in row["field"] for row in info["drift"])
    assert all(row["at"].startswith("20") == bool(row["manager"]) for row in info["drift"])
    assert info["missing"] == [f"Role {name}/{name}-verifier"] and info["drift_unknown"] == ""
    assert not set(judged["causes"]) <= set(info["causes"]) and not judged["ok"]
    assert f"Role {name}/{name}-verifier is missing" in judged["causes"]
    assert any(cause.startswith(f"{daemon_set}: spec.updateStrategy.rollingUpdate.maxUnavailable changed by kubectl-edit at 20") for cause in judged["causes"])
    assert "drift" not in ignored and "missing" not in ignored

    [refused, mended, clean, again] = run_tasks([install, {AGENT: {**install[AGENT], "force_conflicts": True}}, {INFO: options}, install])
    assert "force_conflicts" in one_line(refused)
    assert mended["changed"] and (clean["drift"], clean["missing"], clean["drift_unknown"]) == ([], [], "")
    assert not again["changed"] and again["requests"]["write"] == 0
    assert json.loads(kubectl("get", "daemonset", name, "-n", name, "-o", "json"))["metadata"]["annotations"]["example.com/theirs"] == "1"


def test_the_verdict_stays_unless_drift_shall_fail(run_tasks, options, push, shipped, kubectl, name):
    run_tasks([{AGENT: {**options, "image": push(shipped)}}])
    kubectl("label", "serviceaccount", name, "-n", name, "--overwrite", "app.kubernetes.io/name=theirs")
    [report, fail] = run_tasks([{INFO: options}, {INFO: {**options, "drift": "fail"}}])
    assert report["ok"] and report["causes"] == [] and len(report["drift"]) == 1
    assert not fail["ok"] and len(fail["causes"]) == 1 and "changed by kubectl-label" in fail["causes"][0]


def test_a_memory_that_is_gone_or_edited(run_tasks, install, options, kubectl, name):
    run_tasks([install])
    kubectl("patch", "configmap", name, "-n", name, "--field-manager=somebody", "-p", '{"data":{"objects.json":"[]"}}')
    [edited] = run_tasks([{INFO: options}])
    assert told(edited) == {(f"ConfigMap {name}/{name}", "data.objects.json", "somebody", "Update")}
    kubectl("delete", "configmap", name, "-n", name)
    [gone, judged] = run_tasks([{INFO: options}, {INFO: {**options, "drift": "fail"}}])
    assert gone["drift"] == [] and f"ConfigMap {name}/{name}" in gone["drift_unknown"]
    assert not judged["ok"] and any("is not known" in cause for cause in judged["causes"])
    [mended, clean] = run_tasks([install, {INFO: options}])
    assert mended["changed"] and (clean["drift"], clean["missing"], clean["drift_unknown"]) == ([], [], "")


def test_who_may_not_look_is_told(run_tasks, install, options, kubectl, name):
    run_tasks([install])
    token = kubectl("create", "token", "-n", name, f"{name}-verifier").strip()
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    for user in config["users"]:
        user["user"] = {"token": token}
    [info] = run_tasks([{INFO: {**options, "kubeconfig": config}}])
    assert not info.get("failed") and info["drift"] == [] and "may not get configmaps" in info["drift_unknown"]


def test_nothing_installed(run_tasks, options):
    [info] = run_tasks([{INFO: options}])
    assert not info["installed"] and info["drift"] == info["missing"] == [] and "does not exist" in info["drift_unknown"]
