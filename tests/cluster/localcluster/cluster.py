# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole cluster: made, repaired, looked at and taken away again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from localcluster import build, controlplane, image, machine, network, node, pki, registry, simulated
from localcluster.addresses import NODE_LIMIT, node_names
from localcluster.api import FAILURES
from localcluster.cgroups import Cgroups, kill_all
from localcluster.errors import StepFailed
from localcluster.parts import Parts
from localcluster.process import alive
from localcluster.progress import Progress
from localcluster.state import Facts, Folder, boot_id, cache_home, slots_locked, state_home

DEFAULT_NAME, DEFAULT_NODES, DEFAULT_MINOR = "default", 3, "1.36"
CONTROL_PROCESSES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", registry.PLAIN, registry.TLS)
HIDDEN_FROM_NODES = (Path("/run"), Path("/var/lib"), Path("/var/log"))


@dataclass(frozen=True)
class Wish:
    """What a user asks for; None means: as it is, or the default."""

    name: str = DEFAULT_NAME
    nodes: int | None = None
    kubernetes: str | None = None
    simulated: int | None = None


def together(*tasks: Callable[[], object]) -> list[object]:
    """Run tasks at the same time; the first failure is raised once all have ended."""
    with ThreadPoolExecutor(max(1, len(tasks))) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def up(wish: Wish, progress: Progress) -> Facts:
    """Make the cluster, or repair it, or find that all is well."""
    machine.require_root()
    folder = Folder(wish.name)
    _check(wish)
    machine.install_missing(progress, cache_home() / "apt.log")
    known = _usable_facts(folder)
    if known is not None:
        _check_change(wish, known)
    before = folder.facts()
    minor = wish.kubernetes or (before.kubernetes if before else DEFAULT_MINOR)
    nodes = wish.nodes or (before.nodes if before else DEFAULT_NODES)
    count = wish.simulated if wish.simulated is not None else (before.simulated if before else 0)
    binaries = Path(known.binaries) if known else build.kube_binaries(minor, progress)
    kwok = build.kwok_binaries(progress) if count else None
    with folder.locked():
        known = _usable_facts(folder)
        if known is not None:
            _check_change(wish, known)
            grown = folder.record(known, nodes=max(known.nodes, nodes), simulated=count)
            try:
                return _ensure(folder, grown, kwok, progress)
            except FAILURES as failure:
                progress.say(f"          repair failed, the cluster is made anew ({failure})")
        _remove(folder)
        folder.path.mkdir(parents=True, exist_ok=True)
        with slots_locked():
            facts = folder.record(Facts(wish.name, network.free_slot(), nodes, minor, str(binaries), count, boot_id()))
        return _ensure(folder, facts, kwok, progress)


def down(name: str, progress: Progress) -> None:
    """Take the cluster away, whatever is left of it."""
    machine.require_root()
    folder = Folder(name)
    if not folder.path.exists() and not Cgroups(name).exist() and not network.namespaces(name):
        progress.say(f"          there is no cluster {name}")
        return
    with folder.locked(), progress.step(f"cluster {name} removed"):
        _remove(folder)


def existing(name: str) -> Parts:
    """The parts of a cluster that is up."""
    facts = Folder(name).facts()
    if facts is None or not facts.complete:
        raise StepFailed("local cluster", f"there is no cluster {name}: run `python3 tests/cluster up --name {name}` first")
    return Parts.of(facts)


def process_names(facts: Facts, nodes: Iterable[node.Node]) -> list[str]:
    """All processes that the cluster should have."""
    names = [*CONTROL_PROCESSES, *(process for each in nodes for process in each.processes)]
    return [*names, simulated.PROCESS] if facts.simulated else names


def nodes_of(parts: Parts) -> list[node.Node]:
    """The cluster's real nodes."""
    return [node.Node(parts, name) for name in node_names(parts.facts.nodes)]


def _check(wish: Wish) -> None:
    if wish.nodes is not None and not 1 <= wish.nodes <= NODE_LIMIT:
        raise StepFailed("local cluster", f"--nodes takes 1 to {NODE_LIMIT}")
    if wish.simulated is not None and wish.simulated < 0:
        raise StepFailed("local cluster", "--simulated takes 0 or more")
    if wish.kubernetes is not None:
        build.pinned_version(wish.kubernetes)
    for home in (state_home(), cache_home()):
        if any(hidden in home.resolve().parents for hidden in HIDDEN_FROM_NODES):
            raise StepFailed("local cluster", f"{home} lies in a folder that each node has for itself; set XDG_STATE_HOME and XDG_CACHE_HOME elsewhere")


def _usable_facts(folder: Folder) -> Facts | None:
    facts = folder.facts()
    if facts is None or not facts.complete or facts.boot != boot_id() or not Path(facts.binaries, "kube").exists():
        return None
    return facts


def _check_change(wish: Wish, facts: Facts) -> None:
    again = f"run `python3 tests/cluster down --name {facts.name}` first"
    if wish.kubernetes not in (None, facts.kubernetes):
        raise StepFailed("local cluster", f"{facts.name} runs Kubernetes {facts.kubernetes}; to have {wish.kubernetes}, {again}")
    if wish.nodes is not None and wish.nodes < facts.nodes:
        raise StepFailed("local cluster", f"{facts.name} has {facts.nodes} nodes; to have fewer, {again}")


