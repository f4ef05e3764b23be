# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: which bytes an image's name stands for, and where they were mirrored.

A lock is a dict of entries by the source's full name. An entry is a dict: `source` (the image's full name, without
docker://), `digest` (at the source), `platforms` (list such as linux/amd64), `size` (bytes of all its manifests and blobs)
and `mirrors` (list of destinations; one that holds only some platforms has their digest behind its name, after an @).
"""

from __future__ import annotations

import fcntl
import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import write_atomically
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import source_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST, Reference

try:
    import yaml

    YAML_IMPORT_ERROR = None
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

VERSION = 1
_HEADER = "# Which images were mirrored, by digest. Written by nanoagent.k8s; belongs under version control.\n"
_FIELDS = ("source", "digest", "platforms", "size", "mirrors")
_ANEW = "restore it from version control, or move it away to have it made anew"


def full_name(image: str) -> str:
    """The name under which a lock has an image: with its host, and a tag where it has neither tag nor digest. Pure.

    :raises Failure: malformed
    """
    return str(source_of(image))


def entry_of(source: str, digest: str, platforms: Iterable[str], size: int, mirrors: Iterable[str] = ()) -> dict:
    """An entry of a lock. Pure.

    :raises Failure: the source's name is malformed
    """
    return {"source": full_name(source), "digest": digest, "platforms": sorted(set(platforms)), "size": size, "mirrors": sorted(set(mirrors))}


def mirror_name(destination: str, digest: str, original: str) -> str:
    """A destination as it stands in `mirrors`: with its digest where that is not the source's. Pure."""
    return destination if digest == original else f"{destination}@{digest}"


def mirrored(entry: dict) -> list[tuple[str, str]]:
    """(destination, digest of the image there) of each mirror of an entry. Pure."""
    parts = [mirror.partition("@") for mirror in entry["mirrors"]]
    return [(name, digest or entry["digest"]) for name, _sign, digest in parts]


def registry_mirrors(entry: dict) -> list[Reference]:
    """The mirrors of an entry that are registries, as references with tag and digest; folders and archives are left out. Pure."""
    found = []
    for name, digest in mirrored(entry):
        reference = source_of(f"{name}@{digest}").reference
        if reference:
            found.append(reference)
    return found


def find(lock: dict, image: str) -> dict | None:
    """The entry of an image, named as a user names it; None where the lock has none. Pure.

    A name with a digest is also found under the tag that was locked to it.
    :raises Failure: the name is malformed
    """
    name = full_name(image)
    if name in lock:
        return lock[name]
    wanted = source_of(image)
    if not wanted.digest:
        return None
    return next((entry for entry in lock.values() if entry["digest"] == wanted.digest and source_of(entry["source"]).place == wanted.place), None)


def merged(lock: dict, entries: Iterable[dict]) -> dict:
    """The lock with entries added. Pure.

    The mirrors of an entry that has the same digest stay; those of another digest hold other bytes and go. A destination
    stands at one entry only, the last.
    """
    found = dict(lock)
    for entry in entries:
        taken = {name for name, _digest in mirrored(entry)}
        for source, other in found.items():
            kept = [mirror for mirror in other["mirrors"] if mirror.partition("@")[0] not in taken]
            found[source] = {**other, "mirrors": kept}
        before = found.get(entry["source"])
        same = before["mirrors"] if before and before["digest"] == entry["digest"] else []
        found[entry["source"]] = {**entry, "mirrors": sorted({*same, *entry["mirrors"]})}
    return found


def lock_text(lock: dict) -> str:
    """The file's text, the same bytes for the same entries in any order. Pure.

    :raises Failure: PyYAML is missing
    """
    _need_yaml()
    images = [{field: entry[field] for field in _FIELDS} for _source, entry in sorted(lock.items())]
    return _HEADER + yaml.dump({"version": VERSION, "images": images}, Dumper=_dumper(), sort_keys=False, width=160, allow_unicode=True)


