# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running one command and measuring it with all its children."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LAST_LINES = 15


class BenchFailed(Exception):
    """One line for the user: what did not work."""


@dataclass(frozen=True)
class Usage:
    """What a command took, and what it wrote."""

    wall: float
    cpu: float
    memory: float
    output: str

    def figures(self) -> dict[str, float]:
        """Both times, in seconds, and the peak resident memory of the largest of its processes, in MiB."""
        return {"wall": self.wall, "cpu": self.cpu, "memory": self.memory}


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: str | None = None, known: Sequence[int] = (0,)) -> Usage:
    """Run a command to its end.

    The processor time is that of the process and of all descendants that were waited for, from wait4.
    :raises BenchFailed: the exit code is none of the known ones
    """
    # Not a pipe: whoever reads it would take processor time from the measured process.
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        begin = time.perf_counter()
        child = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            _pid, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if child.returncode not in known:
        raise BenchFailed(f"{command[0]} ended with {child.returncode}:\n" + "\n".join(text.strip().splitlines()[-LAST_LINES:]))
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)
