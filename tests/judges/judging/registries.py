# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries of two implementations, started for a test or a measurement."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_LIMIT = 20.0
_POLL = 0.01
_LISTENING = "0A"


class Registry:
    """A registry process for the time of a with block; `host` is what goes before the first slash of an image's name.

    command: the program and its arguments. prefix: a command that starts it elsewhere, such as in a network namespace, by exec.
    log: takes its output, one line a request among it.
    """

    def __init__(self, command: Sequence[str], host: str, log: Path, prefix: Sequence[str] = ()):
        self.host = host
        self.log = log
        self._command = [*prefix, *command]
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Registry:
        environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self):
        port, limit = int(self.host.rpartition(":")[2]), time.monotonic() + _LIMIT
        while not listens(self._process.pid, port):
            if self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"the registry {self.host} does not start: {self.log.read_text(errors='replace').strip()[-500:]}")
            time.sleep(_POLL)


def listens(pid: int, port: int) -> bool:
    """Whether somebody listens on a TCP port in the network namespace of a process."""
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False


def free_port() -> int:
    """A TCP port of loopback that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def distribution(kube: str, folder: Path, host: str = "", prefix: Sequence[str] = (), **http_and_auth: dict) -> Registry:
    """CNCF's registry, out of the local cluster's binary; writes a line to its log for each request.

    folder: its images and files. host: address and port; a free port of loopback where it is empty. http_and_auth: more of its configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    host = host or f"127.0.0.1:{free_port()}"
    path = folder / f"{host.replace(':', '-')}.json"
    configuration = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}, "delete": {"enabled": True}},
        **http_and_auth,
        "http": {"addr": host, "secret": "of no worth", **http_and_auth.get("http", {})},
    }
    # JSON is YAML, which is what it reads.
    path.write_text(json.dumps(configuration))
    return Registry([kube, "registry", "serve", str(path)], host, path.with_suffix(".log"), prefix)


def second(programs: Path, folder: Path) -> Registry:
    """go-containerregistry's registry, which has the referrers API and no memory of manifests beyond its end."""
    folder.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{free_port()}"
    return Registry([str(programs / "registry"), "-address", host, "-folder", str(folder)], host, folder.with_suffix(".log"))


def password_hashes(kube: str, user: str, password: str) -> str:
    """An htpasswd file's content for one user."""
    return subprocess.run([kube, "htpasswd", user], input=password, capture_output=True, text=True, check=True).stdout
