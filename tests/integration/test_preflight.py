# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module and the role preflight on a real cluster: what stands in the way is told, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.tests.backend.backend import Backend
from ansible_collections.nanoagent.k8s.tests.backend.forward_proxy import ForwardProxy
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, audited, one_line, until

PREFLIGHT = "nanoagent.k8s.preflight"
# What a check of something else need not ask.
ONLY = {
    "room": ["rights", "image", "sizing", "admission"],
    "image": ["rights", "room", "sizing", "admission", "quota"],
    "egress": ["rights", "room", "sizing", "admission", "quota", "image", "runtime_classes"],
}
NAME = "orc.example"


@pytest.fixture
def wanted(options, push, shipped):
    """Options of an agent that fits every node of the local cluster."""
    return {**options, "image": push({"amd64": shipped["amd64"]}), "limit_percent": 5, "registry_access": {"plain_http": True}}


def by_check(result):
    assert not result.get("failed"), result
    found = {}
    for one in result["checks"]:
        found.setdefault(one["check"], []).append(one)
    return found


def results(result):
    return {check: [one["result"] for one in found] for check, found in by_check(result).items()}


def of_namespace(kubectl, name):
    return kubectl("get", "jobs,pods,configmaps,secrets", "-n", name, "-l", "app.kubernetes.io/component=preflight", "-o", "name").split()


def test_all_is_well_before_in_between_and_after(run_tasks, wanted, kubectl, cluster_env, name):
    ahead = {PREFLIGHT: wanted}
    mark = os.path.getsize(cluster_env["AUDIT_LOG"]) if cluster_env.get("AUDIT_LOG") else 0
    [before, checked] = run_tasks([ahead]), run_tasks([ahead], "--check")
    before, checked = before[0], checked[0]
    assert before["ok"] and before["headline"].startswith("errors 0, warnings 0"), before["table"]
    # How much room is left changes with the pods of others.
    alike = [[{**check, "evidence": ""} if check["check"] == "room" else check for check in each["checks"]] for each in (before, checked)]
    assert before["requests"]["write"] == 0 and alike[0] == alike[1] and not before["changed"]
    assert not kubectl("get", "namespace", name, "--ignore-not-found")
    if cluster_env.get("AUDIT_LOG"):
        written = [request for request in audited(cluster_env, mark, name) if request[0] not in ("get", "list") and "dryRun=All" not in request[1]]
        assert not written
    real = set(kubectl("get", "nodes", "-l", "type!=kwok", "-o", "jsonpath={.items[*].metadata.name}").split())
    assert {row["node"] for row in before["nodes"] if row["eligible"] and row["room"] == "fits"} == real

    # Where the namespace is there, the very pod is judged.
    kubectl("create", "namespace", name)
    [between] = run_tasks([ahead])
    assert between["ok"] and any("a pod of the agent" in one["object"] and one["result"] == "ok" for one in by_check(between)["admission"])
    kubectl("delete", "namespace", name)

    run_tasks([{AGENT: wanted}])
    images = "{range .items[*]}{.status.images[*].names}{end}"
    nodes = len(real)
    until(lambda: kubectl("get", "nodes", "-o", f"jsonpath={images}").count(wanted["image"]) == nodes)
    [after] = run_tasks([ahead])
    assert after["ok"] and after["plan"].startswith("create 0, keep "), after["table"]
    assert f"{nodes} of {nodes} eligible nodes hold it already" in by_check(after)["image"][0]["evidence"]


def account(kubectl, cluster_env, name, rules):
    """A kubeconfig of a service account with these rules in the namespace, and no others."""
    kubectl("create", "namespace", name)
    kubectl("create", "serviceaccount", "-n", name, "few")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "few", "namespace": name}, "rules": rules}
    kubectl("apply", "-f", "-", stdin=json.dumps(role))
    kubectl("create", "rolebinding", "-n", name, "few", "--role=few", f"--serviceaccount={name}:few")
    config = yaml.safe_load(Path(cluster_env["KUBECONFIG"]).read_text())
    token = kubectl("create", "token", "-n", name, "few").strip()
    context = next(one for one in config["contexts"] if one["name"] == config["current-context"])
    return {**config, "contexts": [{**context, "context": {**context["context"], "user": "few"}}], "users": [{"name": "few", "user": {"token": token}}]}


