# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file's part in a run of image_mirror: what is locked is what is copied, and what was copied is entered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_extent import extent
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import check_lock_path, entry_of, find, mirror_name, mirrored, read_lock, record
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_task import Task

_GONE = "nothing"


class MirrorLock:
    """The lock file of a run, which does nothing where there is no path.

    update: whether what a source has now counts more than what is locked.
    :raises Failure: the file cannot be used
    """

    def __init__(self, path: str | None, update: bool):
        if update and not path:
            raise Failure("update_lock means nothing without lock_file", "give lock_file, or leave update_lock out")
        self.path, self._update, self._lock = path, update, {}
        if path:
            check_lock_path(path)
            self._lock = read_lock(path)

    def pin(self, task: Task) -> None:
        """Makes the task copy the digest that is locked for its source, and notes where the source's tag has another one now.

        Asks the source for its tag, where that is locked. Before the task's plan is made.
        """
        source = task.wish.source
        entry = find(self._lock, str(source)) if self.path else None
        if entry is None or source.digest:
            return
        task.locked = entry["digest"]
        place = task.source()
        head = place.head(source.wanted)
        now = head["digest"] if head else _GONE
        if now != task.locked:
            task.moved_to = now
            if self._update and head:
                return
            if place.head(task.locked) is None:
                task.source = self._lost(task)
        task.wish = replace(task.wish, source=source.at(tag=source.tag, digest=task.locked))

    def warnings(self, task: Task) -> list[str]:
        """What the user should know of a task whose source has moved. Pure."""
        if not task.moved_to or task.wish.source.digest != task.locked:
            return []
        what = f"{task.named}: the tag is {task.moved_to} at its source by now; what is locked in {self.path} is mirrored, {task.locked}"
        return [f"{what}; update_lock: true takes the new one" if task.moved_to != _GONE else what]

    def record(self, tasks: list[Task], run: Callable[[Callable, Iterable], list], check_mode: bool) -> dict | None:
        """Enters what the tasks have copied, or in check mode would have; as image_lock.record, None without a file.

        run: as image_extent takes it.
        :raises Failure: the file cannot be written, or an image cannot be read for what is entered of it
        """
        if not self.path:
            return None
        return record(self.path, [self._entry(task, run) for task in tasks if not task.failure], check_mode)

    def _lost(self, task):
        named, locked, now = task.named, task.locked, task.moved_to

        def source():
            raise Failure(
                f"{named} is locked as {locked} in {self.path}, which its source no longer has; the tag is {now} by now",
                "set update_lock: true to take the new one, or get the old one from another mirror",
            )

        return source

    def _entry(self, task, run):
        plan, destination = task.plan, str(task.wish.target)
        known = self._known(task)
        if known:
            return {**known, "mirrors": [mirror_name(destination, plan.digest, known["digest"])]}
        # Where nothing is to be copied the destination has it, and is nearer; a part of an index is read of the whole one at the source.
        place = task.target if task.target and not task.writes and not task.wish.platforms else task.source()
        platforms, size = extent(place, plan.original, run)
        return entry_of(str(task.named), plan.original, platforms, size, [mirror_name(destination, plan.digest, plan.original)])

    def _known(self, task):
        """The entry that has what is to be said of a task's image already; None where none has."""
        entry = find(self._lock, str(task.named))
        if entry or task.named.reference:
            return entry if entry and entry["digest"] == task.plan.original else None
        # What came on a disk is still the image that it was made from.
        for other in self._lock.values():
            if task.plan.original in (other["digest"], *(digest for _name, digest in mirrored(other))):
                return other
        return None
