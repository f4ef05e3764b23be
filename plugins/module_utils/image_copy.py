# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying images between places: what is missing, and in which order it goes.

A place is a RegistryPlace, a LayoutFolder, any ImageFiles to read from, or an ArchiveWriter to write to.

Of one image the blobs go first, then the manifests that need them, deepest first, then what refers to the image, and last
the image's own manifest with its tag. So a tag never names half an image, and where it is right all the rest is there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import WrongBytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import REGISTRY, Location
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import blobs, children, content_of, fits, is_foreign, platform_text, select
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import ANSWER_LIMIT
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import referrers_tag
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import RateLimit

# Where signers keep what they have to say of a digest, in registries of any age.
_SIGNATURE_TAGS = (".sig", ".att", ".sbom")
# Deeper or wider is no image, but something that wants to be walked for ever.
_DEEPEST, _MOST_MANIFESTS = 6, 2000
# Where more blobs of this size are to be moved, they fill the line without being read in parts.
_LARGE, _FEW = 4 << 20, 4


@dataclass(frozen=True)
class Wish:
    """One image that is wanted: from where, to where, which platforms (all when empty), with what refers to it or without."""

    source: Location
    target: Location
    platforms: tuple[str, ...] = ()
    referrers: bool = True


@dataclass
class Plan:
    """What it takes to fulfil a wish.

    digest: of the image at its target. before: what was there under that name, or None. stages: manifests as
    (manifest, tag) in the order in which they have to be put, each list in any order; empty where nothing is to be done.
    blobs: digest -> descriptor of those that are missing. whole_blobs: of all. original: the source's digest. notes: what the user should know.
    """

    wish: Wish
    digest: str
    original: str
    before: str | None = None
    stages: list[list[tuple[dict, str]]] = field(default_factory=list)
    blobs: dict[str, dict] = field(default_factory=dict)
    whole_blobs: dict[str, dict] = field(default_factory=dict)
    referrers: list[str] = field(default_factory=list)
    platforms: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mounted: int = 0

    @property
    def bytes(self) -> int:
        """How much has to be moved."""
        return sum(entry["size"] for entry in self.blobs.values())