def test_missing_rights_are_named_each_with_its_place(run_tasks, wanted, kubectl, cluster_env, name):
    rules = [
        {"apiGroups": ["", "apps"], "resources": ["pods", "configmaps", "daemonsets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["create"]},
    ]
    few = account(kubectl, cluster_env, name, rules)
    [result] = run_tasks([{PREFLIGHT: {**wanted, "kubeconfig": few}}])
    rights = [one for one in by_check(result)["rights"] if one["result"] == "error"]
    said = [one["evidence"] for one in rights]
    assert not result["ok"] and f"the user may not patch daemonsets.apps in namespace {name}" in said
    assert any("nodes in the whole cluster" in one and "list" in one for one in said)
    assert any("which a role that is made hands on" in one and "pods/exec" in one for one in said)
    # What may be done is not complained of.
    assert not any("create" in one and "daemonsets" in one for one in said) and not any(" pods in" in one for one in said)
    told = results(result)
    assert told["plan"] == told["room"] == told["eligibility"] == ["skipped"] and result["plan"] == ""
    assert all(one["fix"] for one in result["checks"] if one["result"] == "error")


def test_the_least_rights_of_the_documentation_are_enough(run_tasks, wanted, kubectl, cluster_env, name):
    text = (Path(__file__).parents[2] / "docs/install.md").read_text()
    start = text.index("    apiVersion: rbac.authorization.k8s.io/v1")
    manifest = "\n".join(line[4:] for line in text[start : text.index("\n\n", start)].splitlines())
    documents = [obj for obj in yaml.safe_load_all(manifest) if obj]
    few = account(kubectl, cluster_env, name, [])
    unique = f"{name}-least"
    subject = f"--serviceaccount={name}:few"
    try:
        for obj in documents:
            cluster_wide = obj["kind"] == "ClusterRole"
            metadata = {"name": unique} if cluster_wide else {"name": unique, "namespace": name}
            kubectl("apply", "-f", "-", stdin=json.dumps({**obj, "metadata": metadata}))
            bind = ["clusterrolebinding", unique, f"--clusterrole={unique}"] if cluster_wide else ["rolebinding", unique, "-n", name, f"--role={unique}"]
            kubectl("create", *bind, subject)
        assert {obj["kind"] for obj in documents} == {"ClusterRole", "Role"}
        [result] = run_tasks([{PREFLIGHT: {**wanted, "kubeconfig": few, "create_namespace": False}}])
        told = results(result)
        assert told["rights"] == ["ok"], by_check(result)["rights"]
        # What it may not read is left out, and is no reason to fail.
        assert told["room"] == told["runtime_classes"] == ["skipped"]
        assert result["ok"], result["errors"]
        # Check mode too, for which the role that a binding names is not there yet.
        [predicted] = run_tasks([{AGENT: {**wanted, "kubeconfig": few, "create_namespace": False}}], "--check")
        assert not predicted.get("failed") and f"create {len(predicted['actions'])}, keep 0" == result["plan"], predicted
        # And the real run, in which a binding must not come before the role whose rights it gives.
        install = {AGENT: {**wanted, "kubeconfig": few, "create_namespace": False, "wait": False}}
        [done, again] = run_tasks([install, install])
        assert not done.get("failed") and done["actions"] == predicted["actions"] and not again["changed"], (done, again)
    finally:
        kubectl("delete", "clusterrole,clusterrolebinding", unique, "--ignore-not-found")


def test_a_full_node_starves_or_displaces(run_tasks, wanted, kubectl, name):
    kubectl("create", "namespace", name)
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]
    where, cores = node["metadata"]["name"], float(node["status"]["allocatable"]["cpu"])
    # Bound without a scheduler: it takes its share whether it starts or not.
    blocker = {"nodeName": where, "containers": [{"name": "c", "image": "registry.invalid/none", "resources": {"requests": {"cpu": f"{cores * 0.8:.1f}"}}}]}
    blocker["tolerations"] = [{"operator": "Exists"}]
    kubectl("apply", "-n", name, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "blocker"}, "spec": blocker}))
    large = {key: value for key, value in wanted.items() if key != "limit_percent"}
    large.update(resources={"requests": {"cpu": f"{cores * 0.3:.1f}"}, "limits": {"cpu": "1", "memory": "128Mi"}}, skip=ONLY["room"])
    tasks = [{PREFLIGHT: large}, {PREFLIGHT: {**large, "priority_class": {"name": name, "value": 1000}}}]
    tasks.append({PREFLIGHT: {**large, "priority_class": {"name": name, "value": 1000, "preemption_policy": "Never"}}})
    [starving, displacing, polite] = run_tasks(tasks)
    for result in (starving, polite):
        found = [one for one in by_check(result)["room"] if one["result"] == "error"]
        assert [one["nodes"] for one in found] == [[where]] and "cpu:" in found[0]["evidence"] and not result["ok"]
    found = [one for one in by_check(displacing)["room"] if one["result"] == "warning"]
    assert [one["nodes"] for one in found] == [[where]] and f"{name}/blocker" in found[0]["evidence"]
    assert next(row for row in displacing["nodes"] if row["node"] == where)["room"].startswith("preempts")


