# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module agent's options on a real cluster: the API server takes what they make, and the pods run with it.

AppArmor is judged by the unit tests only where the cluster has none; a strict dry run covers its field. The kinds of other
projects (ExternalSecret, PodMonitor and the like) are in test_other_projects.py.
"""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import OPTIONAL_KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, one_line, pods
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

CANARY = "canary-5ca1ab1e-code"
PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
# Forbids making folders, which the collector never needs.
NO_FOLDERS = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
SMALL = {"requests": {"cpu": "1m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
# For the collector's socket, where the collector is put in another agent's place.
WRITABLE = {"extra_volumes": [{"name": "run", "emptyDir": {}}], "extra_volume_mounts": [{"name": "run", "mountPath": "/run/nanoagent"}]}
VENDOR = {"profile": "spyderbat", "registration_code": "x", "monitor": {"enabled": True}}
CUSTOM = {"profile": "custom"}
LABELS = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
FACTS = {"smallest_node": {"cpu": 1.93, "memory": 7 << 30}, "cluster_uid": "f3a0b6de-0000-4000-8000-000000000000"}
COMBINATIONS = {
    "defaults": {},
    "vendor": VENDOR,
    "vendor, everything": {
        **VENDOR,
        "cluster_name": "0123",
        "tags": {"a": 1, "b": True},
        "omit_environment": "allbutredacted",
        "extra_args": "-x",
        "curl_args": "-k",
        "http_proxy": "http://p.example:3128",
        "https_proxy": "http://p.example:3128",
        "proxy_exceptions": [".svc"],
        "ca_bundle": PEM,
        "network_policy": True,
        "rbac": "respond",
        "monitor": {"enabled": True, "replicas": 2, "tolerations": [{"operator": "Exists"}], "node_selector": {"a": "b"}, "resources": SMALL},
    },
    "vendor, cluster admin": {**VENDOR, "rbac": "cluster_admin", "host_network": False, "host_pid": False, "privileged": False},
    "vendor, existing Secret": {"profile": "spyderbat", "credentials": {"existing_secret": {"name": "there", "key": "code"}}},
    "vendor, AWS": {"profile": "spyderbat", "credentials": {"aws_secrets_manager": {"secret_id": "a/b", "role_arn": "arn:aws:iam::1:role/x"}}},
    "custom": {**CUSTOM, "command": ["/a"], "args": ["b"], "probes": {"startup": {"command": ["/c"]}, "readiness": {"http_path": "/z", "port": 80}}},
    "custom, all probe numbers": {
        **CUSTOM,
        "probes": {"liveness": {"command": ["/c"], "period_seconds": 1, "timeout_seconds": 1, "failure_threshold": 1, "initial_delay_seconds": 0}},
    },
    "metrics by annotations": {"metrics": {"scrape": "annotations"}},
    "metrics by a Service": {"metrics": {"scrape": "service_monitor", "interval": "30s"}},
    "surge": {"max_surge": "1", "min_ready_seconds": 3},
    "surge in percent": {"max_surge": "30%"},
    "on delete": {"update_strategy": "OnDelete", "revision_history_limit": 0, "termination_grace_period": 0},
    "share of the smallest node": {"limit_percent": 4},
    "seccomp from the nodes": {"seccomp": {"type": "Localhost", "profile": "profiles/a.json"}},
    "seccomp delivered": {"seccomp": {"type": "Localhost", "content": NO_FOLDERS}},
    "seccomp off": {"seccomp": {"type": "Unconfined"}},
    "AppArmor": {"apparmor": {"type": "Localhost", "profile": "x"}},
    "capabilities": {"capabilities": ["SYS_PTRACE", "DAC_READ_SEARCH", "NET_ADMIN"]},
    "privileged": {"privileged": True},
    "the node's namespaces": {"host_network": True, "host_pid": True, "metrics": {"scrape": "annotations"}, "dns_policy": "Default"},
    "system-node-critical": {"priority_class": {"name": "system-node-critical"}},
    "priority without preemption": {"priority_class": {"name": "test-options", "value": -5, "preemption_policy": "Never", "resource_quota": True}},
    "the highest priority": {"priority_class": {"name": "test-options", "value": 1_000_000_000}},
    "additions": {
        "host_paths": [{"path": "/opt", "mount_path": "/host/opt"}, {"path": "/dev/null", "mount_path": "/n", "type": "CharDevice", "read_only": False}],
        "extra_env": [{"name": "A", "value": 1}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
        + [{"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}, {"name": "D", "value": None}]
        + [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": 1}}}],
        "extra_volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": "1Mi", "medium": None}},
            {"name": "more", "emptyDir": {"medium": ""}},
            {"name": "all", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"downwardAPI": {"items": [LABELS]}}]}},
        ],
        "extra_volume_mounts": [
            {"name": "scratch", "mountPath": "/tmp", "readOnly": None},
            {"name": "more", "mountPath": "/more", "readOnly": False, "subPath": "", "mountPropagation": "None"},
        ],
        "network_policy": True,
        "network_policy_egress": [{"to": [{"podSelector": {"matchLabels": {}}}, {"namespaceSelector": {"matchLabels": {}, "matchExpressions": []}}]}],
        "probes": {"liveness": {"initial_delay_seconds": 0}},
        "tolerations": [{"operator": "Exists", "value": None, "effect": ""}],
        "affinity": {
            "podAffinity": None,
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {}}}}
                ]
            },
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists", "values": []}], "matchFields": None}]
                }
            },
        },
        "labels": {"team.example/x": 1, "team.example/y": None},
        "annotations": {"note": "two words", "empty": None},
        "pod_labels": {"p": True, "q": None},
        "pod_annotations": {"note": "x"},
        "service_account_annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
        "dns_policy": "None",
        "dns_config": {"nameservers": ["192.0.2.53"], "searches": ["a.example"], "options": [{"name": "ndots", "value": 2}, {"name": "rotate"}]},
        "service_account_token": True,
        "resources": {"requests": {"cpu": 0.5, "memory": 1000000, "ephemeral-storage": "1Gi"}},
    },
    "places": {
        "tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 5}, {"key": "b", "operator": "Exists"}],
        "control_plane": False,
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]},
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
                    ]
                }
            }
        },
    },
    "longest name": {"name": "n" * 52, "metrics": {"scrape": "service_monitor"}, "seccomp": {"type": "Localhost", "content": NO_FOLDERS}},
    "policy with rules": {
        **CUSTOM,
        "network_policy": True,
        "network_policy_egress": [{"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}}], "ports": [{"protocol": "TCP", "port": 9}]}],
        "ca_bundle_config_map": {"name": "own", "key": "ca.pem"},
    },
}


@pytest.fixture(scope="module")
def home(kubectl):
    """A namespace that dry runs find."""
    kubectl("create", "namespace", "test-options-dry")
    yield "test-options-dry"
    kubectl("delete", "namespace", "test-options-dry", "--wait=false")


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_server_takes_what_the_options_make(kubectl, home, combination):
    given = agent_options(namespace=home, **COMBINATIONS[combination])
    objects = [obj for obj in desired_objects(given, FACTS) if obj["kind"] not in OPTIONAL_KINDS]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    # The namespace there is not this installation's: its labels are another manager's.
    answer = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-", stdin=text)
    assert answer.count("serverside-applied (server dry run)") == len(objects)


def install(run_tasks, given: dict, *arguments: str) -> dict:
    """The first run's result; the second one must find nothing to do."""
    small = {"resources": SMALL} if "resources" not in given else {}
    [first, second] = run_tasks([{AGENT: {**given, **small}}, {AGENT: {**given, **small}}], *arguments)
    assert first["changed"] and first["summary"]["ready"] == first["summary"]["eligible"] > 0, first
    assert written(second) == [] and not second["changed"] and second["requests"]["write"] == 0, second
    return first