class Planner:
    """Finds out what is missing. Reads only.

    run: runs a function over items in parallel, as a list in their order.
    """

    def __init__(self, run: Callable[[Callable, Iterable], list]):
        self._run = run

    def plan(self, wish: Wish, source: Callable, here, target) -> Plan:
        """The plan of a wish.

        source: gives the place to read from, which is not asked for where a digest and the target tell enough.
        here: the place where the image may be already, None where nothing is. target: the place to write to, None where that begins empty.
        :raises Failure: the source has no such image, or not whole, or a place does not answer
        """
        named, pinned = wish.target.tag or wish.source.digest, wish.source.digest if not wish.platforms else ""
        before = here.present(named) if here and named else None
        if before and before == pinned:
            return Plan(wish, before, before, before)
        place, where = source(), str(wish.source)
        if here and not pinned and not wish.platforms:
            head = place.head(wish.source.wanted)
            if head and (before if named else here.present(head["digest"])) == head["digest"]:
                return Plan(wish, head["digest"], head["digest"], head["digest"])
        root = place.manifest(wish.source.wanted)
        if root is None:
            raise Failure(f"{where} does not exist", "correct the name, or look whether its registry asks for a login to show it")
        original = root["digest"]
        if wish.platforms:
            root = self._select(place, root, wish.platforms, where)
            before = before or (here.present(root["digest"]) if here and not wish.target.tag else None)
        plan = Plan(wish, root["digest"], original, before)
        if root["digest"] != original:
            plan.notes.append(f"{where}: the platforms {', '.join(wish.platforms)} alone make another index, {root['digest']} instead of {original}")
        if before != root["digest"]:
            self._fill(plan, place, target, root)
        return plan

    def _select(self, place, root, platforms, where):
        content = content_of(root, where)
        if "manifests" in content:
            return select(root, list(platforms), where)
        platform = self._platform(place, content, where)
        alone = platform_text(platform)
        if len(platforms) > 1 or not fits(platform, platforms[0]):
            raise Failure(f"{where} is an image of the one platform {alone or 'that it does not name'}", f"leave out platforms, or choose {alone}")
        return root

    def _platform(self, place, content, where):
        """The platform of an image that is not in an index, by its configuration."""
        if content["config"]["size"] > ANSWER_LIMIT:
            raise Failure(f"{where} has a configuration of {content['config']['size']} bytes", "it is no image that can run")
        try:
            config = json.loads(b"".join(place.reader(content["config"], lambda count: None).pieces()))
        except ValueError:
            config = None
        return config if isinstance(config, dict) else {}

    def _fill(self, plan, place, target, root):
        """Stages and blobs of the image and of all that refers to it."""
        trees, digests = self._tree(plan, place, target, [(root, "")])
        listed = [platform_text(entry.get("platform")) for entry in children(content_of(root, str(plan.wish.source)))]
        plan.platforms = sorted({text for text in listed if text and text != "unknown/unknown"})
        image, of_image = trees.pop(), dict(plan.whole_blobs)
        # The source is asked what refers to the image while the destination is asked what it has of it.
        with ThreadPoolExecutor(max_workers=1) as aside:
            missing = aside.submit(self._missing, target, of_image)
            about = self._referring(plan, place, target, root, digests) if plan.wish.referrers else []
        plan.stages = [*trees, *about, image]
        of_others = {digest: entry for digest, entry in plan.whole_blobs.items() if digest not in of_image}
        plan.blobs = missing.result() | self._missing(target, of_others)

    def _missing(self, target, entries):
        """Those of some blobs that the target lacks."""
        found = self._run(lambda entry: target is None or not target.has_blob(entry), list(entries.values()))
        return {digest: entry for (digest, entry), is_missing in zip(entries.items(), found) if is_missing}

    def _referring(self, plan, place, target, root, digests):
        """The stages of all that refers to an image's manifests, and to what refers to them."""
        stages, seen = [], set(digests)
        subjects = [digest for digest in digests if digest != root["digest"] or plan.original == root["digest"]]
        for _depth in range(_DEEPEST):
            found = self._about(plan, place, target, subjects)
            fresh = [(manifest, tag) for manifest, tag in found if manifest["digest"] not in seen or tag]
            if not fresh:
                break
            more, subjects = self._tree(plan, place, target, fresh)
            subjects = [digest for digest in subjects if digest not in seen]
            seen |= {manifest["digest"] for manifest, _tag in fresh}
            plan.referrers += [manifest["digest"] for manifest, _tag in fresh]
            stages += more
        return stages

    def _tree(self, plan, place, target, roots):
        """The manifests below some roots which the target lacks, as stages, the roots last; and the digests of all of them.

        What the manifests need is added to the plan.
        """
        levels, seen, level = [], {}, list(roots)
        while level:
            if len(levels) == _DEEPEST or len(seen) > _MOST_MANIFESTS:
                raise Failure(f"{plan.wish.source}: its manifests go deeper than {_DEEPEST} or are more than {_MOST_MANIFESTS}", "it is no image")
            levels.append(level)
            entries = {}
            for manifest, _tag in level:
                content = content_of(manifest, str(plan.wish.source))
                seen[manifest["digest"]] = len(levels)
                entries |= {entry["digest"]: entry for entry in children(content)}
                plan.whole_blobs |= {entry["digest"]: entry for entry in blobs(content)}
                if any(is_foreign(entry) for entry in content.get("layers") or []):
                    plan.notes.append(f"{plan.wish.source}: layers that their maker keeps elsewhere are not copied; nodes fetch them from there")
            fetched = self._run(lambda entry: self._child(plan, place, target, entry), list(entries.values()))
            level = [(manifest, "") for manifest in fetched if manifest]
            for entry in entries.values():
                seen.setdefault(entry["digest"], len(levels) + 1)
        # One that is on several levels has to come before the highest of them, so only the deepest counts.
        deepest = {manifest["digest"]: number for number, level in enumerate(levels) for manifest, _tag in level}
        kept = [[item for item in level if deepest[item[0]["digest"]] == number] for number, level in enumerate(levels)]
        return [level for level in reversed(kept) if level], list(seen)

    def _child(self, plan, place, target, entry):
        """A manifest that the target lacks; None where it has it, and then all that it needs."""
        if target is not None and target.has_manifest(entry["digest"]):
            return None
        manifest = place.manifest(entry["digest"])
        if manifest is None:
            raise Failure(f"{plan.wish.source} lacks the manifest {entry['digest']} that its index lists", "it is not whole: choose platforms that are there")
        return manifest

    def _about(self, plan, place, target, digests):
        """(manifest, tag) of what refers to some digests and is not at the target; the tag is empty where the manifest names its subject."""

        def look(question):
            digest, suffix = question
            if not suffix:
                return [(entry["digest"], "") for entry in place.referrers(digest)]
            tag = referrers_tag(digest) + suffix
            head = place.head(tag)
            return [(head["digest"], tag)] if head else []

        def fetch(item):
            digest, tag = item
            there = target is not None and (target.head(tag) if tag else target.head(digest))
            if there and there["digest"] == digest:
                return None
            manifest = place.manifest(digest)
            if manifest is None:
                plan.notes.append(f"{plan.wish.source}: {digest} is listed as referring to it, and is not there")
            return manifest and (manifest, tag)

        found = self._run(look, [(digest, suffix) for digest in digests for suffix in ("", *_SIGNATURE_TAGS)])
        unique = dict.fromkeys(item for items in found for item in items)
        return [item for item in self._run(fetch, list(unique)) if item]


