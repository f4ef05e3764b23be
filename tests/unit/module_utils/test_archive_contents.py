# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.archive_contents import listed_digests, read_contents
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import docker_save, layout_files, multi, single, tar_bytes, write_layout

NAME = "registry.example/team/agent:1"


@pytest.fixture
def archive(tmp_path):
    """archive({tag: image}, without=...) -> path of an OCI archive that lacks some digests; the tag "" is none."""

    def make(images, without=(), packed=False):
        write_layout(tmp_path / "layout", **images)
        files = {name: data for name, data in layout_files(tmp_path / "layout").items() if not any(digest[7:] in name for digest in without)}
        data = tar_bytes(files)
        path = tmp_path / "images.tar"
        path.write_bytes(gzip.compress(data) if packed else data)
        return str(path)

    return make


def read(path, *wanted, folder="/nonexistent"):
    return read_contents(path, [{"name": each} if isinstance(each, str) else dict(zip(("name", "source"), each)) for each in wanted], folder)


def config_of(image, platform):
    _type, data = image.manifests[image.platforms[platform]]
    return json.loads(data)["config"]["digest"]


def test_an_image_of_two_platforms_under_the_name_that_is_asked_for(archive):
    image = multi(1)
    [found] = read(archive({"v1": image}), NAME)
    assert found == {
        "tagged": NAME,
        "pinned": f"registry.example/team/agent@{image.root}",
        "digest": image.root,
        "platforms": {platform: [digest, config_of(image, platform)] for platform, digest in image.platforms.items()},
        "ref": "v1",
        "loaded_as": "",
        "alone": True,
        "made": False,
    }


def test_names_come_from_the_archive_where_none_are_asked_for(archive):
    one, other = single(1), single(2)
    found = read(archive({NAME: one, "docker.io/library/pause:3": other}))
    assert {each["tagged"]: each["digest"] for each in found} == {NAME: one.root, "docker.io/library/pause:3": other.root}
    assert not any(each["alone"] for each in found) and listed_digests(found) == sorted([one.root, other.root])


def test_an_archive_without_full_names_asks_for_them(archive):
    with pytest.raises(Failure, match="names no image in full") as failure:
        read(archive({"v1": single(1)}))
    assert "images" in failure.value.next_step


def test_which_of_several_has_to_be_said(archive):
    one, other = single(1), single(2)
    path = archive({"one": one, "other": other})
    with pytest.raises(Failure, match=f"no image {NAME}") as failure:
        read(path, NAME)
    assert "one, other" in failure.value.next_step
    assert read(path, (NAME, "other"))[0]["digest"] == other.root
    assert read(path, (NAME, one.root))[0]["digest"] == one.root
    assert read(path, f"registry.example/team/agent@{one.root}")[0]["tagged"] == ""


def test_a_digest_that_the_archive_does_not_have(archive):
    path = archive({"v1": single(1)})
    with pytest.raises(Failure, match="no image"):
        read(path, f"registry.example/team/agent@sha256:{'0' * 64}")
    with pytest.raises(Failure, match="holds sha256"):
        read(path, (f"registry.example/team/agent@sha256:{'0' * 64}", "v1"))


@pytest.mark.parametrize("name", ["registry.example/team/agent", "Registry/UPPER:1", "a b"])
def test_names_that_no_pod_could_have(archive, name):
    with pytest.raises(Failure, match="image name"):
        read(archive({"v1": single(1)}), name)


def test_a_platform_that_the_archive_was_made_without_is_none_of_it(archive):
    image = multi(3)
    gone = image.platforms["linux/arm64"]
    [found] = read(archive({"v1": image}, without=[gone]), NAME)
    assert set(found["platforms"]) == {"linux/amd64"}


def test_an_archive_that_lacks_a_configuration_is_not_whole(archive):
    image = single(4)
    with pytest.raises(Failure, match="no blob"):
        read(archive({"v1": image}, without=[config_of(image, "linux/amd64")]), NAME)


def test_compressed_archives_are_read_too(archive, tmp_path):
    image = single(5)
    assert read(archive({"v1": image}, packed=True), NAME, folder=str(tmp_path))[0]["digest"] == image.root


def test_of_docker_save_it_is_known_that_the_manifest_was_made(tmp_path):
    image = single(6)
    (tmp_path / "saved.tar").write_bytes(tar_bytes(docker_save(image, NAME)))
    [found] = read(str(tmp_path / "saved.tar"))
    assert found["made"] and found["loaded_as"] == found["tagged"] == NAME
    assert found["platforms"]["linux/amd64"][1] == config_of(image, "linux/amd64")


def test_what_is_no_archive_is_told(tmp_path):
    with pytest.raises(Failure, match="does not exist"):
        read(str(tmp_path / "none.tar"), NAME)
    (tmp_path / "text.tar").write_text("no tar")
    with pytest.raises(Failure, match="no tar archive"):
        read(str(tmp_path / "text.tar"), NAME)
