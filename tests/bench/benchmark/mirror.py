# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`mirror`: copying images between registries, against skopeo, crane and regctl."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from judging.programs import version
from judging.registries import distribution

from benchmark.breaking import Breaking
from benchmark.peers import judges, kube, say
from benchmark.process import BenchFailed, measured
from benchmark.record import Ratio, Record
from benchmark.surroundings import PROJECT, ansible_environment, collections_folder, import_collection, playbook_command
from benchmark.wire import FAR, Wire

OWN_UNITS = {"task": "s", "requests": "requests", "attempts": "attempts"}
SCENARIOS = {
    "cold": "a new repository",
    "warm": "images that are there already",
    "rtt": "a new repository, with a round trip of 50 ms",
    "resets": "a new repository, with resets",
}
PLATFORMS, LAYERS = ("amd64", "arm64"), 5
SMALL_IMAGES = 10
ROUND_TRIP = 0.05
# One of a hundred MiB that pass breaks its connection.
BYTES_PER_RESET = 100 << 20
MOST_ATTEMPTS = 20
ENGINE, PLAYBOOK, EMPTY = "ours: engine", "ours: playbook", "empty playbook"
PEERS = ("crane", "regctl", "skopeo")
_REQUEST = re.compile(rb'"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /v2/')


def arm(who: str, scenario: str) -> str:
    """The name of an arm."""
    return f"{scenario}: {who}"


RATIOS = [Ratio(arm(f"{peer} / {ENGINE}", scenario), arm(peer, scenario), arm(ENGINE, scenario)) for scenario in SCENARIOS for peer in PEERS]
RATIOS += [Ratio(arm(f"{PLAYBOOK} / {EMPTY}", "warm"), arm(PLAYBOOK, "warm"), arm(EMPTY, "warm"))]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which scenarios, and how large the image is."""
    parser.add_argument("--only", type=_scenarios, default=list(SCENARIOS), metavar="LIST", help=f"some of {','.join(SCENARIOS)} (default: all)")
    parser.add_argument("--size", type=int, default=300, metavar="MB", help="size of the image, of all its layers together (default: %(default)s)")


def title(arguments: argparse.Namespace) -> str:
    """The report's name: one of some scenarios does not take the place of one of all."""
    return "mirror" if set(arguments.only) == set(SCENARIOS) else f"mirror, {' and '.join(arguments.only)} only"


def _scenarios(text):
    chosen = text.split(",")
    if unknown := set(chosen) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: none of {', '.join(SCENARIOS)}")
    return chosen


def run(arguments: argparse.Namespace, folder: Path) -> tuple[Record, list[Ratio]]:
    """Measure all arms of each scenario, round by round."""
    bench = Mirror(folder, arguments.size * 1_000_000)
    with ExitStack() as stack:
        steps = {name: stack.enter_context(getattr(bench, name)()) for name in arguments.only}
        for number in range(arguments.rounds):
            say(f"round {number + 1} of {arguments.rounds}")
            for name in arguments.only:
                for who, step in steps[name](number).items():
                    bench.record.add(arm(who, name), step())
    return bench.record, RATIOS


class Ended(BenchFailed):
    """A command ended with an error; figures are those until then."""

    def __init__(self, text: str, figures: dict):
        super().__init__(text)
        self.figures = figures


@dataclass(frozen=True)
class Pair:
    """A source and a destination as clients name them: hosts, and what goes before a command that reaches them."""

    source: str
    target: str
    prefix: Sequence[str] = ()


