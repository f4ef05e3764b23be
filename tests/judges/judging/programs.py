# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""crane, regctl and a second registry, built once from pinned sources."""

from __future__ import annotations

import re
from pathlib import Path

from localcluster.build import programs
from localcluster.progress import Progress

SOURCES = Path(__file__).resolve().parents[1]
MODULES = {"crane": "github.com/google/go-containerregistry", "regctl": "github.com/regclient/regclient"}
_PACKAGES = [f"{module}/cmd/{name}" for name, module in MODULES.items()]


def judges(progress: Progress) -> Path:
    """The folder with `crane`, `regctl` and `registry`, built if need be."""
    files = [SOURCES / "go.mod", SOURCES / "go.sum", *SOURCES.glob("registry/*.go")]
    return programs("judges", "crane and regctl", SOURCES, files, ["-trimpath", "-ldflags", "-s -w"], [*_PACKAGES, "./registry"], progress)


def version(name: str) -> str:
    """The pinned version of crane or regctl."""
    return re.search(rf"\s{re.escape(MODULES[name])} (v\S+)", (SOURCES / "go.mod").read_text()).group(1)
