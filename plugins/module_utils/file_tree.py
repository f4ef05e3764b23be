# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping generated files as they should be in folders of folders, where others' files may be too."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from ansible_collections.nanoagent.k8s.plugins.module_utils.files import synchronise


def synchronise_tree(root: str, files: dict[str, str], folders: Iterable[str], mark: str, check_mode: bool) -> list[dict]:
    """Makes the folders below `root` hold `files`, and removes generated files from them that no longer belong, and folders that are empty then.

    files: path below root -> text, whose first line is `mark`. folders: paths below root, below which every file that begins
    with that line counts as generated. Returns steps as files.synchronise does, sorted by path; in check mode the same, and
    nothing is written.
    :raises Failure: a folder cannot be made, read or written to, or a file of that name is not a generated one
    """
    wanted: dict[str, dict[str, str]] = {}
    for path, text in files.items():
        folder, name = os.path.split(path)
        wanted.setdefault(folder, {})[name] = text
    for folder in folders:
        for place, _folders, names in os.walk(os.path.join(root, folder)):
            if names:
                wanted.setdefault(os.path.relpath(place, root), {})
    # All are looked at before any is written.
    for folder, texts in wanted.items():
        synchronise(os.path.join(root, folder), texts, mark, True, root)
    steps = []
    for folder, texts in wanted.items():
        steps += synchronise(os.path.join(root, folder), texts, mark, check_mode, root)
        if not texts and not check_mode:
            with suppress(OSError):
                os.rmdir(os.path.join(root, folder))
    return sorted(steps, key=lambda step: step["path"])
