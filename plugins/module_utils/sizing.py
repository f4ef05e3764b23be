# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and limits of the containers, fixed or as a share of the smallest node. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import amount, canonical_quantity
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_facts import why_down
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, records

# What an agent asks for by default, and our collector. A kubelet keeps up to five log files of 10 MiB of a container: where a disk fills
# up, a pod that takes less than it asked for is not among the first to go.
DEFAULT = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6000m", "memory": "10240Mi"}}
COLLECTOR = {**DEFAULT, "requests": {**DEFAULT["requests"], "ephemeral-storage": "128Mi"}}
_MEBIBYTE = 1 << 20
_PERCENT = (3, 5)
_REQUESTS = {"cpu": 0.1, "memory": 512 * _MEBIBYTE}
_RESOURCE = re.compile(r"cpu|memory|ephemeral-storage|hugepages-.+|[a-z0-9.-]+/[A-Za-z0-9_.-]+")


def check(options: dict) -> None:
    """Failure for amounts that are none, requests above limits, or a share out of bounds."""
    percent, resources = options.get("limit_percent"), options["resources"]
    if percent is not None and not _PERCENT[0] <= percent <= _PERCENT[1]:
        raise Failure(f"limit_percent {percent:g} is out of bounds", f"choose from {_PERCENT[0]} to {_PERCENT[1]} percent of the smallest node")
    if percent is not None and resources is not None:
        raise Failure("limit_percent and resources exclude each other", "leave one of them out")
    check_resources("resources", resources)


def check_resources(option: str, resources: dict | None) -> None:
    """Failure unless it is {"requests": {name: quantity}, "limits": {name: quantity}} with no request above its limit."""
    found = {}
    for key, amounts in (resources or {}).items():
        if key not in ("requests", "limits"):
            raise Failure(f"{option}.{key} is not known", "use requests and limits")
        if not isinstance(amounts, dict):
            raise Failure(f"{option}.{key} is no mapping", "use for example {cpu: 100m, memory: 512Mi}")
        for name, text in amounts.items():
            if not _RESOURCE.fullmatch(str(name)):
                raise Failure(f"{option}.{key}.{name} is no resource", "use cpu, memory, ephemeral-storage or vendor.example/name")
            found[key, name] = amount(f"{option}.{key}.{name}", text)
            if name != "cpu" and found[key, name] is not None and found[key, name] != found[key, name].to_integral_value():
                raise Failure(f"{option}.{key}.{name} {text} is no whole number: m is a thousandth", "write for example 512Mi")
    for (key, name), value in found.items():
        limit = found.get(("limits", name))
        if key == "requests" and None not in (value, limit) and value > limit:
            raise Failure(f"{option}.requests.{name} is above {option}.limits.{name}", "lower the request or raise the limit")


def container_resources(options: dict, facts: dict) -> dict:
    """The agent container's resources.

    Of the collector's defaults the request of local storage is left out where facts["local_storage"] is False.
    With limit_percent, limits are that share of facts["smallest_node"] ({"cpu": cores, "memory": bytes}), in whole
    millicores and mebibytes, rounded down, and the default requests are capped at them.
    """
    percent = options.get("limit_percent")
    if percent is None:
        storage = facts.get("local_storage") is not False
        return as_resources(options["resources"] if storage or options["resources"] != COLLECTOR else DEFAULT)
    node = facts.get("smallest_node")
    if not node:
        raise Failure("limit_percent needs the cluster's nodes, and none are known", "give resources instead, or run against a cluster with nodes")
    limits = {name: node[name] * percent / 100 for name in _REQUESTS}
    requests = {name: min(wanted, limits[name]) for name, wanted in _REQUESTS.items()}
    return {"limits": _quantities(limits), "requests": _quantities(requests)}


def as_resources(resources: dict) -> dict:
    """The user's resources with every amount as the API server writes it, without parts that name none."""
    return {key: {name: canonical_quantity(value) for name, value in amounts.items()} for key, amounts in resources.items() if amounts}


def smallest_node(nodes: list[dict]) -> dict | None:
    """{"cpu": cores, "memory": bytes}: the least of each that any of these Node objects can give to pods; None without nodes."""
    found = [(node.get("status") or {}).get("allocatable") or {} for node in nodes]
    sizes = [(amount("cpu", size["cpu"]), amount("memory", size["memory"])) for size in found if "cpu" in size and "memory" in size]
    if not sizes:
        return None
    return {"cpu": float(min(cpu for cpu, _memory in sizes)), "memory": int(min(memory for _cpu, memory in sizes))}


def has_local_storage(nodes: list[dict], before: list[dict] | None) -> bool:
    """Whether the collector may ask for local storage: every one of these nodes that is up accounts for it, and it was not left out before.

    A kubelet without that accounting reports none, and the scheduler takes it for a node that has none left. before: the objects that
    were applied last, None where that is not known: once left out, the request stays out, so that agents are not restarted each
    time such a node comes or goes.
    """
    templates = [at(obj, "spec", "template", "spec") for obj in before or [] if obj["kind"] == "DaemonSet"]
    if any(container.get("resources") == as_resources(DEFAULT) for spec in templates for container in records(at(spec, "containers"))):
        return False
    return all("ephemeral-storage" in mapping(at(node, "status", "allocatable")) for node in nodes if not why_down(node))


def _quantities(amounts):
    # 0.1 cores is not exactly 100 millicores as a float.
    cpu, memory = f"{int(round(amounts['cpu'] * 1000, 6))}m", f"{int(amounts['memory'] // _MEBIBYTE)}Mi"
    return {"cpu": canonical_quantity(cpu), "memory": canonical_quantity(memory)}