def written(result: dict) -> list[dict]:
    return [action for action in result["actions"] if action["action"] != "keep"]


def specs(kubectl, namespace: str) -> list[dict]:
    return [pod["spec"] for pod in json.loads(kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]]


def test_a_critical_class_of_the_system(run_tasks, options, push, shipped, kubectl, name):
    install(run_tasks, {**options, "image": push(shipped), "priority_class": {"name": "system-node-critical"}})
    assert {spec["priority"] for spec in specs(kubectl, name)} == {2_000_001_000}
    quota = json.loads(kubectl("get", "resourcequota", "-n", name, "-o", "json"))["items"]
    assert [entry["status"]["used"]["pods"] for entry in quota] == [str(len(specs(kubectl, name)))]


def test_limits_are_a_share_of_the_smallest_node(run_tasks, options, kubectl):
    sizes = [node["status"]["allocatable"] for node in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]]
    cores = min(float(size["cpu"].removesuffix("m")) / (1000 if size["cpu"].endswith("m") else 1) for size in sizes)
    kibibytes = min(int(size["memory"].removesuffix("Ki")) for size in sizes)
    image = f"registry.example/c@sha256:{'0' * 64}"
    [predicted] = run_tasks([{AGENT: {**options, "image": image, "limit_percent": 5}}], "--check", "--diff")
    limits = {"cpu": f"{int(cores * 50 + 1e-6)}m", "memory": f"{kibibytes * 5 // 100 // 1024}Mi"}
    [shown] = ["".join(part["after"].split()) for part in predicted["diff"] if part["after_header"].startswith("DaemonSet ")]
    assert f'"limits":{json.dumps(limits, separators=(",", ":"))}' in shown, predicted


