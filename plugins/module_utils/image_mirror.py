# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module image_mirror: find out what is missing where, and copy that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_copy import Mover, Planner, Wish
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import destination_of, source_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_places import Places
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import rewritten, table_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_signature import VERIFIED
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_lock import MirrorLock
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_task import SharedArchive, Task
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import check_folder
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_access import RegistryAccess
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import OFF, policy_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import rate_limit
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_progress import TransferProgress, megabytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.upload_journal import UploadJournal

# Images that are looked at and finished at the same time; their blobs share one budget.
_IMAGES_AT_ONCE = 8


def work(options: dict, run: Run) -> dict:
    """The job of the module image_mirror: make every destination hold its image; the module's result.

    In check mode nothing is written and the result is the same.

    :raises Failure: with one line for the user; the images that could be copied are
    """
    if registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    tasks = [Task(wish, named=wish.source) for wish in wishes(options)]
    lock = MirrorLock(options["lock_file"], options["update_lock"])
    parallel = options["parallel"]
    if parallel < 1:
        raise Failure(f"parallel is {parallel}", "give 1 or more")
    trust = policy_of(options, "signature_policy", "signature_keys")
    limit = rate_limit(options)
    journal = UploadJournal("" if run.check_mode else options["journal"])
    # What is read ahead would go past the limit.
    access = RegistryAccess(options, parallel, run.secrets, journal, in_parts=limit is None)
    places = Places(access, run.temp_dir)
    with (
        ThreadPoolExecutor(max_workers=_IMAGES_AT_ONCE) as images,
        # Those to sources and those to destinations need not wait for each other; each registry's own are limited elsewhere.
        ThreadPoolExecutor(max_workers=2 * parallel) as requests,
        ThreadPoolExecutor(max_workers=parallel) as blobs,
    ):

        def in_parallel(function, items):
            return list(requests.map(function, items))

        def each(step, chosen, *arguments):
            list(images.map(lambda task: task.attempt(step, *arguments), chosen))

        planner = Planner(in_parallel)
        archives = _archives(tasks, places)
        each(_plan, tasks, planner, places, archives, lock)
        if not trust.is_off:
            each(_verify, tasks, trust, planner, archives)
        for archive in archives.values():
            archive.plan_again(planner)
        if any(task.writes for task in tasks) and not run.check_mode:
            for archive in archives.values():
                archive.begin()
            todo = [task for task in tasks if task.writes and not task.failure]
            progress = TransferProgress(run.say, "mirror", _announce(todo, run.say))
            mover = Mover(blobs, in_parallel, progress, progress.spare, limit)
            each(_copy, todo, mover, run.say)
            for archive in archives.values():
                archive.finish()
        step = lock.record(tasks, in_parallel, run.check_mode)
    result = _result(tasks, access, run, trust, step)
    if journal.problem:
        lost = "an upload that is cut short begins anew in the next run"
        result["warnings"].append(f"journal {options['journal']} cannot be written ({journal.problem}): {lost}")
    return result


def wishes(options: dict) -> list[Wish]:
    """What the options ask for, in their order. Pure.

    :raises Failure: a name is malformed, an image has no destination, or two have one
    """
    found, targets, table = [], set(), table_of(options["rewrites"])
    for image in options["images"]:
        source = source_of(image["source"])
        target = destination_of(source, image.get("destination") or _destination(source, table))
        if target.is_archive and source.path == target.path:
            raise Failure(f"{target.path} is source and destination", "give another path")
        if target.tag and (target.place, target.tag) in targets:
            raise Failure(f"images has the destination {target} twice", "give each image a name of its own")
        targets.add((target.place, target.tag))
        found.append(Wish(source, target, tuple(image.get("platforms") or ()), options["referrers"]))
    return found


def _destination(source, table):
    """Where the table has an image."""
    target = rewritten(table, replace(source.reference, digest="")) if source.reference else None
    if target is None:
        raise Failure(f"{source} has no destination, and rewrites covers no such name", "give the image a destination, or rewrites a row for its name")
    return str(target)


def _archives(tasks, places):
    """Where an archive is -> it, with its tasks."""
    found = {}
    for task in tasks:
        place = task.wish.target.place
        if task.wish.target.is_archive:
            if place not in found:
                check_folder(task.wish.target.path)
                found[place] = SharedArchive(places.existing(task.wish.target))
            found[place].tasks.append(task)
    return found