def _ensure(folder: Folder, facts: Facts, kwok: Path | None, progress: Progress) -> Facts:
    """Start everything that is not running, and wait until it works; the same for a new cluster and for a damaged one."""
    parts = Parts.of(facts)
    nodes = nodes_of(parts)
    if facts.complete and _healthy(parts, nodes):
        progress.say(f"{progress.elapsed:6.1f} s  cluster {facts.name} is up: {facts.nodes} nodes, Kubernetes {facts.kubernetes}")
        return facts
    with progress.step("network, certificates and configuration"):
        together(
            lambda: network.create_switch(facts.name, parts.plan),
            lambda: pki.create_all(folder.pki, facts.name, parts.plan, facts.nodes),
            lambda: image.pack(Path(facts.binaries) / "pause", folder.path / "pause.tar"),
        )
        controlplane.write_configuration(parts)

    def control() -> None:
        with progress.step("API server ready"):
            controlplane.start_api(parts)
        controlplane.start_controllers(parts)

    def runtimes() -> None:
        with progress.step("containerd on every node"):
            together(*(each.start_runtime for each in nodes))
            network.connect_pods(facts.name, parts.plan, facts.nodes)

    def registries() -> None:
        with progress.step("registries ready"):
            registry.start(parts)
            registry.wait(parts)

    together(control, runtimes, registries)

    def node_ready(each: node.Node) -> None:
        with progress.step(f"node {each.name} ready"):
            each.start_kubelet()
            each.wait()

    def controllers() -> None:
        with progress.step("controllers ready"):
            controlplane.create_dns_service(parts)
            controlplane.wait_for_controllers(parts)

    together(controllers, *(lambda each=each: node_ready(each) for each in nodes))
    if kwok is not None:
        simulated.start(parts, kwok)
    if facts.simulated or parts.processes.identity(simulated.PROCESS):
        with progress.step(f"{facts.simulated} simulated nodes ready"):
            simulated.adjust(parts, facts.simulated)
            if not facts.simulated:
                parts.processes.stop(simulated.PROCESS)
    facts = folder.record(facts, complete=True)
    progress.say(f"{progress.elapsed:6.1f} s  cluster {facts.name} is up: {facts.nodes} nodes, Kubernetes {facts.kubernetes}")
    return facts


def _healthy(parts: Parts, nodes: list[node.Node]) -> bool:
    if not all(parts.processes.running(name) for name in process_names(parts.facts, nodes)):
        return False
    api = parts.api()
    if not api.ready():
        return False
    return all(each.works(api) for each in nodes) and simulated.count_ready(api) == parts.facts.simulated


def _remove(folder: Folder) -> None:
    """Remove every process, mount, namespace, link, cgroup and file of the cluster; needs no record of them."""
    facts = folder.facts()
    cgroups = Cgroups(folder.name)
    spaces = _namespace_ids(folder.name, cgroups)
    cgroups.remove()
    kill_all(_inside(spaces))
    network.remove(folder.name, None if facts is None or facts.boot != boot_id() else facts.slot)
    for entry in sorted(folder.path.iterdir(), key=lambda path: path.name == "cluster.json"):
        # The facts go last, so that a crash in between leaves a folder that says what it was.
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink(missing_ok=True)
    folder.path.rmdir()


def _namespace_ids(name: str, cgroups: Cgroups) -> set[tuple[int, int]]:
    """The network and mount namespaces that only this cluster's processes are in."""
    found = {_file_id(path) for path in network.namespaces(name)}
    for pid in cgroups.members():
        found.update(_namespaces_of(pid))
    return found - _namespaces_of(os.getpid()) - _namespaces_of(1) - {None}


def _inside(spaces: set[tuple[int, int]]) -> set[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return {pid for pid in pids if _namespaces_of(pid) & spaces}


def _namespaces_of(pid: int) -> set[tuple[int, int] | None]:
    return {_file_id(Path(f"/proc/{pid}/ns/{kind}")) for kind in ("net", "mnt")} - {None}


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def state_of(parts: Parts) -> list[tuple[str, str, str]]:
    """A table of the cluster's parts: what, its state, and its process id."""
    nodes = nodes_of(parts)
    rows = []
    for name in process_names(parts.facts, nodes):
        identity = parts.processes.identity(name)
        rows.append((name, "running" if alive(identity) else "stopped", str(identity.pid) if identity else "-"))
    try:
        api = parts.api()
        ready = api.ready_nodes()
        fake = simulated.count_ready(api)
    except FAILURES:
        return [*rows, ("API server", "no answer", "-")]
    rows += [(f"node {each.name}", "Ready" if ready.get(each.name) else "NotReady", "-") for each in nodes]
    if parts.facts.simulated:
        rows.append(("simulated nodes", f"{fake} of {parts.facts.simulated} Ready", "-"))
    return rows