def test_a_seccomp_profile_that_is_brought_to_the_nodes_is_in_force(run_tasks, options, push, shipped, kubectl, name):
    image = push(shipped)
    make_a_folder = ("--", "/collector", "deliver", "/etc/nanoagent/collector.json", "/run/nanoagent/new/file")

    install(run_tasks, {**options, "image": image})
    [pod, *_others] = kubectl("get", "pods", "-n", name, "-o", "name").split()
    assert "delivered" in kubectl("exec", "-n", name, pod, *make_a_folder)

    install(run_tasks, {**options, "image": image, "seccomp": {"type": "Localhost", "content": NO_FOLDERS}, "max_unavailable": "100%"})
    for pod in kubectl("get", "pods", "-n", name, "-o", "name").split():
        with pytest.raises(AssertionError, match="operation not permitted"):
            kubectl("exec", "-n", name, pod, *make_a_folder)


def test_the_node_s_network(run_tasks, options, push, shipped, kubectl, name):
    install(run_tasks, {**options, "image": push(shipped), "host_network": True, "host_pid": True})
    items = json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]
    assert items and all(pod["status"]["podIP"] == pod["status"]["hostIP"] and pod["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet" for pod in items)


def test_a_registration_code_shows_nowhere_and_a_new_one_replaces_the_pods_once(run_tasks, options, push, shipped, kubectl, name):
    given = {**options, "image": push(shipped), "profile": "custom", "args": ["run"], "max_unavailable": "100%"}
    first = install(run_tasks, {**given, **WRITABLE, "registration_code": CANARY}, "--diff", "-vvvv")
    told = run_tasks.process.stdout + run_tasks.process.stderr + json.dumps(first)
    assert f"Secret {name}/{name}-credentials" in told
    everything = kubectl("get", "all,configmaps,daemonsets,controllerrevisions", "-n", name, "-o", "json")
    for shown in (told, everything):
        assert CANARY not in shown and base64.b64encode(CANARY.encode()).decode() not in shown
    stored = kubectl("get", "secret", "-n", name, f"{name}-credentials", "-o", "jsonpath={.data.registration-code}")
    assert base64.b64decode(stored).decode() == CANARY

    before = {uid for uid, _restarts in pods(kubectl, name).values()}
    rotated = install(run_tasks, {**given, **WRITABLE, "registration_code": CANARY[::-1]}, "--diff", "-vvvv")
    assert {uid for uid, _restarts in pods(kubectl, name).values()}.isdisjoint(before)
    assert [action["object"] for action in rotated["actions"] if action["action"] != "keep"] == [
        f"ConfigMap {name}/{name}",
        f"Secret {name}/{name}-credentials",
        f"DaemonSet {name}/{name}",
    ]
    told = run_tasks.process.stdout + run_tasks.process.stderr
    assert CANARY[::-1] not in told and base64.b64encode(CANARY[::-1].encode()).decode() not in told


def test_a_changed_secret_of_the_user_s_replaces_the_pods_once(run_tasks, options, push, shipped, kubectl, name):
    def store(value):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own", "namespace": name}, "stringData": {"code": value}}
        kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(secret))

    existing = {"name": "own", "key": "code", "restart_on_change": True}
    given = {**options, **WRITABLE, "profile": "custom", "args": ["run"], "max_unavailable": "100%", "credentials": {"existing_secret": existing}}
    given["image"] = push(shipped)
    kubectl("create", "namespace", name)
    [missing] = run_tasks([{AGENT: given}])
    assert f"the Secret {name}/own does not exist" in one_line(missing)
    store(CANARY)
    install(run_tasks, given, "--diff", "-vvvv")
    before = {uid for uid, _restarts in pods(kubectl, name).values()}
    store(CANARY[::-1])
    install(run_tasks, given, "--diff", "-vvvv")
    assert {uid for uid, _restarts in pods(kubectl, name).values()}.isdisjoint(before)
    told = run_tasks.process.stdout + run_tasks.process.stderr
    assert CANARY[::-1] not in told and base64.b64encode(CANARY[::-1].encode()).decode() not in told


