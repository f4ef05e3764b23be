# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`collector`: what the collector costs, at its start, at rest and under load."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.events import count_events, expected_events, missing_events, reported_loss
from benchmark.peers import TOOLS_PACKAGE, debian_tool, say
from benchmark.process import BenchFailed, measured
from benchmark.record import Ratio, Record
from benchmark.running import collector, memory, others, processor_seconds
from benchmark.surroundings import PROJECT, own_binary

OWN_UNITS = {
    "attached": "s",
    "ready": "s",
    "first event": "s",
    "VmRSS": "MiB",
    "PSS": "MiB",
    "VmHWM": "MiB",
    "cpu share": "% of a core",
    "events": "/s",
    "missing": "events",
    "reported lost": "events",
    "collector cpu": "s per million events",
}
STORM = "bench-storm"
START, REST = "start", "at rest"
# How long a collector may take to write what a storm left in its buffers.
DRAIN = 2.0
# A peer has no way to say that it is ready.
PEER_START = 3.0


@dataclass(frozen=True)
class Peer:
    """A tool of libbpf-tools that sees the same events."""

    name: str
    workload: str
    line: str


PEERS = (
    Peer("execsnoop", "exec", rf"^{STORM}\s"),
    Peer("tcpstates", "connect", rf"\s{STORM[:10]}\s.*SYN_SENT\s+->\s+ESTABLISHED"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument(
        "--rest", type=float, default=30, metavar="SECONDS", help="how long the collector rests before its memory is read (default: %(default)s)"
    )
    parser.add_argument("--storm", type=int, default=20000, metavar="N", help="starts and connections in a storm (default: %(default)s)")
    parser.add_argument("--with-peers", action="store_true", help=f"also measure execsnoop and tcpstates of Debian's {TOOLS_PACKAGE}")


def run(arguments: argparse.Namespace, folder: Path) -> tuple[Record, list[Ratio]]:
    """Start, rest and storms, round by round; storms without and with a collector take turns."""
    if os.geteuid() != 0:
        raise BenchFailed("loading eBPF programs takes root: run this as root")
    bench = Bench(folder, arguments.storm)
    peers = _peers(bench.record) if arguments.with_peers else {}
    for number in range(arguments.rounds):
        say(f"round {number + 1} of {arguments.rounds}")
        bench.start()
        bench.rest(arguments.rest)
        for workload in ("exec", "connect"):
            bench.alone(workload)
            bench.watched(workload)
            for peer, program in peers.items():
                if peer.workload == workload:
                    bench.watched_by_peer(peer, program)
    return bench.record, _ratios(peers)


def _row(workload: str, watcher: str) -> str:
    return f"{workload} storm, {watcher}"


def _ratios(peers: dict) -> list[Ratio]:
    watchers = [(workload, "ours") for workload in ("exec", "connect")] + [(peer.workload, peer.name) for peer in peers]
    return [
        Ratio(f"{workload} storm: {watcher} / nobody watching", _row(workload, watcher), _row(workload, "nobody watching"), figure)
        for workload, watcher in watchers
        for figure in ("wall", "cpu")
    ]


class Bench:
    """The collector's program, the storm, and the measurements."""

    def __init__(self, folder: Path, count: int):
        self.record = Record(OWN_UNITS)
        self._folder = folder
        self._count = count
        # Copies, because a build may replace the originals while this runs.
        self._binary = Path(shutil.copy2(own_binary(), folder / "bench-collector"))
        self._storm = _compile(folder)
        self._lines = folder / "events"
        installed = others()
        self.record.facts.append(f"{count:,} starts or connections in a storm, one after the other, over loopback only")
        if installed:
            resident = ", ".join(f"{memory(pid)['VmRSS']:.1f}" for pid in installed)
            self.record.facts.append(f"{len(installed)} other collectors watch this kernel during all arms; their VmRSS: {resident} MiB")

    def start(self) -> None:
        """From the start of the process until its programs are attached, it is ready, and an event comes out."""
        reading, writing = os.pipe()
        with collector(self._binary, self._folder, writing) as running, os.fdopen(reading, "rb") as lines, _something_happens(self._storm):
            os.close(writing)
            figures = {}
            ready = threading.Thread(target=lambda: figures.update(ready=running.await_ready()))
            ready.start()
            lines.readline()
            figures["attached"] = time.perf_counter() - running.started
            lines.readline()
            figures["first event"] = time.perf_counter() - running.started
            # What goes on coming has to be read, or the collector would have to drop it.
            rest = threading.Thread(target=lambda: [None for _line in lines])
            rest.start()
            ready.join()
            running.stop()
            rest.join()
        self.record.add(START, {name: figures[name] for name in ("attached", "ready", "first event")})

    def rest(self, seconds: float) -> None:
        """Memory and processor time while the machine does only what it does anyway."""
        with self._running() as running:
            before, used, begin = running.metrics(), processor_seconds(running.process.pid), time.perf_counter()
            time.sleep(seconds)
            elapsed = time.perf_counter() - begin
            share = 100 * (processor_seconds(running.process.pid) - used) / elapsed
            events = (running.metrics()["events_received_total"] - before["events_received_total"]) / elapsed
            self.record.add(REST, {**memory(running.process.pid), "cpu share": share, "events": events})

    def alone(self, workload: str) -> None:
        """A storm that this benchmark does not watch."""
        self.record.add(_row(workload, "nobody watching"), self._run_storm(workload))

    def watched(self, workload: str) -> None:
        """A storm under our collector's eyes, and what became of its events."""
        with self._running() as running:
            before = running.metrics()
            figures = self._run_storm(workload)
            time.sleep(DRAIN)
            after = running.metrics()
            figures["VmHWM"] = memory(running.process.pid)["VmHWM"]
        million = (after["events_received_total"] - before["events_received_total"]) / 1e6
        with self._lines.open() as lines:
            seen = count_events(lines, STORM)
        figures["collector cpu"] = (after["cpu_seconds_total"] - before["cpu_seconds_total"]) / million
        figures["missing"] = missing_events(expected_events(workload, self._count), seen)
        figures["reported lost"] = reported_loss(before, after)
        self.record.add(_row(workload, "ours"), figures)

    def watched_by_peer(self, peer: Peer, program: Path) -> None:
        """The same storm under a peer's eyes."""
        with self._lines.open("w+") as output:
            process = subprocess.Popen(_peer_command(program), stdout=output, stderr=subprocess.STDOUT)
            try:
                time.sleep(PEER_START)
                used = processor_seconds(process.pid)
                figures = self._run_storm(peer.workload)
                time.sleep(DRAIN)
                figures["VmHWM"] = memory(process.pid)["VmHWM"]
                figures["collector cpu"] = (processor_seconds(process.pid) - used) / (self._count / 1e6)
            finally:
                process.terminate()
                process.wait()
            output.seek(0)
            figures["missing"] = max(0, self._count - sum(bool(re.search(peer.line, line)) for line in output))
        self.record.add(_row(peer.workload, peer.name), figures)

    @contextmanager
    def _running(self) -> Iterator:
        with self._lines.open("w") as output, collector(self._binary, self._folder, output.fileno()) as running:
            running.await_ready()
            time.sleep(1)
            yield running

    def _run_storm(self, workload: str) -> dict[str, float]:
        return measured([str(self._storm), workload, str(self._count)]).figures()


@contextmanager
def _something_happens(program: Path) -> Iterator[None]:
    """Starts a program every few milliseconds, so that a first event does not have to wait for one."""
    enough = threading.Event()

    def go_on() -> None:
        while not enough.wait(0.005):
            subprocess.run([str(program)], check=False)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _compile(folder: Path) -> Path:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if not compiler:
        raise BenchFailed("a C compiler is missing: install gcc")
    program = folder / STORM
    source = PROJECT / "tests" / "bench" / "workload" / "storm.c"
    measured([compiler, "-O2", "-Wall", "-Werror", "-static", "-o", str(program), str(source)])
    return program


def _peers(record: Record) -> dict[Peer, Path]:
    """Those that start on this machine; the report says why others do not."""
    working = {}
    for peer in PEERS:
        program = debian_tool(peer.name)
        process = subprocess.Popen(_peer_command(program), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _out, errors = process.communicate(timeout=PEER_START)
            record.facts.append(f"{peer.name} of {TOOLS_PACKAGE} does not start here: {' / '.join(errors.strip().splitlines()[-2:])}")
            continue
        process.terminate()
        process.communicate()
        working[peer] = program
    return working


def _peer_command(program: Path) -> list[str]:
    """These tools need tracefs, which is not mounted everywhere; a mount namespace of its own leaves the machine as it is."""
    return ["unshare", "--mount", "sh", "-c", 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec "$0"', str(program)]
