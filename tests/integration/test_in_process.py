# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job in Ansible's own process and the same job as a module: same results, same secrecy."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.report_files import WRITERS

CHECKOUT = Path(__file__).resolve().parents[2]
AGENT, INFO, IMAGE = "nanoagent.k8s.agent", "nanoagent.k8s.agent_info", "nanoagent.k8s.collector_image"
CANARY = "canary-3f9a17c2"
# What Ansible itself words or adds differently for a module and for an action.
BY_ANSIBLE = ("msg", "invocation", "exception")


@pytest.fixture
def elsewhere(tmp_path):
    """Another way to this very Python: the task then runs as a module, in a process of its own."""
    path = tmp_path / "python3"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture(params=["in process", "as a module"])
def mode(request, elsewhere):
    return {"ansible_python_interpreter": sys.executable if request.param == "in process" else elsewhere}


@pytest.fixture
def absent(cluster_env):
    """Options of an agent that is not there."""
    return {"kubeconfig": cluster_env["KUBECONFIG"], "name": "test-in-process", "namespace": "test-in-process"}


def without(result: dict, *keys: str) -> dict:
    return {key: value for key, value in result.items() if key not in keys and not key.startswith("ansible_")}


def test_both_ways_give_the_same_result(run_tasks, absent, tmp_path, elsewhere):
    image = f"registry.example/c@sha256:{'1' * 64}"
    binary = CHECKOUT / "files/ebpf/bin/collector-linux-amd64"
    tasks = [
        {INFO: absent},
        {AGENT: {**absent, "image": image}, "check_mode": True, "diff": True},
        {AGENT: {**absent, "image": image, "state": "rendered"}},
        {AGENT: {**absent, "state": "absent"}},
        {AGENT: {**absent, "image": "registry.example/c:latest"}},
        {AGENT: {**absent, "image": image, "imagee": image}},
        {AGENT: {**absent, "image": image, "ring_bytes": "many"}},
        {IMAGE: {"archive": str(tmp_path / "a.tar"), "binaries": {"amd64": str(binary)}, "architectures": ["amd64"]}, "check_mode": True},
    ]
    here = run_tasks([{**task, "vars": {"ansible_python_interpreter": sys.executable}} for task in tasks])
    there = run_tasks([{**task, "vars": {"ansible_python_interpreter": elsewhere}} for task in tasks])
    for one, other in zip(here, there):
        # The time of a verdict is that of its own run.
        # How often is read depends on the kinds that other tests add meanwhile.
        assert without(one, *BY_ANSIBLE, "at", "requests") == without(other, *BY_ANSIBLE, "at", "requests")
        assert one.get("requests", {}).get("write") == other.get("requests", {}).get("write")
        assert one.get("failed", False) == other.get("failed", False)
    assert [result.get("failed", False) for result in here] == [False] * 4 + [True] * 3 + [False]
    assert here[4]["msg"] == there[4]["msg"]
    assert "imagee" in here[5]["msg"] and "imagee" in there[5]["msg"]
    assert "ring_bytes" in here[6]["msg"] and "ring_bytes" in there[6]["msg"]


def test_no_secret_is_shown(run_tasks, absent, mode):
    image = f"registry.example/c@sha256:{'1' * 64}"
    login = {"registry": "registry.example", "username": "puller", "password": CANARY}
    config = yaml.safe_load(Path(absent["kubeconfig"]).read_text())
    config["users"][0]["user"]["token"] = CANARY + "-token"
    tasks = [
        {AGENT: {**absent, "kubeconfig": config, "image": image, "registry_login": login}, "check_mode": True, "diff": True},
        {AGENT: {**absent, "image": image, "registry_login": {**login, "registry": CANARY}, "ring_bytes": 7}},
        {AGENT: {**absent, "host": "https://127.0.0.1:9", "kubeconfig": None, "api_key": CANARY, "image": image}},
    ]
    results = run_tasks([{**task, "vars": mode} for task in tasks], "-vvvv", "--diff")
    assert not results[0].get("failed") and results[1]["failed"] and results[2]["failed"]
    shown = json.dumps(results)
    assert CANARY not in shown
    assert CANARY not in run_tasks.process.stdout + run_tasks.process.stderr
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in run_tasks.process.stdout


