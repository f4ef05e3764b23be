# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is there room for one more pod on a node, who would have to go for it, and where would it starve? Pure.

Source: Kubernetes, component-helpers/resource/helpers.go (PodRequests), pkg/apis/core/v1/defaults.go (SetDefaults_Pod) and the
scheduler's plugins noderesources, nodeports and defaultpreemption, read at 1.36. Disruption budgets, which the scheduler breaks
only where it must, are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import share
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding, names
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import amount
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at

_POD_LEVEL = ("cpu", "memory")
_BINARY_SHOWN = ("memory", "ephemeral-storage", "hugepages-")
_VICTIMS_SHOWN = 3


def bare_pod(pod: dict) -> dict:
    """What of a bound Pod object the questions here need: a cluster has tens of thousands of them."""
    metadata, spec, status = (pod.get(key) or {} for key in ("metadata", "spec", "status"))
    return {
        "name": f"{metadata.get('namespace')}/{metadata.get('name')}",
        "uid": metadata.get("uid") or "",
        "created": metadata.get("creationTimestamp") or "",
        "started": status.get("startTime") or "",
        "node": spec.get("nodeName") or "",
        "priority": spec.get("priority") or 0,
        "runtime_class": spec.get("runtimeClassName") or "",
        "requests": pod_requests(spec, status),
        "ports": host_ports(spec),
    }


def pod_requests(spec: dict, status: dict | None = None) -> dict[str, Decimal]:
    """What a pod takes from its node: cores, bytes and counts by resource.

    Containers run at once, with the sidecars; init containers one after the other, each beside the sidecars started
    before it; on top the runtime's overhead. Requests of the pod as a whole count in the place of those of its containers.
    status: with it, what a resize in place has given and not yet taken back counts too.
    """
    given = {one.get("name"): one for key in ("containerStatuses", "initContainerStatuses") for one in (status or {}).get(key) or []}
    total: dict[str, Decimal] = {}
    for container in spec.get("containers") or []:
        _add(total, _requests(container, given))
    sidecars: dict[str, Decimal] = {}
    highest: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or []:
        own = _requests(container, given)
        if container.get("restartPolicy") == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = sidecars
        else:
            own = {name: own.get(name, Decimal(0)) + sidecars.get(name, Decimal(0)) for name in {*own, *sidecars}}
        _raise(highest, own)
    _raise(total, highest)
    whole = (spec.get("resources") or {}).get("requests") or {}
    total.update({name: _number(text) for name, text in whole.items() if name in _POD_LEVEL or name.startswith("hugepages-")})
    _add(total, {name: _number(text) for name, text in (spec.get("overhead") or {}).items()})
    return total


def with_requests(spec: dict) -> dict:
    """The spec of a pod template as a pod has it: what a container limits without requesting it, the API server has it request."""
    return with_resources(spec, lambda given: {**given, "requests": {**(given.get("limits") or {}), **(given.get("requests") or {})}})


def with_resources(spec: dict, change: Callable[[dict], dict]) -> dict:
    """A pod's spec with other resources of its containers and init containers. change: from {"requests", "limits"} to such, parts may be missing."""
    lists = [key for key in ("containers", "initContainers") if spec.get(key)]
    return {**spec, **{key: [{**one, "resources": change(one.get("resources") or {})} for one in spec[key]] for key in lists}}


def surge(daemon_set: dict, nodes: int) -> int:
    """On how many of so many nodes an update may run the new pod beside the old one."""
    return share(at(daemon_set, "spec", "updateStrategy", "rollingUpdate", "maxSurge") or 0, nodes)


