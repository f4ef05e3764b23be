# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module bundle: gather images and files, and write them as parts that fit a medium."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import LOCK_NAME, Content, read_description
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_files import BundleFiles, read_files
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_inventory import holders, read_inventory
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_signature import VERIFIED, Seal, check, sign
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_sources import LocalFiles, Nearest
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_writer import BundleWriter, write_signature
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_copy import Mover, Planner, Wish
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import FULL_NAME, REF_NAME
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import OCI_ARCHIVE, Location, source_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import entry_of, find, lock_text, read_lock
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import content_of, referrer_descriptor, subject
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_places import Places
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_task import Task
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE, canonical_json, descriptor, make_blob
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_access import RegistryAccess
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import referrers_tag
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import policy_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_half
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import rate_limit
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_progress import TransferProgress, megabytes

_IMAGES_AT_ONCE = 8


def work(options: dict, run: Run) -> dict:
    """The job of the module bundle: make a folder hold the bundle that is asked for; the module's result.

    In check mode nothing is written and the result is the same.

    :raises Failure: with one line for the user; what was fetched until then stays for the next run
    """
    if registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    parallel, folder = options["parallel"], options["path"]
    if parallel < 1:
        raise Failure(f"parallel is {parallel}", "give 1 or more")
    if not options["images"] and not options["files"]:
        raise Failure("neither images nor files are given, so the bundle would be empty", "give one of them")
    _check_folder(folder)
    limit = rate_limit(options)
    trust = policy_of(options, "signature_policy", "signature_keys")
    inventory = read_inventory(options["inventory"]) if options["inventory"] else {}
    tasks, files = [Task(wish) for wish in wishes(options)], LocalFiles()
    for file in options["files"]:
        files.add(file["name"] or os.path.basename(file["path"].rstrip("/")), file["path"])
    # What is read ahead would go past the limit.
    access = RegistryAccess(options, parallel, run.secrets, in_parts=limit is None)
    places, existing = Places(access, run.temp_dir), _existing(folder)
    with ThreadPoolExecutor(max_workers=_IMAGES_AT_ONCE) as images, ThreadPoolExecutor(max_workers=parallel) as pool:

        def in_parallel(function, items):
            return list(pool.map(function, items))

        planner = Planner(in_parallel)
        list(images.map(lambda task: task.attempt(_plan, planner, places, existing, trust), tasks))
        failed = [task for task in tasks if task.failure]
        if failed:
            more = f" ({len(failed)} of {len(tasks)} images failed)" if len(tasks) > 1 else ""
            raise Failure(f"{failed[0].wish.source}: {failed[0].failure.what}" + more, failed[0].failure.next_step)
        if tasks:
            files.add_text(LOCK_NAME, lock_text(_lock(tasks)).encode())
        content, manifests = _content(tasks, files, inventory, options["media_size"])
        changed = existing is None or existing.content.description != content.description or not existing.is_there()
        seal, signature = _seal(options, content, folder, changed)
        if changed and not run.check_mode:
            with ThreadPoolExecutor(max_workers=parallel) as blobs:
                _write(folder, content, manifests, (tasks, files, existing, places), (images, blobs, in_parallel, limit), signature, run.say)
        elif signature is not None and not run.check_mode:
            write_signature(folder, signature)
    return _result(options, run, content, tasks, existing, changed or signature is not None, seal, access)


def wishes(options: dict) -> list[Wish]:
    """The images that the options ask for, each to be in the bundle under a name that a registry could have. Pure but for the lock file.

    :raises Failure: a name is missing, malformed or there twice, or the lock file lacks an image
    """
    lock = read_lock(options["lock_file"], required=True) if options["lock_file"] else None
    found, names = [], set()
    for image in options["images"]:
        source = source_of(image["source"])
        name = _name(image, source)
        if name in names:
            raise Failure(f"images has the name {name} twice", "give each image a name of its own")
        names.add(name)
        if lock is not None and source.reference and not source.digest:
            entry = find(lock, str(source))
            if entry is None:
                raise Failure(f"the lock file {options['lock_file']} has no image {source}", "mirror it with that lock file first, or leave out lock_file")
            source = source.at(tag=source.tag, digest=entry["digest"])
        target = Location(OCI_ARCHIVE, path=options["path"], tag=name)
        found.append(Wish(source, target, tuple(image.get("platforms") or ()), options["referrers"]))
    return found


