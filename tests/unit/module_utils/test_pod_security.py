# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_security import level_of, violations
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import daemon_set

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