def host_ports(spec: dict) -> set[tuple[str, str, int]]:
    """(address, protocol, port) of each port of the node that a pod takes; in the host's network these are all its ports."""
    taken = set()
    for container in [*(spec.get("containers") or []), *(one for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always")]:
        for port in container.get("ports") or []:
            number = port.get("hostPort") or (port.get("containerPort") if spec.get("hostNetwork") else None)
            if number:
                taken.add((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", number))
    return taken


def share_a_port(one: Iterable[tuple[str, str, int]], other: Iterable[tuple[str, str, int]]) -> bool:
    """Whether two pods cannot be on one node for their ports; both: of host_ports."""
    return any(_clash(port, taken) for port in one for taken in other)


def judge_room(wanted: dict, node: dict, pods: list[dict], priority: int, may_preempt: bool, former: Sequence[dict] = ()) -> dict:
    """Where one more pod would stand on a node.

    wanted: {"requests": of pod_requests, "ports": of host_ports}. node: a Node object. pods: bare_pod of each that is bound
    there and stays. former: bare_pod of those that go when the new one is ready, and not before.
    Returns {"room": fits|preempts|starves, "short": [text], "beside": whether only the former ones are in the way, "victims": [pod],
    "left": {"cpu", "memory"}}; left is what the node could still give, below zero where it starves.
    """
    allocatable = {name: _number(text) for name, text in ((node.get("status") or {}).get("allocatable") or {}).items()}
    others, pods = pods, [*pods, *former]
    short = _short(wanted, allocatable, pods)
    beside = bool(short) and not _short(wanted, allocatable, others)
    result = {"room": "fits", "short": short, "beside": beside, "victims": [], "left": _left(wanted, allocatable, pods)}
    if not short:
        return result
    lower = [pod for pod in pods if pod["priority"] < priority] if may_preempt else []
    staying = [pod for pod in pods if pod not in lower]
    if not lower or _short(wanted, allocatable, staying):
        return {**result, "room": "starves"}
    victims = []
    # As the scheduler: the most important ones are given back first, as far as there is room beside the new pod.
    for pod in sorted(lower, key=lambda pod: (-pod["priority"], pod["started"] or pod["created"], pod["name"])):
        if _short(wanted, allocatable, [*staying, pod]):
            victims.append(pod["name"])
        else:
            staying.append(pod)
    return {**result, "room": "preempts", "victims": victims}


def room_findings(judged: dict[str, dict], priority: str, instead: str = "") -> list[dict]:
    """The findings of the check room.

    judged: node -> of judge_room. priority: the pods' class and value, as text. instead: what makes the former pods go first, as text.
    """
    found = []
    for short, nodes in _grouped(judged, "starves"):
        fix = f"{_in_place(judged, nodes, instead)}give the agent a higher priority class than {priority}, lower resources.requests, or free what is short"
        found.append(finding("room", "error", f"no room: {short}", fix, nodes=nodes))
    for short, nodes in _grouped(judged, "preempts"):
        victims = [name for node in nodes for name in judged[node]["victims"]]
        more = f" and {len(victims) - _VICTIMS_SHOWN} more" if len(victims) > _VICTIMS_SHOWN else ""
        evidence = f"{short}; with {priority} the scheduler would end {', '.join(victims[:_VICTIMS_SHOWN])}{more}"
        fix = f"{_in_place(judged, nodes, instead)}free room, lower resources.requests, or accept it"
        found.append(finding("room", "warning", evidence, fix, nodes=nodes))
    fits = {node: one for node, one in judged.items() if one["room"] == "fits"}
    if fits:
        tightest = min(fits, key=lambda node: (fits[node]["left"]["memory"], node))
        left = fits[tightest]["left"]
        evidence = (
            f"room on {count(len(fits), 'node')}; {tightest} has the least memory left, {shown('memory', left['memory'])} and {shown('cpu', left['cpu'])} cpu"
        )
        found.append(finding("room", "ok", evidence))
    return found


def shown(resource: str, value: Decimal) -> str:
    """An amount as people write it: cores or millicores, mebibytes or gibibytes, a plain number."""
    if resource == "cpu":
        return f"{int(value)}" if value == int(value) else f"{int(value * 1000)}m"
    if resource.startswith(_BINARY_SHOWN):
        mebibytes = int(value) / (1 << 20)
        return f"{mebibytes / 1024:.1f}Gi" if abs(mebibytes) >= 10240 else f"{mebibytes:.0f}Mi"
    return f"{value.normalize():f}"


@lru_cache(maxsize=4096)
def _number(text):
    return amount("a quantity", text) or Decimal(0)


def _requests(container, given):
    spec = {name: _number(text) for name, text in ((container.get("resources") or {}).get("requests") or {}).items()}
    status = given.get(container.get("name")) or {}
    for held in ((status.get("resources") or {}).get("requests"), status.get("allocatedResources")):
        _raise(spec, {name: _number(text) for name, text in (held or {}).items()})
    return spec


def _add(total, more):
    for name, value in more.items():
        total[name] = total.get(name, Decimal(0)) + value


def _raise(total, other):
    for name, value in other.items():
        total[name] = max(total.get(name, Decimal(0)), value)


def _used(resource, pods: Iterable[dict]):
    return sum((pod["requests"].get(resource, Decimal(0)) for pod in pods), Decimal(0))


def _short(wanted, allocatable, pods):
    """What of the wanted is not there, one text each."""
    found = []
    room = int(allocatable.get("pods", 0))
    if len(pods) + 1 > room:
        found.append(f"pods: {len(pods)} of {room} are there")
    for name, value in sorted(wanted["requests"].items()):
        free = allocatable.get(name, Decimal(0)) - _used(name, pods)
        if value and value > free:
            found.append(f"{name}: {shown(name, value)} wanted, {shown(name, max(free, Decimal(0)))} of {shown(name, allocatable.get(name, Decimal(0)))} free")
    for _address, protocol, port in sorted(wanted["ports"]):
        if any(share_a_port([(_address, protocol, port)], pod["ports"]) for pod in pods):
            found.append(f"port {port}/{protocol} of the node is taken")
    return found


def _clash(one, other):
    everywhere = ("0.0.0.0", "::")
    return one[1:] == other[1:] and (one[0] == other[0] or one[0] in everywhere or other[0] in everywhere)


def _left(wanted, allocatable, pods):
    return {name: allocatable.get(name, Decimal(0)) - _used(name, pods) - wanted["requests"].get(name, Decimal(0)) for name in _POD_LEVEL}


def _grouped(judged, room):
    """[(what is short, nodes)], most nodes first; those where only former pods are in the way apart."""
    groups: dict[str, list[str]] = {}
    for node, one in sorted(judged.items()):
        if one["room"] == room:
            groups.setdefault(", ".join(one["short"]) + (" beside the former pod" if one["beside"] else ""), []).append(node)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def _in_place(judged, nodes, instead):
    """The beginning of a fix for nodes of one group."""
    return f"{instead}, " if instead and judged[nodes[0]]["beside"] else ""


def describe_room(one: dict) -> str:
    """A node's room in few words: `fits`, `starves (cpu: ...)`, `preempts (a/b)`."""
    if one["room"] == "fits":
        return "fits"
    return f"{one['room']} ({', '.join(one['short']) if one['room'] == 'starves' else names(one['victims'])})"
