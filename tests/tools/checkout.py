# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this checkout is, and where Python and Ansible find it as a collection."""

from __future__ import annotations

import contextlib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def collections_folder() -> Path:
    """The folder that holds ansible_collections; for a plain checkout one below .build, with a link back to it."""
    if CHECKOUT.parts[-3:] == ("ansible_collections", "nanoagent", "k8s"):
        return CHECKOUT.parents[2]
    folder = CHECKOUT / ".build" / "collections"
    link = folder / "ansible_collections" / "nanoagent" / "k8s"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(Path("../../../.."))
    return folder
