# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing files whole, and keeping a folder's generated files as they should be."""

from __future__ import annotations

import os
import tempfile

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure


def write_atomically(path: str, data: bytes) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part.

    :raises Failure: the folder cannot be written to, or is full
    """
    # A link stays one: what it points to is replaced.
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # mkstemp makes files private; what is written here is as public as the image or the cluster's objects.
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise Failure(f"{path} cannot be written ({error.strerror})", "give a folder that this user can write to, with room") from None


def synchronise(folder: str, files: dict[str, str], mark: str, check_mode: bool, root: str = "") -> list[dict]:
    """Makes the folder hold `files`, and removes generated files that no longer belong.

    files: name -> text, whose first line is `mark`; a file in the folder counts as generated when its first line is
    that too. Returns one step a file, sorted by name: {"action": create|update|keep|delete, "path", "before": text or "",
    "after": text or ""}; in check mode the same, and nothing is written. The folder is made where its parent exists, or that of
    `root`, a folder above it.
    :raises Failure: the folder cannot be made or written to, or a file of that name is not a generated one
    """
    present = _generated(folder, mark, files)
    steps = [_step(folder, name, present.get(name), files.get(name)) for name in sorted({*present, *files})]
    todo = [step for step in steps if step["action"] != "keep"]
    if todo:
        _check_writable(folder, root or folder)
    if todo and not check_mode:
        _make(folder)
        for step in todo:
            if step["action"] == "delete":
                _remove(step["path"])
            else:
                write_atomically(step["path"], step["after"].encode())
    return steps


def _step(folder, name, before, after):
    action = "delete" if after is None else "create" if before is None else "keep" if before == after else "update"
    return {"action": action, "path": os.path.join(folder, name), "before": before or "", "after": after or ""}


def _generated(folder, mark, wanted):
    """Name -> text of the generated files there; Failure where a foreign one stands in the way."""
    found = {}
    try:
        names = os.listdir(folder) if os.path.lexists(folder) else []
        for name in names:
            text = _text(os.path.join(folder, name), mark)
            if text is not None:
                found[name] = text
            elif name in wanted:
                raise Failure(f"{os.path.join(folder, name)} was not made by this collection", "move it away, or choose another folder")
    except OSError as error:
        raise Failure(f"the folder {folder} cannot be read ({error.strerror})", "give a folder that this user can read and write to") from error
    return found


def _text(path, mark):
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        if file.read(len(mark) + 1) != mark.encode() + b"\n":
            return None
        return mark + "\n" + file.read().decode("utf-8", "replace")


def _check_writable(folder, root):
    place, lowest = os.path.abspath(folder), os.path.dirname(os.path.abspath(root))
    while place != lowest and not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        raise Failure(f"the folder {folder} cannot be made, {place} is no folder", "make it first")
    if not os.access(place, os.W_OK | os.X_OK):
        raise Failure(f"the folder {place} cannot be written to (Permission denied)", "give a folder that this user can write to")


def _remove(path):
    try:
        os.unlink(path)
    except OSError as error:
        raise Failure(f"{path} cannot be removed ({error.strerror})", "give a folder that this user can write to") from error


def _make(folder):
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise Failure(f"the folder {folder} cannot be made ({error.strerror})", "give a folder that this user can write to") from error
