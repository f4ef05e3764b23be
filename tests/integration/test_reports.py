# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acceptance policy, reports and watch mode on a real cluster; by the module and by the role."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.report_files import WRITERS
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, INFO, one_line
from checkout import collections_folder


@pytest.fixture
def installed(run_tasks, options, push, shipped):
    """An agent that is ready on every node."""
    [result] = run_tasks([{AGENT: {**options, "image": push(shipped)}}])
    assert result["changed"], result
    return options


@pytest.fixture
def elsewhere(tmp_path):
    """Another way to this very Python: the task then runs as a module, in a process of its own."""
    path = tmp_path / "python3"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


def paths(folder: Path) -> dict:
    folder.mkdir(exist_ok=True)
    return {name: str(folder / f"report.{name}") for name in WRITERS}


def test_reports_are_written_and_tell_of_every_node(run_tasks, installed, kubectl, tmp_path, elsewhere):
    names = set(kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split())
    config = yaml.safe_load(Path(installed["kubeconfig"]).read_text())
    config["users"][0]["user"]["token"] = "canary-3f9a17c2"
    here, there, checked = (paths(tmp_path / folder) for folder in ("here", "there", "checked"))
    by_dict = {**installed, "kubeconfig": config, "live": True}
    results = run_tasks(
        [
            {INFO: {**by_dict, "reports": here}},
            {INFO: {**by_dict, "reports": there}, "vars": {"ansible_python_interpreter": elsewhere}},
            {INFO: {**installed, "reports": checked}, "check_mode": True},
        ]
    )
    for result, written in zip(results, (here, there, checked)):
        assert result["ok"] and not result["changed"] and result["failures"] == result["allowed"] == []
        assert result["reports"] == written
    assert list((tmp_path / "checked").iterdir()) == []
    for written in (here, there):
        texts = {name: Path(path).read_text() for name, path in written.items()}
        data = json.loads(texts["json"])
        assert {row["node"] for row in data["nodes"]} == names and all(row["proof"]["proven"] for row in data["nodes"])
        assert data["summary"]["proven"] == len(names) and data["latency_ms"]["p50"] > 0 and data["at"]
        cases = ElementTree.fromstring(texts["junit"].encode()).findall(".//testcase")
        assert {case.get("name") for case in cases} == {*names, "the whole cluster"} and not any(len(case) for case in cases)
        assert texts["markdown"].startswith("# Every eligible node is ready and proven\n") and all(name in texts["markdown"] for name in names)
        assert texts["html"].startswith("<!doctype html>") and all(name in texts["html"] for name in names)
        assert not any("canary-3f9a17c2" in text for text in texts.values())


def test_what_is_accepted_is_for_the_policy_to_say(run_tasks, installed, kubectl):
    count = len(kubectl("get", "nodes", "-o", "name").split())
    kubectl("label", "namespace", installed["namespace"], "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    kubectl(
        "delete",
        "pod",
        "-n",
        installed["namespace"],
        "-l",
        "app.kubernetes.io/name=nanoagent",
        "--field-selector=spec.nodeName=" + first_node(kubectl),
        "--wait",
    )
    rules = [{}, {"max_unready": "1"}, {"max_unready": "100%"}, {"max_unready": "1", "accept": f"summary.ready == `{count}`"}]
    rules += [{"max_unready": "100%", "accept": f"summary.ready == `{count - 1}`"}, {"allow_not_ready_younger_than": "9999d"}]
    results = run_tasks([{INFO: {**installed, **rule}} for rule in rules])
    assert [result["ok"] for result in results] == [False, True, True, False, True, True]
    assert results[0]["failures"] == [f"1 of {count} eligible nodes is not ready"]
    assert "PodSecurity" in results[0]["causes"][1]
    assert results[1]["allowed"] == [first_node(kubectl)] and results[1]["failures"] == results[1]["causes"] == []
    assert results[3]["failures"] == [f"accept 'summary.ready == `{count}`' does not hold"]


def first_node(kubectl) -> str:
    return sorted(kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split())[0]


