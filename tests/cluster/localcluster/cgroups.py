# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's own part of the cgroup tree: one parent, below it a folder for each node's pods and one for the processes that serve it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import StepFailed
from localcluster.process import identity_of, kill

CPUSET_FILES = ("cpuset.mems", "cpuset.cpus")
SERVICES = "services"


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy."""

    mount: Path
    unified: bool
    controllers: frozenset[str]


def parse_mounts(text: str) -> list[Hierarchy]:
    """The cgroup hierarchies in the text of /proc/self/mounts."""
    found: dict[str, Hierarchy] = {}
    for line in text.splitlines():
        _device, mount, kind, options = line.split()[:4]
        if kind in ("cgroup", "cgroup2"):
            names = frozenset(options.split(",")) if kind == "cgroup" else frozenset()
            found[mount] = Hierarchy(Path(mount), kind == "cgroup2", names)
    return list(found.values())


def used_hierarchies(hierarchies: Iterable[Hierarchy]) -> list[Hierarchy]:
    """The hierarchies that a kubelet uses: all of version 1 where there is one with controllers, else the unified one."""
    hierarchies = list(hierarchies)
    legacy = [hierarchy for hierarchy in hierarchies if not hierarchy.unified]
    return legacy if any("memory" in hierarchy.controllers for hierarchy in legacy) else [h for h in hierarchies if h.unified]


class Cgroups:
    """The cgroups of one cluster."""

    def __init__(self, cluster: str, hierarchies: list[Hierarchy] | None = None):
        # Container runtimes make cgroups in hierarchies that the kubelet does not use: what is removed is looked for in all of them.
        self._all = parse_mounts(Path("/proc/self/mounts").read_text()) if hierarchies is None else hierarchies
        self._used = used_hierarchies(self._all)
        if not self._used:
            raise StepFailed("cgroups", "no cgroup hierarchy is mounted")
        self.parent = f"nanoagent-{cluster}"

    def pods(self, node: str) -> str:
        """The kubelet's cgroupRoot for a node."""
        return f"/{self.parent}/{node}"

    def create_pods(self, node: str) -> None:
        """Make a node's cgroupRoot in every hierarchy."""
        for hierarchy in self._used:
            self._create(hierarchy, Path(self.parent) / node, delegate=True)

    def services(self, owner: str) -> list[Path]:
        """Make the cgroup of the processes that serve a node or the whole cluster; returns the files to enter it by."""
        # One hierarchy is enough to find them again.
        hierarchy = next((h for h in self._used if "pids" in h.controllers), self._used[0])
        return [self._create(hierarchy, Path(self.parent) / SERVICES / owner, delegate=False) / "cgroup.procs"]

    def members(self, *below: str) -> set[int]:
        """The ids of all processes in the cgroups of the cluster, or only of those below some of them."""
        found = set()
        for folder in self._folders(below):
            for path, _folders, _files in os.walk(folder):
                try:
                    found.update(map(int, Path(path, "cgroup.procs").read_text().split()))
                except OSError:
                    continue
        return found

    def exist(self, *below: str) -> bool:
        """Whether the cluster, or one of some parts of it, is in the cgroup tree."""
        return bool(self._folders(below))

    def remove(self, *below: str) -> None:
        """Kill everything in the cluster's cgroups (or below some of them) and remove them."""
        deadline = time.monotonic() + 20
        while self.exist(*below):
            kill_all(self.members(*below))
            for folder in self._folders(below):
                for path, _folders, _files in os.walk(folder, topdown=False):
                    try:
                        os.rmdir(path)
                    except OSError:
                        continue
            if time.monotonic() > deadline:
                raise StepFailed("cgroups", f"processes {sorted(self.members(*below))} do not end")
            time.sleep(0.02)

    def _folders(self, below: tuple[str, ...]) -> list[Path]:
        paths = [hierarchy.mount / self.parent / part for hierarchy in self._all for part in (below or ("",))]
        return [path for path in paths if path.is_dir()]

    def _create(self, hierarchy: Hierarchy, relative: Path, delegate: bool) -> Path:
        path = hierarchy.mount
        for part in relative.parts:
            if hierarchy.unified and delegate:
                enable_controllers(path)
            path = path / part
            path.mkdir(exist_ok=True)
            if "cpuset" in hierarchy.controllers:
                inherit_cpuset(path)
        return path


def inherit_cpuset(path: Path) -> None:
    """Fill a version 1 cpuset, which is born empty and then takes no process."""
    for name in CPUSET_FILES:
        if not (path / name).read_text().strip():
            (path / name).write_text((path.parent / name).read_text())


def enable_controllers(path: Path) -> None:
    """Hand a unified cgroup's controllers on to its children."""
    wanted = set((path / "cgroup.controllers").read_text().split())
    for controller in wanted - set((path / "cgroup.subtree_control").read_text().split()):
        try:
            (path / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            # Some controllers cannot be handed on everywhere; the kubelet names the one it misses.
            continue


def kill_all(pids: Iterable[int]) -> None:
    """Kill processes at once."""
    for pid in pids:
        identity = identity_of(pid)
        if identity is not None:
            kill(identity)
