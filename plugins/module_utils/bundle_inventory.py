# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blobs the repositories of a registry have: asked there, and carried to where a bundle is made.

An inventory is a dict, name of a repository with its host -> {digest: size}.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import write_atomically
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import blobs, children, content_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST, parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import canonical_json
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import Call, Registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_access import RegistryAccess
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_place import RegistryPlace

_VERSION = 1
_LARGEST_FILE = 64 << 20
# More tags than that are a history, of which the blobs of the last ones are the same.
_MOST_TAGS = 10_000


def work(options: dict, run: Run) -> dict:
    """The job of the module bundle_inventory: ask what repositories have, and write it to a file; the module's result.

    :raises Failure: with one line for the user
    """
    if registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    parallel = options["parallel"]
    if parallel < 1:
        raise Failure(f"parallel is {parallel}", "give 1 or more")
    access, found, notes = RegistryAccess(options, parallel, run.secrets), {}, []
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        for name in dict.fromkeys(options["repositories"]):
            reference = parse_reference(name)
            if reference.tag or reference.digest:
                raise Failure(f"repositories has {name!r}, which is an image", f"leave out what follows the repository: {reference.name}")
            place = RegistryPlace(access.client(reference.host, "pull"), reference.repository)
            found[reference.name] = blobs_of(place, lambda function, items: list(pool.map(function, items)))
            if not found[reference.name]:
                notes.append(f"{reference.name} is empty, or does not exist")
    text, before = inventory_bytes(found), _present(options["path"])
    if before != text and not run.check_mode:
        write_atomically(options["path"], text)
    every = {digest: size for repository in found.values() for digest, size in repository.items()}
    counts = {name: {"blobs": len(repository), "bytes": sum(repository.values())} for name, repository in found.items()}
    result = {"changed": before != text, "file": options["path"], "repositories": counts, "blobs": len(every), "bytes": sum(every.values())}
    result |= {"requests": access.requests(), "warnings": notes}
    if run.diff:
        result["diff"] = {"before": _lines(before, options["path"]), "after": _lines(text, options["path"])}
    return result


def blobs_of(place: RegistryPlace, run: Callable[[Callable, Iterable], list]) -> dict[str, int]:
    """Digest -> size of each blob that the images with a tag in a repository need; empty where there is no such repository.

    run: runs a function over items in parallel, as a list in their order.
    :raises Failure: the registry does not answer, or does not tell the tags
    """
    found, seen, level = {}, set(), tags(place.registry, place.repository)
    while level:
        entries = {}
        for manifest in filter(None, run(place.manifest, level)):
            seen.add(manifest["digest"])
            content = content_of(manifest, place.name)
            found |= {entry["digest"]: entry["size"] for entry in blobs(content)}
            entries |= dict.fromkeys(entry["digest"] for entry in children(content) if entry["digest"] not in seen)
        level = list(entries)
    return found


def tags(client: Registry, repository: str) -> list[str]:
    """The tags of a repository; none where it does not exist.

    :raises Failure: the registry does not tell them
    """
    found, url = [], client._url(repository, "tags", "list")
    while url:
        call = Call("GET", url, repository, "list of tags")
        answer = client._run(call, allowed=(200, 404))
        try:
            listed = json.loads(answer.body)["tags"] or [] if answer.status == 200 else []
            found += [tag for tag in listed if isinstance(tag, str)]
        except (ValueError, KeyError, TypeError):
            raise client._failure(call, "the answer is no list of tags", "is this address a registry?") from None
        if len(found) > _MOST_TAGS:
            raise Failure(f"{client.host}/{repository} has more than {_MOST_TAGS} tags", "make the bundle without inventory")
        following = re.search(r'<([^>]*)>\s*;[^,]*rel="?next"?', answer.headers.get("Link", ""))
        url = following and urljoin(url, following[1])
        if url and not client._is_ours(url):
            break
    return list(dict.fromkeys(found))


def inventory_bytes(found: dict[str, dict[str, int]]) -> bytes:
    """The file of an inventory, the same bytes for the same content. Pure."""
    return canonical_json({"version": _VERSION, "repositories": found}) + b"\n"


def read_inventory(path: str) -> dict[str, dict[str, int]]:
    """An inventory from its file.

    :raises Failure: there is none, or it is something else
    """
    anew = "take it anew with bundle_inventory, at the destination"
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise Failure(f"the inventory {path} cannot be read ({error.strerror})", "correct the path, or make the bundle without inventory") from None
    try:
        content = json.loads(data) if len(data) <= _LARGEST_FILE else {}
        version, found = content["version"], content["repositories"]
        is_whole = version == _VERSION and all(_is_sizes(sizes) for sizes in found.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_whole = False
    if not is_whole:
        raise Failure(f"{path} is no inventory of a destination", anew)
    return found


def holders(inventory: dict[str, dict[str, int]], blob: dict) -> list[str]:
    """The repositories of an inventory that have a blob. Pure."""
    return sorted(name for name, sizes in inventory.items() if sizes.get(blob["digest"]) == blob["size"])


def _is_sizes(sizes):
    return all(DIGEST.fullmatch(digest) and isinstance(size, int) and not isinstance(size, bool) for digest, size in sizes.items())


def _present(path):
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise Failure(f"the inventory {path} cannot be written, {folder} is no folder", "make it first, or correct the path")
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_FILE)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Failure(f"the inventory {path} cannot be read ({error.strerror})", "name a file that can be replaced") from None


def _lines(data, path):
    try:
        found = json.loads(data)["repositories"] if data else {}
        return "".join(f"{name}: {len(sizes)} blobs, {sum(sizes.values())} bytes\n" for name, sizes in sorted(found.items()))
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{path} was no inventory\n"
