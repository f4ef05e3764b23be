# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's network: a switch in a namespace of its own, one link from it to the machine and one to each node.

The switch is not in the machine's own namespace so that the machine's firewall rules for bridged traffic never see it. No node has a
default route: nothing that a test does can leave the machine.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from localcluster.addresses import SLOTS, AddressPlan, node_names
from localcluster.errors import StepFailed
from localcluster.machine import run
from localcluster.state import recorded_slots

NAMESPACES = Path("/run/netns")
SWITCH = "switch"


def namespace(cluster: str, member: str) -> str:
    """The name of a network namespace; no cluster's name has a dot, so prefixes are unambiguous."""
    return f"nanoagent.{cluster}.{member}"


def namespaces(cluster: str) -> list[Path]:
    """The cluster's network namespaces that are there."""
    return sorted(NAMESPACES.glob(f"nanoagent.{cluster}.*"))


def free_slot() -> int:
    """A slot that no recorded cluster and no interface of the machine has."""
    taken = recorded_slots()
    for slot in range(len(SLOTS)):
        if slot not in taken and not Path("/sys/class/net", AddressPlan(slot).interface).exists():
            return slot
    raise StepFailed("network", f"all {len(SLOTS)} slots for clusters are taken")


def create_switch(cluster: str, plan: AddressPlan) -> None:
    """Make the switch and the machine's link to it, unless they are there."""
    switch = namespace(cluster, SWITCH)
    if (NAMESPACES / switch).exists() and Path("/sys/class/net", plan.interface).exists():
        return
    remove_namespace(switch)
    run("network", ["ip", "netns", "add", switch])
    _delete_link(plan.interface)
    _batch(
        [
            "link set lo up",
            "link add switch type bridge stp_state 0 forward_delay 0",
            "link set switch up",
        ],
        switch,
    )
    _batch(
        [
            f"link add {plan.interface} type veth peer name machine netns {switch}",
            f"address add {plan.machine}/{plan.machines.prefixlen} dev {plan.interface}",
            f"link set {plan.interface} up",
        ]
    )
    _batch(["link set machine master switch up"], switch)


def create_node(cluster: str, plan: AddressPlan, node: str, index: int) -> None:
    """Make a node's network namespace with its link to the switch, unless it is there."""
    name = namespace(cluster, node)
    if (NAMESPACES / name).exists():
        return
    switch = namespace(cluster, SWITCH)
    run("network", ["ip", "netns", "add", name])
    _delete_link(node, switch)
    _batch([f"link add {node} type veth peer name eth0 netns {name}", f"link set {node} master switch up"], switch)
    _batch(
        [
            "link set lo up",
            f"address add {plan.node(index)}/{plan.machines.prefixlen} dev eth0",
            "link set eth0 up",
            # Without a route the kernel refuses a service's address before kube-proxy's rules can translate it.
            f"route add {plan.services} dev eth0",
        ],
        name,
    )


def connect_pods(cluster: str, plan: AddressPlan, nodes: int) -> None:
    """Tell the machine and every node the way to every other node's pods."""
    ways = {node: f"route replace {plan.pods(index)} via {plan.node(index)}" for index, node in enumerate(node_names(nodes))}
    _batch(list(ways.values()))
    for node in ways:
        _batch([way for other, way in ways.items() if other != node], namespace(cluster, node))


def remove_namespace(name: str) -> None:
    """Remove a network namespace, with the links that lead into it."""
    path = NAMESPACES / name
    if not path.exists():
        return
    if not _mounted(path):
        # A crash between the two halves of `ip netns add` leaves a plain file.
        path.unlink()
        return
    run("network", ["ip", "netns", "delete", name])


def remove(cluster: str, slot: int | None) -> None:
    """Remove all of the cluster's network."""
    interface = None if slot is None else AddressPlan(slot).interface
    if interface and Path("/sys/class/net", interface).exists() and (NAMESPACES / namespace(cluster, SWITCH)).exists():
        run("network", ["ip", "link", "delete", interface])
    for path in namespaces(cluster):
        remove_namespace(path.name)
    _remove_folder_if_empty()


def _remove_folder_if_empty() -> None:
    """Take back the folder of namespaces, which `ip` makes a mount of its own with the first of them."""
    if NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        # Someone else may make a namespace just now: then it is busy, and stays.
        subprocess.run(["umount", str(NAMESPACES)], capture_output=True, check=False)
        with contextlib.suppress(OSError):
            NAMESPACES.rmdir()


def _delete_link(name: str, inside: str | None = None) -> None:
    """Delete what a former namespace's link left: the kernel takes its time to remove those."""
    subprocess.run(["ip", *(["-netns", inside] if inside else []), "link", "delete", name], capture_output=True, check=False)


def _mounted(path: Path) -> bool:
    return os.stat(path).st_dev != os.stat(path.parent).st_dev


def _batch(lines: list[str], inside: str | None = None) -> None:
    if lines:
        run("network", ["ip", *(["-netns", inside] if inside else []), "-batch", "-"], "\n".join(lines) + "\n")