def test_quota_limit_range_and_pod_security(run_tasks, wanted, kubectl, name):
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    kubectl("create", "quota", "-n", name, "few", "--hard=pods=1,count/daemonsets.apps=5")
    bounds = {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}
    kubectl("apply", "-n", name, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": bounds}))
    [result] = run_tasks([{PREFLIGHT: {**wanted, "skip": ["rights", "image", "room"]}}])
    found = by_check(result)
    subjects = {one["object"]: one["evidence"] for one in found["quota"] if one["result"] == "error"}
    assert "pods: 3 more wanted, 1 of 1 left" in subjects[f"ResourceQuota {name}/few"] and "at most 64Mi is allowed" in subjects[f"LimitRange {name}/small"]
    [level] = found["pod_security"]
    assert level["result"] == "error" and "enforces restricted" in level["evidence"] and "BPF, PERFMON" in level["evidence"]
    # The server itself says the same of the very pod.
    assert any(one["result"] == "error" and "a pod of the agent" in one["object"] for one in found["admission"])


def test_an_image_that_no_node_can_have(run_tasks, wanted, push, shipped, cluster_env):
    other = push({"arm64": shipped["arm64"]})
    absent = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    nowhere = f"127.0.0.1:1/tests/agent@{ABSENT_DIGEST}"
    given = {**wanted, "skip": ONLY["image"]}
    tasks = [{PREFLIGHT: {**given, "image": image}} for image in (wanted["image"], other, absent, nowhere)]
    [well, wrong, missing, away, strict] = run_tasks([*tasks, {PREFLIGHT: {**given, "image": nowhere, "strict": ["image"]}}])
    assert results(well)["image"] == ["ok"] and "linux/amd64" in by_check(well)["image"][0]["evidence"]
    [found] = by_check(wrong)["image"]
    assert found["result"] == "error" and "no linux/amd64, only linux/arm64" in found["evidence"]
    assert len(found["nodes"]) == sum(row["eligible"] for row in wrong["nodes"])
    assert results(missing)["image"] == ["error"] and "does not have it" in by_check(missing)["image"][0]["evidence"]
    assert away["ok"] and "connection refused" in by_check(away)["image"][0]["evidence"]
    assert not strict["ok"] and results(strict)["image"] == ["error"]


@pytest.fixture
def place(cluster_env):
    """The machine's address as pods reach it."""
    if not cluster_env.get("KUBE_BINARY"):
        pytest.skip("the pods of a cluster elsewhere do not reach this machine")
    return cluster_env["REGISTRY"].rpartition(":")[0]


def test_the_way_out(run_tasks, wanted, kubectl, name, place, tmp_path):
    authority = Authority(tmp_path / "authority", (NAME, place))
    kubectl("create", "namespace", name)
    with Backend(place, "token", authority.serving(anybody=True), NAME) as backend, ForwardProxy(place, {NAME: place}) as proxy:
        direct = f"https://{place}:{backend.port}"
        given = {**wanted, "skip": ONLY["egress"], "ca_bundle": authority.ca.read_text(), "egress_urls": [direct, f"http://{place}:1/"]}
        through = {**given, "egress_urls": [backend.url], "https_proxy": proxy.url}
        untrusted = {key: value for key, value in {**given, "egress_urls": [direct]}.items() if key != "ca_bundle"}
        unnamed = {**given, "egress_urls": [backend.url]}
        [checked] = run_tasks([{PREFLIGHT: given}], "--check")
        assert results(checked)["egress"] == ["skipped"] and checked["requests"]["write"] == 0
        [mixed, proxied, distrusted, nowhere] = run_tasks([{PREFLIGHT: each} for each in (given, through, untrusted, unnamed)])
    found = {one["object"]: one for one in by_check(mixed)["egress"]}
    assert found[direct]["result"] == "ok" and "answers 4" in found[direct]["evidence"] and f"in namespace {name} on " in found[direct]["evidence"]
    assert found[f"http://{place}:1/"]["result"] == "error" and "ends at connect" in found[f"http://{place}:1/"]["evidence"]
    [told] = by_check(proxied)["egress"]
    assert told["result"] == "ok" and f"through the proxy {proxy.url}" in told["evidence"], told
    [told] = by_check(distrusted)["egress"]
    assert told["result"] == "error" and "ends at tls" in told["evidence"] and "ca_bundle" in told["fix"], told
    [told] = by_check(nowhere)["egress"]
    assert told["result"] == "error" and "ends at dns" in told["evidence"], told
    assert not mixed["ok"] and proxied["ok"]
    until(lambda: not of_namespace(kubectl, name))


@pytest.mark.usefixtures("nodes_alone")
def test_the_way_out_of_several_nodes(run_tasks, wanted, kubectl, name, place, tmp_path):
    kubectl("create", "namespace", name)
    nodes = kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()
    with Backend(place, "token", Authority(tmp_path / "authority", (place,)).serving(anybody=True), NAME) as backend:
        given = {**wanted, "skip": ONLY["egress"], "egress_urls": [f"https://{place}:{backend.port}"], "egress_nodes": str(len(nodes))}
        [found, refused] = run_tasks([{PREFLIGHT: given}, {PREFLIGHT: {**given, "egress_nodes": "all"}}])
    told, *others = by_check(found)["egress"]
    assert not others, [told, *others]
    assert told["result"] == "error" and told["nodes"] == sorted(nodes) and f"the same from {len(nodes) - 1} other nodes" in told["evidence"]
    assert "egress_nodes" in refused["msg"]
    until(lambda: not of_namespace(kubectl, name))


def test_an_image_that_cannot_ask_and_a_namespace_that_lets_no_job_in(run_tasks, wanted, kubectl, cluster_env, name):
    kubectl("create", "namespace", name)
    kubectl("create", "quota", "-n", name, "none", "--hard=pods=0")
    given = {**wanted, "skip": ONLY["egress"], "egress_urls": ["https://orc.example.com"]}
    absent = {"egress_image": f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}", "egress_namespace": "default"}
    [denied, missing, away] = run_tasks([{PREFLIGHT: {**given, **more}} for more in ({}, absent, {"egress_namespace": f"{name}-not"})])
    [told] = by_check(denied)["egress"]
    assert told["result"] == "warning" and "exceeded quota" in told["evidence"]
    [told] = by_check(missing)["egress"]
    assert told["result"] == "warning" and "ImageNotFound" in told["evidence"]
    [told] = by_check(away)["egress"]
    assert told["result"] == "skipped" and "does not exist yet" in told["evidence"]
    until(lambda: not of_namespace(kubectl, name) and not of_namespace(kubectl, "default"))


def children(pid):
    """The processes that a process has started, and those that these have."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


@pytest.fixture
def silent(place):
    """A URL at which a connection is taken and never answered."""
    with socket.create_server((place, 0)) as listener:
        yield f"http://{place}:{listener.getsockname()[1]}/"


def test_what_a_killed_run_left_is_swept_by_the_next(run_tasks, wanted, kubectl, name, silent, tmp_path):
    kubectl("create", "namespace", name)
    given = {**wanted, "skip": ONLY["egress"], "egress_timeout": 15, "egress_urls": [silent]}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{PREFLIGHT: given}],
        "vars": {"ansible_python_interpreter": sys.executable},
    }
    (tmp_path / "killed.yml").write_text(json.dumps([play]))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[2] / ".build/collections")}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(tmp_path / "killed.yml")]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(one.startswith("job") for one in of_namespace(kubectl, name)))
    finally:
        # Ansible's workers have sessions of their own.
        for pid in [*children(running.pid), running.pid]:
            os.kill(pid, signal.SIGKILL)
        running.wait()
    ended = '{.items[*].status.conditions[?(@.status=="True")].type}'
    until(lambda: {"Complete", "Failed"} & set(kubectl("get", "jobs", "-n", name, "-o", f"jsonpath={ended}").split()))
    left = of_namespace(kubectl, name)
    assert left
    [result] = run_tasks([{PREFLIGHT: given}])
    assert results(result)["egress"] == ["error"]
    until(lambda: not of_namespace(kubectl, name))


def test_no_node_is_eligible_and_wrong_input(run_tasks, wanted, kubectl, name):
    refused = [{"egress_urls": ["ftp://a"]}, {"egress_timeout": 1}, {"ring_bytes": 5}, {"skip": ["weather"]}, {"image": "registry.example/a:1"}]
    # In the background it is a module as any other, not a part of Ansible's own process. Asked sooner, Ansible takes a job that a busy
    # machine has not begun yet for one that it cannot find.
    nobody = {PREFLIGHT: {**wanted, "node_selector": {"no": "where"}, "skip": ["rights"]}, "async": 300, "poll": 5}
    [nobody, *failed] = run_tasks([nobody, *({PREFLIGHT: {**wanted, **given}} for given in refused)])
    [found] = by_check(nobody)["eligibility"]
    assert not nobody["ok"] and "no=where" in found["evidence"] and found["result"] == "error"
    assert "for linux/amd64;" in by_check(nobody)["image"][0]["evidence"]
    for result, word in zip(failed, ("egress_urls", "egress_timeout", "ring_bytes", "skip", "digest")):
        assert word in (result["msg"] if word == "skip" else one_line(result))
    [gone] = run_tasks([{PREFLIGHT: {**wanted, "create_namespace": False, "skip": ["rights", "image"]}}])
    assert by_check(gone)["plan"][0]["evidence"] == f"the namespace {name} does not exist" and by_check(gone)["eligibility"][0]["result"] == "ok"


def test_runtime_classes_with_a_kernel_of_their_own(run_tasks, wanted, kubectl, name):
    sandbox = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "runsc"}
    kubectl("apply", "-f", "-", stdin=json.dumps(sandbox))
    try:
        kubectl("create", "namespace", name)
        spec = {"runtimeClassName": name, "containers": [{"name": "c", "image": "registry.invalid/none"}], "tolerations": [{"operator": "Exists"}]}
        kubectl("apply", "-n", name, "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "inside"}, "spec": spec}))
        until(lambda: kubectl("get", "pod", "-n", name, "inside", "-o", "jsonpath={.spec.nodeName}"))
        [result, inside] = run_tasks([{PREFLIGHT: {**wanted, "skip": ["rights", "image"], **more}} for more in ({}, {"runtime_class": name})])
        found = next(one for one in by_check(result)["runtime_classes"] if name in one["object"])
        assert found["result"] == "warning" and "gVisor" in found["evidence"] and "1 pod on " in found["evidence"]
        assert results(inside)["runtime_classes"][0] == "error"
    finally:
        kubectl("delete", "runtimeclass", name)


def test_the_playbook_takes_the_variables_of_the_installation(wanted, cluster_env, name, tmp_path, ansible_playbook):
    variables = {f"agent_{key}": value for key, value in wanted.items()}
    variables.update(preflight_skip=["rights"], ansible_python_interpreter=sys.executable)

    def run(**more):
        (tmp_path / "variables.json").write_text(json.dumps({**variables, **more}))
        return ansible_playbook("nanoagent.k8s.preflight", "-e", f"@{tmp_path / 'variables.json'}")

    well = run()
    assert well.returncode == 0 and "errors 0" in well.stdout and "RESULT" in well.stdout, well.stdout + well.stderr
    failed = run(agent_node_selector={"no": "where"})
    assert failed.returncode != 0 and "none of the" in failed.stdout
    shown = run(agent_node_selector={"no": "where"}, preflight_fail=False)
    assert shown.returncode == 0 and "errors 1" in shown.stdout