def test_what_others_make_is_missed_at_once_and_secrets_in_arguments_show_nowhere(run_tasks, options, kubectl, name, tmp_path):
    secrets = {"curl_args": f"-u user:{CANARY} -H 'X-Api-Token: {CANARY}-2'", "extra_env": [{"name": "A_PASSWORD", "value": f'{CANARY}"3'}]}
    given = {
        **options,
        "profile": "spyderbat",
        "image": f"registry.example/c@sha256:{'0' * 64}",
        "credentials": {"existing_secret": {"name": "own"}},
        **secrets,
    }
    files = {**given, "state": "rendered", "render_dir": str(tmp_path / "manifests")}
    tasks = [{AGENT: given}, {AGENT: {**given, "wait": False}, "check_mode": True}, {AGENT: files}]
    kubectl("create", "namespace", name)
    [missing, ahead, written_out] = run_tasks(tasks, "--diff", "-vvvv")
    told = run_tasks.process.stdout + run_tasks.process.stderr
    assert f"the Secret {name}/own does not exist (credentials.existing_secret): no pod starts without it. Next: create it" in one_line(missing)
    assert kubectl("get", "daemonsets,serviceaccounts,configmaps", "-n", name, "-l", "app.kubernetes.io/managed-by=nanoagent.k8s", "-o", "name") == ""
    assert any(note.startswith(f"the Secret {name}/own does not exist") for note in ahead["notes"]) and ahead["changed"]
    assert any(note.startswith("curl_args: ") for note in ahead["notes"]) and any(note.startswith("extra_env A_PASSWORD: ") for note in written_out["notes"])
    assert CANARY not in told and CANARY in (tmp_path / "manifests" / "bundle.yaml").read_text()

    kubectl("create", "secret", "generic", "own", "-n", name, "--from-literal=other=x")
    [missing] = run_tasks([{AGENT: given}], "--check")
    assert f"the Secret {name}/own has no key registration-code (credentials.existing_secret)" in one_line(missing)

    named = {"service_account": "own", "create_service_account": False, "priority_class": {"name": name, "create": False}, "runtime_class": name}
    for check in (["--check"], []):
        [missing] = run_tasks([{AGENT: {**options, "image": given["image"], **named}}], *check)
        for what in (f"ServiceAccount {name}/own does not exist (service_account)", f"PriorityClass {name} does not exist", f"RuntimeClass {name} does not"):
            assert what in one_line(missing)
    assert kubectl("get", "daemonsets,serviceaccounts,configmaps", "-n", name, "-l", "app.kubernetes.io/managed-by=nanoagent.k8s", "-o", "name") == ""


def test_metrics_are_there_to_be_scraped(run_tasks, options, push, shipped, kubectl, name):
    rule = {"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}}], "ports": [{"port": 9}]}
    policy = {"network_policy": True, "network_policy_egress": [rule]}
    install(run_tasks, {**options, **policy, "image": push(shipped), "metrics": {"scrape": "annotations", "port": 9777}})
    for pod in json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]:
        notes = pod["metadata"]["annotations"]
        assert notes["prometheus.io/scrape"] == "true"
        path = f"{pod['metadata']['name']}:{notes['prometheus.io/port']}/proxy{notes['prometheus.io/path']}"
        assert "# TYPE " in kubectl("get", "--raw", f"/api/v1/namespaces/{name}/pods/{path}")
    assert kubectl("get", "networkpolicy", "-n", name, name, "-o", "jsonpath={.spec.policyTypes}") == '["Ingress","Egress"]'


