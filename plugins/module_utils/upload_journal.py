# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that were begun, so that a later process can go on with them.

One file an upload in a folder of the user's: where it goes on, and nothing else that a registry would have to believe. A file is locked
while its upload runs, which a process that dies cannot forget to undo.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress

# Registries throw unfinished uploads away after about this many seconds.
_STALE = 7 * 24 * 3600
_NAME = re.compile(r"[0-9a-f]{64}\.json")


class UploadNote:
    """What is known of one upload.

    location: where it goes on, empty where it was never begun. A note without a file forgets.
    """

    def __init__(self, path: str = "", handle: int | None = None):
        self._path, self._handle = path, handle
        self.location = self._read() if handle is not None else ""

    def record(self, location: str) -> None:
        """Remembers where the upload goes on."""
        self.location = location
        if self._handle is not None:
            data = json.dumps({"location": location}).encode()
            with suppress(OSError):
                # A note that was cut short is no JSON, and then counts as none.
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, data, 0)

    def close(self) -> None:
        """Leaves the note to others, or nothing where there is nothing to say."""
        if self._handle is not None:
            if not self.location:
                with suppress(OSError):
                    os.unlink(self._path)
            os.close(self._handle)
            self._handle = None

    def _read(self):
        try:
            content = json.loads(os.pread(self._handle, 1 << 16, 0))
            return str(content["location"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""


class UploadJournal:
    """The notes in a folder.

    folder: made where it is missing and needed; empty means that nothing is remembered. problem: why nothing can be.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.time):
        self._folder, self._clock, self.problem = folder, clock, ""
        self._is_open, self._lock = False, threading.Lock()

    def note(self, host: str, repository: str, digest: str) -> UploadNote:
        """The note of one upload; one that forgets where another process is at it."""
        with self._lock:
            if self._folder and not self._is_open:
                self._open()
        if not self._folder:
            return UploadNote()
        path = os.path.join(self._folder, hashlib.sha256(f"{host}/{repository}@{digest}".encode()).hexdigest() + ".json")
        handle = None
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return UploadNote(path, handle)
        except OSError:
            if handle is not None:
                os.close(handle)
            return UploadNote()

    def _open(self):
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._forget_stale(self._clock())
            self._is_open = True
        except OSError as error:
            self._folder, self.problem = "", error.strerror

    def _forget_stale(self, now):
        for entry in os.scandir(self._folder):
            if _NAME.fullmatch(entry.name) and now - entry.stat(follow_symlinks=False).st_mtime > _STALE:
                with suppress(OSError):
                    os.unlink(entry.path)
