# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`image`: building the collector's image and pushing it to a registry."""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from judging.programs import version

from benchmark.images import REPOSITORY, build_and_push, image_options
from benchmark.peers import judges, say
from benchmark.process import measured
from benchmark.record import Ratio, Record
from benchmark.surroundings import ansible_environment, binaries, cluster, playbook_command

OWN_UNITS = {"requests": "requests"}

EMPTY = "empty playbook"
COLD, AGAIN = "ours: build and push", "ours: nothing to do"
PACKED = "ours: build and push, binaries as .gz"
BUILD = "engine: build"
ENGINE, ENGINE_PACKED, ENGINE_AGAIN = "engine: build and push", "engine: build and push, binaries as .gz", "engine: nothing to do"
CRANE_PUSH, SKOPEO = "crane push of the built layout", "skopeo copy of the built archive"

RATIOS = [
    Ratio("ours: build and push / empty playbook", COLD, EMPTY),
    Ratio("ours: build and push, binaries as .gz / empty playbook", PACKED, EMPTY),
    Ratio("ours: nothing to do / empty playbook", AGAIN, EMPTY),
    Ratio("engine: build and push / crane push", ENGINE, CRANE_PUSH),
    Ratio("engine: build and push, binaries as .gz / crane push", ENGINE_PACKED, CRANE_PUSH),
    Ratio("engine: build and push, binaries as .gz / skopeo copy", ENGINE_PACKED, SKOPEO),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This benchmark has no options of its own."""


def run(arguments: argparse.Namespace, folder: Path) -> tuple[Record, list[Ratio]]:
    """Measure all arms one after the other, round by round; every push goes to a repository that is new."""
    bench = Image(folder)
    for number in range(arguments.rounds):
        say(f"round {number + 1} of {arguments.rounds}")
        for arm, step in bench.steps(number).items():
            bench.record.add(arm, step())
    return bench.record, RATIOS


class Image:
    """The binaries, the built image in the forms that peers take, and the commands."""

    def __init__(self, folder: Path):
        self.record = Record(OWN_UNITS)
        self._folder = folder
        self._registry = cluster()["REGISTRY"]
        self._environment = ansible_environment(folder)
        self._plain, self._packed = binaries(), _packed(folder)
        self._crane = str(judges() / "crane")
        self._archive = folder / "collector.oci.tar"
        built = build_and_push(archive=str(self._archive))
        self._layout = folder / "layout"
        with tarfile.open(self._archive) as archive:
            archive.extractall(self._layout, filter="data")
        self.record.facts += [f"{architecture}: {found['size_compressed'] / 2**20:.2f} MiB compressed" for architecture, found in built["platforms"].items()]
        self.record.facts.append(f"crane {version('crane')}; crane and skopeo push an image that is built already")

    def steps(self, number: int) -> dict[str, Callable[[], dict]]:
        """The arms of one round, in their order."""

        def fresh(arm: str) -> str:
            return f"{self._registry}/{REPOSITORY}-bench/{os.getpid()}-{number}-{arm}:1"

        cold, engine = fresh("ours"), fresh("engine")
        source = f"oci-archive:{self._archive}"
        return {
            EMPTY: lambda: self._playbook(None),
            COLD: lambda: self._playbook({"name": cold, "binaries": self._plain}),
            AGAIN: lambda: self._playbook({"name": cold, "binaries": self._plain}),
            PACKED: lambda: self._playbook({"name": fresh("packed"), "binaries": self._packed}),
            BUILD: self._build,
            ENGINE: lambda: _engine(engine, self._plain),
            ENGINE_PACKED: lambda: _engine(fresh("engine-packed"), self._packed),
            ENGINE_AGAIN: lambda: _engine(engine, self._plain),
            CRANE_PUSH: lambda: measured([self._crane, "push", "--insecure", str(self._layout), fresh("crane")]).figures(),
            SKOPEO: lambda: measured(["skopeo", "copy", "--all", "--quiet", "--dest-tls-verify=false", source, f"docker://{fresh('skopeo')}"]).figures(),
        }

    def _playbook(self, options: dict | None) -> dict:
        tasks = [{"nanoagent.k8s.collector_image": {"plain_http": True, **options}}] if options else []
        path = self._folder / "image.json"
        path.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
        return measured(playbook_command(str(path)), self._environment, str(self._folder)).figures()

    def _build(self) -> dict:
        options = image_options(binaries=self._plain)
        from ansible_collections.nanoagent.k8s.plugins.module_utils import oci

        return _timed(lambda: oci.build_image(oci.read_programs(options["binaries"], options["architectures"])))


def _engine(name: str, programs: dict) -> dict:
    answer = {}
    figures = _timed(lambda: answer.update(build_and_push(name=name, binaries=programs)))
    return {**figures, "requests": sum(answer["requests"].values())}


def _timed(work: Callable[[], object]) -> dict:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _packed(folder: Path) -> dict[str, str]:
    """The binaries compressed once, as a release has them."""
    packed = {}
    for architecture, path in binaries().items():
        target = folder / f"{Path(path).name}.gz"
        target.write_bytes(gzip.compress(Path(path).read_bytes(), 9, mtime=0))
        packed[architecture] = str(target)
    return packed
