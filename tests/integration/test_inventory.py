# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin on a real cluster: nodes as hosts, grouped by verdict, and a play on just those that are not well."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, INFO, audited
from checkout import collections_folder

SMALL = {"requests": {"cpu": "1m", "memory": "32Mi"}}


@pytest.fixture
def ansible(tmp_path, cluster_env, name):
    """ansible(program, options of the inventory, *arguments) -> the finished process."""

    def run(program, options, *arguments):
        given = {"plugin": "nanoagent.k8s.nodes", "kubeconfig": cluster_env["KUBECONFIG"], "name": name, "namespace": name, **options}
        (tmp_path / "test.nanoagent.yml").write_text(yaml.safe_dump(given, sort_keys=False))
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()), "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "true"
        command = [sys.executable, "-m", "ansible", program, "-i", str(tmp_path / "test.nanoagent.yml"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def listed(ansible):
    """listed(options) -> (groups: name -> hosts, variables: host -> variables)."""

    def run(options=None):
        answer = json.loads(ansible("inventory", options or {}, "--list"), object_hook=lambda found: found.get("__ansible_unsafe", found))
        variables = answer.pop("_meta")["hostvars"]
        return {group: set(content.get("hosts") or []) for group, content in answer.items()}, variables

    return run


def test_nodes_are_hosts_with_and_without_an_agent(run_tasks, options, push, shipped, kubectl, name, listed, ansible):
    nodes = {node["metadata"]["name"]: node for node in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]}
    groups, variables = listed()
    assert groups["nodes"] == set(variables) == set(nodes) and "eligible" not in groups

    # On one node the agent may not run, on another its pod cannot start.
    kept_away, *others = sorted(nodes)
    image = push(shipped)
    away = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [nodes[kept_away]["metadata"]["labels"]["kubernetes.io/hostname"]]}
                        ]
                    }
                ]
            }
        }
    }
    run_tasks([{AGENT: {**options, "image": image, "resources": SMALL, "affinity": away}}])
    groups, variables = listed()
    assert groups["eligible"] == groups["state_ready"] == set(others) and groups["state_not_eligible"] == {kept_away}
    for host, node in nodes.items():
        info, facts = node["status"]["nodeInfo"], variables[host]["k8s_node"]
        assert (facts["arch"], facts["kernel"], facts["version"]) == (info["architecture"], info["kernelVersion"], info["kubeletVersion"])
        assert variables[host]["ansible_host"] in {address["address"] for address in node["status"]["addresses"]}
        assert (facts["labels"], facts["uid"]) == (node["metadata"]["labels"], node["metadata"]["uid"])
    [info] = run_tasks([{INFO: {**options, "drift": "ignore"}}])
    for verdict in info["nodes"]:
        assert {**variables[verdict["node"]]["k8s_node"], **variables[verdict["node"]]["k8s_agent"]}.items() >= {
            key: value for key, value in verdict.items() if isinstance(value, (str, bool))
        }.items()

    graph = ansible("inventory", {"group_by": ["state"]}, "--graph")
    assert "@state_not_eligible:" in graph and "@arch_" not in graph


def test_a_play_on_the_nodes_whose_agent_is_not_ready(run_tasks, options, cluster_env, ansible, tmp_path):
    broken = f"{cluster_env['REGISTRY']}/tests/agent@{ABSENT_DIGEST}"
    run_tasks([{AGENT: {**options, "image": broken, "resources": SMALL, "wait_timeout": 60}}])
    say = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} at {{ ansible_host }}: {{ k8s_agent.state }} {{ k8s_agent.reason }}"}}
    play = {"hosts": "eligible:!state_ready", "gather_facts": False, "connection": "local", "tasks": [say]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    constructed = {"groups": {"no_image": "k8s_agent.reason == 'ImageNotFound'"}, "compose": {"why": "k8s_agent.fix"}, "strict": True}
    told = ansible("playbook", constructed, "play.yml", "--limit", "no_image")
    assert "blocked ImageNotFound" in told and "failed=0" in told


def test_a_second_run_with_a_cache_asks_nobody(cluster_env, listed, tmp_path, name):
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    start = os.path.getsize(cluster_env["AUDIT_LOG"])
    first = listed(cache)
    asked = audited(cluster_env, start, name)
    assert ("get", f"/apis/apps/v1/namespaces/{name}/daemonsets/{name}") in asked
    assert listed(cache) == first and listed({**cache, "group_by": []})[1] == first[1]
    assert audited(cluster_env, start, name) == asked
    # Labels and conditions are other tests' to change meanwhile.
    assert listed()[1].keys() == first[1].keys()
    assert len(audited(cluster_env, start, name)) == 2 * len(asked)
