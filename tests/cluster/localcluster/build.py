# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The binaries of a cluster: built once from pinned sources, then kept in the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localcluster.errors import StepFailed
from localcluster.golang import environment, find_go, version_of, wanted_version
from localcluster.progress import Progress
from localcluster.state import cache_home

SOURCES = Path(__file__).resolve().parents[1]
KUBE, KWOK = SOURCES / "kube", SOURCES / "kwok"
KWOK_COMMAND = "sigs.k8s.io/kwok/cmd/kwok"
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
KUBELET_WITH_CONTEXT_FROM = 34
VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def known_minors() -> list[str]:
    """The Kubernetes minors whose sources are pinned, newest first."""
    return sorted((path.stem for path in (KUBE / "versions").glob("*.mod")), key=lambda minor: int(minor.split(".")[1]), reverse=True)


def pinned_version(minor: str) -> str:
    """The Kubernetes version that stands for a minor."""
    module_file = KUBE / "versions" / f"{minor}.mod"
    if not module_file.exists():
        raise StepFailed("Kubernetes", f"{minor} is not one of {', '.join(known_minors())}")
    return re.search(r"^\s*k8s\.io/kubernetes v(\S+)$", module_file.read_text(), re.MULTILINE).group(1)


def fingerprint(files: Sequence[Path], *words: str) -> str:
    """A short name for the content of some files and some words."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(files):
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def kube_binaries(minor: str, progress: Progress) -> Path:
    """The folder with `kube`, `kubectl` and `pause` for a Kubernetes minor, built if need be."""
    version = pinned_version(minor)
    module_file = KUBE / "versions" / f"{minor}.mod"
    files = [*KUBE.glob("*.go"), *KUBE.glob("*/*.go"), module_file, module_file.with_suffix(".sum")]
    major, number = minor.split(".")
    settings = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": number, "gitTreeState": "clean"}
    stamps = [f"-X {package}.{key}={value}" for package in VERSION_PACKAGES for key, value in settings.items()]
    flags = ["-trimpath", f"-modfile={module_file}", "-ldflags", " ".join(["-s -w", *stamps])]
    if int(number) < KUBELET_WITH_CONTEXT_FROM:
        flags.append("-tags=kubelet_without_context")
    return programs(f"kube-{version}", f"Kubernetes {version}", KUBE, files, flags, [".", "./kubectl", "./pause"], progress)


def programs(label: str, what: str, sources: Path, files: Sequence[Path], flags: list[str], packages: list[str], progress: Progress) -> Path:
    """The folder with the programs of some packages, built if need be; `files` are all that it depends on, its one .mod among them."""
    module_file = next(path for path in files if path.suffix == ".mod")
    with _built(label, files, module_file, progress) as (go, target):
        if target is not None:
            _compile(go, sources, what, flags, packages, target, progress)
        return _folder(label, files, go)


def kwok_binaries(progress: Progress) -> Path:
    """The folder with `kwok` and its `stages.yaml`, built if need be."""
    module_file = KWOK / "go.mod"
    files = [module_file, KWOK / "go.sum"]
    with _built("kwok", files, module_file, progress) as (go, target):
        if target is not None:
            _compile(go, KWOK, "kwok", ["-trimpath", "-ldflags", "-s -w"], [KWOK_COMMAND], target, progress)
            module = subprocess.run(
                [go, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"], cwd=KWOK, env=environment(), capture_output=True, text=True, check=True
            ).stdout.strip()
            stages = [Path(module, "kustomize/stage", stage).read_text() for stage in STAGES]
            (target / "stages.yaml").write_text("\n---\n".join(stages))
        return _folder("kwok", files, go)


def _folder(label: str, files: Sequence[Path], go: str) -> Path:
    numbers = ".".join(map(str, version_of(go)))
    return cache_home() / f"{label}-{fingerprint(files, numbers, platform.machine())}"


@contextmanager
def _built(label: str, files: Sequence[Path], module_file: Path, progress: Progress) -> Iterator[tuple[str, Path | None]]:
    """Gives Go and a folder to build into, which takes its place when all went well; the folder is None where that is done already."""
    cache_home().mkdir(parents=True, exist_ok=True)
    go = find_go(wanted_version(module_file), progress, cache_home() / "go.log")
    final = _folder(label, files, go)
    if final.is_dir():
        yield go, None
        return
    with _one_build_at_a_time(progress):
        if final.is_dir():
            yield go, None
            return
        for unfinished in cache_home().glob(".*.building"):
            shutil.rmtree(unfinished)
        fresh = cache_home() / f".{final.name}.building"
        fresh.mkdir()
        yield go, fresh
        fresh.rename(final)


@contextmanager
def _one_build_at_a_time(progress: Progress) -> Iterator[None]:
    descriptor = os.open(cache_home(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("          waiting for another build to end")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _compile(go: str, sources: Path, what: str, flags: list[str], packages: list[str], target: Path, progress: Progress) -> None:
    log = cache_home() / f"build-{what.replace(' ', '-').lower()}.log"
    with progress.step(f"sources of {what}"):
        total = _packages_to_build(go, sources, what, flags, packages)
    command = [go, "build", "-v", *flags, "-o", f"{target}{os.sep}", *packages]
    with (
        progress.step(f"build of {what}"),
        log.open("w") as stream,
        progress.counting(f"          {what}", total) as counter,
        subprocess.Popen(
            command, cwd=sources, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as child,
    ):
        for line in child.stdout:
            stream.write(line)
            counter.advance()
    if child.returncode:
        raise StepFailed(f"build of {what}", f"go build ended with {child.returncode}", log)
    log.unlink()


def _packages_to_build(go: str, sources: Path, what: str, flags: list[str], packages: list[str]) -> int:
    """How many packages are not in Go's build cache yet."""
    template = '{{if and .Stale (ne .StaleReason "not installed but available in build cache")}}{{.ImportPath}}{{end}}'
    done = subprocess.run([go, "list", "-deps", *flags, "-f", template, *packages], cwd=sources, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(f"sources of {what}", (done.stderr.strip().splitlines() or ["go list failed"])[-1])
    return len(done.stdout.split())
