# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module collector_image: build the image, find out what is missing, send and write that."""

from __future__ import annotations

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import oci, registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import write_atomically
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_push import plan_push, push
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import Reference, parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run

NOT_REPRODUCIBLE = (
    "this machine's zlib compresses unlike the original one, so the image may get another digest on other machines; "
    "to avoid that, give binaries as .gz files made once with 'gzip -9n'"
)


def push_target(name: str) -> Reference:
    """The destination of a push.

    :raises Failure: malformed, or without a tag, or with a digest (which follows from the content)
    """
    target = parse_reference(name)
    if target.digest:
        raise Failure(f"name {name!r} has a digest, but the digest follows from the content", "leave it out and give a tag")
    if not target.tag:
        raise Failure(f"name {name!r} has no tag", f"add one, for example {target.name}:1.0")
    return target


def archive_action(path: str, content: bytes) -> dict:
    """The action that writes an archive."""
    return {"action": "write_archive", "what": path, "digest": oci.sha256_digest(content), "size": len(content)}


def diff_text(image: str | None, archive: str | None) -> str:
    """What is in place, as one line each, for diff mode."""
    lines = [f"{what}: {digest}\n" for what, digest in (("image", image), ("archive", archive)) if digest]
    return "".join(lines)


def work(options: dict, run: Run) -> dict:
    """The job of the module collector_image: build the image and make registry and archive hold it; the module's result.

    In check mode nothing is written and the result is the same.

    :raises Failure: with one line for the user
    """
    if options["name"] and registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    target = push_target(options["name"]) if options["name"] else None
    path = options["archive"]
    if path:
        oci.check_folder(path)
    client = registry.registry_from_options(options, target.host, access="pull,push") if target else None

    programs = oci.read_programs(options["binaries"], options["architectures"], options["program"])
    image = oci.build_image(programs, options["labels"], options["program"])
    digest = image["index"]["digest"]

    actions, before_image, before_archive, archive = [], None, None, None
    if client:
        plan = plan_push(client, target, image)
        actions, before_image = plan["actions"], plan["before"]
        if not run.check_mode and actions:
            push(client, target, {blob["digest"]: blob for blob in oci.image_blobs(image)}, actions)
    if path:
        content = oci.archive_bytes(image, str(target or ""), target.tag if target else "")
        archive = archive_action(path, content)
        before_archive = oci.file_digest(path)
        if before_archive != archive["digest"]:
            actions = [*actions, archive]
            if not run.check_mode:
                write_atomically(path, content)

    reproducible = all(program["reproducible"] for program in programs.values())
    result = {
        "changed": bool(actions),
        "digest": digest,
        "platforms": {
            architecture: {
                "digest": platform["manifest"]["digest"],
                "size_compressed": platform["layer"]["size"],
            }
            for architecture, platform in image["platforms"].items()
        },
        "reproducible": reproducible,
        "actions": actions,
        "requests": dict(client.counts) if client else {},
        "warnings": [] if reproducible else [NOT_REPRODUCIBLE],
    }
    if run.diff:
        after = diff_text(digest if target else None, archive and archive["digest"])
        result["diff"] = {"before": diff_text(before_image, before_archive), "after": after}
    if target:
        result["image"] = f"{target.name}@{digest}"
    return result
