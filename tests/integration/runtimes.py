# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container runtimes of a test's own, beside any that the machine runs: own sockets and folders, no network, no service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.nanoagent.k8s.tests.integration.agents import until

# Docker and Podman are not on every machine: Debian's packages are unpacked, not installed, so that nothing starts by itself.
PACKAGES = ("docker.io", "skopeo", "libsubid4")


def unpacked() -> Path | None:
    """The root of PACKAGES, unpacked once into the user's cache; None where apt cannot give them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nanoagent-k8s" / "runtimes"
    root = cache / "root"
    if root.exists():
        return root
    part = cache / "part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if not shutil.which("apt-get") or subprocess.run(["apt-get", "download", *PACKAGES], cwd=part, capture_output=True, check=False).returncode:
        return None
    for package in part.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(part / "root")], check=True)
    (part / "root").rename(root)
    shutil.rmtree(part)
    return root


@contextmanager
def running(command: list[str], log: Path, environment: dict | None = None):
    """A process that is ended afterwards, with what it wrote in a file."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def containerd(folder: Path):
    """A containerd that serves nobody else; the path of its socket."""
    folder.mkdir()
    socket = folder / "c.sock"
    disabled = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
    disabled += [f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")]
    lines = ["version = 2", f'root = "{folder}/root"', f'state = "{folder}/state"', f"disabled_plugins = {json.dumps(disabled)}", "[grpc]"]
    (folder / "config.toml").write_text("\n".join([*lines, f'address = "{socket}"', ""]))
    with running(["containerd", "--config", str(folder / "config.toml")], folder / "log"):
        until(lambda: subprocess.run(["ctr", "--address", str(socket), "version"], capture_output=True, check=False).returncode == 0, 30)
        yield str(socket)


@contextmanager
def docker(folder: Path, root: Path, containerd_socket: str):
    """A Docker Engine without a network; (the path of its socket, the environment of its client)."""
    folder.mkdir()
    socket = folder / "d.sock"
    (folder / "daemon.json").write_text("{}")
    flags = {"config-file": folder / "daemon.json", "data-root": folder / "data", "exec-root": folder / "exec", "pidfile": folder / "pid"}
    flags |= {"iptables": "false", "ip-masq": "false", "bridge": "none", "storage-driver": "vfs", "host": f"unix://{socket}", "containerd": containerd_socket}
    command = [str(root / "usr/sbin/dockerd"), *(f"--{name}={value}" for name, value in flags.items())]
    path = f"{root / 'usr/bin'}:{os.environ['PATH']}"
    with running(command, folder / "log", {"PATH": path}):
        client = [str(root / "usr/bin/docker"), "--host", f"unix://{socket}", "version"]
        until(lambda: subprocess.run(client, capture_output=True, check=False).returncode == 0, 60)
        yield str(socket), {"PATH": path}


def storage(folder: Path, root: Path | None) -> dict:
    """The environment in which skopeo keeps images in a folder of the test's own."""
    folder.mkdir()
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n')
    there = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
    return {**there, "PATH": f"{os.environ['PATH']}:{root / 'usr/bin'}"} if root else there


def node_sockets(cluster_env: dict) -> dict[str, str]:
    """Node -> path of its containerd's socket as this machine sees it, of the local cluster; empty for any other."""
    processes = Path(cluster_env["KUBECONFIG"]).parent / "processes"
    found = {}
    for path in processes.glob("*-namespaces.json"):
        pid = json.loads(path.read_text())["pid"]
        found[path.name.removesuffix("-namespaces.json")] = f"/proc/{pid}/root/run/containerd/containerd.sock"
    return found
