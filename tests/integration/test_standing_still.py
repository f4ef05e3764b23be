# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agent_info tells of programs that stand still for a while: events that a collector has lost, a monitor that nobody leads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, IMAGE, INFO, until
from checkout import CHECKOUT

SMALL = {"requests": {"cpu": "1m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
# The least that there is; some hundred events fill it.
RING = 65536
PROCESSES = 2000


@pytest.fixture(autouse=True)
def here(cluster_env):
    if not cluster_env.get("KUBE_BINARY"):
        pytest.skip("the processes of a cluster elsewhere cannot be stopped from here")


def container(kubectl, namespace, selector):
    """(node, id of the first container) of the first pod."""
    pod = json.loads(kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))["items"][0]
    return pod["spec"]["nodeName"], pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]


@contextmanager
def stopped(container_id, program):
    """The program in a container does not run meanwhile."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and container_id in (folder / "cgroup").read_text() and (folder / "cmdline").read_bytes().startswith(program + b"\0run"):
                found.append(int(folder.name))
        except OSError:
            continue
    [pid] = found
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_events_that_a_collector_has_lost(run_tasks, push, shipped, options, kubectl, name):
    [installed] = run_tasks([{AGENT: {**options, "image": push(shipped), "resources": SMALL, "ring_bytes": RING}}])
    assert not installed.get("failed"), installed
    node, container_id = container(kubectl, name, f"app.kubernetes.io/instance={name}")
    with stopped(container_id, b"/collector"):
        subprocess.run(["sh", "-c", f"i=0; while [ $i -lt {PROCESSES} ]; do /bin/true; i=$((i+1)); done"], check=True)
    [seen] = run_tasks([{INFO: {**options, "live": True, "live_timeout": 30}}])
    [row] = [row for row in seen["nodes"] if row["node"] == node]
    assert row["proof"]["proven"] and row["proof"]["lost"]["ring"] > 100
    told = [line for line in seen["warnings"] if "lost events" in line]
    assert len(told) == 1 and "as the ring was full" in told[0] and f"{node}: {row['proof']['lost']['ring']}" in told[0] and "ring_bytes" in told[0]
    assert seen["ok"], "what was lost once is a warning; the collector sees again"


def test_a_monitor_that_nobody_leads(run_tasks, push, shipped, options, cluster_env, kubectl, name):
    binaries = {arch: str(CHECKOUT / f"files/monitor/bin/monitor-linux-{arch}") for arch in ("amd64", "arm64")}
    [image] = run_tasks([{IMAGE: {"program": "monitor", "name": f"{cluster_env['REGISTRY']}/tests/monitor:1", "plain_http": True, "binaries": binaries}}])
    wanted = {**options, "image": push(shipped), "resources": SMALL, "monitor": {"enabled": True, "image": image["image"], "resources": SMALL}}
    [installed, led] = run_tasks([{AGENT: wanted}, {INFO: options}])
    assert not installed.get("failed"), installed
    [row] = led["monitors"]
    assert led["ok"] and row["ok"] and row["leader"].startswith(row["name"].partition("/")[2])
    lease = row["name"].partition("/")[2]
    _node, container_id = container(kubectl, name, "app.kubernetes.io/component=cluster-monitor")
    with stopped(container_id, b"/monitor"):
        kubectl("patch", "lease", lease, "-n", name, "--type=merge", "-p", json.dumps({"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}))
        [silent] = run_tasks([{INFO: options}])
    [row] = silent["monitors"]
    assert not silent["ok"] and row["leader"] == "" and "none of its replicas leads" in row["detail"]
    assert any("none of its replicas leads" in line for line in silent["causes"])
    assert until(lambda: run_tasks([{INFO: options}])[0]["ok"])
