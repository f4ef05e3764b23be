# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node's container runtime is asked for an image and given one: commands, and what their output means. Pure.

An image is, throughout, a dict of archive_contents. A command is its argv. What a runtime holds is name -> digest.
"""

from __future__ import annotations

import hashlib
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# Where each runtime listens, for those that Kubernetes talks to. RKE2 uses the place of K3s.
SOCKETS = {
    "microk8s": ("/var/snap/microk8s/common/run/containerd.sock",),
    "k3s": ("/run/k3s/containerd/containerd.sock",),
    "crio": ("/run/crio/crio.sock", "/var/run/crio/crio.sock"),
    "docker": ("/run/cri-dockerd.sock", "/var/run/cri-dockerd.sock"),
    "containerd": (CONTAINERD_SOCKET,),
}
DOCKER_SOCKET = "/var/run/docker.sock"
RKE2_CTR = "/var/lib/rancher/rke2/bin/ctr"
RUNTIMES = ("containerd", "k3s", "rke2", "microk8s", "crio", "docker")
# What a node's status says begins so, of the runtimes that are no containerd.
_REPORTED = {"cri-o": "crio", "docker": "docker"}
# The name of an image on its way in; .invalid is no registry's (RFC 2606).
_ARRIVING = "nanoagent.invalid/preload"
_CHECKED = re.compile(r"^(?P<name>\S+)\s+\S+\s+(?P<digest>sha256:[0-9a-f]{64})\s+(?P<status>\S+)\s.*\s(?P<unpacked>true|false)\s*$")


def detect(present: set[str], reported: str = "") -> str:
    """The runtime that Kubernetes uses on a node, one of RUNTIMES.

    present: the paths of SOCKETS, DOCKER_SOCKET and RKE2_CTR that are there. reported: what the node's status says of its
    runtime, such as cri-o://1.33.1; empty where that is not known.
    :raises Failure: there is none, or more than one
    """
    found = [name for name, paths in SOCKETS.items() if present & {*paths}]
    if "docker" in found and "containerd" in found:
        # Docker brings that one along.
        found.remove("containerd")
    if reported:
        family = _REPORTED.get(reported.partition("://")[0])
        found = [name for name in found if name == family] if family else [name for name in found if name not in _REPORTED.values()]
        found = found or [family or "containerd"]
    if not found and DOCKER_SOCKET in present:
        found = ["docker"]
    if len(found) != 1:
        what = f"more than one container runtime listens here ({', '.join(found)})" if found else "no container runtime listens at any of the usual places"
        raise Failure(what, f"say with runtime which one Kubernetes uses, one of {', '.join(RUNTIMES)}")
    return "rke2" if found == ["k3s"] and RKE2_CTR in present else found[0]


def runtime(name: str, address: str, mark: str) -> Containerd | ContainersStorage | Docker:
    """The commands of a runtime. address: of its socket, empty for the usual one. mark: tells this run's names from another's."""
    if name == "crio":
        return ContainersStorage()
    if name == "docker":
        return Docker(["docker", *(["--host", address if "://" in address else f"unix://{address}"] if address else [])])
    programs = {"containerd": ["ctr"], "k3s": ["k3s", "ctr"], "rke2": [RKE2_CTR], "microk8s": ["microk8s", "ctr"]}
    address = address or {"containerd": CONTAINERD_SOCKET, "rke2": SOCKETS["k3s"][0]}.get(name, "")
    return Containerd([*programs[name], *(["--address", address.removeprefix("unix://")] if address else []), "--namespace", "k8s.io"], f"{_ARRIVING}-{mark}")


class Containerd:
    """containerd, by ctr, in the namespace of Kubernetes."""

    reads = "OCI archives"
    needs_manifests = True

    def __init__(self, program: list[str], arriving: str):
        self.program, self.arriving = program, arriving

    def names(self, image: dict) -> list[str]:
        """Every name under which pods may ask for the image: containerd finds a pinned one only where it is listed itself."""
        return [name for name in (image["tagged"], image["pinned"]) if name]

    def asking(self, names: list[str]) -> list[list[str]]:
        """Commands that say which of the names are there, and whether all of their content is."""
        return [[*self.program, "images", "check", *(f'name=="{name}"' for name in names)]]

    def held(self, names: list[str], answers: list[tuple[int, bytes]]) -> dict[str, str]:
        """Name -> digest of those that are there with all that this node needs. answers: (exit code, standard output) of asking."""
        rows = [match for line in answers[0][1].decode(errors="replace").splitlines() if (match := _CHECKED.match(line))]
        return {row["name"]: row["digest"] for row in rows if row["status"] == "complete" and row["unpacked"] == "true" and row["name"] in names}

    def fits(self, digest: str, image: dict, platform: str) -> bool:
        """Whether what has the name is the image."""
        return digest == image["digest"]

    def loading(self, archive: str, images: list[dict], platform: str) -> list[list[str]]:
        """Commands that take the images from an archive and give them their names, in this order."""
        commands = [[*self.program, "images", "import", "--digests", "--base-name", self.arriving, archive]]
        for image in images:
            commands.append([*self.program, "images", "tag", "--force", f"{self.arriving}@{image['digest']}", *self.names(image)])
        return commands

    def cleaning(self, digests: list[str]) -> list[list[str]]:
        """Commands that take away what loading leaves beside the names. digests: of all that the archive lists."""
        return [[*self.program, "images", "rm", *(f"{self.arriving}@{digest}" for digest in digests)]]


class ContainersStorage:
    """The storage that CRI-O and Podman share, by skopeo, as its configuration on the node has it."""

    reads = "OCI archives"
    needs_manifests = True
    program = ["skopeo"]

    def names(self, image: dict) -> list[str]:
        """Every name under which pods may ask for the image."""
        return [name for name in (image["tagged"], image["pinned"]) if name]

    def asking(self, names: list[str]) -> list[list[str]]:
        """Commands that give the manifest of each name."""
        return [[*self.program, "inspect", "--raw", f"containers-storage:{name}"] for name in names]

    def held(self, names: list[str], answers: list[tuple[int, bytes]]) -> dict[str, str]:
        """Name -> digest of those that are there. answers: (exit code, standard output) of asking."""
        return {name: "sha256:" + hashlib.sha256(output).hexdigest() for name, (code, output) in zip(names, answers) if code == 0}

    def fits(self, digest: str, image: dict, platform: str) -> bool:
        """Whether what has the name is the image; by a tag it is the manifest of one platform."""
        return digest == image["digest"] or digest == image["platforms"][platform][0]

    def loading(self, archive: str, images: list[dict], platform: str) -> list[list[str]]:
        """Commands that take the images from an archive under their names.

        :raises Failure: an image cannot be told from the others there
        """
        commands = []
        for image in images:
            if not image["ref"] and not image["alone"]:
                raise Failure(
                    f"the archive has no tag for {self.names(image)[0]} beside other images, so skopeo cannot choose it",
                    "copy it with image_mirror to an archive with a tag, or to one of its own",
                )
            source = f"oci-archive:{archive}" + (f":{image['ref']}" if image["ref"] else "")
            # By its tag the storage finds it pinned as well.
            commands.append([*self.program, "copy", "--quiet", source, f"containers-storage:{self.names(image)[0]}"])
        return commands

    def cleaning(self, digests: list[str]) -> list[list[str]]:
        """Nothing is left."""
        return []


class Docker:
    """Docker Engine, for nodes with cri-dockerd. Without its containerd store it forgets the digests of what it loads."""

    reads = "docker archives (from version 25 on OCI archives too)"
    needs_manifests = False

    def __init__(self, program: list[str]):
        self.program = program

    def names(self, image: dict) -> list[str]:
        """The name under which pods can ask for the image.

        :raises Failure: it has none but the digest
        """
        if not image["tagged"]:
            raise Failure(f"Docker cannot hold {image['pinned']}, which has no tag", "name the image with a tag, in images and for the agent")
        return [image["tagged"]]

    def asking(self, names: list[str]) -> list[list[str]]:
        """Commands that give the identity of each name."""
        return [[*self.program, "image", "inspect", "--format", "{{.Id}}", name] for name in names]

    def held(self, names: list[str], answers: list[tuple[int, bytes]]) -> dict[str, str]:
        """Name -> identity of those that are there. answers: (exit code, standard output) of asking."""
        return {name: output.decode().strip() for name, (code, output) in zip(names, answers) if code == 0}

    def fits(self, digest: str, image: dict, platform: str) -> bool:
        """Whether what has the name is the image; Docker's identity is the configuration's digest, with the containerd store the index's."""
        return digest == image["digest"] or digest in image["platforms"][platform]

    def loading(self, archive: str, images: list[dict], platform: str) -> list[list[str]]:
        """Commands that take the images from an archive and give them their names, in this order."""
        commands = [[*self.program, "load", "--quiet", "--input", archive]]
        for image in images:
            if image["loaded_as"] != image["tagged"]:
                commands.append([*self.program, "tag", image["loaded_as"] or image["platforms"][platform][1], image["tagged"]])
        return commands

    def cleaning(self, digests: list[str]) -> list[list[str]]:
        """What the archive names stays under that name."""
        return []
