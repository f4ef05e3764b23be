# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's decision function as a program: for which versions there is one, building it, asking it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from localcluster.build import KUBE, programs
from localcluster.errors import StepFailed
from localcluster.progress import Progress

SOURCES = Path(__file__).resolve().parents[1] / "controller"
GATE, GATE_FROM = "TaintTolerationComparisonOperators", 35
LOGGER_FROM = 35


def minors() -> list[str]:
    """The Kubernetes minors that can be asked, newest first."""
    return sorted(_module_files(), key=_number, reverse=True)


def version(minor: str) -> str:
    """The Kubernetes version that stands for a minor."""
    return re.search(r"^\s*k8s\.io/kubernetes v(\S+)$", _module_files()[minor].read_text(), re.MULTILINE).group(1)


def has_comparison_operators(minor: str) -> bool:
    """Whether a minor knows the feature gate of the toleration operators Gt and Lt."""
    return _number(minor) >= GATE_FROM


def build(minor: str, progress: Progress) -> Path:
    """The program for a minor, built if need be."""
    module_file = _module_files()[minor]
    files = [*SOURCES.glob("*.go"), module_file, module_file.with_suffix(".sum")]
    flags = ["-trimpath", f"-modfile={module_file}", "-ldflags", "-s -w"]
    if _number(minor) < LOGGER_FROM:
        flags.append("-tags=decision_without_logger")
    folder = programs(f"controller-{version(minor)}", f"controller {version(minor)}", SOURCES, files, flags, ["."], progress)
    (program,) = folder.iterdir()
    return program


def ask(program: Path, comparison_operators: bool | None, questions: Iterable[str]) -> list[dict]:
    """The answers to questions, each one JSON object in a line: {"run", "continue"}, and "error" where the objects cannot be read.

    comparison_operators sets the feature gate; None leaves it alone, for versions that do not have it.
    """
    gates = [] if comparison_operators is None else [f"{GATE}={str(comparison_operators).lower()}"]
    done = subprocess.run([str(program), *gates], input="".join(f"{line}\n" for line in questions), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(program.name, f"ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _module_files() -> dict[str, Path]:
    """By minor. The local cluster's pins are used where it has some, so that what it has compiled need not be compiled again."""
    return {path.stem: path for folder in (SOURCES, KUBE) for path in (folder / "versions").glob("*.mod")}


def _number(minor: str) -> int:
    return int(minor.split(".")[1])
