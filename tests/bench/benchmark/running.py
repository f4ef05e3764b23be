# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collector of our own, started and stopped for a measurement."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.events import metrics
from benchmark.process import BenchFailed

START_LIMIT = 15.0
STOP_LIMIT = 5.0
_POLL = 0.002


class Collector:
    """A running collector outside any pod."""

    def __init__(self, binary: Path, folder: Path, output: int):
        self._socket = folder / "collector.sock"
        config = folder / "collector.json"
        config.write_text(json.dumps({"socket": str(self._socket)}))
        self._errors = (folder / "collector.log").open("w+")
        self.started = time.perf_counter()
        environment = {"NODE_NAME": "bench"}
        self.process = subprocess.Popen([str(binary), "run", "--config", str(config)], env=environment, stdout=output, stderr=self._errors)

    def ask(self, path: str) -> tuple[int, str]:
        """(status, body) of one request to the collector's socket; status 0 where it does not answer yet."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(str(self._socket))
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            with client.makefile("rb") as stream:
                head, _unused, body = stream.read().decode("utf-8", "replace").partition("\r\n\r\n")
            return int(head.split()[1]), body
        return 0, ""

    def metrics(self) -> Counter:
        """The collector's metrics, see benchmark.events.metrics."""
        status, body = self.ask("/metrics")
        if status != 200:
            raise BenchFailed("the collector does not give its metrics")
        return metrics(body)

    def await_ready(self) -> float:
        """Seconds from the start to the moment at which the collector says that it is ready."""
        while self.ask("/readyz")[0] != 200:
            self.check()
            time.sleep(_POLL)
        return time.perf_counter() - self.started

    def check(self) -> None:
        """:raises BenchFailed: it has ended, or is not ready in time"""
        if self.process.poll() is not None:
            self._errors.seek(0)
            raise BenchFailed(f"the collector ended: {self._errors.read().strip() or self.process.returncode}")
        if time.perf_counter() - self.started > START_LIMIT:
            raise BenchFailed(f"the collector is not ready after {START_LIMIT:g} s")

    def stop(self) -> None:
        """End it as a node does."""
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._errors.close()


@contextmanager
def collector(binary: Path, folder: Path, output: int) -> Iterator[Collector]:
    """A collector for the time of a with block."""
    running = Collector(binary, folder, output)
    try:
        yield running
    finally:
        running.stop()


def memory(pid: int) -> dict[str, float]:
    """Resident memory of a process, in MiB: all pages, those counted by their share, and the most there ever was."""
    rollup, status = Path(f"/proc/{pid}/smaps_rollup").read_text(), Path(f"/proc/{pid}/status").read_text()
    return {"VmRSS": kilobytes(status, "VmRSS"), "PSS": kilobytes(rollup, "Pss"), "VmHWM": kilobytes(status, "VmHWM")}


def kilobytes(text: str, field: str) -> float:
    """A field of a file in /proc that counts in kB, in MiB. Pure."""
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{field}:")) / 1024


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def others(command: str = "collector") -> list[int]:
    """Processes of that name that are there already, such as those of an installed agent."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "comm").read_text().strip() == command:
                    found.append(int(entry.name))
    return found
