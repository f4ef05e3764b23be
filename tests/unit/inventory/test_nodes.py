# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""The inventory plugin as Ansible runs it, against an API server that answers what it is told to."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer
from checkout import collections_folder

DAEMON_SET = {
    "kind": "DaemonSet",
    "apiVersion": "apps/v1",
    "metadata": {"name": "nanoagent", "namespace": "nanoagent", "uid": "ds", "generation": 1},
    "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": {"spec": {"containers": [{"name": "collector", "image": "i"}]}}},
    "status": {"observedGeneration": 1},
}
REVISION = {"metadata": {"name": "r", "ownerReferences": [{"uid": "ds"}], "labels": {"controller-revision-hash": "new"}}, "revision": 1}
TOKEN = "canary-feedc0de-token"
NO_SERVER = {"host": None, "api_key": None}


def node(name, number, taints=(), labels=None, annotations=None, arch="amd64", addresses=()):
    known = [{"type": "InternalIP", "address": f"198.18.0.{number}"}, {"type": "Hostname", "address": name}, *addresses]
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels or {}, "annotations": annotations or {}},
        "spec": {"taints": list(taints)},
        "status": {
            "addresses": known,
            "nodeInfo": {"architecture": arch, "operatingSystem": "linux", "kubeletVersion": "v1.36.3", "kernelVersion": "6.1.0"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(name, on, ready):
    return {
        "metadata": {"name": name, "uid": name, "labels": {"controller-revision-hash": "new"}, "ownerReferences": [{"uid": "ds"}]},
        "spec": {"nodeName": on, "containers": [{"name": "collector"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], "containerStatuses": []},
    }


NODES = [
    node("one", 1, labels={"topology.kubernetes.io/zone": "eu-1a", "karpenter.sh/nodepool": "general", "rack": "7"}),
    node("two", 2, arch="arm64", annotations={"example.com/ssh": "bastion.example", "evil": "{{ lookup('pipe', 'touch EVIL') }}"}),
    node("three", 3, taints=[{"key": "mine", "effect": "NoSchedule"}], labels={"node-role.kubernetes.io/control-plane": ""}),
]


class Server:
    """A cluster's answers: lists by path, and what is wrong with it."""

    def __init__(self):
        self.nodes, self.pods, self.installed, self.refused = NODES, [pod("p1", "one", True), pod("p2", "two", False)], True, ()

    def __call__(self, _method, path, query):
        plural = path.rstrip("/").rpartition("/")[2]
        if plural in self.refused:
            message = f'{plural} is forbidden: User "u" cannot list resource "{plural}" in API group "" at the cluster scope'
            return 403, {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
        if plural == "nanoagent":
            return (200, DAEMON_SET) if self.installed else (404, {"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"})
        items = {"nodes": self.nodes, "pods": self.pods if self.installed else [], "controllerrevisions": [REVISION]}.get(plural, [])
        if plural == "nodes" and query.get("labelSelector") == "rack=7":
            items = items[:1]
        return 200, {"metadata": {"resourceVersion": "1"}, "items": items}


def in_environment(server):
    return {"K8S_AUTH_HOST": server.url, "K8S_AUTH_API_KEY": TOKEN}


@pytest.fixture
def cluster():
    return Server()


@pytest.fixture
def server(cluster):
    with FakeApiServer(cluster) as fake:
        yield fake


@pytest.fixture
def write(tmp_path, server):
    """write(file name, options) -> the same name, of an inventory's file with these options and the server's address."""

    def write_file(file, options):
        given = {"plugin": "nanoagent.k8s.nodes", "host": server.url, "api_key": TOKEN, **options}
        (tmp_path / file).write_text(yaml.safe_dump(given, sort_keys=False))
        return file

    return write_file


@pytest.fixture(scope="module")
def reader():
    """The process of reader.py, where no inventory's settings of this environment count."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBECONFIG", "ANSIBLE_"))}
    environment = {**clean, "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()), "ANSIBLE_NOCOLOR": "1"}
    command = [sys.executable, str(Path(__file__).with_name("reader.py"))]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def read(reader, write, tmp_path):
    """read(options of a file, ...) -> what reader.py answers; `said` is one line, as Ansible breaks lines where it likes."""

    def ask(*files, cache=True, environment=None):
        paths = [str(tmp_path / (file if isinstance(file, str) else write(f"{number}.nanoagent.yml", file))) for number, file in enumerate(files)]
        reader.stdin.write(json.dumps({"files": paths, "cache": cache, "environment": environment or {}}) + "\n")
        reader.stdin.flush()
        answer = json.loads(reader.stdout.readline())
        said = " ".join(answer["said"].split())
        assert "Traceback" not in said and TOKEN not in json.dumps(answer), said
        return {**answer, "said": said}

    return ask


@pytest.fixture
def inventory(read):
    """inventory(options) -> (groups: name -> hosts, variables: host -> variables) of an inventory that is well."""

    def well(options=None, **given):
        answer = read(options or {}, **given)
        assert "Failed to parse" not in answer["said"], answer["said"]
        return answer["groups"], answer["variables"]

    return well


def test_hosts_groups_and_variables(inventory):
    groups, variables = inventory()
    assert groups == {
        "nodes": ["one", "three", "two"],
        "eligible": ["one", "two"],
        "state_ready": ["one"],
        "state_rolling": ["two"],
        "state_not_eligible": ["three"],
        "pool_general": ["one"],
        "zone_eu_1a": ["one"],
        "arch_amd64": ["one", "three"],
        "arch_arm64": ["two"],
        "os_linux": ["one", "three", "two"],
        "version_v1_36_3": ["one", "three", "two"],
        "role_control_plane": ["three"],
    }
    assert {name: host["ansible_host"] for name, host in variables.items()} == {"one": "198.18.0.1", "two": "198.18.0.2", "three": "198.18.0.3"}
    two = variables["two"]
    assert (two["k8s_agent"]["state"], two["k8s_agent"]["pod"], two["k8s_agent"]["eligible"]) == ("rolling", "p2", True)
    assert (two["k8s_node"]["arch"], two["k8s_node"]["uid"], two["k8s_node"]["annotations"]["example.com/ssh"]) == ("arm64", "uid-two", "bastion.example")
    assert variables["three"]["k8s_node"]["taints"] == [{"key": "mine", "value": "", "effect": "NoSchedule"}]
    assert "arch" not in two["k8s_agent"]


def test_where_no_agent_is_installed_there_are_nodes_and_a_warning(read, cluster):
    cluster.installed = False
    answer = read({})
    assert answer["groups"]["nodes"] == ["one", "three", "two"] and not {"eligible", "state_ready", "state_rolling"} & set(answer["groups"])
    assert all("k8s_agent" not in host for host in answer["variables"].values())
    assert "[WARNING]: DaemonSet nanoagent/nanoagent does not exist" in answer["said"]


def test_without_verdicts_only_nodes_are_read(inventory, server):
    _groups, variables = inventory({"verdicts": False})
    assert [path for _method, path, _query in server.seen] == ["/api/v1/nodes"]
    assert len(variables) == 3 and all("k8s_agent" not in host for host in variables.values())


def test_names_addresses_and_the_cluster(inventory):
    given = {"hostname": ["label:rack", "name"], "host_prefix": "edge-", "address": ["annotation:example.com/ssh", "InternalIP"], "cluster_name": "edge-1"}
    groups, variables = inventory({**given, "group_by": ["arch"]})
    assert groups == {"nodes": ["edge-7", "edge-three", "edge-two"], "edge_1": ["edge-7", "edge-three", "edge-two"]} | {
        "arch_amd64": ["edge-7", "edge-three"],
        "arch_arm64": ["edge-two"],
    }
    assert variables["edge-two"]["ansible_host"] == "bastion.example" and variables["edge-7"]["ansible_host"] == "198.18.0.1"
    assert variables["edge-7"]["k8s_cluster"]["name"] == "edge-1"
    _groups, variables = inventory({"address": []})
    assert all("ansible_host" not in host for host in variables.values())


def test_filters(inventory):
    _groups, variables = inventory({"label_selector": "rack=7"})
    assert list(variables) == ["one"]
    groups, variables = inventory({"include": "k8s_agent.eligible and k8s_agent.state != 'ready'"})
    assert list(variables) == ["two"] and "state_ready" not in groups


def test_constructed_features(inventory):
    constructed = {
        "compose": {"ansible_user": "'core' if k8s_node.arch == 'arm64' else 'root'", "nothing": "k8s_node.no_such_thing.at_all"},
        "groups": {"not_well": "k8s_agent.eligible and not k8s_agent.ready"},
        "keyed_groups": [{"key": "k8s_node.arch", "prefix": "cpu"}, {"key": "k8s_node.labels.rack | default('none')"}],
        "leading_separator": False,
        "group_by": [],
    }
    groups, variables = inventory(constructed)
    assert groups["not_well"] == ["two"] and groups["cpu_arm64"] == ["two"] and groups["none"] == ["three", "two"]
    assert {name: host["ansible_user"] for name, host in variables.items()} == {"one": "root", "two": "core", "three": "root"}
    assert "nothing" not in variables["one"]


def test_strict_makes_an_expression_that_fails_an_error(read, server):
    # Without the token: Ansible shows the lines around an expression that fails.
    answer = read({**NO_SERVER, "strict": True, "compose": {"nothing": "k8s_node.no_such_thing.at_all"}}, environment=in_environment(server))
    assert "Could not set nothing for host one" in answer["said"]


@pytest.mark.parametrize("environment", [{"ANSIBLE_INVENTORY_CACHE": "1"}, {}])
def test_a_second_run_asks_nobody(inventory, server, tmp_path, environment):
    cache = {"cache": True} if not environment else {}
    given = {**cache, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    first = inventory(given, environment=environment)
    asked = len(server.seen)
    assert inventory({**given, "group_by": ["arch"]}, environment=environment)[1] == first[1]
    assert len(server.seen) == asked > 0
    assert inventory({**given, "label_selector": "rack=7"}, environment=environment)[1].keys() == {"one"}
    assert len(server.seen) > asked
    assert TOKEN not in "".join(path.read_text() for path in (tmp_path / "cache").iterdir())


def test_each_kubeconfig_that_is_given_as_text_has_a_cache_of_its_own(inventory, server, tmp_path):
    def ask(url, token):
        cluster, user = {"name": "c", "cluster": {"server": url}}, {"name": "u", "user": {"token": token}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        text = json.dumps({"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"})
        cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
        inventory({**NO_SERVER, **cached, "kubeconfig": text})
        return len(server.seen)

    asked = ask(server.url, TOKEN)
    assert ask(server.url, f"{TOKEN}-renewed") == asked > 0
    assert ask(f"{server.url}/other", TOKEN) > asked


def test_the_cache_can_be_flushed(inventory, server, tmp_path):
    given = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    inventory(given)
    asked = len(server.seen)
    inventory(given)
    assert len(server.seen) == asked > 0
    inventory(given, cache=False)
    assert len(server.seen) == 2 * asked


def test_what_a_node_says_of_itself_is_no_template(write, tmp_path):
    play = {"hosts": "two", "gather_facts": False, "connection": "local", "tasks": [{"ansible.builtin.debug": {"msg": "{{ k8s_node.annotations.evil }} seen"}}]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    write("x.nanoagent.yml", {"compose": {"evil_too": "k8s_node.annotations.evil"}})
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()), "ANSIBLE_NOCOLOR": "1"}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "x.nanoagent.yml", "play.yml", "-e", '{"also": "{{ evil_too }}"}']
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "touch EVIL') }} seen" in done.stdout, done.stdout + done.stderr
    assert not (tmp_path / "EVIL").exists()


def test_an_address_that_looks_like_an_option_is_none(inventory, cluster):
    cluster.nodes = [node("one", 1, annotations={"a": "-oProxyCommand=touch EVIL"}, addresses=[{"type": "ExternalIP", "address": "2001:db8::1"}])]
    _groups, variables = inventory({"address": ["annotation:a", "ExternalIP"]})
    assert variables["one"]["ansible_host"] == "2001:db8::1"


WRONG = {
    "has adress, which is no option": {"adress": ["InternalIP"]},
    "address has 'internal ip'": {"address": ["internal ip"]},
    "hostname has 'label:'": {"hostname": ["label:"]},
    "include fails for the node one": {"include": "k8s_node.no_such_thing.at_all"},
    "api_key was given without host": {"host": None},
    "cannot be reached": {"host": "http://127.0.0.1:9"},
    "the kubeconfig nowhere does not exist": {"host": None, "api_key": None, "kubeconfig": "nowhere"},
}


def test_what_is_wrong_is_said_in_one_line(read):
    said = read(*WRONG.values())["said"]
    assert [message for message in WRONG if not re.search(f"{re.escape(message)}[^\\[]* Next: ", said)] == [], said


def test_two_nodes_of_one_name_are_refused(read, cluster):
    cluster.nodes = [node("one", 1, labels={"rack": "7"}), node("two", 2, labels={"rack": "7"})]
    assert "the nodes one and two would both be the host 7. Next: " in read({"hostname": ["label:rack"]})["said"]


def test_a_right_that_is_missing_is_named(read, cluster, inventory):
    cluster.refused = ("nodes",)
    assert "may not list nodes" in read({})["said"]
    cluster.refused = ("pods",)
    groups, variables = inventory()
    assert groups["state_unknown"] == ["one", "two"] and "state_ready" not in groups
    assert variables["one"]["k8s_agent"]["reason"] == "PodsUnreadable"


def test_the_environment_names_the_cluster_as_everywhere(inventory, server):
    _groups, variables = inventory(NO_SERVER, environment=in_environment(server))
    assert set(variables) == {"one", "two", "three"}


def test_the_name_of_the_file_counts(read, write):
    files = [write(file, {"host_prefix": f"{file}-"}) for file in ("nodes.yml", "a.nanoagent.yaml", "other.yml")]
    names = set(read(*files)["variables"])
    assert {"nodes.yml-one", "a.nanoagent.yaml-one"} <= names and "other.yml-one" not in names
