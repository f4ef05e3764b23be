# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two image registries: one plain, one with TLS and a password."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import yaml

from localcluster.errors import StepFailed
from localcluster.parts import Parts
from localcluster.process import accepts
from localcluster.state import write_atomically

PLAIN_PORT, TLS_PORT = 5000, 5443
USER = "nanoagent"
SECONDS = 30
PLAIN, TLS = "registry", "registry-tls"


def plain_address(parts: Parts) -> str:
    """Host and port of the plain registry."""
    return f"{parts.plan.machine}:{PLAIN_PORT}"


def tls_address(parts: Parts) -> str:
    """Host and port of the registry with TLS and a password."""
    return f"{parts.plan.machine}:{TLS_PORT}"


def password_file(parts: Parts) -> Path:
    """The file that holds the password and nothing else."""
    return parts.folder.path / "registry-password"


def configuration(address: str, storage: Path, secret: str, **more: dict) -> dict:
    """The configuration of a registry that allows deletions."""
    http = {"addr": address, "secret": secret, **more.pop("http", {})}
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": http,
        **more,
    }


def start(parts: Parts) -> None:
    """Start both registries."""
    folder, pki = parts.folder.path, parts.folder.pki
    users = _password_hashes(parts)
    tls = {"certificate": str(pki / "registry.crt"), "key": str(pki / "registry.key")}
    configurations = {
        PLAIN: configuration(plain_address(parts), folder / "images", secrets.token_hex()),
        TLS: configuration(
            tls_address(parts), folder / "images-tls", secrets.token_hex(), http={"tls": tls}, auth={"htpasswd": {"realm": "registry", "path": str(users)}}
        ),
    }
    for name, content in configurations.items():
        path = folder / f"{name}.yaml"
        if not parts.processes.running(name):
            write_atomically(path, yaml.safe_dump(content, sort_keys=False), 0o600)
            parts.start(name, parts.kube, "registry", "serve", str(path), environment={"OTEL_TRACES_EXPORTER": "none"})


def wait(parts: Parts) -> None:
    """Wait until both registries take connections."""
    for name, port in ((PLAIN, PLAIN_PORT), (TLS, TLS_PORT)):
        parts.processes.wait(name, lambda port=port: accepts(str(parts.plan.machine), port), SECONDS, "registry")


def _password_hashes(parts: Parts) -> Path:
    hashes = parts.folder.path / "registry-users"
    if not hashes.exists():
        password = secrets.token_urlsafe(24)
        write_atomically(password_file(parts), password, 0o600)
        done = subprocess.run([parts.kube, "htpasswd", USER], input=password, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StepFailed("registry", done.stderr.strip())
        write_atomically(hashes, done.stdout, 0o600)
    return hashes
