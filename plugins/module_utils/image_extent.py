# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For which platforms an image is, and how large, read where it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import blobs, children, content_of, platform_text
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import ANSWER_LIMIT

# Indexes in indexes in indexes are no image, but something that wants to be walked for ever.
_DEEPEST = 6
# What builders write at manifests that are no image, but about one.
_NO_PLATFORM = "unknown/unknown"


def extent(place, digest: str, run: Callable[[Callable, Iterable], list]) -> tuple[list[str], int]:
    """(platforms such as linux/amd64, sorted; bytes of all manifests and blobs) of an image. Reads manifests and at most a configuration.

    place: as image_copy has them. run: runs a function over items in parallel, as a list in their order.
    :raises Failure: the place does not have it, or not whole
    """
    level, platforms, manifests, contents = [digest], set(), {}, {}
    for _depth in range(_DEEPEST):
        fetched = run(place.manifest, level)
        for wanted, manifest in zip(level, fetched):
            if manifest is None:
                raise Failure(f"{place.name} lacks the manifest {wanted}", "copy the image again; was it changed meanwhile?")
            manifests[wanted] = manifest["size"]
            content = content_of(manifest, place.name)
            contents |= {entry["digest"]: entry["size"] for entry in blobs(content)}
            platforms |= {platform_text(entry.get("platform")) for entry in children(content)}
            if wanted == digest and not children(content):
                platforms.add(platform_text(_configuration(place, content)))
        level = [entry["digest"] for manifest in fetched for entry in children(content_of(manifest, place.name)) if entry["digest"] not in manifests]
        level = list(dict.fromkeys(level))
        if not level:
            break
    return sorted(platforms - {"", _NO_PLATFORM}), sum(manifests.values()) + sum(contents.values())


def _configuration(place, content):
    """The configuration of an image, which has the platform of one that is in no index; empty where there is none that says so."""
    entry = content.get("config")
    if not entry or entry["size"] > ANSWER_LIMIT:
        return {}
    try:
        found = json.loads(b"".join(place.reader(entry, lambda count: None).pieces()))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
