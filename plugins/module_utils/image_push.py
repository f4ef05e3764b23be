# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending an image to a registry: what is missing there, and in which order it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import Reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import Registry, bytes_source


def _in_parallel(registry: Registry, function: Callable, items: Iterable) -> list:
    with ThreadPoolExecutor(max_workers=registry.connections) as pool:
        return list(pool.map(function, items))


def plan_push(registry: Registry, target: Reference, image: dict) -> dict:
    """What has to be sent so that the target's tag is the image. Reads only; one HEAD when nothing has to be done.

    :param image: as in the module oci
    :returns: `{"before": digest or None, "actions": [action]}` with actions in the order of sending, each
        `{"action": "upload_blob" or "put_manifest", "what": str, "digest": str, "size": int}`; put_manifest also has
        `"reference"`: the digest, or the tag in the last one
    """
    current = registry.head_manifest(target.repository, target.tag)
    before = current and current["digest"]
    if before == image["index"]["digest"]:
        return {"before": before, "actions": []}
    checks = []
    for architecture, platform in image["platforms"].items():
        for part in ("layer", "config"):
            checks.append(("upload_blob", f"{part} linux/{architecture}", platform[part]))
    for architecture, platform in image["platforms"].items():
        checks.append(("put_manifest", f"manifest linux/{architecture}", platform["manifest"]))

    def is_there(check) -> bool:
        action, _what, blob = check
        if action == "upload_blob":
            return registry.has_blob(target.repository, blob["digest"])
        return registry.head_manifest(target.repository, blob["digest"]) is not None

    actions = []
    for (action, what, blob), there in zip(checks, _in_parallel(registry, is_there, checks)):
        if not there:
            entry = {"action": action, "what": what, "digest": blob["digest"], "size": blob["size"]}
            actions.append(entry if action == "upload_blob" else {**entry, "reference": blob["digest"]})
    index = image["index"]
    last = {"action": "put_manifest", "what": "index", "digest": index["digest"], "size": index["size"], "reference": target.tag}
    return {"before": before, "actions": [*actions, last]}


def push(registry: Registry, target: Reference, blobs: dict, actions: list) -> None:
    """Carry out a plan: blobs, then the manifests that need them, the tag last, so that it never names half an image.

    :param blobs: `{digest: blob}`
    """

    def do(action: dict) -> None:
        blob = blobs[action["digest"]]
        if action["action"] == "upload_blob":
            registry.upload_blob(target.repository, bytes_source(blob["data"]))
        else:
            registry.put_manifest(target.repository, action["reference"], blob)

    _in_parallel(registry, do, [action for action in actions if action["action"] == "upload_blob"])
    _in_parallel(registry, do, [action for action in actions[:-1] if action["action"] == "put_manifest"])
    for action in actions[-1:]:
        do(action)
