# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that the collection is measured against, made on first use and kept in the cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from judging import programs
from localcluster.build import kube_binaries
from localcluster.cluster import DEFAULT_MINOR
from localcluster.progress import Progress

from benchmark.process import BenchFailed
from benchmark.surroundings import PROJECT, cache

HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
ANSIBLE = "ansible==12.3.0"
MATPLOTLIB = "matplotlib==3.10.8"
TOOLS_PACKAGE = "libbpf-tools"


def go_command(package: str) -> Path:
    """A command from a Go module, given as path@version."""
    path, version = package.split("@")
    name = path.rpartition("/")[2]
    folder = cache() / f"{name}-{version}"
    if not (folder / name).exists():
        say(f"building {name} {version}, some minutes the first time")
        go = _run([sys.executable, str(PROJECT / "tests" / "tools" / "find_go.py")]).strip().splitlines()[-1]
        _run([go, "install", package], {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false", "GOWORK": "off"})
    return folder / name


def judges() -> Path:
    """The folder with crane and regctl, which tests of images use too."""
    return programs.judges(Progress())


def kube() -> str:
    """The binary of the local cluster, which holds a registry; no cluster is needed for it."""
    return str(kube_binaries(DEFAULT_MINOR, Progress()) / "kube")


def kubernetes_core() -> Path:
    """The Python of a virtual environment with the whole `ansible` package, which carries kubernetes.core."""
    return _environment_with(ANSIBLE, "770 MB", "kubernetes")


def chart_python() -> Path:
    """The Python of a virtual environment that can draw."""
    return _environment_with(MATPLOTLIB, "100 MB")


def debian_tool(name: str) -> Path:
    """A command of Debian's libbpf-tools, unpacked rather than installed: the machine stays as it is."""
    folder = cache() / TOOLS_PACKAGE
    if not folder.exists():
        fresh = cache() / f".{TOOLS_PACKAGE}.{os.getpid()}"
        fresh.mkdir()
        try:
            say(f"downloading {TOOLS_PACKAGE}")
            _run(["apt-get", "download", TOOLS_PACKAGE], folder=fresh)
            package = next(fresh.glob("*.deb"))
            _run(["dpkg-deb", "--extract", str(package), str(fresh)])
            package.unlink()
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    found = next(folder.glob(f"usr/*bin/{name}"), None)
    if found is None:
        raise BenchFailed(f"{TOOLS_PACKAGE} has no {name}")
    return found


def _environment_with(package, size, *more):
    folder = cache() / package.replace("==", "-")
    if not (folder / "ready").exists():
        say(f"installing {package} into a virtual environment of its own, {size}")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package, *more])
        (folder / "ready").touch()
    return folder / "bin" / "python"


def say(text: str) -> None:
    """Tell what takes long."""
    print(f"bench: {text} ...", file=sys.stderr, flush=True)


def _run(command: list[str], environment: dict | None = None, folder: Path | None = None) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise BenchFailed(f"{' '.join(command[:3])} ended with {done.returncode}: {' / '.join(last)}")
    return done.stdout
