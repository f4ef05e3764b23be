# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module image_presence_info: which nodes hold an image already, as their status says."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.client import connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping, records, text

# What a kubelet names by default (nodeStatusMaxImages), the largest first, and how many names of each.
LISTED_IMAGES = 50
LISTED_NAMES = 5
# Of so many nodes a line names each.
_NAMED_NODES = 10


def node_images(node: dict) -> dict:
    """What stays of a Node object: {"node", "sizes": {image's name: bytes}, "whole": whether its status names all that it holds}. Pure."""
    images = records(mapping(node.get("status")).get("images"))
    names = [[name for name in image.get("names") or [] if isinstance(name, str)] for image in images]
    size = {name: image.get("sizeBytes") or 0 for image, each in zip(images, names) for name in each}
    whole = 0 < len(images) < LISTED_IMAGES and all(len(each) < LISTED_NAMES for each in names)
    return {"node": text(mapping(node.get("metadata")).get("name")), "sizes": size, "whole": whole}


def presence(image: str, nodes: list[dict]) -> dict:
    """Where an image is: {"image", "held", "missing", "unknown": sorted names of nodes, "size": bytes or None}. Pure.

    nodes: of node_images. unknown: not named, by a node that need not name all that it holds.
    :raises Failure: the image's name is malformed
    """
    reference = parse_reference(image)
    name = f"{reference.name}@{reference.digest}" if reference.digest else f"{reference.name}:{reference.tag or 'latest'}"
    held = sorted(node["node"] for node in nodes if name in node["sizes"])
    others = [node for node in nodes if name not in node["sizes"]]
    return {
        "image": image,
        "held": held,
        "missing": sorted(node["node"] for node in others if node["whole"]),
        "unknown": sorted(node["node"] for node in others if not node["whole"]),
        "size": max((node["sizes"][name] for node in nodes if name in node["sizes"]), default=None),
    }


def line(row: dict) -> str:
    """A row of presence for people. Pure."""
    total = sum(len(row[state]) for state in ("held", "missing", "unknown"))
    parts = [f"{row['image']}: {len(row['held'])} of {count(total, 'node')} hold it"]
    parts += [f"{what}: {_named(row[state])}" for state, what in (("missing", "not"), ("unknown", "perhaps")) if row[state]]
    return "; ".join(parts)


def work(options: dict, run: Run) -> dict:
    """The module's result.

    :raises Failure: with one line for the user
    """
    for image in options["images"]:
        parse_reference(image)
    cluster = connect(options, run)
    try:
        selectors = {"labelSelector": options["selector"]} if options["selector"] else {}
        nodes, _version = cluster.list("Node", keep=node_images, **selectors)
    finally:
        cluster.close()
    if not nodes:
        raise Failure("the cluster has no such node", "correct the selector" if options["selector"] else "is it the right cluster?")
    rows = [presence(image, nodes) for image in options["images"]]
    return {"images": rows, "everywhere": not any(row["missing"] or row["unknown"] for row in rows), "lines": [line(row) for row in rows]}


def _named(nodes):
    more = len(nodes) - _NAMED_NODES
    return ", ".join(nodes[:_NAMED_NODES]) + (f" and {more} more" if more > 0 else "")
