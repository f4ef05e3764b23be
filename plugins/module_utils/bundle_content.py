# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The description of a bundle, `bundle.json`: what is in it, and what it counts on at its destination. Pure.

Everything in the parts follows from it or has its digest there, so whoever signs it has signed the whole bundle.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_layout import Member, Part, arrange
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_layout import LAYOUT_MARK
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE, canonical_json, sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import ANSWER_LIMIT

DESCRIPTION, SIGNATURE = "bundle.json", "bundle.json.sig"
VERSION = 1
# A description of a thousand images is smaller.
LARGEST_DESCRIPTION = 32 << 20
_MOST_ENTRIES = 20_000
# In the tar, beside the blobs, files have their own names below this folder.
FILES_FOLDER = "files"
# The lock file of the images, among the files of each bundle with images.
LOCK_NAME = "images.lock.yml"
_AGAIN = "get the bundle again"
_NAME = re.compile(r"[^\\\x00-\x1f\x7f\ud800-\udfff]{1,200}")


@dataclass(frozen=True)
class Content:
    """What is in a bundle.

    images: {"name", "source", "digest", "original", "platforms", "referrers"}; original is the digest at the source, platforms those
    that were chosen (empty for all). files: {"name", "digest", "size"}. index: the entries of the layout's index.json. manifests, blobs:
    descriptors by digest. needs: blobs that are left out, {"digest", "size", "at"}, with the repositories that had them.
    media_size: the largest size of a part, None for one part.
    """

    images: list[dict]
    files: list[dict]
    index: list[dict]
    manifests: list[dict]
    blobs: list[dict]
    needs: list[dict] = field(default_factory=list)
    media_size: int | None = None

    @cached_property
    def small_files(self) -> dict[str, bytes]:
        """Name -> bytes of what follows from the description alone and stands at the beginning of each part."""
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": self.index}
        return {"oci-layout": LAYOUT_MARK, "index.json": canonical_json(index)}

    @cached_property
    def parts(self) -> list[Part]:
        """Where it is.

        :raises Failure: media_size is too small
        """
        small = [Member(name, sha256_digest(data), len(data)) for name, data in self.small_files.items()]
        small += [Member("blobs/" + entry["digest"].replace(":", "/"), entry["digest"], entry["size"]) for entry in self.manifests]
        names: dict[str, list[str]] = {}
        for file in self.files:
            names.setdefault(file["digest"], []).append(f"{FILES_FOLDER}/{file['name']}")
        return arrange(small, self.blobs, names, self.media_size)

    @cached_property
    def description(self) -> bytes:
        """The bytes of bundle.json, the same for the same content."""
        parts = [{"name": part.name, "size": part.size} for part in self.parts]
        return canonical_json({"version": VERSION, **asdict(self), "parts": parts})

    @property
    def digest(self) -> str:
        """Of the description, and so of the whole bundle."""
        return sha256_digest(self.description)

    @property
    def size(self) -> int:
        """Bytes of all parts together."""
        return sum(part.size for part in self.parts)


def read_description(data: bytes, where: str) -> Content:
    """The content that a bundle.json describes. where: for messages.

    :raises Failure: it is none, is damaged, or of a version that is not known here
    """
    try:
        described = json.loads(data)
        version = described["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Failure(f"{DESCRIPTION} of {where} is no description of a bundle", _AGAIN) from None
    if version != VERSION:
        raise Failure(f"{where} is a bundle of version {str(version)[:20]!r}, known is {VERSION}", "use a newer release of this collection")
    named = [each.name for each in fields(Content)]
    why = "keys are missing, or there are others" if set(described) != {"version", "parts", *named} else _fault(described)
    if not why:
        content = Content(**{name: described[name] for name in named})
        try:
            # Parts and order are no choice: one content has one description.
            why = "" if content.description == data else "it is not as it was written"
        except UnicodeEncodeError:
            why = "a text is none"
        except Failure as failure:
            why = failure.what
    if why:
        raise Failure(f"{DESCRIPTION} of {where} is damaged ({why})", _AGAIN)
    return content


def _fault(described):
    """What the functions here rely on and is not so; empty where all is well."""
    for key, check in _CHECKS.items():
        entries = described[key]
        if not isinstance(entries, list) or len(entries) > _MOST_ENTRIES or not all(isinstance(entry, dict) and check(entry) for entry in entries):
            return f"{key} has an entry that is none"
    media_size = described["media_size"]
    if media_size is not None and not _is_size(media_size):
        return "media_size is no size"
    for key in ("manifests", "blobs", "needs"):
        digests = [entry["digest"] for entry in described[key]]
        if digests != sorted(set(digests)):
            return f"{key} are not in order"
    manifests, blobs = ({entry["digest"]: entry["size"] for entry in described[key]} for key in ("manifests", "blobs"))
    if set(blobs) & {entry["digest"] for entry in described["needs"]}:
        return "a blob is both there and left out"
    if not {entry["digest"] for key in ("images", "index") for entry in described[key]} <= set(manifests):
        return "an image has no manifest"
    if any(blobs.get(file["digest"]) != file["size"] for file in described["files"]):
        return "a file has no blob"
    return why_not([file["name"] for file in described["files"]])


def why_not(names: list[str]) -> str:
    """Why files cannot have these names in a bundle, to be unpacked into a folder; empty where they can."""
    for name in names:
        if not _NAME.fullmatch(name) or any(part in ("", ".", "..") for part in name.split("/")):
            return f"the file name {name!r} leads elsewhere, or is too long"
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    if len(set(names)) != len(names) or folders & set(names):
        return f"the file name {sorted(folders & set(names) or (name for name in names if names.count(name) > 1))[0]!r} is there twice"
    return ""


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60


def _is_blob(entry, most=1 << 60):
    return DIGEST.fullmatch(str(entry.get("digest"))) and _is_size(entry.get("size")) and entry["size"] <= most


def _is_texts(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_image(entry):
    digests = DIGEST.fullmatch(str(entry.get("digest"))) and DIGEST.fullmatch(str(entry.get("original")))
    return digests and isinstance(entry.get("name"), str) and isinstance(entry.get("source"), str) and all(map(_is_texts, _lists(entry)))


def _lists(entry):
    return entry.get("platforms"), entry.get("referrers")


def _is_entry(entry):
    annotations = entry.get("annotations", {})
    texts = isinstance(annotations, dict) and _is_texts(list(annotations.values()))
    return _is_blob(entry, ANSWER_LIMIT) and isinstance(entry.get("mediaType"), str) and texts


_CHECKS = {
    "images": _is_image,
    "files": lambda entry: _is_blob(entry) and isinstance(entry.get("name"), str),
    "index": _is_entry,
    "manifests": _is_entry,
    "blobs": _is_blob,
    "needs": lambda entry: _is_blob(entry) and _is_texts(entry.get("at")),
}
