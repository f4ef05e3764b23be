# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Platforms, from API answers that were composed from each platform's documentation (tests/unit/data/platforms)."""

import copy
import json
import re
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import (
    adjust,
    autopilot_refusals,
    check_admission,
    extra_objects,
    note_line,
    security_context_constraints,
    vendor_host_paths,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import CHOICES, PLATFORMS, choose, detect, names
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests/unit/data/platforms"
IMAGE = "registry.example/collector@sha256:" + "ab" * 32
AUTOPILOT = [{"platform": "gke-autopilot", "evidence": "the option platform", "nodes": []}]
OPENSHIFT = [{"platform": "openshift", "evidence": "the option platform", "nodes": []}]

EXPECTED = {
    "openshift": {"openshift": 4},
    "gke": {"gke": 2, "cos": 2},
    "gke-autopilot": {"gke": 2, "gke-autopilot": 2, "cos": 2},
    "gke-partly-autopilot": {"gke": 2, "gke-autopilot": 1, "cos": 2},
    "eks": {"eks": 5, "eks-fargate": 3, "bottlerocket": 1},
    "eks-auto": {"eks": 1, "eks-auto": 1, "bottlerocket": 1},
    "aks": {"aks": 1, "virtual-kubelet": 2},
    "k3s": {"k3s": 1},
    "rke2": {"rke2": 1},
    "microk8s": {"microk8s": 1},
    "talos": {"talos": 2},
    "flatcar": {"flatcar": 1},
    "kind": {"kind": 1},
    "minikube": {"minikube": 1},
    "plain": {},
}


def answers(cluster):
    return json.loads((DATA / f"{cluster}.json").read_text())


def detected(cluster):
    recorded = answers(cluster)
    return detect(recorded["nodes"], set(recorded["group_versions"]), recorded["version"])


def options(**given):
    defaults = {name: spec.get("default") for name, spec in argument_spec().items()}
    return with_profile_defaults({**defaults, "pod_security": "privileged", "image": IMAGE, **given})


def vendor(**given):
    return options(profile="spyderbat", registration_code="code", name=None, namespace=None, service_account=None, require_digest=False, **given)


def daemon_set(given):
    return desired_objects(given)[-1]


def pod(given):
    return daemon_set(given)["spec"]["template"]["spec"]


def lines(notes):
    return [note_line(note) for note in notes]


def test_every_recording_is_expected():
    assert {path.stem for path in DATA.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("cluster", EXPECTED)
def test_a_cluster_is_recognised(cluster):
    found = detected(cluster)
    assert {entry["platform"]: len(entry["nodes"]) for entry in found} == EXPECTED[cluster]
    assert [entry["platform"] for entry in found] == [platform for platform in PLATFORMS if platform in EXPECTED[cluster]]
    assert all(entry["evidence"] and entry["nodes"] == sorted(entry["nodes"]) for entry in found)


def test_every_platform_is_recognised_somewhere():
    assert {platform for found in EXPECTED.values() for platform in found} == set(PLATFORMS)


@pytest.mark.parametrize("cluster", EXPECTED)
def test_the_nodes_alone_are_enough(cluster):
    assert names(detect(answers(cluster)["nodes"])) == set(EXPECTED[cluster])


@pytest.mark.parametrize(("cluster", "platforms"), [("openshift", {"openshift"}), ("gke", {"gke"}), ("eks", {"eks"}), ("k3s", {"k3s"}), ("rke2", {"rke2"})])
def test_a_cluster_whose_nodes_cannot_be_read(cluster, platforms):
    recorded = answers(cluster)
    found = detect([], set(recorded["group_versions"]), recorded["version"])
    assert names(found) == platforms and all(entry["nodes"] == [] for entry in found)


def test_nothing_known_is_no_platform():
    assert detect([]) == detect([{}, {"metadata": None, "spec": None, "status": None}], set(), {}) == []


def test_a_look_alike_is_no_platform():
    node = answers("plain")["nodes"][0]
    node["metadata"]["name"] = "gk3-my-own-naming"
    node["metadata"]["labels"] |= {"microk8s.io/cluster": "false", "eks.amazonaws.com/compute-type": "ec2", "type": "gpu"}
    node["status"]["nodeInfo"]["osImage"] = "Debian in the style of Talos (v1.0.0)"
    assert detect([node]) == []


def test_evidence_stays_short():
    nodes = [{"metadata": {"name": f"n{i}"}, "status": {"nodeInfo": {"osImage": f"Talos (v1.{i}.0)"}}} for i in range(9)]
    [talos] = detect(nodes)
    assert talos["evidence"] == "OS image Talos (v1.0.0), OS image Talos (v1.1.0), OS image Talos (v1.2.0) and 6 more"


def test_the_option_chooses():
    found = detected("eks")
    assert choose("auto", found) == found
    assert choose("none", found) == []
    assert choose("bottlerocket", found) == [entry for entry in found if entry["platform"] == "bottlerocket"]
    assert choose("openshift", found) == OPENSHIFT
    assert set(CHOICES) == {"auto", "none", *PLATFORMS}


@pytest.mark.parametrize("cluster", EXPECTED)
def test_a_plan_has_a_line_for_each_difference_and_nothing_changes_behind_it(cluster):
    before = options()
    untouched = copy.deepcopy(before)
    after, notes = adjust(before, detected(cluster))
    assert before == untouched
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {note["option"].partition(".")[0] for note in notes if note["option"]} - {"pod_security"}
    assert {note["platform"] for note in notes} <= set(EXPECTED[cluster])
    for note, line in zip(notes, lines(notes)):
        assert set(note) == {"platform", "option", "value", "why"} and note["why"] and "\n" not in line and line.startswith(note["platform"] + ": ")


@pytest.mark.parametrize("cluster", ["gke", "k3s", "rke2", "flatcar", "kind", "minikube", "plain"])
def test_where_nothing_is_different_nothing_is_said(cluster):
    assert adjust(options(), detected(cluster))[1] == []


def test_openshift():
    after, notes = adjust(options(), detected("openshift"))
    assert after["selinux_type"] == "spc_t"
    assert after["namespace_annotations"] == {"openshift.io/node-selector": ""}
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines(notes)] == [
        "SecurityContextConstraints nanoagent-nanoagent, used by the agent's service account only",
        "selinux_type = spc_t",
        'namespace_annotations = openshift.io/node-selector=""',
    ]


def test_openshift_leaves_what_the_user_has_set():
    mine = {"selinux_type": "my_agent_t", "namespace_annotations": {"openshift.io/node-selector": "a=b", "owner": "me"}}
    after, _notes = adjust(options(**mine), OPENSHIFT)
    assert {name: after[name] for name in mine} == mine
    after, _notes = adjust(options(namespace_annotations={"owner": "me"}), OPENSHIFT)
    assert after["namespace_annotations"] == {"owner": "me", "openshift.io/node-selector": ""}
    after, _notes = adjust(options(create_namespace=False), OPENSHIFT)
    assert not after.get("namespace_annotations")


def test_openshift_lets_the_agent_do_what_it_needs_and_no_more():
    given = options()
    constraints, role, binding = extra_objects(given, OPENSHIFT, daemon_set(given))
    assert (constraints["apiVersion"], constraints["kind"], constraints["metadata"]["name"]) == (
        "security.openshift.io/v1",
        "SecurityContextConstraints",
        "nanoagent-nanoagent",
    )
    assert constraints["allowedCapabilities"] == ["BPF", "PERFMON"] and constraints["requiredDropCapabilities"] == ["ALL"]
    assert constraints["volumes"] == ["configMap", "emptyDir", "hostPath"] and constraints["seccompProfiles"] == ["runtime/default"]
    assert constraints["allowHostDirVolumePlugin"] and constraints["readOnlyRootFilesystem"]
    assert not any(value for name, value in constraints.items() if name.startswith("allow") and name not in ("allowHostDirVolumePlugin", "allowedCapabilities"))
    [rule] = role["rules"]
    assert rule["verbs"] == ["use"] and rule["resourceNames"] == [constraints["metadata"]["name"]] and role["metadata"]["namespace"] == "nanoagent"
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "nanoagent", "namespace": "nanoagent"}]


