# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module bundle_load: verify a bundle, push its images to registries, unpack its files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import LOCK_NAME
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_info import open_bundle, verify
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_unpack import out_of_date, unpack
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_copy import Mover, Planner, Wish
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import OCI_ARCHIVE, REGISTRY, Location
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import check_lock_path, entry_of, find, mirror_name, parse_lock, record
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_places import Places
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import Reference, parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import rewritten, table_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_task import Task
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_access import RegistryAccess
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import policy_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import rate_limit
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_progress import TransferProgress, megabytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.upload_journal import UploadJournal

_IMAGES_AT_ONCE = 8


@dataclass
class Push(Task):
    """An image of a bundle on its way to a registry. elsewhere: digest of a blob that the bundle leaves out -> the repository that has it."""

    elsewhere: dict[str, str] = field(default_factory=dict)


def work(options: dict, run: Run) -> dict:
    """The job of the module bundle_load: make registries hold a bundle's images, and a folder its files; the module's result.

    Nothing is written before all that is going to be written was verified. In check mode nothing is written and the result is the same.

    :raises Failure: with one line for the user; the images that could be pushed are
    """
    if registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    parallel = options["parallel"]
    if parallel < 1:
        raise Failure(f"parallel is {parallel}", "give 1 or more")
    limit = rate_limit(options)
    trust = policy_of(options, "signature_policy", "signature_keys")
    bundle, seal = open_bundle(options)
    tasks = [Push(wish) for wish in wishes(options, bundle)]
    if not tasks and not options["files_path"]:
        raise Failure("neither rewrites nor files_path are given, so there is nothing to do", "say with rewrites where the images go")
    if options["lock_file"]:
        check_lock_path(options["lock_file"])
    journal = UploadJournal("" if run.check_mode else options["journal"])
    # What is read ahead would go past the limit.
    access = RegistryAccess(options, parallel, run.secrets, journal, in_parts=limit is None)
    places = Places(access, run.temp_dir)
    with (
        ThreadPoolExecutor(max_workers=_IMAGES_AT_ONCE) as images,
        ThreadPoolExecutor(max_workers=parallel) as requests,
        ThreadPoolExecutor(max_workers=parallel) as blobs,
    ):

        def in_parallel(function, items):
            return list(requests.map(function, items))

        def each(step, chosen, *arguments):
            list(images.map(lambda task: task.attempt(step, *arguments), chosen))

        each(_plan, tasks, Planner(in_parallel), places, bundle, trust)
        stale = out_of_date(bundle, options["files_path"]) if options["files_path"] else []
        todo = [task for task in tasks if task.writes and not task.failure]
        if todo or stale:
            only = {blob["digest"] for task in todo for blob in task.plan.whole_blobs.values()} | {file["digest"] for file in stale}
            # Nothing is held back only where a choice was made.
            verify(bundle, run.say, only if options["images"] or not todo else None).insist(bundle.name)
        each(_find_left_out, todo, access, bundle)
        if any(task.failure for task in tasks):
            return _result(tasks, options, access, run, bundle, seal, [])
        if not run.check_mode:
            total = sum(task.plan.bytes for task in todo)
            if todo:
                run.say(f"bundle: {len(todo)} images to push, {megabytes(total)} MB")
            progress = TransferProgress(run.say, "bundle", total)
            mover = Mover(blobs, in_parallel, progress, progress.spare, limit)
            each(_push, todo, mover, places, bundle, run.say)
            unpack(bundle, options["files_path"], stale)
    result = _result(tasks, options, access, run, bundle, seal, stale)
    if journal.problem:
        lost = "an upload that is cut short begins anew in the next run"
        result["warnings"].append(f"journal {options['journal']} cannot be written ({journal.problem}): {lost}")
    return result


def wishes(options: dict, bundle) -> list[Wish]:
    """The images that are to be pushed, and where to. Pure.

    :raises Failure: an image that is named is not in the bundle, or the table has no row for one
    """
    images = {image["name"]: image for image in bundle.content.images}
    unknown = [name for name in options["images"] if name not in images]
    if unknown:
        raise Failure(f"{bundle.name} has no image {unknown[0]}", f"choose among {', '.join(images) or 'none'}")
    table = table_of(options["rewrites"])
    if not table and not options["images"]:
        return []
    found = []
    for name in options["images"] or images:
        reference = parse_reference(name)
        target = rewritten(table, reference)
        if target is None:
            raise Failure(f"rewrites has no row for {name}", f"add one with the source {reference.host}, or choose with images what to push")
        source = Location(OCI_ARCHIVE, path=bundle.path, tag=name, digest=images[name]["digest"])
        found.append(Wish(source, Location(REGISTRY, target).at(tag=target.tag)))
    return found


def _plan(task, planner, places, bundle, trust):
    task.source, task.target = (lambda: bundle), places.target(task.wish.target)
    task.plan = planner.plan(task.wish, task.source, task.target, task.target)
    task.writes = task.plan.digest != task.plan.before
    if not trust.is_off:
        where = str(task.wish.target)
        task.signature = trust.verdict(task.source, task.plan.digest, where)
        task.plan.notes += trust.warnings(where, task.plan.digest, task.signature)


