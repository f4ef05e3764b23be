# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_runtimes import DOCKER_SOCKET, RKE2_CTR, SOCKETS, detect, runtime

DIGEST, PART, CONFIG, OTHER = ("sha256:" + letter * 64 for letter in "abcd")
TAGGED, PINNED = "registry.example/team/agent:1", f"registry.example/team/agent@{DIGEST}"
HERE = "linux/amd64"


def image(**changes):
    return {
        "tagged": TAGGED,
        "pinned": PINNED,
        "digest": DIGEST,
        "platforms": {HERE: [PART, CONFIG]},
        "ref": "one",
        "loaded_as": "",
        "alone": True,
        "made": False,
        **changes,
    }


@pytest.mark.parametrize(
    ("sockets", "reported", "found"),
    [
        (["/run/containerd/containerd.sock"], "", "containerd"),
        (["/run/crio/crio.sock"], "", "crio"),
        (["/run/k3s/containerd/containerd.sock"], "", "k3s"),
        (["/run/k3s/containerd/containerd.sock", RKE2_CTR], "", "rke2"),
        (["/var/snap/microk8s/common/run/containerd.sock"], "", "microk8s"),
        (["/run/cri-dockerd.sock", "/run/containerd/containerd.sock", DOCKER_SOCKET], "", "docker"),
        ([DOCKER_SOCKET], "", "docker"),
        # Docker beside the containerd that the kubelet uses: a machine for builds.
        (["/run/containerd/containerd.sock", DOCKER_SOCKET], "containerd://1.7.2", "containerd"),
        (["/run/containerd/containerd.sock", "/run/crio/crio.sock"], "cri-o://1.33.1", "crio"),
        (["/run/containerd/containerd.sock", "/run/crio/crio.sock"], "containerd://2.1.4", "containerd"),
        (["/run/k3s/containerd/containerd.sock", DOCKER_SOCKET], "containerd://2.0.5-k3s1", "k3s"),
        ([], "docker://28.2", "docker"),
    ],
)
def test_the_runtime_is_found_by_its_socket_and_by_what_the_node_says(sockets, reported, found):
    assert detect(set(sockets), reported) == found


@pytest.mark.parametrize(
    ("sockets", "reported", "words"),
    [
        (["/run/containerd/containerd.sock", "/run/crio/crio.sock"], "", "crio, containerd"),
        (["/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"], "containerd://2", "k3s, containerd"),
        ([], "", "no container runtime"),
    ],
)
def test_what_cannot_be_decided_is_asked(sockets, reported, words):
    with pytest.raises(Failure, match=words) as failure:
        detect(set(sockets), reported)
    assert "runtime" in failure.value.next_step


def test_every_socket_is_that_of_one_runtime():
    paths = [path for places in SOCKETS.values() for path in places]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("name", "address", "program"),
    [
        ("containerd", "", ["ctr", "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"]),
        ("containerd", "unix:///srv/c.sock", ["ctr", "--address", "/srv/c.sock", "--namespace", "k8s.io"]),
        ("k3s", "", ["k3s", "ctr", "--namespace", "k8s.io"]),
        ("rke2", "", [RKE2_CTR, "--address", "/run/k3s/containerd/containerd.sock", "--namespace", "k8s.io"]),
        ("microk8s", "", ["microk8s", "ctr", "--namespace", "k8s.io"]),
    ],
)
def test_containerd_gets_both_names_and_loses_the_one_of_the_way(name, address, program):
    commands = runtime(name, address, "m4rk")
    arriving = f"nanoagent.invalid/preload-m4rk@{DIGEST}"
    assert commands.loading("/a.tar", [image()], HERE) == [
        [*program, "images", "import", "--digests", "--base-name", "nanoagent.invalid/preload-m4rk", "/a.tar"],
        [*program, "images", "tag", "--force", arriving, TAGGED, PINNED],
    ]
    assert commands.cleaning([DIGEST]) == [[*program, "images", "rm", arriving]]
    assert commands.asking([TAGGED, PINNED]) == [[*program, "images", "check", f'name=="{TAGGED}"', f'name=="{PINNED}"']]


def test_containerd_holds_what_is_complete_and_unpacked():
    head = "REF TYPE DIGEST STATUS SIZE UNPACKED"
    kind = "application/vnd.oci.image.index.v1+json"
    lines = [
        head,
        f"{TAGGED}  {kind} {DIGEST} complete (2/2)   3.5 MiB/3.5 MiB true",
        f"{PINNED}  {kind} {DIGEST} complete (2/2)   3.5 MiB/3.5 MiB false",
        f"r/half:1  {kind} {DIGEST} incomplete (1/2) 1.5 MiB/3.5 MiB true",
        f"r/none:1  {kind} {DIGEST} unavailable (0/?) 0.0 B/? false",
        f"r/else:1  {kind} {DIGEST} complete (2/2)   3.5 MiB/3.5 MiB true",
    ]
    held = runtime("containerd", "", "m").held([TAGGED, PINNED, "r/half:1", "r/none:1"], [(0, "\n".join(lines).encode())])
    assert held == {TAGGED: DIGEST}
    assert runtime("containerd", "", "m").fits(DIGEST, image(), HERE)
    assert not runtime("containerd", "", "m").fits(PART, image(), HERE)


def test_crio_takes_the_image_by_its_tag_in_the_archive():
    commands = runtime("crio", "", "m")
    assert commands.loading("/a.tar", [image()], HERE) == [["skopeo", "copy", "--quiet", "oci-archive:/a.tar:one", f"containers-storage:{TAGGED}"]]
    assert commands.loading("/a.tar", [image(tagged="", ref="")], HERE) == [["skopeo", "copy", "--quiet", "oci-archive:/a.tar", f"containers-storage:{PINNED}"]]
    with pytest.raises(Failure, match="no tag") as failure:
        commands.loading("/a.tar", [image(ref="", alone=False)], HERE)
    assert "image_mirror" in failure.value.next_step


def test_crio_says_a_manifest_of_which_the_digest_is_taken():
    data = b'{"manifests": []}\n'
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    commands = runtime("crio", "", "m")
    assert commands.held([TAGGED, PINNED], [(0, data), (1, b"")]) == {TAGGED: digest}
    assert commands.fits(digest, image(digest=digest), HERE) and commands.fits(PART, image(), HERE)
    assert not commands.fits(CONFIG, image(), HERE)


def test_docker_is_given_the_tag_and_knows_the_configuration():
    commands = runtime("docker", "/srv/d.sock", "m")
    program = ["docker", "--host", "unix:///srv/d.sock"]
    load = [*program, "load", "--quiet", "--input", "/a.tar"]
    assert commands.loading("/a.tar", [image(loaded_as=TAGGED)], HERE) == [load]
    assert commands.loading("/a.tar", [image(loaded_as="r/other:2")], HERE) == [load, [*program, "tag", "r/other:2", TAGGED]]
    assert commands.loading("/a.tar", [image()], HERE) == [load, [*program, "tag", CONFIG, TAGGED]]
    assert commands.held([TAGGED, "r/none:1"], [(0, f"{CONFIG}\n".encode()), (1, b"\n")]) == {TAGGED: CONFIG}
    assert commands.fits(CONFIG, image(), HERE) and commands.fits(DIGEST, image(), HERE) and not commands.fits(OTHER, image(), HERE)
    assert commands.names(image()) == [TAGGED]
    with pytest.raises(Failure, match="no tag"):
        commands.names(image(tagged=""))
