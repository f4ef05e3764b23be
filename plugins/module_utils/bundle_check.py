# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bundle is whole: every part, every digest, every image down to its last layer. Needs no network and writes nothing.

Each byte of a part either follows from the description or is under a digest that stands there, so nothing is left unchecked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_files import BundleFiles
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_layout import Part, segments
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import names
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import blobs, children, content_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest

WHOLE, MISSING, DAMAGED = "whole", "missing", "damaged"
_AGAIN = "copy it again from its medium"


@dataclass
class Findings:
    """What is wrong with a bundle.

    problems: Failures, in the order of parts, blobs, images. parts: name -> a constant above. lost: digests of blobs that cannot be read.
    broken: names of images and files that lack something.
    """

    problems: list[Failure] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def insist(self, name: str, **facts) -> None:
        """:raises Failure: there is a problem; name is the bundle's"""
        if self.problems:
            first, more = self.problems[0], f" ({len(self.problems)} problems in all)" if len(self.problems) > 1 else ""
            raise Failure(f"{name} is not whole: {first.what}{more}", first.next_step, **facts)


def tree(bundle: BundleFiles, digest: str) -> tuple[set[str], set[str], list[str]]:
    """(manifests, blobs, what is missing) of an entry of the bundle's index, by digest.

    What is left out because its destination has it is among the blobs, and not missing.
    """
    known = {blob["digest"]: blob["size"] for blob in (*bundle.content.blobs, *bundle.content.needs)}
    manifests, needed, missing, level = set(), set(), [], [digest]
    while level:
        following = []
        for each in level:
            if each in manifests:
                continue
            manifests.add(each)
            try:
                manifest = bundle.manifest(each) if bundle.find(each) else None
                content = manifest and content_of(manifest, bundle.name)
            except Failure as failure:
                missing.append(f"a manifest that can be read ({failure.what})")
                continue
            if content is None:
                missing.append(f"the manifest {each}")
                continue
            following += [entry["digest"] for entry in children(content)]
            for entry in blobs(content):
                needed.add(entry["digest"])
                if known.get(entry["digest"]) != entry["size"]:
                    missing.append(f"the blob {entry['digest']}")
        level = following
    return manifests, needed, missing


def look(bundle: BundleFiles, run: Callable[[Callable, Iterable], list], moved: Callable[[int], None], only: set[str] | None = None) -> Findings:
    """What is wrong with a bundle. run: runs a function over items in parallel, as a list in their order. moved: told numbers of bytes that were read.

    only: digests of the blobs that have to be whole; all by default.
    """
    found, content = Findings(), bundle.content
    chosen = [blob for blob in content.blobs if only is None or blob["digest"] in only]
    places = segments(content.parts)
    parts = [part for part in content.parts if only is None or any(part.name == place[0] for blob in chosen for place in places[blob["digest"]])]
    small = {sha256_digest(data) for data in content.small_files.values()} | {entry["digest"] for entry in content.manifests}
    for part, problem in zip(parts, run(lambda part: _part_fault(bundle.path, part, small), parts)):
        found.parts[part.name] = WHOLE
        if problem:
            found.parts[part.name] = MISSING if "is missing" in problem.what else DAMAGED
            found.problems.append(problem)
    # As they lie in the parts, since media are read best from the beginning to the end.
    ordered = sorted(chosen, key=lambda blob: places[blob["digest"]][0])
    for blob, why in zip(ordered, run(lambda blob: _blob_fault(bundle, blob, moved), ordered)):
        if why:
            found.lost.add(blob["digest"])
            where = sorted({place[0] for place in places[blob["digest"]]})
            if all(found.parts[name] == WHOLE for name in where):
                found.problems.append(Failure(f"blob {blob['digest']} in {' and '.join(where)} is damaged", _AGAIN))
                found.parts |= dict.fromkeys(where, DAMAGED)
    _look_at_images(bundle, found, only)
    return found


def _look_at_images(bundle, found, only):
    whose = {image["digest"]: image["name"] for image in bundle.content.images}
    whose |= {digest: image["name"] for image in bundle.content.images for digest in image["referrers"]}
    for entry in bundle.entries:
        manifests, needed, missing = tree(bundle, entry["digest"])
        if only is not None and not needed <= only:
            continue
        name = whose.get(entry["digest"]) or (names(entry) or [entry["digest"]])[0]
        if missing:
            found.problems.append(Failure(f"{name} lacks {missing[0]}", "it was made like that: get another bundle"))
        if missing or needed & found.lost:
            found.broken.add(name)
            found.broken |= {image["name"] for image in bundle.content.images if image["digest"] in manifests}


def _part_fault(folder, part: Part, small):
    """The Failure that a part is; None where it is well but for the blobs in it."""
    path = os.path.join(folder, part.name)
    if os.path.lexists(path) and not os.path.isfile(path):
        return Failure(f"{path} is no file", _AGAIN)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < part.size:
                return Failure(f"{part.name} is cut off, it has {size} of {part.size} bytes", _AGAIN)
            for offset, expected in part.framing():
                if os.pread(file.fileno(), len(expected), offset) != expected:
                    return _other(part, offset)
            for member, offset in part.members:
                if member.digest in small and not member.link and sha256_digest(os.pread(file.fileno(), member.size, offset)) != member.digest:
                    return _other(part, offset)
            if size > part.size:
                return Failure(f"{part.name} has {size} bytes, {size - part.size} more than it was made with", _AGAIN)
    except FileNotFoundError:
        return Failure(f"{part.name} is missing in {folder}", "copy it from its medium to the other parts")
    except OSError as error:
        return Failure(f"{path} cannot be read ({error.strerror})", "make it readable for this user, or copy it again from its medium")
    return None


def _other(part, offset):
    return Failure(f"{part.name} is damaged, or is not that part of this bundle (byte {offset} is another)", _AGAIN)


def _blob_fault(bundle, blob, moved):
    try:
        for _piece in bundle.reader(blob, moved).pieces():
            pass
    except Failure as failure:
        return failure.what
    return None
