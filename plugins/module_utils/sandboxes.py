# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that have a kernel of their own, into which an agent of the node cannot see. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding, names

# A RuntimeClass's handler or name -> what its pods run in.
_KERNELS = (
    (re.compile(r"runsc|gvisor"), "gVisor"),
    (re.compile(r"kata|peerpod|pod-sandboxing"), "Kata Containers"),
    (re.compile(r"firecracker"), "Firecracker"),
    (re.compile(r"krun|crun-vm|runv|cloud-hypervisor"), "a virtual machine"),
    (re.compile(r"urunc|runnc|unikernel"), "a unikernel"),
)


def own_kernels(runtime_classes: list[dict]) -> dict[str, str]:
    """RuntimeClass name -> what its pods run in, for those whose pods do not share the node's kernel."""
    found = {}
    for each in runtime_classes:
        name, handler = (each.get("metadata") or {}).get("name") or "", each.get("handler") or ""
        kernel = next((kernel for pattern, kernel in _KERNELS if pattern.search(handler.lower()) or pattern.search(name.lower())), "")
        if kernel:
            found[name] = kernel
    return found


def blind_pods(classes: dict[str, str], pods: list[dict]) -> dict[str, int]:
    """Node -> how many of its pods have a kernel of their own; pods: of room.bare_pod."""
    found: dict[str, int] = {}
    for pod in pods:
        if pod["runtime_class"] in classes:
            found[pod["node"]] = found.get(pod["node"], 0) + 1
    return found


def runtime_class_findings(runtime_classes: list[dict], pods: list[dict] | None, agent_class: str) -> list[dict]:
    """The findings of the check runtime_classes. pods: None where they could not be read. agent_class: the agent's own, or empty."""
    classes = own_kernels(runtime_classes)
    found = []
    if agent_class in classes:
        evidence = f"the agent's own runtime class {agent_class} is {classes[agent_class]}: it would see its own sandbox and nothing of the node"
        found.append(
            finding("runtime_classes", "error", evidence, "set runtime_class to one of the node's own kernel, or leave it out", f"RuntimeClass {agent_class}")
        )
    for name, kernel in sorted(classes.items()):
        if pods is None:
            where = "which pods use it is not known here"
        else:
            nodes = blind_pods({name: kernel}, pods)
            total = sum(nodes.values())
            where = f"{count(total, 'pod')} on {names(sorted(nodes))}" if total else "no pod uses it now"
        evidence = f"its pods run in {kernel}, where an agent of the node sees nothing of what they do; {where}"
        found.append(finding("runtime_classes", "warning", evidence, "watch these pods by other means, from inside the sandbox", f"RuntimeClass {name}"))
    if not found:
        listed = names(sorted((each.get("metadata") or {}).get("name") or "" for each in runtime_classes))
        evidence = f"runtime classes {listed}: none has a kernel of its own" if runtime_classes else "no runtime classes: all pods share their node's kernel"
        found.append(finding("runtime_classes", "ok", evidence))
    return found
