# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import (
    blobs,
    children,
    content_of,
    fits,
    platform_text,
    referrer_descriptor,
    select,
    subject,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import TYPES, artifact, multi, single


def manifest_of(image):
    media_type, data = image.manifests[image.root]
    return {"mediaType": media_type, "digest": image.root, "size": len(data), "data": data}


def made(content, media_type=TYPES["oci"]["index"]):
    data = json.dumps(content).encode()
    return {"mediaType": media_type, "digest": sha256_digest(data), "size": len(data), "data": data}


def test_what_manifests_need():
    image, alone = multi(1), single(2, layers=3)
    index = content_of(manifest_of(image), "x")
    assert [entry["digest"] for entry in children(index)] == list(image.platforms.values()) and blobs(index) == []
    content = content_of(manifest_of(alone), "x")
    assert {entry["digest"] for entry in blobs(content)} == set(alone.blobs) and children(content) == [] and subject(content) == ""


def test_layers_from_elsewhere_and_repeated_ones():
    content = content_of(manifest_of(single(1)), "x")
    [layer, _other] = content["layers"]
    foreign = {
        **layer,
        "digest": "sha256:" + "f" * 64,
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "urls": ["https://x.example/l"],
    }
    kept = blobs({**content, "layers": [layer, layer, foreign]})
    assert [entry["digest"] for entry in kept] == [content["config"]["digest"], layer["digest"]]
    assert len(blobs({**content, "layers": [{**foreign, "urls": []}]})) == 2


def test_what_refers_to_an_image():
    about = artifact(multi(1).entry(), b"x")
    content = content_of(manifest_of(about), "x")
    assert subject(content) == multi(1).root
    assert referrer_descriptor(manifest_of(about), content) == {**about.entry(), "artifactType": "application/x.test"}


@pytest.mark.parametrize(
    ("platform", "wanted", "yes"),
    [
        ({"os": "linux", "architecture": "amd64"}, "linux/amd64", True),
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, "linux/arm64", True),
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v6", False),
        ({"os": "linux", "architecture": "arm64"}, "linux/arm", False),
        (None, "linux/amd64", False),
        ("rubbish", "linux/amd64", False),
    ],
)
def test_platforms(platform, wanted, yes):
    assert fits(platform, wanted) is yes
    assert platform_text({"os": "linux", "architecture": "arm", "variant": "v7"}) == "linux/arm/v7"


def test_a_part_of_an_index_is_the_same_everywhere_and_keeps_how_it_was_built():
    image = multi(1, ("amd64", "arm64"))
    content = content_of(manifest_of(image), "x")
    unknown = {"os": "unknown", "architecture": "unknown"}
    built = [
        {**entry, "digest": "sha256:" + sign * 64, "platform": unknown, "annotations": {"vnd.docker.reference.digest": about}}
        for sign, about, entry in zip("ab", image.platforms.values(), content["manifests"])
    ]
    whole = made({**content, "manifests": [*content["manifests"], *built]})
    part = select(whole, ["linux/arm64"], "x")
    assert [entry["digest"] for entry in json.loads(part["data"])["manifests"]] == [image.platforms["linux/arm64"], "sha256:" + "b" * 64]
    assert part["mediaType"] == whole["mediaType"] and part["digest"] == sha256_digest(part["data"]) == select(whole, ["linux/arm64"], "y")["digest"]
    assert select(whole, ["linux/arm64", "linux/amd64"], "x") is whole
    with pytest.raises(Failure, match="x has no platform linux/s390x.* choose among linux/amd64, linux/arm64"):
        select(whole, ["linux/amd64", "linux/s390x"], "x")
    with pytest.raises(Failure, match="is an image of one platform"):
        select(manifest_of(single(1)), ["linux/amd64"], "x")


@pytest.mark.parametrize(
    ("content", "media_type", "says"),
    [
        ([], "", "no JSON object"),
        ({"schemaVersion": 1}, "", "old schema 1"),
        ({"schemaVersion": 2}, "application/json", "unknown type 'application/json'"),
        ({"schemaVersion": 2, "manifests": [{"digest": "md5:1", "size": 1}]}, TYPES["oci"]["index"], "without a sha256 digest"),
        ({"schemaVersion": 2, "manifests": [{"digest": "sha256:" + "a" * 64, "size": -1}]}, TYPES["oci"]["index"], "without a sha256 digest"),
        ({"schemaVersion": 2, "manifests": [], "subject": {}, "config": 1}, TYPES["oci"]["manifest"], "without a sha256 digest"),
    ],
)
def test_what_nobody_knows_is_refused(content, media_type, says):
    with pytest.raises(Failure, match=says):
        content_of(made(content, media_type), "x")
