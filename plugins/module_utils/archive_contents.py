# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive of images holds, and under which names a node is to have it.

The shape of an image, as JSON: {"tagged": "host/repository:tag" or "", "pinned": "host/repository@sha256:...", "digest", "platforms":
{"linux/amd64": [manifest's digest, configuration's]}, "ref": its tag in the archive or "", "loaded_as": its name in the manifest.json of
docker save or "", "alone": whether the archive has no other, "made": whether its manifest was made here, since the archive has none}.
"""

from __future__ import annotations

import json
import os

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_archive import DockerArchive, open_docker_archive
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import FULL_NAME, REF_NAME, ImageFiles, is_about_another, names
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import children, content_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping


def read_contents(path: str, wanted: list[dict], folder: str) -> list[dict]:
    """The images of an archive that are wanted, in the shape above.

    wanted: {"name", "source": tag, name or digest in the archive, or None}; empty for all that the archive names in full. folder: takes
    the archive where it has to be expanded.
    :raises Failure: the archive is damaged or lacks an image, or a name is malformed or of another digest
    """
    place = open_docker_archive(os.path.expanduser(path), folder)
    listed = [entry for entry in place.entries if not is_about_another(entry)]
    if not wanted:
        wanted = [{"name": _full_name(entry), "source": entry["digest"]} for entry in listed if _full_name(entry)]
        if not wanted:
            raise Failure(f"{place.name} names no image in full", "say with images under which names the nodes are to have what is in it")
    alone = len({entry["digest"] for entry in listed}) == 1
    return [_image(place, each, alone) for each in wanted]


def _full_name(entry):
    """The name of an entry that says registry and repository too, else empty; who writes archives may put it in either place."""
    return next((name for name in reversed(names(entry)) if "/" in name), "")


def listed_digests(images: list[dict]) -> list[str]:
    """The digests of some images, each once. Pure."""
    return sorted({image["digest"] for image in images})


def _image(place, wanted, alone):
    name = parse_reference(wanted["name"])
    if not name.tag and not name.digest:
        raise Failure(f"image name {wanted['name']!r} has neither tag nor digest", "write it as the pods have it")
    known = _known(place, wanted.get("source"), name, alone)
    if known is None:
        there = sorted({each for entry in place.entries for each in names(entry)})
        step = f"say with source which one is meant, of {', '.join(there)}" if there else "say with source its digest there"
        raise Failure(f"{place.name} has no image {wanted.get('source') or wanted['name']}", step)
    if name.digest and name.digest != known["digest"]:
        raise Failure(f"{place.name} holds {known['digest']} for {wanted['name']}", "correct the digest, or bring the archive that has it")
    annotations = known.get("annotations") or {}
    return {
        "tagged": f"{name.name}:{name.tag}" if name.tag else "",
        "pinned": f"{name.name}@{known['digest']}",
        "digest": known["digest"],
        "platforms": _platforms(place, known["digest"]),
        "ref": annotations.get(REF_NAME, ""),
        "loaded_as": annotations.get(FULL_NAME, ""),
        "alone": alone,
        "made": isinstance(place, DockerArchive),
    }


def _known(place: ImageFiles, source, name, alone):
    if source or name.digest:
        return place.head(source or name.digest)
    found = place.head(f"{name.name}:{name.tag}")
    return place.head("") if found is None and alone else found


def _platforms(place, digest):
    manifest = place.manifest(digest)
    if manifest is None:
        raise Failure(f"{place.name} lacks the manifest {digest}", "it is not whole: get it again")
    content = content_of(manifest, place.name)
    found = {}
    if config := at(content, "config", "digest"):
        found[_platform(_configuration(place, content["config"]))] = [digest, config]
    for child in children(content):
        part = place.manifest(child["digest"])
        config = part and at(content_of(part, place.name), "config", "digest")
        # What an archive was made without is no part of it.
        if config and _platform(child.get("platform")).startswith("linux/"):
            found.setdefault(_platform(child["platform"]), [child["digest"], config])
    return found


def _platform(description):
    description = mapping(description)
    return f"{description.get('os')}/{description.get('architecture')}"


def _configuration(place, entry):
    data = b"".join(place.reader(entry, lambda count: None).pieces())
    try:
        return json.loads(data)
    except ValueError:
        raise Failure(f"{place.name}: the configuration {entry['digest']} is no JSON", "it is no image that a node could run") from None
