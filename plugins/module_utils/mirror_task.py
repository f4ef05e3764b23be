# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One image of a run of image_mirror, and the archives that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ansible_collections.nanoagent.k8s.plugins.module_utils.archive_writer import ArchiveWriter
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_copy import Plan, Planner, Wish
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import ImageFiles, is_about_another, names
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import DOCKER_ARCHIVE, Location
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_signature import Verdict


@dataclass
class Task:
    """A wish with what has become of it so far.

    source: gives the place to read from. target: the place to write to. writes: whether something has to be written.
    signature: what is known of the source's; None where nobody looked. named: the source as the user named it, where the wish's is
    pinned by the lock file; locked: the digest in there, None without one; moved_to: what the source's tag has instead of it now,
    None where it has not moved.
    """

    wish: Wish
    source: Callable | None = None
    target: object = None
    plan: Plan | None = None
    failure: Failure | None = None
    writes: bool = False
    signature: Verdict | None = None
    named: Location | None = None
    locked: str | None = None
    moved_to: str | None = None

    def attempt(self, step: Callable, *arguments) -> None:
        """Does step(self, ...) unless something failed before: one image that fails is no reason to leave out the others."""
        if self.failure:
            return
        try:
            step(self, *arguments)
        except Failure as failure:
            self.failure = failure


class SharedArchive:
    """An archive with the images that it is to hold, all of them and no others, since it is written as a whole.

    existing: what is there now, or None.
    """

    def __init__(self, existing: ImageFiles | None):
        self.existing, self.tasks = existing, []
        self._writer = None

    def plan_again(self, planner: Planner) -> None:
        """Where anything in the archive has to change, plans all its images as new; what it has need not come from elsewhere."""
        if any(task.failure for task in self.tasks) or self._is_right():
            return
        for task in self.tasks:
            if task.plan.digest == task.plan.before:
                task.attempt(self._from_existing, planner)
            task.writes = True

    def begin(self) -> None:
        """Makes the file, where something has to be written."""
        if not any(task.writes for task in self.tasks) or any(task.failure for task in self.tasks):
            return
        location = self.tasks[0].wish.target
        self._writer = ArchiveWriter(location.path, location.transport == DOCKER_ARCHIVE)
        for task in self.tasks:
            task.attempt(self._announce)
        self.tasks[0].attempt(lambda _task: self._writer.begin())
        self._spread()

    def finish(self) -> None:
        """Puts the file in its place, or leaves nothing behind where one of its images failed."""
        if self._writer:
            if not any(task.failure for task in self.tasks):
                self.tasks[0].attempt(lambda _task: self._writer.finish())
            self._writer.abandon()
        self._spread()

    def _is_right(self):
        wanted = {(task.plan.digest, frozenset(filter(None, _names(task.wish)))) for task in self.tasks}
        entries = self.existing.entries if self.existing else []
        present = {(entry["digest"], frozenset(names(entry))) for entry in entries if not is_about_another(entry)}
        return wanted == present and all(task.plan.digest == task.plan.before for task in self.tasks)

    def _from_existing(self, task, planner):
        wish = replace(task.wish, source=task.wish.target.at(digest=task.plan.digest), platforms=())
        task.source = lambda: self.existing
        task.plan = replace(planner.plan(wish, task.source, None, None), wish=task.wish, before=task.plan.digest)

    def _announce(self, task):
        *others, [(image, _tag)] = task.plan.stages
        named = [(manifest, tag, "") for stage in others for manifest, tag in stage if tag]
        manifests = [manifest for stage in others for manifest, _tag in stage]
        self._writer.announce([*manifests, image], list(task.plan.whole_blobs.values()), [*named, (image, *_names(task.wish))])
        task.target = self._writer

    def _spread(self):
        """The archive is one file: where one image fails, none of the others is written either."""
        failed = next((task.failure for task in self.tasks if task.failure), None)
        for task in self.tasks:
            if failed and not task.failure:
                task.failure = Failure(f"{task.wish.target} is not written, since another image of the archive failed", failed.next_step)


def _names(wish):
    """The short and the full name of an image in an archive."""
    tag = wish.target.tag
    if wish.target.transport == DOCKER_ARCHIVE:
        return tag.rpartition("/")[2].rpartition(":")[2], tag if ":" in tag else ""
    reference = wish.source.reference
    return tag, f"{reference.name}:{reference.tag}" if reference and reference.tag else ""
