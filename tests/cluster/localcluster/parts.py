# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of a cluster is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localcluster.addresses import AddressPlan
from localcluster.api import PORT, Api
from localcluster.cgroups import Cgroups
from localcluster.process import Processes
from localcluster.state import Facts, Folder


@dataclass(frozen=True)
class Parts:
    """One cluster's folder, addresses, processes and cgroups."""

    facts: Facts
    folder: Folder
    plan: AddressPlan
    processes: Processes
    cgroups: Cgroups

    @classmethod
    def of(cls, facts: Facts) -> Parts:
        """The parts of a recorded cluster."""
        folder = Folder(facts.name)
        processes = Processes(folder.path / "processes", folder.logs)
        return cls(facts, folder, AddressPlan(facts.slot), processes, Cgroups(facts.name))

    @property
    def kube(self) -> str:
        """The binary that all Kubernetes components are in."""
        return str(Path(self.facts.binaries) / "kube")

    @property
    def kubectl(self) -> str:
        """kubectl alone."""
        return str(Path(self.facts.binaries) / "kubectl")

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{self.plan.machine}:{PORT}"

    def api(self) -> Api:
        """A new connection to the API server."""
        return Api(str(self.plan.machine), self.folder.pki)

    def start(self, name: str, *command: str, owner: str = "control", environment: dict[str, str] | None = None) -> bool:
        """Start a process of the cluster unless it runs; says whether it was started."""
        return self.processes.start(name, command, self.cgroups.services(owner), environment)