class Mirror:
    """The images, the registries that hold them, and the commands."""

    def __init__(self, folder: Path, size: int):
        self.record = Record(OWN_UNITS)
        self._folder = folder
        self._environment = ansible_environment(folder) | {
            "ANSIBLE_CALLBACK_PLUGINS": str(PROJECT / "tests/bench/callbacks"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_time",
            "BENCH_TASK_TIME": str(folder / "task-time"),
            # Where skopeo remembers in which repositories it has seen a blob; not the user's.
            "_CONTAINERS_ROOTLESS_UID": "1",
            "XDG_DATA_HOME": str(folder / "skopeo"),
        }
        self._kube, self._judges = kube(), judges()
        import_collection()
        self._fill(size)
        self.record.facts += [
            f"image of {size / 1e6:.0f} MB, {len(PLATFORMS)} platforms, {LAYERS} layers each, between two of distribution's registries",
            f"crane {version('crane')}, regctl {version('regctl')}, {self._said(['skopeo', '--version'])}; with their own defaults",
            "ours looks for what refers to an image too, which the others do not",
        ]

    @contextmanager
    def _registry(self, name, host="", prefix=()) -> Iterator:
        with distribution(self._kube, self._folder / name, host, prefix) as registry:
            yield registry

    def _fill(self, size):
        """Puts all images into the source's folder, and all of their blobs into some repository of the destination's."""
        from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import multi, single
        from judging.pushing import put

        say("making images")
        image = multi("bench", PLATFORMS, layers=LAYERS, size=size // len(PLATFORMS) // LAYERS, packing="stored")
        small = [single(f"bench {number}") for number in range(SMALL_IMAGES)]
        self._large, self._small = image.root, [each.root for each in small]
        for name in ("source", "target"):
            with self._registry(name) as registry:
                base = f"http://{registry.host}"
                # A blob that a registry has anywhere costs it less to take, so it has all of them in every round; in a repository that
                # nobody asks it to mount them from, as crane does with one of the source's name.
                put(base, "large" if name == "source" else "before", image, "1")
                for number, each in enumerate(small):
                    put(base, f"small-{number}", each, "1")

    @contextmanager
    def cold(self) -> Iterator[Callable[[int], dict]]:
        """Registries on loopback."""
        with self._registry("source") as source, self._registry("target") as target:
            yield lambda number: self._copies(f"cold-{number}", Pair(source.host, target.host), (source, target))

    @contextmanager
    def rtt(self) -> Iterator[Callable[[int], dict]]:
        """Registries at the other end of a wire."""
        with Wire(ROUND_TRIP / 2) as wire:
            far, near = wire.at("far"), wire.at("near")
            with self._registry("source", f"{FAR}:5000", far) as source, self._registry("target", f"{FAR}:5001", far) as target:
                yield lambda number: self._copies(f"rtt-{number}", Pair(source.host, target.host, near), (source, target))

    @contextmanager
    def resets(self) -> Iterator[Callable[[int], dict]]:
        """Registries behind relays that break connections; who gives up begins again, until it is done."""
        with (
            self._registry("source") as source,
            self._registry("target") as target,
            Breaking(source.host, BYTES_PER_RESET) as near,
            Breaking(target.host, BYTES_PER_RESET) as far,
        ):
            pair = Pair(near.host, far.host)
            self.record.facts.append("resets: one connection for each 100 MiB that pass, of reads and of writes; who ended with an error began again")

            def steps(number):
                copies = self._copies(f"resets-{number}", pair, (source, target), MOST_ATTEMPTS)

                def broken(step):
                    near.begin(f"near {number}")
                    far.begin(f"far {number}")
                    return step()

                return {who: lambda step=step: broken(step) for who, step in copies.items() if who != PLAYBOOK}

            yield steps

    @contextmanager
    def warm(self) -> Iterator[Callable[[int], dict]]:
        """Ten images, each by digest, that the destination has already; the peers are started ten times at once."""
        self.record.facts.append(f"warm: {SMALL_IMAGES} images by digest; crane, regctl and skopeo are started once for each image, all at once")
        with self._registry("source") as source, self._registry("target") as target:
            pair, both = Pair(source.host, target.host), (source, target)
            wishes = [(f"{source.host}/small-{number}@{digest}", f"{target.host}/small-{number}:1") for number, digest in enumerate(self._small)]

            def steps(_number):
                words = "\n".join(" ".join(f"docker://{name}" for name in wish) for wish in wishes)
                listed = {peer: words if peer == "skopeo" else words.replace("docker://", "") for peer in PEERS}
                return {
                    EMPTY: lambda: self._playbook([], pair),
                    PLAYBOOK: lambda: self._counted(both, lambda: self._playbook(wishes, pair)),
                    ENGINE: lambda: self._counted(both, lambda: self._engine(wishes, pair)),
                    **{
                        peer: lambda peer=peer: self._counted(
                            both,
                            lambda: self._measured(
                                ["sh", "-c", f'printf "%s\n" "$1" | xargs -n 2 -P {SMALL_IMAGES} {shlex.join(self._peer(peer, pair))}', "sh", listed[peer]]
                            ),
                        )
                        for peer in PEERS
                    },
                }

            yield steps

    def _copies(self, label, pair, registries, attempts=1) -> dict[str, Callable[[], dict]]:
        """An arm for each of ours and theirs that copies the large image into a repository of its own."""

        def step(who, work):
            repository = f"{label}-{who.replace(': ', '-')}"
            shutil.rmtree(self._folder / "skopeo", ignore_errors=True)
            wish = (f"{pair.source}/large@{self._large}", f"{pair.target}/{repository}:1")
            figures = until_done(repository, lambda: self._counted(registries, lambda: work(wish)), attempts)
            link = self._folder / f"target/images/docker/registry/v2/repositories/{repository}/_manifests/tags/1/current/link"
            if link.read_text() != self._large:
                raise BenchFailed(f"{who} made {link.read_text()} of {self._large}")
            return figures

        def peer(name):
            def work(wish):
                names = [f"docker://{each}" for each in wish] if name == "skopeo" else wish
                return self._measured([*pair.prefix, *self._peer(name, pair), *names])

            return work

        arms = {PLAYBOOK: lambda wish: self._playbook([wish], pair), ENGINE: lambda wish: self._engine([wish], pair), **{name: peer(name) for name in PEERS}}
        return {who: lambda who=who, work=work: step(who, work) for who, work in arms.items()}

    def _engine(self, wishes, pair):
        options = self._folder / "options.json"
        options.write_text(json.dumps(_options(wishes, pair)))
        used = self._measured([*pair.prefix, sys.executable, str(Path(__file__).with_name("engine.py")), str(collections_folder()), str(options)], whole=True)
        return {**json.loads(used.output.splitlines()[-1]), "memory": used.memory}

    def _playbook(self, wishes, pair):
        tasks = [{"nanoagent.k8s.image_mirror": _options(wishes, pair)}] if wishes else []
        path = self._folder / "mirror.json"
        path.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
        figures = self._measured([*pair.prefix, *playbook_command(str(path))])
        return {**figures, "task": float((self._folder / "task-time").read_text())} if wishes else figures

    def _peer(self, name, pair):
        hosts = [word for host in (pair.source, pair.target) for word in ("--host", f"reg={host},tls=disabled")]
        return {
            "crane": [str(self._judges / "crane"), "copy", "--insecure"],
            "regctl": [str(self._judges / "regctl"), *hosts, "image", "copy"],
            "skopeo": ["skopeo", "copy", "--all", "--preserve-digests", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"],
        }[name]

    def _measured(self, command, whole=False):
        used = measured(command, self._environment, str(self._folder), known=range(-64, 256))
        if used.code:
            raise Ended(f"{Path(command[0]).name} ended with {used.code}: {used.output.strip()[-400:]}", used.figures())
        return used if whole else used.figures()

    def _counted(self, registries, work):
        def requests():
            # A registry writes its line when the client has its answer already.
            time.sleep(0.05)
            return sum(len(_REQUEST.findall(registry.log.read_bytes())) for registry in registries)

        before = requests()
        try:
            figures = work()
        except Ended as ended:
            ended.figures["requests"] = requests() - before
            raise
        return {**figures, "requests": requests() - before}

    def _said(self, command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def until_done(what: str, attempt: Callable[[], dict], most: int) -> dict[str, float]:
    """The figures of all attempts until one does not raise Ended: their sums, of memory the highest, and their number where there may be more.

    :raises BenchFailed: as many as may be have ended
    """
    whole: dict[str, float] = {}
    for number in range(1, most + 1):
        failure = None
        try:
            figures = attempt()
        except Ended as ended:
            figures, failure = ended.figures, ended
        highest = max(whole.get("memory", 0), figures["memory"])
        whole = {name: whole.get(name, 0) + value for name, value in figures.items()} | {"memory": highest}
        if failure is None:
            return whole | ({"attempts": number} if most > 1 else {})
    raise BenchFailed(f"{what} is not done after {most} attempts: {failure}")


def _options(wishes, pair):
    registries = [{"host": host, "plain_http": True} for host in dict.fromkeys((pair.source, pair.target))]
    return {"images": [{"source": source, "destination": target} for source, target in wishes], "registries": registries}
