# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from benchmark import collector, image, install, layout, mirror, verify
from benchmark.process import BenchFailed
from benchmark.surroundings import machine_facts

BENCHMARKS = {"install": install, "image": image, "collector": collector, "verify": verify, "mirror": mirror}
# As a shell has it for a command that SIGINT ended.
INTERRUPTED = 130
HEAD = """# Results

Written by `python3 tests/bench ... --markdown tests/bench/RESULTS.md`; what each row means is in [README.md](README.md).
Times are of one machine and one hour; compare the ratios.
"""


def main(words: list[str]) -> int:
    """Run one benchmark; the exit code says whether it ran, never how fast."""
    arguments = _parser().parse_args(words)
    # Ended politely it ends as with Ctrl-C: what it started is taken away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    machine = machine_facts()
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    try:
        with tempfile.TemporaryDirectory(prefix="nanoagent-bench-") as folder:
            record, ratios = BENCHMARKS[arguments.bench].run(arguments, Path(folder))
    except BenchFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; nothing is reported", file=sys.stderr)
        return INTERRUPTED
    record.facts.append(f"load {os.getloadavg()[0]:.2f} at the end")
    report = {
        "bench": _title(arguments),
        "date": date,
        "machine": machine,
        "rounds": arguments.rounds,
        "rows": record.rows(),
        "ratios": record.ratios(ratios),
        "facts": record.facts,
    }
    print(layout.text(report), end="")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    if arguments.markdown:
        before = arguments.markdown.read_text() if arguments.markdown.exists() else HEAD
        arguments.markdown.write_text(layout.replace_section(before, report["bench"], layout.markdown(report)))
    return 0


def _title(arguments):
    """The report's name: one with simulated nodes stands beside that of the real ones."""
    if arguments.bench == "mirror":
        return mirror.title(arguments)
    simulated = getattr(arguments, "simulated", 0)
    return f"{arguments.bench}, {simulated} simulated nodes" if simulated else arguments.bench


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 tests/bench", description="Measure the collection against its peers; see tests/bench/README.md.")
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, module in BENCHMARKS.items():
        command = commands.add_parser(name, help=module.__doc__.split(": ", 1)[1])
        command.add_argument("--rounds", type=_positive, default=5, help="how often each arm runs (default: %(default)s)")
        command.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
        command.add_argument("--markdown", type=Path, metavar="FILE", help="write the report as its section of a Markdown file")
        module.add_arguments(command)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
