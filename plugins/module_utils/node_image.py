# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module node_image: what does this node's container runtime hold, and what is it to take from an archive?"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils import node_runtimes
from ansible_collections.nanoagent.k8s.plugins.module_utils.archive_contents import listed_digests, read_contents
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run

# How the kernel and how OCI call the processors.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}
# Of what a command complains about, the end says why.
_COMPLAINT = 300


def work(options: dict, run: Run, run_command: Callable) -> dict:
    """The module's result. run_command: the AnsibleModule's.

    :raises Failure: with one line for the user
    """
    images = options["contents"]
    if images is None:
        images = read_contents(options["archive"], options["images"], run.temp_dir)
    here = f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}"
    name = _name(options)
    node = Node(node_runtimes.runtime(name, options["address"] or "", secrets.token_hex(4)), name, here, run_command)
    node.check(images)
    before = node.held(images)
    missing = [image for image in images if not node.has(image, before)]
    after = before
    if missing and options["archive"] and not run.check_mode:
        node.load(options["archive"], images, missing)
        after = node.held(images)
        _insist(node, missing, after)
    rows = [_row(node, image, image in missing, before) for image in images]
    done = "loaded" if after is not before else "missing, would be loaded"
    result = {
        "changed": bool(missing),
        "runtime": name,
        "images": rows,
        "contents": images,
        "lines": [f"{row['names'][0]}: {done if row['changed'] else 'there already'}, {row['digest']}" for row in rows],
    }
    if run.diff:
        result["diff"] = {"before": _listing(before), "after": _listing(after if after is not before or not missing else before | _wished(node, missing))}
    return result


class Node:
    """This node's runtime. name: of RUNTIMES. here: its platform, as linux/amd64."""

    def __init__(self, runtime, name: str, here: str, run_command: Callable):
        self.runtime, self.name, self.here, self._run_command = runtime, name, here, run_command

    def check(self, images: list[dict]) -> None:
        """Fails where this node could not run an image, or not be given it."""
        for image in images:
            if self.here not in image["platforms"]:
                there = ", ".join(sorted(image["platforms"])) or "none"
                raise Failure(f"the archive has {image['pinned']} for {there}, this node is {self.here}", "bring an archive that has this platform too")
            if image["made"] and self.runtime.needs_manifests:
                raise Failure(
                    f"the archive is one of docker save without manifests, so what {self.name} makes of it has no digest that is known before",
                    "copy it with image_mirror to an oci-archive, and give that",
                )

    def names(self, image: dict) -> list[str]:
        """The names that the image has to have here."""
        return self.runtime.names(image)

    def held(self, images: list[dict]) -> dict[str, str]:
        """Name -> digest of what the runtime has of the images' names."""
        names = list(dict.fromkeys(name for image in images for name in self.names(image)))
        answers = [self._run(command) for command in self.runtime.asking(names)]
        if len(answers) == 1 < len(names):
            # One command for all of them does not fail for a name that is not there.
            self._insist(self.runtime.asking(names)[0], answers[0])
        return self.runtime.held(names, [(code, output) for code, output, _error in answers])

    def has(self, image: dict, held: dict[str, str]) -> bool:
        """Whether the image has all of its names."""
        return all(name in held and self.runtime.fits(held[name], image, self.here) for name in self.names(image))

    def load(self, archive: str, images: list[dict], missing: list[dict]) -> None:
        """Takes the missing ones of an archive's images.

        :raises Failure: a command failed
        """
        if not os.path.isfile(archive):
            raise Failure(f"archive {archive} does not exist on this node", "correct the path, or let it be copied (remote_src: false)")
        try:
            for command in self.runtime.loading(archive, missing, self.here):
                self._insist(command, self._run(command))
        finally:
            for command in self.runtime.cleaning(listed_digests(images)):
                self._run(command)

    def _run(self, command):
        try:
            # What the commands say must not depend on the user's language, and of a manifest each byte counts.
            return self._run_command(command, encoding=None, environ_update={"LC_ALL": "C"}, handle_exceptions=False)
        except OSError as error:
            raise Failure(
                f"{command[0]} cannot be run on this node ({error.strerror})",
                "install it there, or say with runtime what the node has",
            ) from None

    def _insist(self, command, answer):
        code, output, error = answer
        if code:
            said = " ".join((error or output).decode(errors="replace").split())[-_COMPLAINT:]
            shown = " ".join(part for part in command if not part.startswith("name=="))
            raise Failure(f"{shown} failed with exit code {code} ({said})", f"see whether {self.name} runs and takes {self.runtime.reads}")


def _name(options):
    if options["runtime"] != "auto":
        return options["runtime"]
    paths = [*(path for places in node_runtimes.SOCKETS.values() for path in places), node_runtimes.DOCKER_SOCKET, node_runtimes.RKE2_CTR]
    return node_runtimes.detect({path for path in paths if os.path.exists(path)}, options["reported_runtime"] or "")


def _insist(node, images, held):
    for image in images:
        if not node.has(image, held):
            lacking = [f"{name} ({held.get(name, 'not there')})" for name in node.names(image)]
            raise Failure(
                f"after the import {node.name} has not {image['digest']} under every name: {', '.join(lacking)}", "look at the runtime's log and its free space"
            )


def _row(node, image, changed, before):
    names = node.names(image)
    return {"names": names, "digest": image["digest"], "changed": changed, "before": {name: before.get(name) for name in names}}


def _wished(node, images):
    return {name: image["digest"] for image in images for name in node.names(image)}


def _listing(held):
    return "".join(f"{name}: {held[name]}\n" for name in sorted(held))