def _plan(task, planner, places, archives, lock):
    task.source = lambda: places.source(task.named)
    lock.pin(task)
    wish = task.wish
    if wish.target.is_archive:
        task.plan = planner.plan(wish, task.source, archives[wish.target.place].existing, None)
    else:
        task.target = places.target(wish.target)
        task.plan = planner.plan(wish, task.source, task.target, task.target)
        task.writes = task.plan.digest != task.plan.before
    task.plan.notes += lock.warnings(task)


def _verify(task, trust, planner, archives):
    """Judges the signature of the source's digest, at the destination where that has the image already, else at the source."""
    wish, plan = task.wish, task.plan
    digest, is_there = plan.original, plan.before == plan.digest == plan.original
    if is_there:
        here = archives[wish.target.place].existing if wish.target.is_archive else task.target
        task.signature = trust.verdict(lambda: here, digest, str(wish.target))
    if not (task.signature and task.signature.is_good):
        task.signature = trust.verdict(task.source, digest, str(wish.source))
        if is_there and task.signature.is_good and wish.referrers and not wish.target.is_archive:
            # It was signed after it was copied: whoever pulls there wants the signature too.
            again = planner.plan(replace(wish, source=wish.source.at(digest=digest)), task.source, None, task.target)
            task.plan, task.writes = replace(again, wish=wish, before=plan.before), bool(again.referrers)
    task.plan.notes += trust.warnings(str(wish.source), digest, task.signature)


def _announce(tasks, say):
    """Says what is going to be copied; the number of bytes."""
    sizes = {(*task.wish.target.place, digest): entry["size"] for task in tasks for digest, entry in task.plan.blobs.items()}
    total = sum(sizes.values())
    say(f"mirror: {len(tasks)} {'image' if len(tasks) == 1 else 'images'} to copy, {len(sizes)} blobs, {megabytes(total)} MB")
    return total


def _copy(task, mover, say):
    mover.move_blobs(task.plan, task.source(), task.target)
    if not task.wish.target.is_archive:
        mover.put_manifests(task.plan, task.target)
        say(f"mirror: {task.wish.target} is {task.plan.digest}")


def _result(tasks, access, run, trust, step):
    images = [{**_image(task), "signature": str(task.signature or (OFF if trust.is_off else ""))} for task in tasks]
    if step:
        images = [{**image, "locked": task.locked, "moved_to": task.moved_to} for image, task in zip(images, tasks)]
    failed = [task.failure for task in tasks if task.failure]
    facts = {
        "changed": any(task.writes and not task.failure for task in tasks) or bool(step and step["changed"]),
        "images": images,
        "lines": [_line(image, run.check_mode) for image in images],
        "bytes": sum(image.get("bytes", 0) for image in images),
        "requests": access.requests(),
        **({"lock_changed": step["changed"]} if step else {}),
    }
    if failed:
        more = f" ({len(failed)} of {len(tasks)} images failed, see images)" if len(tasks) > 1 else ""
        raise Failure(failed[0].what + more, failed[0].next_step, **facts)
    result = {**facts, "warnings": list(dict.fromkeys(note for task in tasks for note in task.plan.notes))}
    if run.diff:
        before = [f"{task.wish.target}: {task.plan.before}\n" for task in tasks if task.plan.before]
        result["diff"] = {"before": "".join(before), "after": "".join(f"{task.wish.target}: {task.plan.digest}\n" for task in tasks)}
        if step:
            header = {"before_header": step["path"], "after_header": step["path"]}
            result["diff"] = [result["diff"], {"before": step["before"], "after": step["after"], **header}]
    return result


def _image(task):
    wish, plan = task.wish, task.plan
    known = {"source": str(task.named), "destination": str(wish.target)}
    if task.failure:
        return {**known, "changed": False, "error": task.failure.message}
    found = {
        **known,
        "changed": task.writes,
        "digest": plan.digest,
        "before": plan.before,
        "manifests": sum(len(stage) for stage in plan.stages),
        "blobs": len(plan.blobs),
        "bytes": plan.bytes,
        "mounted": plan.mounted,
        "referrers": plan.referrers,
    }
    return {**found, "image": f"{wish.target.reference.name}@{plan.digest}"} if wish.target.reference else found


def _line(image, check_mode):
    if "error" in image:
        return f"{image['destination']}: {image['error']}"
    signed = f", signature {image['signature']}" if image["signature"].startswith(VERIFIED) else ""
    if not image["changed"]:
        return f"{image['destination']}: unchanged{signed}"
    return f"{image['destination']}: {'would be copied' if check_mode else 'copied'}, {megabytes(image['bytes'])} MB{signed}"
