# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running one command and measuring it with all its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LAST_LINES = 15
# Of a command's figures().
UNITS = {"wall": "s", "cpu": "s", "memory": "MiB"}
# A process starts with its parent's peak of memory as its own, so the parent is a small one: a Python without site packages.
_LAUNCHER = """
import json, os, sys, time
report, command = int(sys.argv[1]), sys.argv[2:]
began, begin = time.time(), time.perf_counter()
try:
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, report)])
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
_pid, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begin
figures = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss / 1024, "code": os.waitstatus_to_exitcode(status), "began": began}
os.write(report, json.dumps(figures).encode())
"""


class BenchFailed(Exception):
    """One line for the user: what did not work."""


@dataclass(frozen=True)
class Usage:
    """What a command took, and what it wrote. began: in seconds since 1970."""

    wall: float
    cpu: float
    memory: float
    output: str
    code: int = 0
    began: float = 0.0

    def figures(self) -> dict[str, float]:
        """Both times, in seconds, and the peak resident memory of the largest of its processes, in MiB."""
        return {"wall": self.wall, "cpu": self.cpu, "memory": self.memory}


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: str | None = None, known: Sequence[int] = (0,)) -> Usage:
    """Run a command to its end.

    The processor time is that of the process and of all descendants that were waited for, the memory the largest process's, from wait4.
    :raises BenchFailed: the exit code is none of the known ones
    """
    # Not a pipe: whoever reads it would take processor time from the measured process.
    with tempfile.TemporaryFile("w+", errors="replace") as output, tempfile.TemporaryFile() as report:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report.fileno()), *command]
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT, "pass_fds": [report.fileno()]}
        child = subprocess.Popen(launcher, env=environment, cwd=folder, start_new_session=True, **streams)
        try:
            child.wait()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        output.seek(0)
        text = output.read()
        report.seek(0)
        figures = json.loads(report.read() or b"{}")
    if figures.get("code") not in known:
        raise BenchFailed(f"{command[0]} ended with {figures.get('code')}:\n" + "\n".join(text.strip().splitlines()[-LAST_LINES:]))
    return Usage(figures["wall"], figures["cpu"], figures["memory"], text, figures["code"], figures["began"])
