# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests against the local cluster, or the user's, share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "tools")]

from ansible_fork import AnsiblePlaybook  # noqa: E402 (the path comes first)
from checkout import CHECKOUT, collections_folder  # noqa: E402 (the path comes first)

sys.path.insert(0, str(collections_folder()))


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


@pytest.fixture(scope="session")
def ansible_playbook():
    """ansible_playbook(*arguments, NAME=value) -> its subprocess.CompletedProcess; NAME is added to its environment."""
    started = {}

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess:
        environment = {
            # All but the name of the test that runs, so that one process serves many.
            **{name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()),
            "ANSIBLE_ACTION_PLUGINS": str(CHECKOUT / "tests" / "integration" / "action_plugins"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            **variables,
        }
        key = tuple(sorted(environment.items()))
        if key not in started:
            started[key] = AnsiblePlaybook(environment)
        return started[key].run([str(argument) for argument in arguments])

    yield run
    for process in started.values():
        process.close()


@pytest.fixture
def nodes_alone(tmp_path_factory):
    """While a test has it, no other test that asks for it runs: of those that taint and cordon nodes, and of those that such nodes would disturb."""
    with (tmp_path_factory.getbasetemp().parent / "nodes.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def run_tasks(tmp_path, ansible_playbook):
    """Run tasks with ansible-playbook and return their results, one for each, in order.

    run_tasks([{"nanoagent.k8s.collector_image": {...}}], "--check") goes on after a failed task. The process itself is
    in run_tasks.process afterwards. Variables go through a file, so that nothing secret is in the process list.
    """

    def run(tasks: list, *arguments: str, variables: dict | None = None) -> list:
        results = tmp_path / "results.json"
        results.unlink(missing_ok=True)
        numbered = [{**task, "register": f"task_{number}", "ignore_errors": True} for number, task in enumerate(tasks)]
        names = ", ".join(f"task_{number}" for number in range(len(tasks)))
        keep = {"keep": {"content": "{{ [" + names + "] | to_json }}", "path": str(results)}, "no_log": True}
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [*numbered, keep]}
        play["vars"] = {"ansible_python_interpreter": sys.executable}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        (tmp_path / "variables.json").write_text(json.dumps(variables or {}))
        (tmp_path / "variables.json").chmod(0o600)
        run.process = ansible_playbook(tmp_path / "play.yml", "-e", f"@{tmp_path / 'variables.json'}", *arguments)
        assert results.exists(), run.process.stdout + run.process.stderr
        return json.loads(results.read_text())

    return run


@pytest.fixture(scope="session")
def kubectl(cluster_env):
    """kubectl(*arguments, stdin=None) -> standard output."""
    command = cluster_env.get("KUBECTL") or shutil.which("kubectl")

    def run(*arguments: str, stdin: str | None = None) -> str:
        environment = {**os.environ, "KUBECONFIG": cluster_env["KUBECONFIG"]}
        done = subprocess.run([command, *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def push(run_tasks, cluster_env):
    """push(binaries, labels) -> reference of an image in the plain registry."""

    def run(binaries: dict, **labels: str) -> str:
        options = {"name": f"{cluster_env['REGISTRY']}/tests/agent:1", "plain_http": True, "binaries": binaries, "labels": labels}
        [result] = run_tasks([{"nanoagent.k8s.collector_image": {**options, "architectures": sorted(binaries)}}])
        assert not result.get("failed"), result
        return result["image"]

    return run


@pytest.fixture(scope="session")
def shipped():
    """The collector's binaries."""
    return {arch: str(CHECKOUT / f"files/ebpf/bin/collector-linux-{arch}") for arch in ("amd64", "arm64")}


@pytest.fixture(scope="session")
def liar(tmp_path_factory):
    """build(version) -> binaries of tests/integration/liar, whose version `crash` ends at once."""
    go = subprocess.run([sys.executable, str(CHECKOUT / "tests/tools/find_go.py")], capture_output=True, text=True, check=True).stdout.strip()
    folder = tmp_path_factory.mktemp("liar")

    def build(version: str) -> dict:
        target = folder / version
        environment = {**os.environ, "CGO_ENABLED": "0", "GOARCH": "amd64", "GOOS": "linux", "GOTOOLCHAIN": "local"}
        flags = ["-buildvcs=false", "-ldflags", f"-s -w -X main.version={version}"]
        subprocess.run([go, "build", *flags, "-o", str(target), "."], cwd=CHECKOUT / "tests/integration/liar", env=environment, check=True)
        return {"amd64": str(target)}

    return build


@pytest.fixture
def name(run_tasks, cluster_env, kubectl):
    """A name and namespace of this test's own; whatever is left there is removed afterwards."""
    unique = f"test-{uuid.uuid4().hex[:8]}"
    yield unique
    # Kubernetes waits for five seconds before it empties a namespace; whatever runs next has a name of its own.
    gone = {"kubeconfig": cluster_env["KUBECONFIG"], "state": "absent", "name": unique, "namespace": unique, "wait": False}
    run_tasks([{"nanoagent.k8s.agent": gone}])
    kubectl("delete", "namespace", unique, "--ignore-not-found", "--wait=false")


@pytest.fixture
def options(cluster_env, name):
    """Options of both modules that name this test's agent."""
    return {"kubeconfig": cluster_env["KUBECONFIG"], "name": name, "namespace": name}


@pytest.fixture
def secret(cluster_env):
    """The password of the registry with TLS."""
    return Path(cluster_env["REGISTRY_TLS_PASSWORD_FILE"]).read_text().strip()


@pytest.fixture
def registries(cluster_env):
    """How the plain registry and the one with a password are reached; the password itself is in the variable `secret`."""
    if not cluster_env.get("REGISTRY_TLS"):
        pytest.skip("REGISTRY_TLS is not set: whoever brings a cluster may have no second registry, with TLS and a password")
    tls = {"host": cluster_env["REGISTRY_TLS"], "ca_cert": cluster_env["REGISTRY_TLS_CA"], "username": cluster_env["REGISTRY_TLS_USER"]}
    return [{"host": cluster_env["REGISTRY"], "plain_http": True}, {**tls, "password": "{{ secret }}"}]