def test_what_cannot_be_understood_is_told_before_the_cluster_is_asked(run_tasks, tmp_path):
    nowhere = {"host": "https://127.0.0.1:9", "api_key": "none"}
    wrong = [
        ({"accept": "nodes[?"}, "is no JMESPath expression"),
        ({"max_unready": "some"}, "max_unready 'some' is neither a number nor a share"),
        ({"allow_not_ready_younger_than": "soon"}, "is no duration"),
        ({"reports": {"html": str(tmp_path / "none" / "page.html")}}, "does not exist"),
        ({"reports": {"html": str(tmp_path / "a"), "json": str(tmp_path / "a")}}, "have the same path"),
    ]
    for result, (_options, message) in zip(run_tasks([{INFO: {**nowhere, **given}} for given, _message in wrong]), wrong):
        assert message in one_line(result) and "127.0.0.1" not in result["msg"]
    [unknown] = run_tasks([{INFO: {**nowhere, "reports": {"pdf": "a.pdf"}}}])
    assert unknown["failed"] and "pdf" in unknown["msg"]


@pytest.fixture
def play(tmp_path):
    """play(variables) starts a playbook with the role verify; its process, with standard output as a pipe."""

    def start(variables: dict, *arguments: str) -> subprocess.Popen:
        content = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["nanoagent.k8s.verify"], "vars": variables}]
        (tmp_path / "verify.yml").write_text(json.dumps(content))
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()), "ANSIBLE_SHOW_CUSTOM_STATS": "true", "ANSIBLE_NOCOLOR": "true"}
        environment |= {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false"}
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(tmp_path / "verify.yml"), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def variables(installed: dict, **more) -> dict:
    return {**{f"verify_{name}": value for name, value in installed.items()}, "ansible_python_interpreter": sys.executable, **more}


def test_the_role_hands_on_a_few_numbers_and_fails_where_the_policy_does(installed, play, tmp_path):
    page = tmp_path / "page.html"
    process = play(variables(installed, verify_reports={"html": str(page)}, verify_set_stats=True))
    shown, _nothing = process.communicate()
    assert process.returncode == 0, shown
    assert str(page) in shown and page.read_text().startswith("<!doctype html>")
    stats = json.loads(shown.partition("RUN: ")[2])["nanoagent_verify"]["localhost"]
    assert stats["ok"] is True and stats["ready"] == stats["eligible"] == stats["nodes"] == stats["proven"] > 0
    assert stats["failures"] == [] and stats["reports"] == {"html": str(page)}
    process = play(variables(installed, verify_accept="`false`"))
    shown, _nothing = process.communicate()
    assert process.returncode != 0 and "accept '`false`' does not hold" in shown and "CUSTOM STATS" not in shown


def test_watching_tells_what_happens_while_it_happens(installed, play, kubectl, run_tasks, elsewhere):
    namespace, node = installed["namespace"], first_node(kubectl)
    pod = kubectl("get", "pods", "-n", namespace, "--field-selector", f"spec.nodeName={node}", "-o", "jsonpath={.items[0].metadata.name}")

    def select(labels: dict | None):
        patch = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        kubectl("patch", "daemonset", "-n", namespace, installed["name"], "--type=merge", "-p", json.dumps(patch))

    # Well only when another pod has taken the place of this one. Other nodes, which other tests take down, do not count.
    accept = f"!contains(nodes[].pod, '{pod}') && nodes[?node=='{node}'].ready == [`true`]"
    process = play(variables(installed, verify_watch=True, verify_watch_timeout=120, verify_max_unready="100%", verify_accept=accept))
    told = []
    for line in process.stdout:
        if line.startswith("[localhost] "):
            told.append(line.split(" ", 2)[2].strip())
            # Each step waits until the one before was told, so that none is over before it was seen.
            if len(told) == 1:
                select({"no": "where"})
            elif told[-1].startswith(f"{node} ") and "-> not eligible" in told[-1]:
                select(None)
    assert process.wait() == 0, told
    assert " nodes ready" in told[0]
    own = [line.partition(",")[0].partition(":")[0].removeprefix(f"{node} ") for line in told[1:] if line.startswith(f"{node} ")]
    steps = [step.split(" -> ") for step in own]
    assert steps[0][0] == "ready" and steps[-1][1] == "ready" and "not eligible" in [after for _before, after in steps], told
    assert all(before[1] == after[0] for before, after in itertools.pairwise(steps)), told
    # A process of its own has nobody to tell before its end.
    watching = {**installed, "watch": True, "max_unready": "100%", "accept": accept}
    [result] = run_tasks([{INFO: watching, "vars": {"ansible_python_interpreter": elsewhere}}])
    assert result["ok"] and not [change for change in result["changes"] if change["node"] == node]
