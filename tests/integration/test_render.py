# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rendered into a folder: kubectl takes it file by file and as a kustomization, and the module finds nothing to do after that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import DEFAULT
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT, one_line, pods
from checkout import CHECKOUT, collections_folder

IMAGE = f"registry.example/collector@{ABSENT_DIGEST}"
# Without the request of local storage, which not every cluster that tests run on accounts for.
ANYWHERE = {"resources": DEFAULT}
# Text that YAML readers take for something else, where it is not quoted.
TRICKY = {"y": "y", "e": "1e3", "o": "0o17", "n": "NO", "z": "007", "d": "2026-01-01"}


@pytest.fixture
def given(options, tmp_path, name):
    return {**options, "image": IMAGE, "priority_class": {"name": name}, "tags": TRICKY, "node_selector": {f"{name}/y": "y", "n": "1e3"}}


def numbered(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.iterdir() if path.name[0].isdigit())


def generations(kubectl, name: str) -> dict:
    items = json.loads(kubectl("get", "daemonsets,configmaps,serviceaccounts,roles,rolebindings", "-n", name, "-o", "json"))["items"]
    return {(obj["kind"], obj["metadata"]["name"]): (obj["metadata"]["uid"], obj["metadata"].get("generation")) for obj in items}


def apply_one_by_one(kubectl, folder: Path, *arguments: str) -> None:
    for path in numbered(folder):
        kubectl("apply", *arguments, "-f", path)


def test_files_applied_one_by_one_leave_nothing_to_do(run_tasks, options, push, shipped, kubectl, name, tmp_path):
    folder = tmp_path / "manifests"
    present = {**options, **ANYWHERE, "image": push(shipped), "priority_class": {"name": name}, "tags": TRICKY}
    [predicted, first, second] = run_tasks(
        [
            {AGENT: {**present, "state": "rendered", "render_dir": str(folder)}, "check_mode": True, "diff": True},
            {AGENT: {**present, "state": "rendered", "render_dir": str(folder)}},
            {AGENT: {**present, "state": "rendered", "render_dir": str(folder)}},
        ]
    )
    assert first["changed"] and first["files"] == predicted["files"] and len(predicted["diff"]) == len(first["files"])
    assert not second["changed"]
    apply_one_by_one(kubectl, folder, "--server-side", "--field-manager=nanoagent.k8s")
    kubectl("rollout", "status", f"daemonset/{name}", "-n", name, "--timeout=120s")
    before = pods(kubectl, name)
    [run] = run_tasks([{AGENT: present}])
    assert not run["changed"] and run["requests"]["write"] == 0, run
    assert {action["action"] for action in run["actions"]} == {"keep"}
    assert run["summary"]["ready"] == run["summary"]["eligible"] > 0 and pods(kubectl, name) == before


def test_after_plain_kubectl_apply_only_owners_change(run_tasks, options, push, shipped, kubectl, name, tmp_path):
    present = {**options, **ANYWHERE, "image": push(shipped), "priority_class": {"name": name}}
    run_tasks([{AGENT: {**present, "state": "rendered", "render_dir": str(tmp_path / "manifests")}}])
    apply_one_by_one(kubectl, tmp_path / "manifests")
    kubectl("rollout", "status", f"daemonset/{name}", "-n", name, "--timeout=120s")
    before, made = pods(kubectl, name), generations(kubectl, name)
    [predicted] = run_tasks([{AGENT: present}], "--check")
    [first, second] = run_tasks([{AGENT: present}, {AGENT: present}])
    assert first["changed"] and first["actions"] == predicted["actions"], first
    assert pods(kubectl, name) == before and generations(kubectl, name) == made
    assert not second["changed"] and second["requests"]["write"] == 0
    # kubectl holds these fields beside us, so that a new value is a conflict, once.
    other = {**present, "max_unavailable": "1"}
    [refused, taken, last] = run_tasks([{AGENT: other}, {AGENT: {**other, "force_conflicts": True}}, {AGENT: {**present, "max_unavailable": "2"}}])
    message = one_line(refused)
    assert "held by kubectl-client-side-apply" in message and "force_conflicts" in message
    assert taken["changed"] and last["changed"] and not last.get("failed"), last
    assert pods(kubectl, name) == before


def test_the_folder_is_a_kustomization_and_the_text_means_the_same_to_kubectl(run_tasks, given, kubectl, name, tmp_path):
    folder = tmp_path / "manifests"
    [result] = run_tasks([{AGENT: {**given, "state": "rendered", "render_dir": str(folder)}}])
    built = list(yaml.safe_load_all(kubectl("kustomize", str(folder))))
    assert sorted(built, key=identity) == sorted(result["manifests"], key=identity)
    # What kubectl itself reads out of each file.
    kubectl("create", "namespace", name)
    for path, wanted in zip(numbered(folder), result["manifests"]):
        assert json.loads(kubectl("create", "--dry-run=client", "--validate=false", "-f", path, "-o", "json")) == wanted
    answer = kubectl("apply", "-k", str(folder), "--server-side", "--field-manager=nanoagent.k8s", "--force-conflicts")
    assert answer.count("serverside-applied") == len(result["manifests"])


def test_the_playbook_writes_the_folder_and_needs_no_cluster(name, tmp_path):
    folder = tmp_path / "manifests"
    login = {"registry": "r.example", "username": "u", "password": "canary-f00dfeed"}
    variables = {"render_dir": str(folder), "agent_image": IMAGE, "agent_name": name, "agent_registry_login": login}
    (tmp_path / "variables.json").write_text(json.dumps({**variables, "ansible_python_interpreter": sys.executable}))
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    environment.update({"ANSIBLE_COLLECTIONS_PATH": str(collections_folder()), "HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "true"})
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(CHECKOUT / "playbooks" / "render.yml"), "-i", "localhost,", "--diff", "-vvv"]
    for changed in ("changed=1", "changed=0"):
        done = subprocess.run([*command, "-e", f"@{tmp_path / 'variables.json'}"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and changed in done.stdout, done.stdout + done.stderr
        assert "canary-f00dfeed" not in done.stdout + done.stderr and "kubectl create secret generic" in done.stdout
    assert len(numbered(folder)) + 2 == len(list(folder.iterdir()))
    assert not any("canary-f00dfeed" in path.read_text() for path in folder.iterdir())


def test_what_cannot_be_written_is_told_in_one_line(run_tasks, given, tmp_path):
    (tmp_path / "kustomization.yaml").write_text("theirs")
    wrong = [str(tmp_path), str(tmp_path / "no" / "where"), str(tmp_path / "kustomization.yaml"), "/proc/nanoagent"]
    results = run_tasks([{AGENT: {**given, "state": "rendered", "render_dir": folder}} for folder in wrong])
    messages = [one_line(result) for result in results]
    for message, text in zip(messages, ["was not made by this collection", "is no folder", "cannot be read", "cannot be made"]):
        assert text in message
    assert (tmp_path / "kustomization.yaml").read_text() == "theirs" and not numbered(tmp_path)
