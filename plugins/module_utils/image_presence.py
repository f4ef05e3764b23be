# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is an image where the nodes will look for it: in its registry for every architecture in use, and on which nodes already?"""

from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils import registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import Reference, parse_reference

_FROM_HERE = "asked from the machine that runs this; whether the nodes reach the registry was not tried"


def node_images(node: dict) -> dict:
    """What stays of a Node object for `holders`."""
    images = (node.get("status") or {}).get("images") or []
    return {"name": (node.get("metadata") or {}).get("name") or "", "images": {name for image in images for name in image.get("names") or []}}


def holders(image: str, nodes: list[dict]) -> list[str]:
    """Names of the nodes of which the kubelet says that they hold the image, sorted; nodes: of node_images.

    A kubelet names 50 images by default, the largest: a node that is not among them may hold it all the same.
    """
    reference = parse_reference(image)
    names = {f"{reference.name}@{reference.digest}"} if reference.digest else {f"{reference.name}:{reference.tag or 'latest'}"}
    return sorted(node["name"] for node in nodes if names & node["images"])


def ask_registry(image: str, options: dict) -> dict | Failure:
    """What the image's registry says: {"digest": "" where it is not there, "platforms": {"linux/amd64"}|None where unknown, "lost": [platform]}.

    options: {"registry_login", "registry_access"} of the module. lost: platforms that the index names and the registry does not
    have. The Failure, not raised, where the registry could not be asked.
    """
    reference = parse_reference(image)
    try:
        client = registry.registry_from_options(registry_options(options, reference.host), reference.host, access="pull")
        return _ask(client, reference)
    except Failure as failure:
        return failure


def image_findings(image: str, asked: dict | Failure, architectures: dict[str, list[str]], held: list[str] | None, pull: str, has_login: bool) -> list[dict]:
    """The findings of the check image for one image.

    asked: of ask_registry. architectures: architecture -> names of the eligible nodes. held: of holders among these, None
    where that could not be read. pull: the pull policy. has_login: whether the registry was asked with a login of the agent.
    """
    nodes = sorted(name for names in architectures.values() for name in names)
    there = "which nodes hold it already is not known" if held is None else f"{len(held)} of {count(len(nodes), 'eligible node')} hold it already"
    everywhere = bool(nodes) and held == nodes
    if pull == "Never":
        if everywhere:
            return [finding("image", "ok", f"never pulled, and {there}", subject=image)]
        evidence = f"never pulled (image_pull_policy Never); {there}, and a kubelet names only its largest images"
        return [finding("image", "warning", evidence, "load the image into the other nodes", image, sorted(set(nodes) - set(held or [])))]
    if isinstance(asked, Failure):
        refused = getattr(asked, "status", None) in (401, 403)
        evidence = f"not known to be there: {asked.what}; {there}; {_FROM_HERE}"
        return [finding("image", "error" if refused and has_login and not everywhere else "warning", evidence, asked.next_step, image)]
    if not asked["digest"]:
        result = "warning" if everywhere and pull == "IfNotPresent" else "error"
        return [finding("image", result, f"its registry does not have it; {there}", "push it first (role collector_image), or correct the reference", image)]
    if asked["platforms"] is None:
        return [
            finding(
                "image",
                "warning",
                f"in its registry as {asked['digest']}, for which architecture is not known; {there}",
                "see whether it fits the nodes",
                image,
            )
        ]
    found = []
    for architecture, names in sorted(architectures.items()):
        platform = f"linux/{architecture}"
        if platform not in asked["platforms"] or platform in asked["lost"]:
            why = (
                f"the registry has lost the part for {platform}"
                if platform in asked["lost"]
                else f"has no {platform}, only {', '.join(sorted(asked['platforms']))}"
            )
            fix = f"push an image that holds {architecture}, or leave these nodes out with architectures"
            found.append(finding("image", "error", why, fix, image, names))
    if not found:
        platforms = ", ".join(sorted(f"linux/{architecture}" for architecture in architectures) or sorted(asked["platforms"]))
        found.append(finding("image", "ok", f"in its registry as {asked['digest']} for {platforms}; {there}; {_FROM_HERE}", subject=image))
    return found


def moved_tag_findings(image: str, given: str, options: dict) -> list[dict]:
    """A finding where the tag that the user gave names other bytes in the image's repository than the lock file says.

    image: by digest, as it is used. given: its name with the tag. options: as for ask_registry. Nothing is said where the
    registry has no such tag, or could not be asked.
    """
    reference, named = parse_reference(image), parse_reference(given)
    if named.digest or not reference.digest:
        return []
    tag = named.tag or "latest"
    try:
        client = registry.registry_from_options(registry_options(options, reference.host), reference.host, access="pull")
        head = client.head_manifest(reference.repository, tag)
    except Failure:
        return []
    if head is None or head["digest"] == reference.digest:
        return []
    evidence = f"the tag {tag} is {head['digest']} there by now; the one that the lock file has is used"
    return [finding("image", "warning", evidence, "see who moved the tag; image_mirror with update_lock: true takes what its source has now", image)]


def registry_options(options: dict, host: str) -> dict:
    """How a registry is reached, as registry_from_options takes it: what `registry_access` says, and the login that is for this host. Pure."""
    given = {"docker_config": None, "ca_cert": None, "validate_certs": True, "plain_http": False, **(options.get("registry_access") or {})}
    login = options.get("registry_login") or {}
    same = login.get("registry") == host
    return {**given, "username": login["username"] if same else None, "password": login["password"] if same else None}


def _ask(client: registry.Registry, reference: Reference) -> dict:
    manifest = client.get_manifest(reference.repository, reference.digest or reference.tag or "latest")
    if manifest is None:
        return {"digest": "", "platforms": None, "lost": []}
    try:
        content = json.loads(manifest["data"])
        entries = content.get("manifests")
        if entries is None:
            platform = _platform(json.loads(client.get_blob(reference.repository, content["config"]["digest"]) or b"{}"))
            return {"digest": manifest["digest"], "platforms": {platform} if platform else None, "lost": []}
        parts = {_platform(entry.get("platform") or {}): entry["digest"] for entry in entries}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {"digest": manifest["digest"], "platforms": None, "lost": []}
    parts = {platform: digest for platform, digest in parts.items() if platform.startswith("linux/")}
    lost = [platform for platform, digest in parts.items() if client.head_manifest(reference.repository, digest) is None]
    return {"digest": manifest["digest"], "platforms": set(parts), "lost": lost}


def _platform(description):
    names = [description.get(key) for key in ("os", "architecture")]
    return "/".join(names) if all(isinstance(name, str) and name for name in names) else ""