def test_the_vendor_s_profile_whole(run_tasks, options, push, shipped, liar, kubectl, name):
    given = {**options, "image": push(shipped), "profile": "spyderbat", "registration_code": CANARY, "cluster_name": "0123", "tags": {"a": 1}}
    # The collector, which may load no programs there, would end again and again.
    monitor_image = push(liar("monitor"))
    install(run_tasks, {**given, **WRITABLE, "monitor": {"enabled": True, "image": monitor_image, "resources": SMALL}, "rbac": "respond"})
    agents = [spec for spec in specs(kubectl, name) if spec["containers"][0]["name"] == "spyderbat-nanoagent"]
    assert agents and all(spec["hostPID"] and spec["hostNetwork"] and spec["containers"][0]["securityContext"]["privileged"] for spec in agents)
    monitor = f"system:serviceaccount:{name}:{name}-monitor"
    assert kubectl("auth", "can-i", "delete", "pods", "--as", monitor, "-A").strip() == "yes"
    for account, verb, what in ((monitor, "get", "secrets"), (f"system:serviceaccount:{name}:spyderbat-serviceaccount", "list", "nodes")):
        with pytest.raises(AssertionError, match="can-i"):
            kubectl("auth", "can-i", verb, what, "--as", account, "-A")


@pytest.mark.parametrize(("agent", "monitor", "says"), [("crash", "stays", "no luck today"), ("stays", "crash", "clustermonitor-deployment cannot")])
def test_what_has_no_readiness_probe_and_ends_at_once_fails_the_run(run_tasks, options, push, liar, name, agent, monitor, says):
    given = {**options, "image": push(liar(agent)), "profile": "spyderbat", "registration_code": CANARY, "resources": SMALL, "max_unavailable": "100%"}
    [result] = run_tasks([{AGENT: {**given, "monitor": {"enabled": True, "image": push(liar(monitor)), "resources": SMALL}}}])
    assert result["failed"] and says in result["msg"] and "exit code 7" in result["msg"]


def test_everything_a_user_may_add_at_once(run_tasks, options, push, shipped, kubectl, name):
    given = {**COMBINATIONS["additions"], "resources": {"limits": {"memory": "256Mi"}, "requests": {}}}
    ways_out = {"http_proxy": "http://p.example:3128", "proxy_exceptions": [".svc"], "ca_bundle": PEM}
    surge = {"max_surge": "100%", "min_ready_seconds": 1, "revision_history_limit": 2, "termination_grace_period": 5}
    install(run_tasks, {**options, **given, **ways_out, **surge, "image": push(shipped), "namespace_labels": {"team": "x"}, "capabilities": ["SYS_PTRACE"]})
    assert kubectl("get", "namespace", name, "-o", "jsonpath={.metadata.labels.team}") == "x"
    env = {variable["name"]: variable.get("value") for variable in specs(kubectl, name)[0]["containers"][0]["env"]}
    assert (env["A"], env["HTTP_PROXY"], env["no_proxy"]) == ("1", "http://p.example:3128", ".svc") and env["SSL_CERT_FILE"]


def test_other_authorities_replace_the_pods_once_and_their_config_map(run_tasks, options, push, shipped, kubectl, name):
    def authorities():
        return {kind for kind in kubectl("get", "configmaps", "-n", name, "-o", "name").split() if f"/{name}-ca-" in kind}

    given = {**options, "image": push(shipped), "max_unavailable": "100%"}
    install(run_tasks, {**given, "ca_bundle": PEM})
    first, before = authorities(), {uid for uid, _restarts in pods(kubectl, name).values()}
    install(run_tasks, {**given, "ca_bundle": PEM + PEM})
    assert len(first) == len(authorities()) == 1 and first != authorities()
    assert {uid for uid, _restarts in pods(kubectl, name).values()}.isdisjoint(before)


def test_options_that_contradict_each_other_are_refused_before_anything_is_written(run_tasks, options, kubectl, name):
    image = f"registry.example/c@sha256:{'0' * 64}"
    wrong = [
        {"max_unavailable": "0", "max_surge": "0"},
        {"max_unavailable": "1", "max_surge": "1"},
        {"registration_code": CANARY},
        {"monitor": {"enabled": True}},
        {"limit_percent": 9},
        {"seccomp": {"type": "Localhost"}},
        {"http_proxy": f"http://user:{CANARY}@p.example"},
        {"capabilities": ["cap_bpf"]},
        {"labels": {"a": "b c"}},
        {"profile": "spyderbat"},
    ]
    for result in run_tasks([{AGENT: {**options, "image": image, **given}} for given in wrong]):
        assert CANARY not in one_line(result)
    assert not kubectl("get", "namespace", name, "--ignore-not-found")
