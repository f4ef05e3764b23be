# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has which address. All of them lie in 198.18.0.0/15, which is reserved for tests and routed nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

ALL_CLUSTERS = IPv4Network("198.18.0.0/15")
SLOTS = tuple(ALL_CLUSTERS.subnets(new_prefix=18))
NODE_LIMIT = 40


@dataclass(frozen=True)
class AddressPlan:
    """The addresses of the cluster that has a slot: one /18 each."""

    slot: int

    @property
    def network(self) -> IPv4Network:
        """Everything that belongs to this cluster."""
        return SLOTS[self.slot]

    @property
    def machines(self) -> IPv4Network:
        """The network that the machine and the nodes share."""
        return self._piece(0)

    @property
    def services(self) -> IPv4Network:
        """The cluster addresses of services."""
        return self._piece(1)

    @property
    def simulated_pods(self) -> IPv4Network:
        """The pods of simulated nodes, which nobody can reach."""
        return IPv4Network((int(self._piece(8).network_address), 21))

    @property
    def machine(self) -> IPv4Address:
        """The machine itself: API server and registries listen here."""
        return self.machines[1]

    @property
    def simulated_node(self) -> IPv4Address:
        """The address that every simulated node shows."""
        return self.machines[254]

    @property
    def kubernetes_service(self) -> IPv4Address:
        """The cluster address of the service `kubernetes`."""
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        """The cluster address of the service that a DNS server would be behind."""
        return self.services[10]

    def node(self, index: int) -> IPv4Address:
        """The address of a node; the control-plane node has index 0."""
        return self.machines[10 + index]

    def pods(self, index: int) -> IPv4Network:
        """The addresses of a node's pods."""
        return self._piece(16 + index)

    @property
    def interface(self) -> str:
        """The one network interface that the machine gets for this cluster."""
        return f"nanoagent{self.slot}"

    def _piece(self, number: int) -> IPv4Network:
        return IPv4Network((int(self.network.network_address) + number * 256, 24))


def node_names(count: int) -> list[str]:
    """The names of a cluster's nodes, in the order of their indexes."""
    return ["control-plane", *(f"worker{number}" for number in range(1, count))]
