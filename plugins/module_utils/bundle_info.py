# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module bundle_info: what is in a bundle, and whether all of it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ansible_collections.nanoagent.k8s.plugins.module_utils import bundle_check
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import read_description
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_files import BundleFiles, read_files
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_signature import Seal, check
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import policy_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_keys
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_progress import TransferProgress

# Hashing is all there is to do, and a disk likes few readers.
_AT_ONCE = 2


def open_bundle(options: dict) -> tuple[BundleFiles, Seal]:
    """The bundle in the folder `path`, and what is known of its signature; what is in it is looked at only after that.

    :raises Failure: there is none, it is damaged, or not signed by one of `trusted_keys`
    """
    keys = public_keys(options["trusted_keys"], "trusted_keys")
    folder = options["path"]
    description, signature = read_files(folder)
    seal = check(description, signature, keys, f"bundle {folder}")
    return BundleFiles(folder, read_description(description, folder)), seal


def verify(bundle: BundleFiles, say, only: set[str] | None = None) -> bundle_check.Findings:
    """What is wrong with a bundle, with lines of progress. only: digests of the blobs that have to be whole; all by default."""
    total = sum(blob["size"] for blob in bundle.content.blobs if only is None or blob["digest"] in only)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return bundle_check.look(bundle, lambda function, items: list(pool.map(function, items)), TransferProgress(say, "verify", total), only)


def work(options: dict, run: Run) -> dict:
    """The job of the module bundle_info: the content of a bundle, and with `verify` that it is whole; the module's result.

    :raises Failure: with one line for the user, and the same facts, where something is wrong
    """
    trust = policy_of(options, "signature_policy", "signature_keys")
    bundle, seal = open_bundle(options)
    found = verify(bundle, run.say) if options["verify"] else None
    notes, signatures = seal.notes(bundle.name), {}
    for image in bundle.content.images if not trust.is_off else []:
        signatures[image["name"]] = trust.verdict(lambda: bundle, image["digest"], image["name"])
    facts = _facts(bundle, seal, found, signatures)
    if found:
        found.insist(bundle.name, **facts)
    for image in bundle.content.images if not trust.is_off else []:
        notes += trust.warnings(image["name"], image["digest"], signatures[image["name"]])
    return {"changed": False, **facts, "warnings": notes}


def _facts(bundle, seal, found, signatures):
    content = bundle.content
    states = found.parts if found else {}
    broken = found.broken if found else set()
    images = [
        {**image, "whole": image["name"] not in broken if found else None, "signature": str(signatures.get(image["name"], "off"))} for image in content.images
    ]
    lost = found.lost if found else set()
    return {
        "digest": content.digest,
        "whole": not found.problems if found else None,
        "problems": [problem.message for problem in found.problems] if found else [],
        "images": images,
        "files": [{**file, "whole": file["digest"] not in lost if found else None} for file in content.files],
        "parts": [{"name": part.name, "size": part.size, "state": states.get(part.name, "")} for part in content.parts],
        "left_out": content.needs,
        "bytes": content.size,
        "signature": seal.facts(),
    }