def _name(image, source):
    if not image.get("name") and not source.reference:
        raise Failure(f"images has {source} without a name", "give one, as it would have in a registry: host/repository:tag")
    reference = parse_reference(image["name"]) if image.get("name") else source.reference
    if not reference.tag and not reference.digest:
        raise Failure(f"images has the name {reference} without a tag", f"add one, for example {reference}:1.0")
    return str(replace(reference, digest="") if reference.tag else reference)


def _check_folder(folder):
    above = os.path.dirname(os.path.abspath(folder))
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Failure(f"{folder} is no folder", "give the folder that is to hold the bundle")
    if not os.path.isdir(above):
        raise Failure(f"the folder {folder} cannot be made, {above} is no folder", "make it first, or correct the path")


def _existing(folder):
    """The bundle that is there now; one that cannot be read is made anew."""
    try:
        return BundleFiles(folder, read_description(read_files(folder)[0], folder))
    except Failure:
        return None


def _plan(task, planner, places, existing, trust):
    wish = task.wish
    task.source = lambda: places.source(wish.source)
    plan = planner.plan(wish, task.source, existing, None)
    if not plan.stages:
        again = replace(wish, source=wish.target.at(digest=plan.digest), platforms=())
        plan = replace(planner.plan(again, lambda: existing, None, None), wish=wish, original=plan.original, before=plan.before)
    if not trust.is_off:
        here = existing if plan.before == plan.original else None
        task.signature = trust.verdict(lambda: here, plan.original, str(wish.source)) if here else None
        if not (task.signature and task.signature.is_good):
            task.signature = trust.verdict(task.source, plan.original, str(wish.source))
        plan.notes += trust.warnings(str(wish.source), plan.original, task.signature)
    task.plan = plan


def _lock(tasks):
    """A lock of the bundle's images, which knows of no mirrors yet."""
    found = {}
    for task in tasks:
        size = sum(blob["size"] for blob in task.plan.whole_blobs.values())
        size += sum(manifest["size"] for stage in task.plan.stages for manifest, _tag in stage)
        entry = entry_of(task.wish.target.tag, task.plan.original, task.plan.platforms, size)
        found[entry["source"]] = entry
    return found


def _content(tasks, files, inventory, media_size):
    """The bundle's content, and digest -> bytes of its manifests."""
    manifests, blobs, about, index = {}, dict(files.blobs), {}, []
    for task in tasks:
        *others, [(image, _tag)] = task.plan.stages
        for manifest, tag in [(image, ""), *(item for stage in others for item in stage)]:
            manifests[manifest["digest"]] = manifest
            found = content_of(manifest, str(task.wish.source))
            if subject(found):
                about.setdefault(subject(found), {})[manifest["digest"]] = referrer_descriptor(manifest, found)
            if tag:
                index.append({**descriptor(manifest), "annotations": {REF_NAME: tag}})
        blobs |= {digest: {"digest": digest, "size": entry["size"]} for digest, entry in task.plan.whole_blobs.items()}
        name = task.wish.target.tag
        index.append({**descriptor(image), "annotations": {REF_NAME: name, **({} if "@" in name else {FULL_NAME: name})}})
    for subject_digest, entries in about.items():
        content = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entries[key] for key in sorted(entries)]}
        listed = make_blob(INDEX_TYPE, canonical_json(content))
        manifests[listed["digest"]] = listed
        index.append({**descriptor(listed), "annotations": {REF_NAME: referrers_tag(subject_digest)}})
    for manifest, entry in files.artifacts:
        manifests[manifest["digest"]] = manifest
        index.append(entry)
    at = {digest: holders(inventory, blob) for digest, blob in blobs.items() if digest not in files.blobs}
    content = Content(
        images=sorted((_image(task) for task in tasks), key=lambda image: image["name"]),
        files=sorted(files.files, key=lambda file: file["name"]),
        index=_unique(index),
        manifests=[descriptor(manifests[digest]) for digest in sorted(manifests)],
        blobs=[blobs[digest] for digest in sorted(blobs) if not at.get(digest)],
        needs=[{**blobs[digest], "at": at[digest]} for digest in sorted(blobs) if at.get(digest)],
        media_size=media_size,
    )
    return content, {digest: manifest["data"] for digest, manifest in manifests.items()}