def test_openshift_binds_a_privileged_agent_to_the_platform_s_own():
    for given in (options(privileged=True), vendor()):
        [binding] = extra_objects(given, OPENSHIFT, daemon_set(given))
        assert binding["kind"] == "RoleBinding" and binding["roleRef"]["name"] == "system:openshift:scc:privileged"
        assert binding["subjects"][0]["name"] == given["service_account"]
        assert [note["option"] for note in adjust(given, OPENSHIFT)[1]] == ["", "namespace_annotations"]


def test_the_constraints_follow_the_pod():
    spec = {
        "hostNetwork": True,
        "hostPID": True,
        "securityContext": {"seccompProfile": {"type": "Unconfined"}},
        "initContainers": [{"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "agent.json"}}}],
        "containers": [{"ports": [{"containerPort": 9464}], "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}, "allowPrivilegeEscalation": False}}],
    }
    constraints = security_context_constraints(spec)
    assert constraints["allowHostNetwork"] and constraints["allowHostPID"] and constraints["allowHostPorts"] and constraints["allowPrivilegeEscalation"]
    assert constraints["allowedCapabilities"] == ["NET_ADMIN"] and constraints["requiredDropCapabilities"] == []
    assert constraints["seccompProfiles"] == ["localhost/agent.json", "unconfined"]
    assert constraints["volumes"] == ["projected"] and not constraints["readOnlyRootFilesystem"] and not constraints["allowHostDirVolumePlugin"]


@pytest.mark.parametrize("cluster", sorted(set(EXPECTED) - {"openshift"}))
def test_other_platforms_need_no_objects(cluster):
    given = options()
    assert extra_objects(given, detected(cluster), daemon_set(given)) == []


def test_autopilot_refuses_before_anything_is_written():
    with pytest.raises(Failure) as caught:
        check_admission(daemon_set(options()), detected("gke-autopilot"))
    assert caught.value.facts["refused"] == ["added capabilities BPF, PERFMON"]
    assert "node name gk3-" in caught.value.message and "platform: none" in caught.value.message and "\n" not in caught.value.message


def test_autopilot_refuses_the_vendor_s_agent_for_more_reasons():
    assert autopilot_refusals(pod(vendor())) == [
        "privileged containers",
        "hostNetwork, hostPID",
        "host paths outside /var/log/ (/etc, /home, /opt, /proc, /run, /var)",
    ]


def test_autopilot_admits_what_its_rules_admit():
    given = {
        "volumes": [{"name": "logs", "hostPath": {"path": "/var/log"}}, {"name": "fake", "hostPath": {"path": "/var/logs"}}, {"name": "e", "emptyDir": {}}],
        "containers": [{"volumeMounts": [{"name": "logs", "readOnly": True}, {"name": "e"}], "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}],
    }
    assert autopilot_refusals(given) == ["host paths outside /var/log/ (/var/logs)"]
    given["volumes"][1]["hostPath"]["path"] = "/var/log/pods"
    assert autopilot_refusals(given) == []
    given["containers"][0]["volumeMounts"][0]["readOnly"] = False
    given["containers"][0]["ports"] = [{"containerPort": 1, "hostPort": 1}]
    assert autopilot_refusals(given) == ["host ports", "writable host paths (/var/log)"]


def test_autopilot_beside_standard_nodes_and_by_the_user_s_word():
    check_admission(daemon_set(options()), detected("gke-partly-autopilot"))
    check_admission(daemon_set(options()), detected("gke"))
    check_admission(daemon_set(options()), choose("none", detected("gke-autopilot")))
    with pytest.raises(Failure):
        check_admission(daemon_set(options()), AUTOPILOT)


def test_nodes_that_are_no_machines_are_counted():
    assert lines(adjust(options(), detected("eks"))[1])[0] == "eks-fargate: 3 nodes left out: Fargate runs no DaemonSet and no privileged container"
    assert lines(adjust(options(), detected("aks"))[1])[0].startswith("virtual-kubelet: 2 nodes left out: ")
    assert "will never run" in lines(adjust(options(real_nodes_only=False), detected("eks"))[1])[0]


def test_microk8s_has_its_kubelet_elsewhere():
    seccomp = {"type": "Localhost", "content": "{}", "kubelet_root": "/var/lib/kubelet"}
    after, notes = adjust(options(seccomp=seccomp), detected("microk8s"))
    assert after["seccomp"]["kubelet_root"] == "/var/snap/microk8s/common/var/lib/kubelet" and notes[0]["option"] == "seccomp.kubelet_root"
    own = {**seccomp, "kubelet_root": "/data/kubelet"}
    assert adjust(options(seccomp=own), detected("microk8s")) == (options(seccomp=own), [])
    assert adjust(options(seccomp={"type": "RuntimeDefault"}), detected("microk8s"))[1] == []


def test_the_vendor_s_host_paths():
    assert vendor_host_paths({"microk8s"}) == ({"/snap"}, set())
    assert vendor_host_paths({"talos"}) == (set(), {"/home"})
    assert vendor_host_paths({"k3s", "eks"}) == (set(), set())
    assert "microk8s: host path /snap is mounted too: programs of snaps run from there" in lines(adjust(vendor(), detected("microk8s"))[1])
    assert any("/home is not mounted" in line for line in lines(adjust(vendor(), detected("talos"))[1]))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "talos: pod_security = privileged: "),
        ({"create_namespace": False}, "talos: namespace nanoagent needs the label pod-security.kubernetes.io/enforce=privileged: "),
        ({"pod_security": "unset"}, "talos: pod_security = unset: the pods will be refused: "),
    ],
)
def test_talos_enforces_a_pod_security_level(given, says):
    assert lines(adjust(options(**given), detected("talos"))[1])[0].startswith(says)


def test_talos_exempts_kube_system():
    assert not any("pod security" in line for line in lines(adjust(options(namespace="kube-system", create_namespace=False), detected("talos"))[1]))


def test_talos_with_lockdown_is_told_by_its_version():
    assert any("lockdown=confidentiality" in note["why"] for note in adjust(options(), detected("talos"))[1])
    newer = detect([node for node in answers("talos")["nodes"] if "v1.14" in node["status"]["nodeInfo"]["osImage"]])
    assert newer and not any("lockdown" in note["why"] for note in adjust(options(), newer)[1])


def test_the_document_names_every_platform():
    rows = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/platforms.md").read_text(), re.M))
    assert rows == set(PLATFORMS)
