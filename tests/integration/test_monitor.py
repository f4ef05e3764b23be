# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own cluster monitor on a real cluster: what it says, who of several speaks, what it does without a right, and its end."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils import monitor_bundled
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, IMAGE, one_line, until
from checkout import CHECKOUT

BINARIES = {arch: str(CHECKOUT / f"files/monitor/bin/monitor-linux-{arch}") for arch in ("amd64", "arm64")}
SMALL = {"requests": {"cpu": "1m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
CANARY = "canary-0ff1ce"


@pytest.fixture
def monitor_image(run_tasks, cluster_env):
    given = {"program": "monitor", "name": f"{cluster_env['REGISTRY']}/tests/monitor:1", "plain_http": True, "binaries": BINARIES}
    [first, second] = run_tasks([{IMAGE: given}, {IMAGE: given}])
    assert not first.get("failed") and first["image"] == second["image"] and not second["changed"], first
    return first["image"]


@pytest.fixture
def monitored(options, push, shipped, monitor_image):
    """Options of an agent with a monitor."""

    def given(**monitor):
        return {**options, "image": push(shipped), "resources": SMALL, "monitor": {"enabled": True, "image": monitor_image, "resources": SMALL, **monitor}}

    return given


@pytest.fixture
def monitors(kubectl, name):
    """Names of the monitor's pods that run and are not on their way out."""

    def found() -> list[str]:
        items = json.loads(kubectl("get", "pods", "-n", name, "-l", "app.kubernetes.io/component=cluster-monitor", "-o", "json"))["items"]
        staying = [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]
        return sorted(pod["metadata"]["name"] for pod in staying if any("running" in status["state"] for status in pod["status"].get("containerStatuses", [])))

    return found


@pytest.fixture
def said(kubectl, name):
    """Lines of a monitor's pod."""

    def lines(pod: str) -> list[dict]:
        return [json.loads(line) for line in kubectl("logs", "-n", name, pod).splitlines()]

    return lines


def about(lines: list[dict], kind: str, namespace: str) -> list[dict]:
    return [line for line in lines if line["type"] == "object" and (line["kind"], line.get("namespace")) == (kind, namespace)]


def sleeper(name: str, image: str) -> str:
    """A Deployment of one pod that waits for a socket that never comes."""
    container = {
        "name": "sleeper",
        "image": image,
        "command": ["/monitor", "health", "ready", "--wait", "600s"],
        "env": [{"name": "PASSWORD", "value": CANARY}],
        "securityContext": {"capabilities": {"add": ["NET_RAW"]}},
    }
    labels = {"app": "sleeper"}
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "sleeper", "namespace": name}, "spec": body})


