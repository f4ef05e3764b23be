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
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decider
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import (
    adjust,
    autopilot_refusals,
    check_admission,
    extra_objects,
    node_notes,
    note_line,
    security_context_constraints,
    vendor_host_paths,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import CHOICES, PLATFORMS, asked_kinds, choose, detect, names
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


def served(cluster):
    """As live.read says it."""
    kinds = [KINDS[kind] for kind in asked_kinds({"platform": "auto"})]
    return {kind.group_kind for kind in kinds if kind.api_version in answers(cluster)["group_versions"]}


def detected(cluster):
    return detect(answers(cluster)["nodes"], served(cluster))


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


@pytest.mark.parametrize("cluster", EXPECTED)
def test_what_the_api_serves_tells_of_openshift_only(cluster):
    found = detect([], served(cluster))
    openshift = [{"platform": "openshift", "evidence": "API group security.openshift.io", "nodes": []}]
    assert found == (openshift if cluster == "openshift" else [])


def test_what_the_api_serves_is_asked_for_unless_platforms_are_off():
    assert asked_kinds({"platform": "auto"}) == asked_kinds({"platform": "eks"}) == ["SecurityContextConstraints"]
    assert asked_kinds({"platform": "none"}) == []


def test_nothing_known_is_no_platform():
    assert detect([]) == detect([{}, {"metadata": None, "spec": None, "status": None}], set()) == []


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
    # A named one counts beside what is there: its Fargate nodes do not become machines by it.
    assert choose("bottlerocket", found) == found
    assert choose("openshift", found) == OPENSHIFT + found
    assert [entry["platform"] for entry in choose("microk8s", found)] == ["eks", "eks-fargate", "microk8s", "bottlerocket"]
    assert choose("openshift", []) == OPENSHIFT and choose("none", []) == []
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


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        ("gke", ["gke: nothing is changed: recognised by node label cloud.google.com/gke-nodepool=default-pool", "cos: nothing is changed: recognised by "]),
        ("eks", ["eks: nothing is changed: recognised by ", "bottlerocket: nothing is changed: its SELinux policy"]),
        ("eks-auto", ["eks: nothing is changed: ", "eks-auto: nothing is changed: recognised by ", "bottlerocket: nothing is changed: "]),
        ("aks", ["aks: nothing is changed: recognised by node label kubernetes.azure.com/cluster="]),
        ("k3s", ["k3s: nothing is changed: recognised by kubelet v1.32.5+k3s1"]),
        ("rke2", ["rke2: nothing is changed: recognised by kubelet "]),
        ("microk8s", ["microk8s: nothing is changed: recognised by node label microk8s.io/cluster=true"]),
        ("flatcar", ["flatcar: nothing is changed: recognised by OS image Flatcar "]),
        ("kind", ["kind: nothing is changed: recognised by provider ID kind://"]),
        ("minikube", ["minikube: nothing is changed: recognised by node label minikube.k8s.io/name="]),
        ("plain", []),
    ],
)
def test_where_nothing_is_different_one_line_says_so(cluster, says):
    found = lines(adjust(options(), detected(cluster))[1])
    assert len(found) == len(says) and all(line.startswith(begin) for line, begin in zip(found, says)), found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_that_counts_is_told_of_by_its_option_or_by_its_nodes(platform):
    named = choose(platform, [])
    told = adjust(options(), named)[1]
    assert bool(told) is (platform not in ("gke-autopilot", "eks-fargate", "virtual-kubelet"))