def test_no_secret_is_shown_by_what_fails_or_needs_no_cluster(run_tasks, absent, mode, tmp_path):
    """Each option that may hold a credential, in runs that end before the cluster is asked, while it is asked, and after."""
    secret = "{{ canary }}"
    config = yaml.safe_load(Path(absent["kubeconfig"]).read_text())
    user = {**config["users"][0]["user"], "token": secret, "exec": None}
    inline = {**absent, "kubeconfig": {**config, "users": [{**config["users"][0], "user": user}]}}
    text = {**absent, "kubeconfig": "{{ text }}"}
    image = f"registry.example/c@sha256:{'1' * 64}"
    login = {"registry": "registry.example", "username": "puller", "password": secret}
    vendor = {"profile": "spyderbat", "image": image, "registration_code": secret, "registry_login": login}
    proxy = f"http://user:{secret}@proxy.example"
    reports = {name: str(tmp_path / f"report.{name}") for name in WRITERS}
    away = {**absent, "kubeconfig": None, "host": "https://127.0.0.1:9"}
    ending_well = [
        {INFO: {**inline, "reports": reports}},
        {AGENT: {**inline, **vendor, "state": "rendered", "render_dir": str(tmp_path / "rendered"), "proxy": proxy}},
        {AGENT: {**text, **vendor, "state": "rendered"}},
        {AGENT: {**inline, **vendor}, "check_mode": True},
    ]
    failing = [
        {AGENT: {**inline, **vendor, "ring_bytes": "many"}},
        {AGENT: {**text, **vendor, "no_such_option": 1}},
        {AGENT: {**text, **vendor, "values_file": "/nowhere/values.yaml"}},
        {AGENT: {**inline, **vendor, "lock_file": "/nowhere/lock.json"}},
        {AGENT: {**inline, **vendor, "http_proxy": proxy}},
        {AGENT: {**inline, **vendor, "https_proxy": f"user:{secret}@proxy.example:3128", "state": "rendered"}},
        {AGENT: {**inline, **vendor, "orc_url": f"https://user:{secret}@orc.example"}},
        {AGENT: {**inline, **vendor, "ca_bundle": f"-----BEGIN PRIVATE KEY-----\n{secret}"}},
        {AGENT: {**inline, **vendor, "context": "nowhere"}},
        {AGENT: {**inline, "host": "https://127.0.0.1:9", "kubeconfig": None, "username": "admin", "password": secret, **vendor}},
        {AGENT: {**inline, "username": "admin", "password": secret, **vendor}},
        {AGENT: {**away, "proxy": f"http://user:{secret}@127.0.0.1:9", **vendor}},
        {INFO: {**inline, "reports": {"json": str(tmp_path / "nowhere" / "report.json")}}},
        {INFO: {**text, "context": "nowhere"}},
        {INFO: {**inline, "live": True, "expect_events_at": {"url": f"https://user:{secret}@events.example", "secret_headers": {"Authorization": secret}}}},
    ]
    if mode["ansible_python_interpreter"] != sys.executable:
        # Each takes two seconds so; the unit tests of job.py have the others.
        ending_well, failing = ending_well[:2], failing[:2]
    variables = {"canary": CANARY, "text": f"{{users: [{{user: {{token: {CANARY}}}}}], contexts: []}}"}
    results = run_tasks([{**task, "vars": mode} for task in [*ending_well, *failing]], "-vvvv", "--diff", variables=variables)
    assert [result.get("failed", False) for result in results] == [False] * len(ending_well) + [True] * len(failing), [result.get("msg") for result in results]
    assert CANARY not in json.dumps(results)
    assert CANARY not in run_tasks.process.stdout + run_tasks.process.stderr
    written = [path for path in [*tmp_path.glob("report.*"), *tmp_path.glob("rendered/*")] if CANARY in path.read_text()]
    assert written == [] and all(Path(path).exists() for path in reports.values())


def test_the_environment_of_the_task_counts(run_tasks, absent, mode):
    named = {key: value for key, value in absent.items() if key != "kubeconfig"}
    [good, bad] = run_tasks(
        [
            {INFO: named, "environment": {"K8S_AUTH_KUBECONFIG": absent["kubeconfig"]}, "vars": mode},
            {INFO: named, "environment": {"K8S_AUTH_KUBECONFIG": "/nowhere/kubeconfig"}, "vars": mode},
        ]
    )
    assert good["installed"] is False
    assert bad["failed"] and "/nowhere/kubeconfig" in bad["msg"]
