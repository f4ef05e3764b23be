# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the licences of the Go modules that are in the shipped binaries, which have to travel with them.

notices.py GO FOLDER: reads the module in FOLDER, writes FOLDER/bin/NOTICES.txt; the same texts are written once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_NAMES = ("licen", "copying", "notice", "patents")


def modules(go: str, folder: Path) -> list[tuple[str, Path]]:
    """Name and folder of each module of others that commands in a folder are built from, for any architecture, and Go itself."""
    ask = ["list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", "./cmd/..."]
    found = set()
    for architecture in ("amd64", "arm64"):
        found |= set(_run(go, *ask, folder=folder, GOARCH=architecture, GOOS="linux", CGO_ENABLED="0").splitlines()) - {""}
    named = [(name, Path(place)) for name, place in (line.split("\t") for line in sorted(found))]
    # Go's own library has the licence of this module; a packaged Go may come without the file.
    go_like = next(place for name, place in named if name.startswith("golang.org/x/sys "))
    return [(f"The Go library, {_run(go, 'env', 'GOVERSION', folder=folder)}", go_like), *named]


def notices(parts: list[tuple[str, Path]]) -> str:
    """The text for people: each licence after the names of the modules that are under it.

    :raises SystemExit: a module has no licence in its folder
    """
    by_text: dict[str, list[str]] = {}
    for name, folder in parts:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(_NAMES))
        if not files:
            raise SystemExit(f"{name} has no licence in {folder}")
        for path in files:
            by_text.setdefault(path.read_text(encoding="utf-8").strip(), []).append(name)
    return "\n\n".join("\n".join([*(f"* {name}" for name in names), "", text]) for text, names in by_text.items()) + "\n"


def _run(go, *arguments, folder, **environment):
    done = subprocess.run([go, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"go {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    target = Path(sys.argv[2])
    text = notices(modules(sys.argv[1], target))
    (target / "bin").mkdir(exist_ok=True)
    (target / "bin" / "NOTICES.txt").write_text(text, encoding="utf-8")
