# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What manifests say: what they need, what they are about, and which part of an index some platforms are. Pure.

A manifest is a blob as in the module oci: `{"mediaType", "digest", "size", "data"}`.
"""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE, MANIFEST_TYPE, canonical_json, make_blob

_INDEX_TYPES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
_IMAGE_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
# Layers that are fetched from where their maker keeps them, never from a registry.
_FOREIGN_TYPES = ("application/vnd.docker.image.rootfs.foreign.diff.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar")
# In an index as builders make it, a manifest that says how another one of the same index was built.
_BUILT = "vnd.docker.reference.digest"


def content_of(manifest: dict, where: str) -> dict:
    """A manifest as a dict, checked as far as the functions below rely on it. where: the image, for messages.

    :raises Failure: it is none, or of a kind of which nobody knows here what it needs
    """
    named = f"{where}: manifest {manifest['digest']}"
    try:
        content = json.loads(manifest["data"])
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Failure(f"{named} is no JSON object", "is the source damaged, or no registry?")
    media_type = media_type_of(manifest, content)
    if content.get("schemaVersion") == 1:
        raise Failure(f"{named} is of Docker's old schema 1", "have it pushed anew with a tool of this decade")
    if media_type not in (*_INDEX_TYPES, *_IMAGE_TYPES):
        raise Failure(f"{named} is of the unknown type {media_type!r}", "an image that may lack parts is not copied; leave it out")
    entries = content.get("manifests") if media_type in _INDEX_TYPES else [content.get("config"), *_list(content.get("layers"))]
    for entry in [*_list(entries), *([content["subject"]] if content.get("subject") else [])]:
        if not is_descriptor(entry):
            raise Failure(f"{named} has an entry without a sha256 digest and a size", "is the source damaged?")
    return content


def _list(value):
    return value if isinstance(value, list) else []


def is_descriptor(entry: object) -> bool:
    """Whether something names a blob by a sha256 digest and a size."""
    return isinstance(entry, dict) and bool(DIGEST.fullmatch(str(entry.get("digest")))) and _is_size(entry.get("size"))


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def media_type_of(manifest: dict, content: dict) -> str:
    """What the manifest says of itself, else what it came with."""
    return content.get("mediaType") or manifest["mediaType"]


def children(content: dict) -> list[dict]:
    """Descriptors of the manifests that an index lists."""
    return _list(content.get("manifests"))


def blobs(content: dict) -> list[dict]:
    """Descriptors of the blobs that have to be where the manifest is: configuration and layers, each once."""
    entries = [content["config"], *_list(content.get("layers"))] if isinstance(content.get("config"), dict) else []
    return list({entry["digest"]: entry for entry in entries if not is_foreign(entry)}.values())


def is_foreign(entry: dict) -> bool:
    """Whether a layer stays where its maker keeps it."""
    return bool(entry.get("urls")) and str(entry.get("mediaType")).startswith(_FOREIGN_TYPES)


def subject(content: dict) -> str:
    """The digest of the manifest that this one is about; empty where it is about none."""
    return (content.get("subject") or {}).get("digest", "")


def referrer_descriptor(manifest: dict, content: dict) -> dict:
    """The manifest as it stands in a list of what refers to its subject."""
    kind = content.get("artifactType") or (content.get("config") or {}).get("mediaType")
    entry = {"mediaType": media_type_of(manifest, content), "digest": manifest["digest"], "size": manifest["size"]}
    extra = {"artifactType": kind, "annotations": content.get("annotations")}
    return {**entry, **{key: value for key, value in extra.items() if value}}


def platform_text(platform: dict | None) -> str:
    """`linux/arm64/v8`; empty where nothing is said."""
    platform = platform if isinstance(platform, dict) else {}
    return "/".join(str(platform[key]) for key in ("os", "architecture", "variant") if platform.get(key))


def fits(platform: dict | None, wanted: str) -> bool:
    """Whether a platform is the wanted one; one without a variant stands for each variant."""
    text = platform_text(platform)
    return text == wanted or text.startswith(f"{wanted}/")


def select(manifest: dict, platforms: list[str], where: str) -> dict:
    """The part of an index that is about some platforms, as an index of its own, the same bytes wherever it is made.

    :raises Failure: it lacks one of them, or it is no index
    """
    content = content_of(manifest, where)
    media_type = media_type_of(manifest, content)
    if media_type not in _INDEX_TYPES:
        raise Failure(f"{where} is an image of one platform", "leave out platforms")
    entries = children(content)
    kept = {entry["digest"] for entry in entries if any(fits(entry.get("platform"), wanted) for wanted in platforms)}
    for wanted in platforms:
        if not any(fits(entry.get("platform"), wanted) for entry in entries):
            present = sorted({text for text in (platform_text(entry.get("platform")) for entry in entries) if text and text != "unknown/unknown"})
            raise Failure(f"{where} has no platform {wanted}", f"choose among {', '.join(present) or 'none'}")
    part = [entry for entry in entries if entry["digest"] in kept or (entry.get("annotations") or {}).get(_BUILT) in kept]
    if part == entries:
        return manifest
    return make_blob(media_type, canonical_json({**content, "manifests": part}))
