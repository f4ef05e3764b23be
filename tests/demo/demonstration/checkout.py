# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in this checkout, and how this process finds the collection and the local cluster's package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from checkout import CHECKOUT, collections_folder  # noqa: E402 (the path comes first)

__all__ = ["BUILD", "CHECKOUT", "collections_folder", "make_importable"]
BUILD = CHECKOUT / ".build" / "demo"


def make_importable() -> None:
    """Let this process import the collection and the local cluster's package."""
    sys.path[:0] = [str(collections_folder()), str(CHECKOUT / "tests" / "cluster")]