class Mover:
    """Carries plans out.

    pool: runs blobs. moved: told each number of bytes that was read, a negative one where they were of no use. spared: told each number of bytes that
    need not be read. limit: what all bytes have to pass.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        run: Callable[[Callable, Iterable], list],
        moved: Callable[[int], None],
        spared: Callable[[int], None] = lambda count: None,
        limit: RateLimit | None = None,
    ):
        self._pool, self._run, self._moved, self._spared, self._limit = pool, run, moved, spared, limit
        self._claims: dict[tuple, tuple[str, Future]] = {}
        self._lock, self._large = threading.Lock(), 0

    def move_blobs(self, plan: Plan, source, target) -> None:
        """Brings the missing blobs of a plan to the target.

        :raises Failure: one of them cannot be had or written
        """
        large = [entry for entry in plan.blobs.values() if entry["size"] >= _LARGE]
        with self._lock:
            self._large += len(large)
        futures = [self._pool.submit(self._move, plan, entry, source, target) for entry in plan.blobs.values()]
        done, left = wait(futures, return_when=FIRST_EXCEPTION)
        for future in left:
            future.cancel()
        wait(futures)
        with self._lock:
            self._large -= len(large)
        for future in done:
            future.result()

    def put_manifests(self, plan: Plan, target) -> None:
        """Puts the manifests of a plan, whose blobs are there.

        :raises Failure: the target does not take one of them
        """
        for number, stage in enumerate(plan.stages, start=1):
            last = number == len(plan.stages)
            self._run(lambda item, last=last: target.put_manifest(item[0], plan.wish.target.tag if last else item[1], last), stage)

    def _move(self, plan, entry, source, target):
        location, digest = plan.wish.target, entry["digest"]
        home = location.reference.repository if location.reference else ""
        key = (*location.place[:2], digest)
        own = Future()
        with self._lock:
            claimed = self._claims.setdefault(key, (home, own))
        try:
            if claimed[1] is own:
                same_host = location.transport == REGISTRY == plan.wish.source.transport and location.reference.host == plan.wish.source.reference.host
                self._carry(plan, entry, source, target, plan.wish.source.reference.repository if same_host else "")
            else:
                # Whoever has claimed it runs already, so this cannot wait for ever.
                claimed[1].exception()
                if claimed[0] != home or claimed[1].exception():
                    self._carry(plan, entry, source, target, claimed[0])
            own.set_result(None)
        except BaseException as error:
            own.set_exception(error)
            raise

    def _carry(self, plan, entry, source, target, mount_from):
        for last in (False, True):
            reader = source.reader(entry, self._moved)
            reader.limit = self._limit
            # To a destination far away nothing goes faster than one stream does.
            reader.in_parts = self._large <= _FEW and not target.is_far
            try:
                mounted = target.put_blob(reader, mount_from)
                self._spared(entry["size"] - reader.counted)
                if mounted:
                    with self._lock:
                        plan.mounted += 1
                return
            except WrongBytes as error:
                self._moved(-reader.counted)
                # Once may be the way, twice is the source.
                if last:
                    raise WrongBytes(f"{plan.wish.source}: {error.what}", error.next_step) from None
            finally:
                reader.close()
