# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the demonstration importable, and events of its shape easy to write down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "demo"), str(TESTS / "cluster")]


class Recorder:
    """Makes events as the collector writes them, each a millisecond after the one before."""

    def __init__(self):
        self.events = []

    def add(self, kind: str, pod: str, pid: int | None, parent: int = 1, **more) -> dict:
        """One event of a process of a pod; more: argv, exit, connection, comm."""
        event = {
            "type": kind,
            "time": f"2026-01-01T00:00:00.{len(self.events):03}000000Z",
            "node": f"node-of-{pod}",
            "container": {"id": f"{pod}-container-id", "name": "main"},
            "pod": {"namespace": "nanoagent-demo", "name": pod, "uid": f"uid-of-{pod}"},
        }
        if pid is not None:
            comm = more.get("comm", "shop")
            event["process"] = {"id": f"{pod}-{pid}", "pid": pid, "uid": 65532, "gid": 65532, "comm": comm}
            event["parent"] = {"id": f"{pod}-{parent}", "pid": parent, "comm": "containerd-shim"}
        if "argv" in more:
            event["process"].update(argv=more["argv"], exe=more["argv"][0], cwd="/")
        event.update({name: more[name] for name in ("exit", "connection") if name in more})
        self.events.append(event)
        return event

    def start(self, pod: str, pid: int, parent: int, *argv: str) -> None:
        """A process is forked and starts a program."""
        self.add("fork", pod, pid, parent)
        self.add("exec", pod, pid, parent, argv=list(argv))

    def end(self, pod: str, pid: int, parent: int, **how) -> None:
        """A process ends, with code=0 or signal=9."""
        self.add("exit", pod, pid, parent, exit={"code": 0, **how})

    def connect(self, pod: str, pid: int | None, local: str, remote: str, **more) -> None:
        """A process calls."""
        self.add("connect", pod, pid, connection={"local": local, "remote": remote, **more})

    def accept(self, pod: str, pid: int | None, local: str, remote: str) -> None:
        """A process is called."""
        self.add("accept", pod, pid, connection={"local": local, "remote": remote})


@pytest.fixture
def recorder() -> Recorder:
    """An empty recording."""
    return Recorder()
