# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`verify`: how long a verdict for every node takes in clusters of many sizes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.peers import chart_python, say
from benchmark.process import UNITS, BenchFailed, measured
from benchmark.record import Ratio, Record
from benchmark.recorded import NAMESPACE, counts
from benchmark.surroundings import ansible_environment, cluster, playbook_command

OWN_UNITS = {"requests": "requests"}
SIZES = (100, 1000, 5000, 20000)
EMPTY = "empty playbook"
# The size that the project's goals are about.
GOAL = 5000
RATIOS = [Ratio(f"ours / kubectl get, {GOAL} nodes", f"ours: verify, {GOAL} nodes", f"kubectl: get nodes,pods -o json, {GOAL} nodes")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--sizes", type=_sizes, default=SIZES, metavar="N,N,...", help="numbers of nodes (default: 100,1000,5000,20000)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw time and memory by number of nodes as an SVG picture")


def run(arguments: argparse.Namespace, folder: Path) -> tuple[Record, list[Ratio]]:
    """Measure every size, round by round; each size has a server of its own, which does not count."""
    record = Record(OWN_UNITS)
    kubectl = cluster().get("KUBECTL", "kubectl")
    empty = folder / "empty.json"
    empty.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": []}]))
    record.facts += ["recorded lists, served over plain HTTP on loopback; 14 KB a pod, 16 KB a node with its 50 images", "verify without live proof and drift"]
    for number in range(arguments.rounds):
        record.add(EMPTY, measured(playbook_command(str(empty)), ansible_environment(folder), str(folder)).figures())
        for size in arguments.sizes:
            say(f"round {number + 1} of {arguments.rounds}: {size} nodes")
            with _server(size) as url:
                environment = ansible_environment(folder, str(_kubeconfig(folder, url))) | {"HOME": str(folder)}
                record.add(f"ours: verify, {size} nodes", _verify(folder, environment, size))
                read = measured([kubectl, "get", "nodes,pods", "-A", "-o", "json"], environment, str(folder))
                record.add(f"kubectl: get nodes,pods -o json, {size} nodes", read.figures())
    if arguments.plot:
        _draw(record, arguments.sizes, arguments.plot)
    return record, RATIOS


def _verify(folder, environment, size):
    report = folder / "report.json"
    variables = {"verify_live": False, "verify_drift": "ignore", "verify_fail": False, "verify_namespace": NAMESPACE, "verify_reports": {"json": str(report)}}
    usage = measured(playbook_command("nanoagent.k8s.verify", "-e", json.dumps(variables)), environment, str(folder))
    found = json.loads(report.read_text())
    seen = {name: found["summary"][name] for name in ("nodes", "ready")}
    if seen != counts(size):
        raise BenchFailed(f"the verdicts are wrong: {seen} instead of {counts(size)}")
    return usage.figures() | {"requests": sum(found["requests"].values())}


@contextmanager
def _server(size: int) -> Iterator[str]:
    """URL of a process that serves so many nodes."""
    command = [sys.executable, "-m", "benchmark.recorded", str(size)]
    process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[1], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise BenchFailed("the server of recorded lists did not start")
        yield url
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _kubeconfig(folder, url):
    path = folder / "kubeconfig"
    named = {"name": "recorded"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "recorded",
        "clusters": [named | {"cluster": {"server": url}}],
        "users": [named | {"user": {}}],
        "contexts": [named | {"context": {"cluster": "recorded", "user": "recorded"}}],
    }
    path.write_text(json.dumps(content))
    return path


def _draw(record, sizes, path):
    """The medians by number of nodes, as lines; drawn in a Python of its own, since nothing else needs the library."""
    medians = {(row["arm"], row["figure"]): row["median"] for row in record.rows()}
    names = {"ours": "ours: verify, {} nodes", "kubectl get": "kubectl: get nodes,pods -o json, {} nodes"}
    lines = {figure: {name: [medians[arm.format(size), figure] for size in sizes] for name, arm in names.items()} for figure in ("wall", "memory")}
    script = Path(__file__).with_name("chart.py")
    measured([str(chart_python()), str(script), str(path.resolve()), json.dumps({"sizes": list(sizes), "lines": lines, "units": UNITS})])


def _sizes(text):
    sizes = tuple(int(part) for part in text.split(","))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError("every size must be at least 1")
    return sizes
