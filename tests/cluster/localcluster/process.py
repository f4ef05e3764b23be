# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that outlive the command that started them, known by process id and start time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.errors import StepFailed
from localcluster.state import write_atomically

# The shell enters the cgroup before it becomes the program, so that nothing of ours ever runs outside of it.
ENTER_AND_BECOME = 'for procs in $CGROUP_PROCS; do echo $$ > "$procs" || exit 1; done; unset CGROUP_PROCS; exec "$@"'


@dataclass(frozen=True)
class Identity:
    """A process id can be used again; together with the start time it cannot."""

    pid: int
    started: int


def parse_stat(text: str) -> tuple[str, int]:
    """State and start time from the text of /proc/PID/stat, whose second field may hold anything."""
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def identity_of(pid: int) -> Identity | None:
    """The identity of a process that runs now."""
    try:
        state, started = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, IndexError, ValueError):
        return None
    return None if state in "ZX" else Identity(pid, started)


def alive(identity: Identity | None) -> bool:
    """Whether exactly this process still runs."""
    return identity is not None and identity_of(identity.pid) == identity


def kill(identity: Identity) -> None:
    """Kill exactly this process."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return
    try:
        if alive(identity):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


class Processes:
    """The processes of one cluster, each with a name, a log and a record on disk."""

    def __init__(self, records: Path, logs: Path):
        self._records, self._logs = records, logs
        self._children: dict[str, subprocess.Popen] = {}
        self._lock = threading.Lock()

    def log(self, name: str) -> Path:
        """Where a process writes."""
        return self._logs / f"{name}.log"

    def names(self) -> list[str]:
        """Every process that was started and not forgotten."""
        return sorted(path.stem for path in self._records.glob("*.json"))

    def identity(self, name: str) -> Identity | None:
        """What was recorded when the process was started."""
        try:
            return Identity(**json.loads((self._records / f"{name}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def running(self, name: str) -> bool:
        """Whether the process of this name runs."""
        with self._lock:
            child = self._children.get(name)
        if child is not None:
            child.poll()
        return alive(self.identity(name))

    def start(self, name: str, command: Sequence[str], cgroup_procs: Sequence[Path], environment: Mapping[str, str] | None = None) -> bool:
        """Start a process unless it runs already; says whether it was started."""
        if self.running(name):
            return False
        self._logs.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, **(environment or {}), "CGROUP_PROCS": " ".join(map(str, cgroup_procs))}
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", ENTER_AND_BECOME, "sh", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables,
                cwd="/",
                start_new_session=True,
            )
        with self._lock:
            self._children[name] = child
        identity = identity_of(child.pid)
        if identity is None:
            raise StepFailed(name, "ended at once", self.log(name))
        write_atomically(self._records / f"{name}.json", json.dumps(asdict(identity)))
        return True

    def stop(self, name: str) -> None:
        """End a process at once and forget it."""
        identity = self.identity(name)
        if identity is not None:
            kill(identity)
            wait_for(lambda: not self.running(name), 10)
        self.forget(name)

    def forget(self, name: str) -> None:
        """Drop the record of a process."""
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def wait(self, name: str, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until a process is ready; fail as soon as it has ended."""
        if wait_for(lambda: ready() or not self.running(name), seconds):
            if ready():
                return
            raise StepFailed(what, f"{name} ended", self.log(name))
        raise StepFailed(what, f"{name} was not ready within {seconds:.0f} s", self.log(name))


def wait_for(condition: Callable[[], bool], seconds: float, pause: float = 0.05) -> bool:
    """Wait until a condition holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def accepts(host: str, port: int) -> bool:
    """Whether something takes connections there."""
    try:
        with socket.create_connection((host, port), 1):
            return True
    except OSError:
        return False
