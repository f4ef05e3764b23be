# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that exist only in the API: kwok keeps them ready and lets their pods seem to run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from localcluster.api import Api
from localcluster.errors import StepFailed
from localcluster.parts import Parts
from localcluster.process import wait_for

PREFIX = "simulated-"
MARK = "kwok.x-k8s.io/node"
PROCESS = "kwok"
SECONDS = 120
WRITERS = 8


def name_of(number: int) -> str:
    """The name of a simulated node."""
    return f"{PREFIX}{number:04d}"


def node_object(number: int) -> dict:
    """A simulated node, with a taint that keeps off pods that mean to run."""
    name = name_of(number)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {MARK: "fake"},
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "type": "kwok"},
        },
        "spec": {"taints": [{"key": MARK, "value": "fake", "effect": "NoSchedule"}]},
    }


def count_ready(api: Api) -> int:
    """How many simulated nodes are ready."""
    return sum(ready for name, ready in api.ready_nodes().items() if name.startswith(PREFIX))


def start(parts: Parts, binaries: Path) -> None:
    """Start kwok."""
    parts.start(
        PROCESS,
        str(binaries / "kwok"),
        f"--kubeconfig={parts.folder.pki / 'kwok.kubeconfig'}",
        f"--config={binaries / 'stages.yaml'}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={MARK}=fake",
        f"--cidr={parts.plan.simulated_pods}",
        f"--node-ip={parts.plan.simulated_node}",
        "--node-lease-duration-seconds=40",
    )


def adjust(parts: Parts, wanted: int) -> None:
    """Create or delete simulated nodes until there are as many as wanted, and wait until they are ready."""
    present = {name for name in parts.api().ready_nodes() if name.startswith(PREFIX)}
    missing = [number for number in range(wanted) if name_of(number) not in present]
    surplus = sorted(present - {name_of(number) for number in range(wanted)})
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(_create_some, [parts] * WRITERS, (missing[writer::WRITERS] for writer in range(WRITERS))))
    api = parts.api()
    for name in surplus:
        api.request("DELETE", f"/api/v1/nodes/{name}", accepted=(200, 202, 404))
    if not wait_for(lambda: count_ready(api) >= wanted, SECONDS, pause=0.5):
        raise StepFailed("simulated nodes", f"not all {wanted} were ready within {SECONDS} s", parts.processes.log(PROCESS))


def _create_some(parts: Parts, numbers: list[int]) -> None:
    api = parts.api()
    for number in numbers:
        api.request("POST", "/api/v1/nodes", node_object(number), accepted=(201, 409))
