# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that the cluster pulls an installation's images by: mirrored by the table, pinned by the lock file."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import source_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import find, read_lock, registry_mirrors
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import Reference, is_pinned, parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import Rule, rewritten, table_of


def with_image_names(options: dict) -> tuple[dict, dict[str, str]]:
    """An installation's options with `image` and the monitor's by the names that `rewrites` and `lock_file` give them.

    Also given name -> name for each that changes. Options without either come back as they are. Reads the lock file.
    :raises Failure: the table or the file is not usable, or an image is not in the lock
    """
    table, path = table_of(options.get("rewrites")), options.get("lock_file")
    if not table and not path:
        return options, {}
    lock, names = read_lock(path, required=True) if path else None, {}

    def name(image):
        if not image:
            return image
        found = image_name(image, table, lock, path or "")
        if found != image:
            names[image] = found
        return found

    changed = {**options, "image": name(options.get("image"))}
    if (options.get("monitor") or {}).get("image"):
        changed["monitor"] = {**options["monitor"], "image": name(options["monitor"]["image"])}
    return changed, names


def name_notes(names: dict[str, str]) -> list[str]:
    """A line for each image that has another name than it was given. Pure."""
    return [f"{image} is used as {found}" for image, found in names.items()]


def image_name(image: str, table: list[Rule], lock: dict | None, path: str) -> str:
    """The name that an image is pulled by. Pure.

    lock: None where there is no lock file; path: its, for messages. What is locked is named by digest, at the mirror that the
    table says, without a row at the only one that the lock names, else at its source. A digest needs no entry.
    :raises Failure: the image is in the lock not at all, or at several mirrors of which no row says which
    """
    reference = parse_reference(image)
    target = rewritten(table, reference)
    if lock is None:
        return str(target) if target else image
    entry = find(lock, image)
    if entry is None:
        own = _mirror_itself(lock, reference)
        if own:
            return _by_digest(own)
        if is_pinned(image):
            return str(target) if target else image
        raise Failure(
            f"the image {image} is not in the lock file {path}",
            "mirror it first with image_mirror and the same lock_file, or correct the name, or leave out lock_file",
        )
    mirrors = registry_mirrors(entry)
    if target:
        # With a tag it may have been mirrored for some platforms only, which is another digest.
        there = next((mirror for mirror in mirrors if mirror.name == target.name), None)
        return _by_digest(there or replace(target, digest=entry["digest"]))
    names = sorted({mirror.name for mirror in mirrors})
    if len(names) > 1:
        raise Failure(f"the lock file {path} has {image} at {', '.join(names)}", "say with rewrites from which of them this cluster pulls")
    return _by_digest(mirrors[0] if mirrors else replace(source_of(entry["source"]).reference or reference, digest=entry["digest"]))


def _mirror_itself(lock, reference):
    """The mirror that the image's name is already; None where it is none."""
    tag = reference.tag or ("" if reference.digest else "latest")
    for entry in lock.values():
        for mirror in registry_mirrors(entry):
            if mirror.name == reference.name and (reference.digest == mirror.digest if reference.digest else mirror.tag == tag):
                return mirror
    return None


def _by_digest(reference: Reference) -> str:
    return f"{reference.name}@{reference.digest}"