def parse_lock(text: str, path: str) -> dict:
    """A lock from a file's text. path: for messages. Pure.

    :raises Failure: it is no lock file, or one of a version that is not known here
    """
    _need_yaml()
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Failure(f"the lock file {path} is no YAML{f' (line {mark.line + 1})' if mark else ''}", _ANEW) from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise Failure(f"the lock file {path} has no list of images", _ANEW)
    if content.get("version") != VERSION:
        raise Failure(f"the lock file {path} is of version {content.get('version')!r}, known is {VERSION}", "use a newer release of this collection")
    found = {}
    for number, entry in enumerate(content["images"], 1):
        why = _fault(entry)
        if why:
            raise Failure(f"the lock file {path}: image {number} {why}", _ANEW)
        name = full_name(entry["source"])
        if name in found:
            raise Failure(f"the lock file {path} has the image {name} twice", "leave one of the entries")
        found[name] = entry_of(name, entry["digest"], entry["platforms"], entry["size"], entry["mirrors"])
    return found


def read_lock(path: str, required: bool = False) -> dict:
    """The lock in a file; empty where there is no file and none is required.

    :raises Failure: there is none, it cannot be read, or it is no lock file
    """
    try:
        with open(path, encoding="utf-8") as file:
            return parse_lock(file.read(), path)
    except FileNotFoundError:
        if required:
            raise Failure(f"the lock file {path} does not exist", "have image_mirror write it with its lock_file, or correct the path") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"the lock file {path} cannot be read ({getattr(error, 'strerror', None) or 'it is no text'})", _ANEW) from None


def record(path: str, entries: Iterable[dict], check_mode: bool) -> dict:
    """Adds entries to a lock file, which is written only where an entry changes.

    Returns {"path", "changed", "before": text, empty where there was no file, "after": text}; in check mode the same, and nothing is written.
    :raises Failure: the file cannot be read or written, or is no lock file
    """
    entries = list(entries)
    with _alone(path):
        lock = read_lock(path)
        after = merged(lock, entries)
        if after == lock:
            before = _text(path)
            return {"path": path, "changed": False, "before": before, "after": before}
        step = {"path": path, "changed": True, "before": _text(path), "after": lock_text(after)}
        if not check_mode:
            write_atomically(path, step["after"].encode())
        return step


def check_lock_path(path: str) -> None:
    """Failure where a lock file cannot be written; called before anything is copied, so that the end does not fail."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise Failure(f"the lock file {path} cannot be made, {folder} is no folder", "make it first, or correct the path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failure(f"the lock file {path} cannot be written (Permission denied)", "give a folder that this user can write to")


def _text(path):
    with suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


@contextmanager
def _alone(path) -> Iterator[None]:
    """One writer at a time: plays for several clusters may keep one lock file. The folder is what is locked, so that no file stays behind."""
    handle = None
    # Where the folder cannot be locked, as on some network file systems, it is written without.
    with suppress(OSError):
        handle = os.open(os.path.dirname(os.path.realpath(path)), os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _fault(entry):
    """What is wrong with an entry of the file; None where nothing is."""
    if not isinstance(entry, dict):
        return "is no mapping"
    if set(entry) != set(_FIELDS):
        return f"must have {', '.join(_FIELDS)} and nothing else"
    if not DIGEST.fullmatch(str(entry["digest"])):
        return "has a digest that is not sha256: and 64 hex digits"
    if not isinstance(entry["size"], int) or isinstance(entry["size"], bool) or entry["size"] < 0:
        return "has a size that is no number of bytes"
    for field in ("platforms", "mirrors"):
        if not isinstance(entry[field], list) or not all(isinstance(text, str) for text in entry[field]):
            return f"has {field} that are no list of texts"
    try:
        for name in (entry["source"], *entry["mirrors"]):
            source_of(name)
    except Failure as failure:
        return f"has a malformed name ({failure.what})"
    return None


def _need_yaml():
    if YAML_IMPORT_ERROR:
        raise Failure(missing_required_lib("PyYAML"), "install it for that Python", exception=YAML_IMPORT_ERROR)


def _dumper():
    """A list of platforms on one line, all else as blocks."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

        def increase_indent(self, flow=False, indentless=False):
            return super().increase_indent(flow, False)

    def sequence(dumper, values):
        short = all(isinstance(value, str) and ":" not in value for value in values)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)

    Dumper.add_representer(list, sequence)
    return Dumper