def _find_left_out(task, access, bundle):
    """Finds where the destination has what the bundle leaves out.

    :raises Failure: it does not have it
    """
    host = task.wish.target.reference.host
    client = access.client(host, "pull,push")
    for digest in task.plan.blobs:
        entry = bundle.left_out(digest)
        if entry is None:
            continue
        known = [name.partition("/")[2] for name in entry["at"] if name.partition("/")[0] == host]
        holder = next((repository for repository in known if client.has_blob(repository, digest)), None)
        if holder is None:
            what = f"{bundle.name} leaves out the blob {digest} of {task.wish.target}, and {host} does not have it"
            raise Failure(what, "make the bundle without inventory, or with one that is taken anew at this destination")
        task.elsewhere[digest] = holder


def _push(task, mover, places, bundle, say):
    plan, host = task.plan, task.wish.target.reference.host
    for digest, holder in task.elsewhere.items():
        # The registry takes it over from its other repository; where it does not want to, it is read there and sent back.
        source = Location(REGISTRY, Reference(host, holder)).at(digest=plan.digest)
        part = replace(plan, wish=replace(plan.wish, source=source), blobs={digest: plan.blobs[digest]}, mounted=0)
        mover.move_blobs(part, places.source(source), task.target)
        plan.mounted += part.mounted
    rest = replace(plan, blobs={digest: entry for digest, entry in plan.blobs.items() if digest not in task.elsewhere}, mounted=0)
    mover.move_blobs(rest, bundle, task.target)
    plan.mounted += rest.mounted
    mover.put_manifests(plan, task.target)
    say(f"bundle: {task.wish.target} is {plan.digest}")


def _result(tasks, options, access, run, bundle, seal, stale):
    images, notes = [_image(task) for task in tasks], [*seal.notes(bundle.name), *(note for task in tasks if task.plan for note in task.plan.notes)]
    failed, changed = [task.failure for task in tasks if task.failure], bool(stale) or any(task.writes and not task.failure for task in tasks)
    names = {file["name"] for file in stale}
    files = [
        {**file, "path": os.path.join(options["files_path"], file["name"]), "changed": file["name"] in names}
        for file in (bundle.content.files if options["files_path"] and not failed else [])
    ]
    facts = {
        "digest": bundle.content.digest,
        "images": images,
        "files": files,
        "lines": [_line(image, run.check_mode) for image in images] + [_file_line(file, run.check_mode) for file in files],
        "bytes": sum(image.get("bytes", 0) for image in images),
        "signature": seal.facts(),
        "requests": access.requests(),
    }
    if failed:
        more = f" ({len(failed)} of {len(tasks)} images failed, see images)" if len(tasks) > 1 else ""
        raise Failure(failed[0].what + more, failed[0].next_step, **facts, changed=changed and not run.check_mode)
    lock = record(options["lock_file"], _locked(bundle, tasks), run.check_mode) if options["lock_file"] and tasks else None
    result = {**facts, "changed": changed or bool(lock and lock["changed"]), "warnings": list(dict.fromkeys(notes))}
    if run.diff:
        before = [f"{task.wish.target}: {task.plan.before}\n" for task in tasks if task.plan.before]
        after = [f"{task.wish.target}: {task.plan.digest}\n" for task in tasks] + [f"{file['path']}: {file['digest']}\n" for file in files if file["changed"]]
        result["diff"] = {"before": "".join(before) + (lock["before"] if lock else ""), "after": "".join(after) + (lock["after"] if lock else "")}
    return result


def _locked(bundle, tasks):
    """The entries of the bundle's own lock, with where the images are now."""
    [file] = [file for file in bundle.content.files if file["name"] == LOCK_NAME]
    text = b"".join(bundle.reader(file, lambda count: None).pieces()).decode("utf-8", "replace")
    lock, found = parse_lock(text, f"{LOCK_NAME} of {bundle.name}"), []
    for task in tasks:
        entry = find(lock, task.wish.source.tag)
        if entry is None:
            raise Failure(f"{LOCK_NAME} of {bundle.name} has no image {task.wish.source.tag}", "get the bundle again")
        mirror = mirror_name(str(task.wish.target), task.plan.digest, entry["digest"])
        found.append(entry_of(entry["source"], entry["digest"], entry["platforms"], entry["size"], [mirror]))
    return found


def _image(task):
    wish, plan = task.wish, task.plan
    known = {"name": wish.source.tag, "destination": str(wish.target), "signature": str(task.signature or "off")}
    if task.failure:
        return {**known, "changed": False, "error": task.failure.message}
    return {
        **known,
        "image": f"{wish.target.reference.name}@{plan.digest}",
        "changed": task.writes,
        "digest": plan.digest,
        "before": plan.before,
        "manifests": sum(len(stage) for stage in plan.stages),
        "blobs": len(plan.blobs),
        "bytes": plan.bytes,
        "left_out": len(task.elsewhere),
        "mounted": plan.mounted,
    }


def _line(image, check_mode):
    if "error" in image:
        return f"{image['destination']}: {image['error']}"
    if not image["changed"]:
        return f"{image['destination']}: unchanged"
    return f"{image['destination']}: {'would be pushed' if check_mode else 'pushed'}, {megabytes(image['bytes'])} MB"


def _file_line(file, check_mode):
    return f"{file['path']}: {('would be written' if check_mode else 'written') if file['changed'] else 'unchanged'}"
