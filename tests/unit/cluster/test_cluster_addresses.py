# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters never share an address, and none of them is routed anywhere."""

from itertools import combinations

import pytest
from localcluster.addresses import ALL_CLUSTERS, NODE_LIMIT, SLOTS, AddressPlan, node_names


def test_slots_do_not_overlap():
    """Two clusters on one machine have nothing in common."""
    plans = [AddressPlan(slot) for slot in range(len(SLOTS))]
    assert all(plan.network.subnet_of(ALL_CLUSTERS) for plan in plans)
    assert not any(one.network.overlaps(other.network) for one, other in combinations(plans, 2))
    assert len({plan.interface for plan in plans}) == len(plans)


@pytest.mark.parametrize("slot", range(len(SLOTS)))
def test_the_networks_of_a_cluster_do_not_overlap(slot):
    """Machines, services, simulated pods and each node's pods are apart, and inside of the cluster's network."""
    plan = AddressPlan(slot)
    networks = [plan.machines, plan.services, plan.simulated_pods, *(plan.pods(index) for index in range(NODE_LIMIT))]
    assert all(network.subnet_of(plan.network) for network in networks)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


def test_each_machine_has_its_own_address():
    """The machine, the nodes and the simulated nodes' common address differ."""
    plan = AddressPlan(0)
    addresses = [plan.machine, plan.simulated_node, *(plan.node(index) for index in range(NODE_LIMIT))]
    assert len(set(addresses)) == len(addresses)
    assert all(address in plan.machines for address in addresses)
    assert plan.kubernetes_service in plan.services


def test_interface_names_fit_into_the_kernel():
    """An interface name has at most 15 characters; a node's name is one, on the switch."""
    names = [AddressPlan(len(SLOTS) - 1).interface, *node_names(NODE_LIMIT)]
    assert max(map(len, names)) <= 15


def test_node_names():
    """The first node is the control plane's."""
    assert node_names(1) == ["control-plane"]
    assert node_names(3) == ["control-plane", "worker1", "worker2"]