def test_openshift():
    after, notes = adjust(options(), detected("openshift"))
    assert after["selinux_type"] == "spc_t"
    assert after["namespace_annotations"] == {"openshift.io/node-selector": ""}
    assert [line.partition(": ")[2].partition(": ")[0] for line in lines(notes)] == [
        "SecurityContextConstraints nanoagent.nanoagent, used by the agent's service account only",
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


@pytest.mark.parametrize(
    ("home", "asked"),
    [
        (None, True),
        ({"metadata": {"name": "nanoagent"}}, True),
        ({"metadata": {"annotations": {"openshift.io/description": "x"}}}, True),
        ({"metadata": {"annotations": {"openshift.io/node-selector": ""}}}, False),
        # Somebody has chosen nodes for it.
        ({"metadata": {"annotations": {"openshift.io/node-selector": "pool=a"}}}, False),
    ],
)
def test_openshift_and_a_namespace_of_somebody_else(home, asked):
    told = [line for line in lines(adjust(options(create_namespace=False), OPENSHIFT, home)[1]) if "annotation" in line]
    assert len(told) == asked
    assert not asked or told[0].startswith('openshift: namespace nanoagent needs the annotation openshift.io/node-selector="": a default node selector')


def test_no_cluster_scoped_object_is_shared_by_two_installations():
    def theirs(namespace, name):
        given = options(namespace=namespace, name=name, verifier=True, monitor={"enabled": True, "image": IMAGE.replace("collector", "monitor")})
        kinds = ("ClusterRole", "ClusterRoleBinding", "SecurityContextConstraints")
        return {(obj["kind"], obj["metadata"]["name"]) for obj in desired_objects(given, {"platforms": OPENSHIFT}) if obj["kind"] in kinds}

    one, other = theirs("a-x", "b"), theirs("a", "x-b")
    assert len(one) == len(other) == 5 and not one & other


def test_what_monitor_and_policy_get_differently_is_told():
    given = options(network_policy=True, orc_url="https://orc.example.com", monitor={"enabled": True, "image": IMAGE.replace("collector", "monitor")})
    told = lines(adjust(given, OPENSHIFT)[1])
    assert "openshift: the cluster monitor's pod names no user: each namespace has users of its own, and others are refused" in told
    assert "openshift: NetworkPolicy: port 5353 is open beside 53: the pods behind the name service listen there" in told
    [microk8s] = lines(adjust(given, detected("microk8s"))[1])
    assert microk8s == "microk8s: NetworkPolicy: port 16443 is open beside 443 and 6443: the API server listens there"
    for platform, port in (("openshift", 5353), ("microk8s", 16443)):
        made = [obj for obj in desired_objects(given, {"platforms": choose(platform, [])}) if obj["kind"] in ("NetworkPolicy", "Deployment")]
        ports = {port["port"] for obj in made if obj["kind"] == "NetworkPolicy" for rule in obj["spec"].get("egress") or [] for port in rule.get("ports") or []}
        assert port in ports
        context = next(obj for obj in made if obj["kind"] == "Deployment")["spec"]["template"]["spec"]["securityContext"]
        assert ("runAsUser" in context) is (platform != "openshift")
    # Without them there is nothing to tell.
    assert len(adjust(options(), OPENSHIFT)[1]) == len(adjust(given, OPENSHIFT)[1]) - 2


def test_openshift_lets_the_agent_do_what_it_needs_and_no_more():
    given = options()
    constraints, role, binding = extra_objects(given, OPENSHIFT, daemon_set(given))
    assert (constraints["apiVersion"], constraints["kind"], constraints["metadata"]["name"]) == (
        "security.openshift.io/v1",
        "SecurityContextConstraints",
        "nanoagent.nanoagent",
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
    assert caught.value.facts["refused"] == ["added capabilities BPF, PERFMON", "node affinity or selector on the label type"]
    assert "set platform: none and real_nodes_only: false" in caught.value.message
    assert "node name gk3-" in caught.value.message and "platform: none" in caught.value.message and "\n" not in caught.value.message


def test_autopilot_refuses_the_vendor_s_agent_for_more_reasons():
    assert autopilot_refusals(pod(vendor())) == [
        "privileged containers",
        "hostNetwork, hostPID",
        "host paths outside /var/log/ (/etc, /home, /opt, /proc, /run, /var)",
        "node affinity or selector on the label type",
    ]


def test_autopilot_refuses_nodes_that_are_chosen_by_their_type():
    refused = ["node affinity or selector on the label type"]
    plain = {"containers": [{}]}
    term = {"matchExpressions": [{"key": "type", "operator": "NotIn", "values": ["kwok"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": []}, term]}}}
    assert autopilot_refusals({**plain, "nodeSelector": {"type": "a"}}) == autopilot_refusals({**plain, "affinity": affinity}) == refused
    assert autopilot_refusals({**plain, "nodeSelector": {"kubernetes.io/os": "linux"}}) == []
    # The way out that the refusal names.
    assert not set(refused) & set(autopilot_refusals(pod(options(real_nodes_only=False))))


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
    for platforms in (AUTOPILOT, choose("gke-autopilot", detected("gke"))):
        with pytest.raises(Failure):
            check_admission(daemon_set(options()), platforms)


def told_of_nodes(cluster, **given):
    nodes, made = answers(cluster)["nodes"], daemon_set(options(**given))
    decide = decider(made)
    return lines(node_notes(options(**given), choose(given.get("platform", "auto"), detected(cluster)), made, nodes, lambda node: decide(node)["run"]))


def test_nodes_that_are_no_machines_are_counted():
    assert told_of_nodes("eks") == ["eks-fargate: 3 nodes left out: Fargate runs no DaemonSet and no privileged container"]
    assert told_of_nodes("aks") == ["virtual-kubelet: 2 nodes left out: there is no machine behind a virtual node that an agent could watch"]
    assert "will never run" in told_of_nodes("eks", real_nodes_only=False)[0]
    # They are left out whatever the platform is called.
    assert told_of_nodes("eks", platform="none") == told_of_nodes("eks")


def test_autopilot_nodes_beside_others_are_told_before_pods_are_refused_there():
    [told] = told_of_nodes("gke-partly-autopilot")
    assert told.startswith("gke-autopilot: 1 of 2 nodes is Autopilot's, where pods are refused (added capabilities BPF, PERFMON; node affinity or selector")
    assert "the run ends with that cause" in told and "node_selector: {cloud.google.com/gke-nodepool: NAME}" in told
    pools = {node["metadata"]["labels"]["cloud.google.com/gke-nodepool"] for node in answers("gke-partly-autopilot")["nodes"]}
    others = {
        node["metadata"]["labels"]["cloud.google.com/gke-nodepool"]
        for node in answers("gke-partly-autopilot")["nodes"]
        if node["metadata"]["name"][:3] != "gk3"
    }
    assert len(pools) == 2 and told_of_nodes("gke-partly-autopilot", node_selector={"cloud.google.com/gke-nodepool": others.pop()}) == []
    # Where all are Autopilot's the run is refused, and there is nothing to tell of nodes.
    assert told_of_nodes("gke-autopilot") == told_of_nodes("gke") == told_of_nodes("gke-partly-autopilot", platform="none") == []


def test_microk8s_has_its_kubelet_elsewhere():
    seccomp = {"type": "Localhost", "content": "{}", "kubelet_root": "/var/lib/kubelet"}
    after, notes = adjust(options(seccomp=seccomp), detected("microk8s"))
    assert after["seccomp"]["kubelet_root"] == "/var/snap/microk8s/common/var/lib/kubelet" and notes[0]["option"] == "seccomp.kubelet_root"
    own = {**seccomp, "kubelet_root": "/data/kubelet"}
    after, notes = adjust(options(seccomp=own), detected("microk8s"))
    assert after == options(seccomp=own) and [note["option"] for note in notes] == [""] and notes[0]["value"] == "nothing is changed"
    assert [note["value"] for note in adjust(options(seccomp={"type": "RuntimeDefault"}), detected("microk8s"))[1]] == ["nothing is changed"]


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


@pytest.mark.parametrize(
    ("level", "asked"),
    [("privileged", False), ("baseline", True), ("", True)],
)
def test_talos_asks_for_a_label_only_where_it_is_not_there(level, asked):
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    told = lines(adjust(options(create_namespace=False), detected("talos"), {"metadata": {"labels": labels}})[1])
    assert told[0].startswith("talos: namespace nanoagent needs the label ") is asked
    newer = [{"platform": "talos", "evidence": "OS image Talos (v1.14.0)", "nodes": ["n"]}]
    told = lines(adjust(options(create_namespace=False), newer, {"metadata": {"labels": labels}})[1])
    assert asked or told == ["talos: nothing is changed: recognised by OS image Talos (v1.14.0)"]


def test_talos_exempts_kube_system():
    assert not any("pod security" in line for line in lines(adjust(options(namespace="kube-system", create_namespace=False), detected("talos"))[1]))


def test_talos_with_lockdown_is_told_by_its_version():
    assert any("lockdown=confidentiality" in note["why"] for note in adjust(options(), detected("talos"))[1])
    newer = detect([node for node in answers("talos")["nodes"] if "v1.14" in node["status"]["nodeInfo"]["osImage"]])
    assert newer and not any("lockdown" in note["why"] for note in adjust(options(), newer)[1])


def test_the_document_names_every_platform():
    rows = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/platforms.md").read_text(), re.M))
    assert rows == set(PLATFORMS)
