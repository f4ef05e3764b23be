# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, container, objects, pod, pod_annotations

PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
ANNOTATION = "container.apparmor.security.beta.kubernetes.io/collector"


def context(facts=None, **given):
    return container(facts, **given)["securityContext"]


def test_capabilities_come_on_top():
    assert context(capabilities=["SYS_PTRACE", "BPF", "SYS_PTRACE"])["capabilities"] == {"add": ["BPF", "PERFMON", "SYS_PTRACE"], "drop": ["ALL"]}


def test_privilege_leaves_out_what_it_overrides():
    assert context(privileged=True) == {"privileged": True, "readOnlyRootFilesystem": True, "runAsUser": 0}
    assert context(profile="spyderbat") == {"privileged": True}
    assert context(profile="spyderbat", privileged=False, run_as_user=7)["runAsUser"] == 7


def test_seccomp_by_type():
    assert context(seccomp={"type": "Unconfined"})["seccompProfile"] == {"type": "Unconfined"}
    there = {"type": "Localhost", "profile": "profiles/agent.json"}
    assert context(seccomp=there)["seccompProfile"] == {"type": "Localhost", "localhostProfile": "profiles/agent.json"}
    assert "initContainers" not in pod(seccomp=there)


@pytest.mark.parametrize("content", [PROFILE, json.dumps(PROFILE), json.dumps(PROFILE, indent=4)])
def test_a_seccomp_profile_is_brought_to_the_nodes(content):
    given = {"seccomp": {"type": "Localhost", "content": content, "kubelet_root": "/k/"}}
    found, spec = objects(**given), pod(**given)
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    source = found[f"ConfigMap/{volumes['seccomp-source']['configMap']['name']}"]
    [(file, text)] = source["data"].items()
    assert json.loads(text) == PROFILE and file == f"nanoagent-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    assert spec["containers"][0]["securityContext"]["seccompProfile"]["localhostProfile"] == f"nanoagent/{file}"
    [init] = spec["initContainers"]
    assert init["image"] == spec["containers"][0]["image"]
    verb, copied, target = init["args"]
    mounts = {mount["name"]: mount["mountPath"] for mount in init["volumeMounts"]}
    assert verb == "deliver" and copied == f"{mounts['seccomp-source']}/{file}" and target == f"{mounts['seccomp-target']}/nanoagent/{file}"
    assert volumes["seccomp-target"]["hostPath"] == {"path": "/k/seccomp", "type": "DirectoryOrCreate"}
    # An older revision's pods, which ask for another file, keep their own source.
    assert source["immutable"] and file.removesuffix(".json").removeprefix("nanoagent-") in source["metadata"]["name"]
    # The agent itself does not get the folder.
    assert not {mount["name"] for mount in spec["containers"][0]["volumeMounts"]} & {"seccomp-source", "seccomp-target"}
    assert init["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_another_seccomp_profile_has_another_file():
    def name(**changed):
        return context(seccomp={"type": "Localhost", "content": {**PROFILE, **changed}})["seccompProfile"]["localhostProfile"]

    assert name() == name() != name(defaultAction="SCMP_ACT_LOG")


def test_apparmor_by_version():
    given = {"apparmor": {"type": "Localhost", "profile": "agent"}}
    assert context(**given)["appArmorProfile"] == {"type": "Localhost", "localhostProfile": "agent"}
    assert context({"kubernetes": (1, 30)}, **given)["appArmorProfile"]["type"] == "Localhost"
    assert "appArmorProfile" not in context({"kubernetes": (1, 29)}, **given)
    assert pod_annotations({"kubernetes": (1, 29)}, **given)[ANNOTATION] == "localhost/agent"
    assert pod_annotations({"kubernetes": (1, 29)}, apparmor={"type": "RuntimeDefault"})[ANNOTATION] == "runtime/default"
    assert ANNOTATION not in pod_annotations(**given)


def test_a_profile_of_the_node_s_is_for_a_privileged_container_too():
    assert context(privileged=True, apparmor={"type": "Localhost", "profile": "x"})["appArmorProfile"]["localhostProfile"] == "x"


def test_pod_level_switches():
    spec = pod(runtime_class="gvisor", host_network=True, host_pid=True, service_account_token=True)
    assert (spec["runtimeClassName"], spec["hostNetwork"], spec["hostPID"], spec["automountServiceAccountToken"]) == ("gvisor", True, True, True)
    assert spec["dnsPolicy"] == "ClusterFirstWithHostNet" and "dnsPolicy" not in pod() and pod(dns_policy="Default")["dnsPolicy"] == "Default"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"capabilities": ["CAP_BPF"]}, "capabilities has 'CAP_BPF'"),
        ({"capabilities": ["sys_ptrace"]}, "capabilities has 'sys_ptrace'"),
        ({"capabilities": ["SYS_PTRACE"], "privileged": True}, "capabilities mean nothing to a privileged container"),
        ({"seccomp": {"type": "Unconfined"}, "privileged": True}, "seccomp means nothing to a privileged container"),
        ({"seccomp": {"type": "Localhost"}}, "needs either profile or content"),
        ({"seccomp": {"type": "Localhost", "profile": "a", "content": PROFILE}}, "needs either profile or content"),
        ({"seccomp": {"profile": "a"}}, "seccomp.profile means nothing to type RuntimeDefault"),
        ({"seccomp": {"type": "Localhost", "profile": "../a"}}, "seccomp.profile '../a'"),
        ({"seccomp": {"type": "Localhost", "profile": "/a"}}, "seccomp.profile '/a'"),
        ({"seccomp": {"type": "Localhost", "content": "{"}}, "seccomp.content is no JSON"),
        ({"seccomp": {"type": "Localhost", "content": {"syscalls": []}}}, "seccomp.content has no defaultAction"),
        ({"seccomp": {"type": "Localhost", "content": {"defaultAction": "SCMP_ACT_MAYBE"}}}, "seccomp.content has no defaultAction"),
        ({"seccomp": {"type": "Localhost", "content": PROFILE, "kubelet_root": "/var/../x"}}, "seccomp.kubelet_root '/var/../x'"),
        ({"seccomp": {"type": "Localhost", "content": PROFILE, "kubelet_root": "var/lib"}}, "seccomp.kubelet_root 'var/lib'"),
        ({"capabilities": ["ALL"]}, "capabilities has 'ALL'"),
        ({"capabilities": ["SYS_NONSENSE"]}, "capabilities has 'SYS_NONSENSE'"),
        ({"selinux_type": "spc t"}, "selinux_type 'spc t'"),
        ({"apparmor": {"type": "RuntimeDefault"}, "privileged": True}, "apparmor of type RuntimeDefault means nothing to a privileged container"),
        ({"profile": "custom", "run_as_user": 2**31}, "run_as_user 2147483648"),
        ({"seccomp": {"type": "Localhost", "content": PROFILE}, "profile": "custom"}, "cannot be brought to the nodes"),
        ({"apparmor": {"type": "Localhost"}}, "apparmor needs a profile"),
        ({"apparmor": {"profile": "x"}}, "apparmor needs a profile"),
        ({"runtime_class": "Kata"}, "runtime_class 'Kata'"),
        ({"profile": "custom", "run_as_user": -1}, "run_as_user -1"),
    ],
)
def test_what_is_refused(given, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**given))
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
