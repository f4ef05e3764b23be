# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Under ansible-runner, which is what runs the jobs of AWX and Tower: progress is there while a task runs, secrets never."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.tests.integration.agents import ABSENT_DIGEST, AGENT
from checkout import collections_folder

CANARY = "canary-7d1e88b0"


@pytest.fixture
def job(tmp_path):
    """job(task, variables) -> the events that AWX would store, in their order."""

    def run(task: dict, variables: dict) -> list[dict]:
        for folder in ("project", "env", "inventory"):
            (tmp_path / folder).mkdir()
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "The job", **task}]}
        (tmp_path / "project/play.yml").write_text(json.dumps([play]))
        # As AWX does it: the controller is the host, by the connection local.
        (tmp_path / "inventory/hosts").write_text("localhost ansible_connection=local ansible_python_interpreter={{ansible_playbook_python}}\n")
        (tmp_path / "env/extravars").write_text(json.dumps(variables))
        settings = {"ANSIBLE_COLLECTIONS_PATH": str(collections_folder()), "ANSIBLE_DIFF_ALWAYS": "true"}
        (tmp_path / "env/envvars").write_text(json.dumps(settings))
        bin_folder = Path(sys.executable).parent
        command = [str(bin_folder / "ansible-runner"), "run", str(tmp_path), "-p", "play.yml", "-i", "job", "-vvvv"]
        run.process = subprocess.run(command, env={**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False)
        events = (json.loads(path.read_text()) for path in (tmp_path / "artifacts/job/job_events").glob("*.json"))
        found = sorted(events, key=lambda event: event["counter"])
        assert found, run.process.stdout + run.process.stderr
        return found

    return run


def test_progress_comes_while_the_task_runs_and_no_secret_is_stored(job, cluster_env, name, tmp_path):
    options = {
        "kubeconfig": "{{ kubeconfig }}",
        "name": name,
        "namespace": name,
        "image": f"127.0.0.1:9/nothing@{ABSENT_DIGEST}",
        "registry_login": {"registry": "127.0.0.1:9", "username": "puller", "password": "{{ password }}"},
        "wait_timeout": 14,
    }
    config = yaml.safe_load(Path(cluster_env["KUBECONFIG"]).read_text())
    events = job({AGENT: options}, {"kubeconfig": config, "password": CANARY})
    counters = {event["event"]: event["counter"] for event in events}
    told = [event for event in events if f"rollout of DaemonSet {name}/{name}: " in event["stdout"]]
    assert told and all(event["event"] == "verbose" for event in told)
    assert all(counters["runner_on_start"] < event["counter"] < counters["runner_on_failed"] for event in told)
    assert any("blocked by ImageRegistryUnreachable" in event["stdout"] for event in told)
    [failed] = [event for event in events if event["event"] == "runner_on_failed"]
    assert "ImageRegistryUnreachable" in failed["event_data"]["res"]["msg"]
    key = config["users"][0]["user"]["client-key-data"]
    everything = [path.read_text() for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    # The variables are ours to give, so they stand in AWX's own store, not in what the job says.
    assert not [secret for secret in (CANARY, key) for text in everything if secret in text]
