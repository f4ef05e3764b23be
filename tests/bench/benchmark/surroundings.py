# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the project, its tools, the cluster and the cache are, and what the machine is."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark.process import BenchFailed

PROJECT = Path(__file__).resolve().parents[3]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def collections_folder() -> Path:
    """The folder that holds ansible_collections; in a plain checkout the link that the Makefile makes."""
    if PROJECT.parts[-3:] == ("ansible_collections", "nanoagent", "k8s"):
        return PROJECT.parents[2]
    folder = PROJECT / ".build" / "collections"
    if not (folder / "ansible_collections" / "nanoagent" / "k8s").exists():
        raise BenchFailed("the checkout is not linked as a collection: run 'make bench', or 'make unit' once")
    return folder


def import_collection() -> None:
    """Make the collection's own modules importable."""
    folder = str(collections_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def options_of(argument_spec: dict, **given) -> dict:
    """What a module has as its options: the defaults of its argument spec, and those given, with the defaults of what is below them."""

    def filled(spec, value):
        return options_of(spec["options"], **value) if isinstance(value, dict) and "options" in spec else value

    return {name: filled(spec, given.get(name, spec.get("default"))) for name, spec in argument_spec.items()}


def cache() -> Path:
    """Where peers are kept once they are built."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nanoagent-k8s" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cluster() -> dict[str, str]:
    """KUBECONFIG, REGISTRY and the rest: the user's own where both are set, else the local cluster's."""
    if os.environ.get("KUBECONFIG") and os.environ.get("REGISTRY"):
        return {name: os.environ[name] for name in ("KUBECONFIG", "REGISTRY", "KUBECTL", "AUDIT_LOG") if name in os.environ}
    try:
        answer = local_cluster("env")
    except BenchFailed as failure:
        raise BenchFailed(f"no cluster ({failure}): run 'make cluster-up', or set KUBECONFIG and REGISTRY") from None
    return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)


def local_cluster(*arguments: str) -> str:
    """What the command line of the local cluster prints."""
    done = subprocess.run([sys.executable, str(PROJECT / "tests" / "cluster"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(done.stderr.strip())
    return done.stdout


def binaries(program: str = "collector") -> dict[str, str]:
    """The collector or the monitor for each architecture."""
    folder = PROJECT / "files" / {"collector": "ebpf", "monitor": "monitor"}[program] / "bin"
    found = {name: folder / f"{program}-linux-{name}" for name in ARCHITECTURES.values()}
    missing = [path.name for path in found.values() if not path.exists()]
    if missing:
        raise BenchFailed(f"{', '.join(missing)} is missing: run 'make {program}'")
    return {name: str(path) for name, path in found.items()}


def own_binary() -> str:
    """The collector for this machine."""
    return binaries()[ARCHITECTURES[platform.machine()]]


def ansible_environment(folder: Path, kubeconfig: str | None = None) -> dict[str, str]:
    """The environment of a run that depends on no configuration of the user's."""
    configuration = folder / "ansible.cfg"
    configuration.touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "K8S_AUTH_"))}
    environment |= {
        "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()),
        "ANSIBLE_CONFIG": str(configuration),
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
    }
    if kubeconfig:
        environment["KUBECONFIG"] = kubeconfig
    return environment


def playbook_command(*arguments: str, python: str = sys.executable) -> list[str]:
    """ansible-playbook on localhost, with one Python for everything."""
    return [str(Path(python).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={python}", *arguments]


def installed_version(package: str) -> str:
    """The version of a Python package, or that it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def machine_facts(load: Callable[[], tuple[float, float, float]] = os.getloadavg) -> str:
    """One line about the machine; nothing that names it."""
    python, ansible = platform.python_version(), installed_version("ansible-core")
    return (
        f"{os.cpu_count()} cores {platform.machine()}, load {load()[0]:.2f} at the start, Linux {platform.release()}, "
        f"Python {python}, ansible-core {ansible}, kubernetes {installed_version('kubernetes')}"
    )
