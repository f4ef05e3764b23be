# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_security import LABEL, level_of, notes, verdict, violations
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, daemon_set

GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def template(context=None, annotations=None, container=None, **spec):
    return {
        "metadata": {"annotations": annotations or {}},
        "spec": {"containers": [{"name": "c", "securityContext": GOOD if context is None else context, **(container or {})}], **spec},
    }


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        (template(hostNetwork=True), "hostNetwork"),
        (template(hostPID=True), "hostPID"),
        (template(hostIPC=True), "hostIPC"),
        (template(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "hostPath volumes (v)"),
        (template({**GOOD, "privileged": True}), "privileged"),
        (template({**GOOD, "capabilities": {"add": ["BPF", "CHOWN"], "drop": ["ALL"]}}), "adds the capabilities BPF"),
        (template(container={"ports": [{"hostPort": 80}]}), "host ports 80"),
        (template({**GOOD, "procMount": "Unmasked"}), "procMount"),
        (template({**GOOD, "seLinuxOptions": {"type": "spc_t"}}), "SELinux"),
        (template(securityContext={"seccompProfile": {"type": "Unconfined"}}), "the pod has seccompProfile"),
        (template({**GOOD, "appArmorProfile": {"type": "Unconfined"}}), "appArmorProfile"),
        (template(annotations={"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}), "AppArmor"),
        (template(securityContext={"sysctls": [{"name": "kernel.msgmax"}]}), "kernel.msgmax"),
        (template(container={"livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}), "another host"),
        (template({**GOOD, "windowsOptions": {"hostProcess": True}}), "host process"),
    ],
)
def test_what_baseline_and_with_it_restricted_forbids(pod, word):
    for level in ("baseline", "restricted"):
        assert word in " | ".join(violations(pod, level))
    assert violations(pod, "privileged") == [] == violations(pod, "")


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        (template({**GOOD, "allowPrivilegeEscalation": None}), "privilege escalation"),
        (template({**GOOD, "capabilities": {}}), "does not drop all"),
        (template({**GOOD, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}), "beside NET_BIND_SERVICE"),
        (template({**GOOD, "runAsNonRoot": None}), "may run as root"),
        (template({**GOOD, "runAsUser": 0}), "runs as user 0"),
        (template({key: value for key, value in GOOD.items() if key != "seccompProfile"}), "no seccomp profile"),
        (template(volumes=[{"name": "n", "nfs": {"server": "s"}}]), "restricted types (n)"),
    ],
)
def test_what_only_restricted_forbids(pod, word):
    assert violations(pod, "baseline") == []
    assert word in " | ".join(violations(pod, "restricted"))


@pytest.mark.parametrize(
    "pod",
    [
        template(),
        template({**GOOD, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}),
        template(
            {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}},
        ),
        template(volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "x"}}]),
    ],
)
def test_what_restricted_allows(pod):
    assert violations(pod, "restricted") == []


def test_our_agent_needs_host_paths_and_two_capabilities():
    broken = violations(daemon_set()["spec"]["template"], "baseline")
    assert len(broken) == 2 and "BPF, PERFMON" in broken[1]
    assert violations(daemon_set(profile="spyderbat", require_digest=False)["spec"]["template"], "baseline")[:2] == ["hostNetwork: true", "hostPID: true"]


def test_the_level_of_a_namespace():
    assert level_of({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}) == "baseline"
    assert level_of({"metadata": {}}) == ""


def namespace(level):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "nanoagent", "labels": {LABEL: level} if level else {}}}


def lines(home=None, **given):
    options = agent_options(**given)
    desired = desired_objects(options)
    live = {("Namespace", "", "nanoagent"): home} if home else {}
    return notes(options, plan(desired, live, [], "nanoagent.k8s"), home, desired[-1]["spec"]["template"])


def test_the_plan_has_a_line_where_the_namespace_refuses_the_pod():
    [line] = lines(pod_security="restricted")
    assert line.startswith("the namespace nanoagent enforces restricted, and the pod has hostPath volumes (")
    assert line.endswith(": pods are refused where the cluster has no exemption; set pod_security: privileged") and " and 1 more: " in line
    [line] = lines(pod_security="baseline")
    assert "enforces baseline" in line and "adds the capabilities BPF, PERFMON" in line
    [line] = lines(namespace("baseline"), create_namespace=False)
    assert line.endswith("label it pod-security.kubernetes.io/enforce=privileged")
    # Of a namespace of ours somebody else may have set the label.
    assert lines(namespace("restricted"), pod_security="unset")
    assert lines(namespace_labels={LABEL: "baseline"}, pod_security="unset")


@pytest.mark.parametrize(
    ("home", "given"),
    [
        (None, {}),
        (None, {"pod_security": "unset"}),
        (namespace("restricted"), {}),
        (namespace(""), {"create_namespace": False}),
        (namespace("privileged"), {"create_namespace": False, "pod_security": "restricted"}),
    ],
)
def test_it_has_none_where_the_namespace_lets_it_in_or_says_nothing(home, given):
    assert lines(home, **given) == []


def test_a_level_that_the_run_takes_away_holds_no_longer():
    step = {"action": "patch", "fields": [f"metadata.labels.{LABEL}"], "desired": namespace(""), "live": namespace("restricted")}
    pod = daemon_set()["spec"]["template"]
    assert verdict([step], namespace("restricted"), pod)[0] == "" and verdict([{**step, "fields": []}], namespace("restricted"), pod)[0] == "restricted"


def test_manifests_come_with_the_line_too():
    assert any("enforces restricted" in note for note in work(agent_options(state="rendered", pod_security="restricted"), Run())["notes"])
    assert not any("enforces" in note for note in work(agent_options(state="rendered"), Run())["notes"])
