# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of the container that holds a pod's namespaces: one static binary, packed here, since there is nowhere to pull it from."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

NAME = "nanoagent.invalid/pause:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def pack(binary: Path, archive: Path) -> None:
    """Write an image archive whose only file is the binary."""
    layer = _tar({"pause": (binary.read_bytes(), 0o555)})
    config = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]).encode()
    files = {"config.json": (config, 0o444), "layer.tar": (layer, 0o444), "manifest.json": (manifest, 0o444)}
    fresh = archive.with_suffix(".new")
    fresh.write_bytes(_tar(files))
    fresh.replace(archive)


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
