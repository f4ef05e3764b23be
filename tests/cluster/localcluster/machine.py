# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster needs from the machine, and how to get it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from localcluster.errors import StepFailed
from localcluster.progress import Progress

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
PACKAGE_OF_COMMAND = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
CNI_PACKAGE = "containernetworking-plugins"


def run(step: str, command: Sequence[str], text: str | None = None) -> str:
    """Run a command to its end and return what it prints; a failure names the step."""
    done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise StepFailed(step, f"{command[0]}: {'; '.join(lines[-2:])}")
    return done.stdout


def require_root() -> None:
    """Namespaces, mounts and cgroups are root's business."""
    if os.geteuid() != 0:
        raise StepFailed("local cluster", "needs root: run it with sudo, or set KUBECONFIG and REGISTRY to use a cluster you have")


def cni_folder() -> Path | None:
    """Where the CNI plugins are."""
    return next((folder for folder in CNI_FOLDERS if (folder / "bridge").exists() and (folder / "host-local").exists()), None)


def missing_packages() -> list[str]:
    """The Debian packages of the commands that are not there."""
    packages = {package for command, package in PACKAGE_OF_COMMAND.items() if shutil.which(command) is None}
    if cni_folder() is None:
        packages.add(CNI_PACKAGE)
    return sorted(packages)


def install_missing(progress: Progress, log: Path) -> None:
    """Install with apt what is not there."""
    packages = missing_packages()
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise StepFailed("packages", f"please install {', '.join(packages)}: there is no apt-get here to do it with")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with progress.step(f"apt installs {', '.join(packages)}"), log.open("w") as stream:
        for command in (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", *packages]):
            if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, check=False).returncode:
                raise StepFailed("packages", " ".join(command[:2]) + " failed", log)
    still_missing = missing_packages()
    if still_missing:
        raise StepFailed("packages", f"apt installed {', '.join(still_missing)}, yet the commands are not in PATH", log)
