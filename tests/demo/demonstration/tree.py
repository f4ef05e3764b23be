# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events as a tree that a person can read. Pure.

Each pod's processes stand below their parents, by the id that no other process ever gets again; connections stand
below the process that made or took them. A connection within the cluster is seen on both sides: the two ends are
joined by the caller's address.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

LINES = 40


@dataclass
class Process:
    """What the events told of one process.

    parent: as it was forked; starter: the parent when it started its program, which may be another one by then.
    """

    id: str
    pid: int
    comm: str
    pod: str
    node: str
    time: str
    parent: dict
    starter: dict = field(default_factory=dict)
    uid: int | None = None
    argv: list[str] = field(default_factory=list)
    end: str = ""
    connections: list[dict] = field(default_factory=list)
    children: list[Process] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The command line; the short name in brackets where no program was started."""
        return _printable(shlex.join(self.argv)) if self.argv else f"[{_printable(self.comm)}]"


def build(events: list[dict], limit: int = LINES) -> list[str]:
    """A tree for each pod and a line for each connection between two of them, at most `limit` lines in all.

    :param events: the collectors' events, in the order of time
    """
    pods: dict[str, list[dict]] = {}
    for event in events:
        pods.setdefault(event["pod"]["uid"], []).append(event)
    lines = []
    processes: list[Process] = []
    for of_pod in pods.values():
        found = gather(of_pod)
        processes += found.values()
        lines += [_headline(of_pod), *_branches(_roots(found)), ""]
    joined = [f"{_end(caller)} -> {_end(server)}  from {address}" for caller, server, address in join(processes)]
    if joined:
        lines += ["Across pods:", *joined]
    return _shorten(lines, limit)


def gather(events: list[dict]) -> dict[str, Process]:
    """The processes of some events by their id, in the order in which they first appear."""
    found: dict[str, Process] = {}
    for event in events:
        told = event.get("process")
        if not told:
            continue
        process = found.get(told["id"])
        if process is None:
            process = Process(told["id"], told["pid"], told["comm"], event["pod"]["name"], event["node"], event["time"], event.get("parent") or {})
            found[process.id] = process
        process.uid = told["uid"]
        if event["type"] == "exec":
            process.argv, process.comm = told["argv"], told["comm"]
            process.starter = process.starter or event.get("parent") or {}
        elif event["type"] == "exit":
            process.end = _exit_text(event["exit"])
        elif event["type"] in ("connect", "accept"):
            process.connections.append(event)
    return found


def join(processes: list[Process]) -> list[tuple[Process, Process, str]]:
    """(caller, server, the caller's address) of each connection that was seen from both ends.

    Only the caller's address is compared: the one that it called may be a service's, behind which the server's differs.
    """
    calls = {event["connection"]["local"]: process for process in processes for event in process.connections if event["type"] == "connect"}
    pairs = []
    for server in processes:
        for event in server.connections:
            address = event["connection"]["remote"]
            if event["type"] == "accept" and address in calls:
                pairs.append((calls[address], server, address))
    return pairs


def _roots(found: dict[str, Process]) -> list[Process]:
    """The outermost processes that are worth showing, each with those below it.

    What did nothing and has nobody below it is a fork with which Go tries a system call. What has a program only below
    it is the container runtime on its way to the container's first process: that one is the root.
    """
    roots = []
    for process in found.values():
        above = found.get(process.parent.get("id", ""))
        (above.children if above else roots).append(process)
    for process in found.values():
        process.children = [child for child in process.children if _worth_showing(child)]
    return [root for process in roots for root in _outermost(process)]


def _outermost(process: Process) -> list[Process]:
    # Whether runc's own second start is seen inside of the container depends on when it moves itself there.
    on_the_way = process.argv[1:2] == ["init"] and process.argv[0].rpartition("/")[2] == "runc"
    if (process.argv and not on_the_way) or process.connections:
        return [process]
    return [found for child in process.children for found in _outermost(child)]


def _worth_showing(process: Process) -> bool:
    return bool(process.argv or process.connections or any(map(_worth_showing, process.children)))


def _branches(parts: list[Process | dict], indent: str = "", top: bool = True) -> list[str]:
    """A line for each process and connection, and below a process what belongs to it, in the order of time."""
    lines = []
    ordered = sorted(parts, key=_time)
    for number, part in enumerate(ordered, start=1):
        sign, below = ("└─ ", "   ") if number == len(ordered) else ("├─ ", "│  ")
        if isinstance(part, Process):
            lines.append(indent + sign + _process_text(part, top))
            lines += _branches([*part.connections, *part.children], indent + below, top=False)
        else:
            lines.append(indent + sign + _connection_text(part))
    return lines


def _time(part: Process | dict) -> str:
    return part.time if isinstance(part, Process) else part["time"]


def _process_text(process: Process, top: bool) -> str:
    parts = [process.command, f"pid {process.pid}", f"uid {process.uid}"]
    parent = process.starter or process.parent
    if top and parent:
        parts.append(f"parent {_printable(parent['comm'])} {parent['pid']}")
    return "  ".join([*parts, process.end] if process.end else parts)


def _connection_text(event: dict) -> str:
    connection = event["connection"]
    if event["type"] == "accept":
        return f"accept {connection['local']} <- {connection['remote']}"
    text = f"connect {connection['local']} -> {connection['remote']}"
    if connection.get("error"):
        return f"{text}  {connection['error']}"
    return text + (f"  {connection['latency_us']} us" if "latency_us" in connection else "")


def _exit_text(end: dict) -> str:
    return f"killed by signal {end['signal']}" if "signal" in end else f"exit {end['code']}"


def _headline(events: list[dict]) -> str:
    containers = {event["container"]["id"]: event["container"].get("name") or event["container"]["id"][:12] for event in events if event.get("container")}
    pod = events[0]["pod"]
    return f"{events[0]['node']}  {pod['namespace']}/{pod['name']}" + (f"  container {', '.join(containers.values())}" if containers else "")


def _end(process: Process) -> str:
    return f"{process.pod} pid {process.pid}"


def _printable(text: str) -> str:
    """Arguments are the workload's: they must not move the reader's cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _shorten(lines: list[str], limit: int) -> list[str]:
    if len(lines) <= limit:
        return lines
    return [*lines[: limit - 1], f"... and {len(lines) - limit + 1} more lines"]