def _image(task):
    plan, source = task.plan, task.wish.source
    return {
        "name": task.wish.target.tag,
        # A path would differ from machine to machine.
        "source": str(source.at(tag=source.tag) if source.tag else source) if source.reference else "",
        "digest": plan.digest,
        "original": plan.original,
        "platforms": list(task.wish.platforms),
        "referrers": sorted(plan.referrers),
    }


def _unique(index):
    """Each entry once, in an order that does not depend on which image came first."""
    entries = {canonical_json(entry): entry for entry in index}
    return [entries[key] for key in sorted(entries, key=lambda key: (entries[key]["annotations"][REF_NAME], key))]


def _seal(options, content, folder, changed):
    """What the signature will be, and its new bytes, None where there is none or the present one is right."""
    present = None if changed else read_files(folder)[1]
    if not options["signing_key"]:
        return check(content.description, present, [], folder), None
    key = public_half(options["signing_key"], options["signing_passphrase"])
    if present is not None:
        try:
            return check(content.description, present, [key], folder), None
        except Failure:
            # Somebody else's, or damaged.
            pass
    return Seal(VERIFIED, key.fingerprint), sign(content.description, options["signing_key"], options["signing_passphrase"])


def _write(folder, content, manifests, sources, pools, signature, say):
    (tasks, files, existing, places), (images, blobs, in_parallel, limit) = sources, pools
    writer = BundleWriter(folder, content, manifests)
    try:
        there = writer.begin(in_parallel)
        wanted = {blob["digest"] for blob in content.blobs} - there
        total = sum(blob["size"] for blob in content.blobs if blob["digest"] in wanted)
        what = f"{len(content.parts)} {'part' if len(content.parts) == 1 else 'parts'}"
        say(f"bundle: {len(content.images)} images, {len(content.files)} files, {what}; {len(wanted)} blobs to fetch, {megabytes(total)} MB")
        progress = TransferProgress(say, "bundle", total)
        mover = Mover(blobs, in_parallel, progress, progress.spare, limit)
        for digest in sorted(wanted & set(files.blobs)):
            writer.put_blob(files.reader(files.blobs[digest], progress))
        wanted -= set(files.blobs)
        moves = []
        for task in tasks:
            plan = replace(task.plan, blobs={digest: entry for digest, entry in task.plan.whole_blobs.items() if digest in wanted})
            wanted -= set(plan.blobs)
            moves.append(images.submit(mover.move_blobs, plan, Nearest(existing, lambda task=task: places.source(task.wish.source)), writer))
        wait(moves)
        for move in moves:
            move.result()
        writer.finish(signature)
    finally:
        writer.close()


def _result(options, run, content, tasks, existing, changed, seal, access):
    before = existing.content.digest if existing else None
    images = [{**image, "signature": str(task.signature or "off")} for image, task in zip(content.images, sorted(tasks, key=lambda task: task.wish.target.tag))]
    left_out = {"blobs": len(content.needs), "bytes": sum(blob["size"] for blob in content.needs)}
    verb = ("would be written" if run.check_mode else "written") if changed else "unchanged"
    lines = [f"{image['name']}: {image['digest']}" for image in images] + [f"{file['name']}: {file['digest']}" for file in content.files]
    lines.append(f"{options['path']}: {verb}, {content.digest}, {len(content.parts)} parts, {megabytes(content.size)} MB")
    result = {
        "changed": changed,
        "folder": options["path"],
        "digest": content.digest,
        "before": before,
        "images": images,
        "files": content.files,
        "parts": [{"name": part.name, "size": part.size} for part in content.parts],
        "bytes": content.size,
        "left_out": left_out,
        "signature": seal.facts(),
        "lines": lines,
        "requests": access.requests(),
        "warnings": list(dict.fromkeys(note for task in tasks for note in task.plan.notes)),
    }
    if run.diff:
        result["diff"] = {"before": _text(existing.content if existing else None), "after": _text(content)}
    return result


def _text(content):
    if content is None:
        return ""
    lines = [f"{image['name']}: {image['digest']}\n" for image in content.images] + [f"{file['name']}: {file['digest']}\n" for file in content.files]
    return "".join([*lines, *(f"{part.name}: {part.size} bytes\n" for part in content.parts)])