def test_it_is_given_the_rights_that_it_names():
    done = subprocess.run([BINARIES["amd64"], "rights"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == monitor_bundled.rules({})


@pytest.mark.parametrize("archive", [False, True], ids=["pushed", "archived"])
def test_the_roles_build_its_image_and_hand_it_on(cluster_env, tmp_path, archive, ansible_playbook):
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    play["tasks"] = [{"ansible.builtin.include_role": {"name": f"nanoagent.k8s.{role}"}} for role in ("collector_image", "agent")]
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    (tmp_path / "manifests").mkdir()
    variables = {
        "collector_image_name": f"{cluster_env['REGISTRY']}/tests/roles:1",
        "collector_image_plain_http": True,
        "agent_monitor": {"enabled": True},
        "agent_state": "rendered",
        "agent_render_dir": str(tmp_path / "manifests"),
        "ansible_python_interpreter": sys.executable,
        **({"collector_image_monitor_archive": str(tmp_path / "monitor.tar")} if archive else {}),
    }
    done = ansible_playbook(tmp_path / "play.yml", "-e", json.dumps(variables))
    assert done.returncode == 0, done.stdout + done.stderr
    objects = list(yaml.safe_load_all((tmp_path / "manifests/bundle.yaml").read_text()))
    images = {obj["kind"]: obj["spec"]["template"]["spec"]["containers"][0]["image"] for obj in objects if obj["kind"] in ("DaemonSet", "Deployment")}
    repository = f"{cluster_env['REGISTRY']}/tests/roles@sha256:"
    assert len(set(images.values())) == 2 and all(image.startswith(repository) for image in images.values()), images
    assert (tmp_path / "monitor.tar").exists() is archive


def test_it_says_what_happens_to_a_pod(run_tasks, monitored, monitor_image, monitors, said, kubectl, name):
    given = monitored()
    [predicted] = run_tasks([{AGENT: given}], "--check")
    [first, second] = run_tasks([{AGENT: given}, {AGENT: given}])
    assert not first.get("failed") and first["summary"]["ready"] == first["summary"]["eligible"] > 0, first
    assert [action["object"] for action in predicted["actions"]] == [action["object"] for action in first["actions"]]
    # What was read of each kind says that the monitor is well.
    assert not second["changed"] and second["requests"] == {"read": 14, "write": 0}, second
    [monitor] = monitors()
    begin = said(monitor)[0]
    assert (begin["type"], begin["phase"], begin["reason"], begin["monitor"]) == ("snapshot", "begin", "start", monitor) and "missing" not in begin

    kubectl("apply", "-f", "-", stdin=sleeper(name, monitor_image))

    def heard() -> list[dict]:
        return [line for line in about(said(monitor), "Pod", name) if (line.get("workload") or {}).get("name") == "sleeper"]

    until(lambda: [line for line in heard() if line["facts"]["phase"] == "Running"])
    [pod] = json.loads(kubectl("get", "pods", "-n", name, "-l", "app=sleeper", "-o", "json"))["items"]
    lines = heard()
    last, [container] = lines[-1], lines[-1]["facts"]["containers"]
    assert lines[0]["change"] == "added" and {line["change"] for line in lines[1:]} == {"changed"}
    assert (last["uid"], last["facts"]["node"]) == (pod["metadata"]["uid"], pod["spec"]["nodeName"])
    assert (last["workload"]["kind"], last["workload"]["name"]) == ("Deployment", "sleeper")
    assert [owner["kind"] for owner in last["owners"]] == ["ReplicaSet", "Deployment"]
    assert pod["status"]["containerStatuses"][0]["containerID"] == f"containerd://{container['id']}"
    assert container["image"] == monitor_image and container["capabilities"] == ["NET_RAW"] and last["by"]["manager"] == "kubelet"

    kubectl("delete", "deployment", "-n", name, "sleeper")
    gone = until(lambda: [line for line in about(said(monitor), "Pod", name) if line["change"] == "removed" and line["uid"] == last["uid"]])
    assert gone[0]["workload"] == last["workload"]
    [deployment, *_more] = about(said(monitor), "Deployment", name)
    assert deployment["change"] in ("present", "added")
    assert CANARY not in kubectl("logs", "-n", name, monitor)
    assert not {line["kind"] for line in said(monitor) if line["type"] == "object"} & {"Secret", "ConfigMap"}


def test_of_two_one_speaks_and_the_other_takes_over(run_tasks, monitored, monitors, said, kubectl, name):
    given = monitored(replicas=2)
    [first, second] = run_tasks([{AGENT: given}, {AGENT: given}])
    assert not first.get("failed"), first
    assert not second["changed"] and second["requests"]["write"] == 0, second
    assert kubectl("get", "poddisruptionbudget", "-n", name, f"{name}-monitor", "-o", "name")
    pods = until(monitors)
    [speaker] = until(lambda: [pod for pod in pods if said(pod)])
    [other] = [pod for pod in pods if pod != speaker]
    assert len(pods) == 2 and said(other) == []
    assert kubectl("get", "lease", "-n", name, f"{name}-monitor", "-o", "jsonpath={.spec.holderIdentity}") == speaker

    kubectl("delete", "pod", "-n", name, speaker, "--wait=false")
    heirs = until(lambda: [pod for pod in monitors() if pod != speaker and said(pod)])
    assert len(heirs) == 1
    begin = said(heirs[0])[0]
    assert (begin["phase"], begin["reason"], begin["monitor"]) == ("begin", "takeover", heirs[0])
    assert begin["previous"]["monitor"] in (speaker, "")


def test_a_right_that_is_missing_is_named_and_the_next_run_brings_it_back(run_tasks, monitored, monitors, said, kubectl, name):
    given = monitored()
    [first] = run_tasks([{AGENT: given}])
    assert not first.get("failed"), first
    role = f"{name}.{name}-monitor"
    rules = json.loads(kubectl("get", "clusterrole", role, "-o", "json"))["rules"]
    less = [{**rule, "resources": [resource for resource in rule["resources"] if resource != "services"]} for rule in rules]
    kubectl("patch", "clusterrole", role, "--type=json", "-p", json.dumps([{"op": "replace", "path": "/rules", "value": less}]))
    [old] = monitors()
    kubectl("delete", "pod", "-n", name, old)
    [new] = until(monitors)
    begin = until(lambda: said(new))[0]
    assert begin["missing"] == {"services": "no right to list"} and "services" not in begin["watched"] and "pods" in begin["watched"]
    assert about(said(new), "DaemonSet", name) and not about(said(new), "Service", "default")
    with pytest.raises(AssertionError, match="exit code 1"):
        kubectl("exec", "-n", name, new, "--", "/monitor", "health", "ready")
    assert kubectl("get", "pod", "-n", name, new, "-o", "jsonpath={.status.containerStatuses[0].restartCount}") == "0"

    [again] = run_tasks([{AGENT: {**given, "force_conflicts": True}}])
    assert not again.get("failed") and again["changed"], again
    until(lambda: about(said(new), "Service", "default"))
    assert monitors() == [new] and [line["missing"] for line in said(new) if line["type"] == "coverage" and line.get("missing")] == []


def test_a_monitor_that_cannot_read_fails_the_run_with_its_own_words(run_tasks, monitored, kubectl, name):
    nowhere = {"extra_env": [{"name": "KUBERNETES_SERVICE_PORT", "value": "1"}], "wait_timeout": 30}
    [result] = run_tasks([{AGENT: {**monitored(), **nowhere}}])
    message = one_line(result)
    assert f"Deployment {name}/{name}-monitor did not become available within 30 s" in message and "not read yet: " in message


def test_its_end_leaves_nothing(run_tasks, monitored, kubectl, name):
    given = monitored(replicas=2)
    gone = {key: given[key] for key in ("kubeconfig", "name", "namespace")}
    kubectl("create", "namespace", name)
    [first, last, again] = run_tasks([{AGENT: given}, {AGENT: {**gone, "state": "absent"}}, {AGENT: {**gone, "state": "absent"}}])
    assert not first.get("failed") and not last.get("failed") and not again["changed"], (first, last)
    ours = f"app.kubernetes.io/instance={name}"
    left = kubectl("get", "deployments,leases,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,pods,pdb", "-n", name, "-o", "name", "-l", ours)
    assert not left and not kubectl("get", "clusterroles,clusterrolebindings", "-o", "name", "-l", ours)
    assert not kubectl("get", "leases", "-n", name, "-o", "name")


def test_what_it_cannot_be_is_refused_before_anything_is_written(run_tasks, monitored, kubectl, name):
    given = monitored()
    wrong = [{"monitor": {"enabled": True}}, {"rbac": "respond"}, {"rbac": "cluster_admin"}, {"monitor": {"enabled": True, "image": given["image"]}}]
    for result in run_tasks([{AGENT: {**given, **each}} for each in wrong]):
        one_line(result)
    assert not kubectl("get", "namespace", name, "--ignore-not-found")
