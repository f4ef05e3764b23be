# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests against the local cluster, or the user's, share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from checkout import CHECKOUT, collections_folder  # noqa: E402 (the path comes first)

sys.path.insert(0, str(collections_folder()))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What one worker runs in turn: the tests of a file, and all that start clusters, because some of these compare the machine before and after."""
    for item in items:
        group = "own_cluster" if item.get_closest_marker("own_cluster") else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def cluster_env() -> dict:
    """The cluster's addresses by name (see docs/design.md, The local cluster).

    The user's own, where KUBECONFIG and REGISTRY are both set, else those of the local cluster.
    """
    if os.environ.get("KUBECONFIG") and os.environ.get("REGISTRY"):
        return dict(os.environ)
    answer = subprocess.run([sys.executable, str(CHECKOUT / "tests" / "cluster"), "env"], capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.fail(f"no cluster ({answer.stderr.strip()}): run 'make cluster-up', or set KUBECONFIG and REGISTRY")
    return dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)


@pytest.fixture
def run_tasks(tmp_path):
    """Run tasks with ansible-playbook and return their results, one for each, in order.

    run_tasks([{"nanoagent.k8s.collector_image": {...}}], "--check") goes on after a failed task. The process itself is
    in run_tasks.process afterwards. Variables go through a file, so that nothing secret is in the process list.
    """

    def run(tasks: list, *arguments: str, variables: dict | None = None) -> list:
        results = tmp_path / "results.json"
        results.unlink(missing_ok=True)
        numbered = [{**task, "register": f"task_{number}", "ignore_errors": True} for number, task in enumerate(tasks)]
        names = ", ".join(f"task_{number}" for number in range(len(tasks)))
        write = {
            "ansible.builtin.copy": {"content": "{{ [" + names + "] | to_json }}", "dest": str(results), "mode": "0600"},
            "check_mode": False,
            "diff": False,
        }
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [*numbered, write]}
        play["vars"] = {"ansible_python_interpreter": sys.executable}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        (tmp_path / "variables.json").write_text(json.dumps(variables or {}))
        (tmp_path / "variables.json").chmod(0o600)
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(tmp_path / "play.yml")]
        command += ["-e", f"@{tmp_path / 'variables.json'}", *arguments]
        run.process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert results.exists(), run.process.stdout + run.process.stderr
        return json.loads(results.read_text())

    return run
