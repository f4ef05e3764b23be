# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a bundle into a folder: only those that are missing there or differ, each whole, and never outside."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_files import BundleFiles
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure


def out_of_date(bundle: BundleFiles, folder: str) -> list[dict]:
    """The bundle's files that the folder lacks, or has with another content; as they stand in the bundle's content.

    :raises Failure: something else is where one of them belongs, or it cannot be read
    """
    return [file for file in bundle.content.files if _digest(_target(folder, file["name"])) != file["digest"]]


def unpack(bundle: BundleFiles, folder: str, files: list[dict]) -> None:
    """Writes files of a bundle into a folder, which is made where it is missing.

    :raises Failure: it cannot be written to, or the bundle has other bytes
    """
    for file in files:
        target, temporary = _target(folder, file["name"]), None
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=".", dir=os.path.dirname(target))
            with os.fdopen(handle, "wb") as output:
                for piece in bundle.reader(file, lambda count: None).pieces():
                    output.write(piece)
                os.fchmod(output.fileno(), 0o644)
            os.replace(temporary, target)
            temporary = None
        except OSError as error:
            raise Failure(f"{target} cannot be written ({error.strerror})", "give a files_path that this user can write to, with room") from None
        finally:
            if temporary:
                with suppress(OSError):
                    os.unlink(temporary)


def _target(folder, name):
    """Where a file goes; a link in the folder must not lead it elsewhere."""
    root = os.path.realpath(folder)
    target = os.path.join(root, name)
    if os.path.realpath(target) != target:
        raise Failure(f"{target} is a link, or below one", "remove it, or give another files_path")
    if os.path.isdir(target):
        raise Failure(f"{target} is a folder", "remove it, or give another files_path")
    return target


def _digest(path):
    hashed = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                hashed.update(piece)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "make it readable for this user") from None
    return "sha256:" + hashed.hexdigest()
