# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What image_mirror makes of images, archives, registries and disks that are not as they should be: one clear line, and nothing half."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections import namedtuple

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_stream, tar_files
from ansible_collections.nanoagent.k8s.plugins.modules import image_mirror
from ansible_collections.nanoagent.k8s.tests.unit.fakes import images
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import everything, multi, single, store, stored, write_layout
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path_factory):
    """Pauses between tries are short, so that tests are; the journal is in a folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(registry_stream.patience, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def run(run_module):
    return lambda arguments, **mode: run_module(image_mirror.main, arguments, **mode)


@pytest.fixture
def source():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def target():
    with FakeRegistry() as running:
        yield running


def arguments(*pairs, hosts=()):
    plain = [{"host": fake.host, "plain_http": True} for fake in hosts]
    return {"images": [{"source": str(source), "destination": str(target)} for source, target in pairs], "registries": plain}


def refused(run, wish):
    result = run(wish)
    assert result["failed"] and "\n" not in result["msg"] and "Traceback" not in json.dumps(result), result
    return result["msg"]


# --- images


@pytest.mark.parametrize("kind", ["docker", "oci"])
def test_layers_that_are_kept_elsewhere_are_not_copied_and_a_warning_says_so(run, source, target, kind):
    image = images.Image()
    types = images.TYPES[kind]
    kept = images.described(types["gzip"], b"a layer")
    foreign = (
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" if kind == "docker" else "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    )
    elsewhere = {**images.described(foreign, b"not here"), "urls": ["https://example.com/layer"]}
    image.blobs[kept["digest"]] = b"a layer"
    config = image.add_blob(types["config"], b"{}")
    image.add_manifest({"schemaVersion": 2, "mediaType": types["manifest"], "config": config, "layers": [elsewhere, kept]})
    target_checks = {("app", elsewhere["digest"]): b"not here"}
    # Registries take such a manifest without that layer; the fake one looks for every layer.
    target.blobs |= target_checks
    result = run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))
    assert result["changed"] and result["images"][0]["blobs"] == 2
    assert "layers that their maker keeps elsewhere are not copied" in str(result["warnings"])
    assert not any(elsewhere["digest"] in line for line in [*source.requests, *target.requests])


def test_two_hundred_layers(run, source, target):
    image = single(1, layers=200, size=50)
    assert run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))["changed"]
    assert stored(target, "app", "1") == everything(image)


def test_manifests_of_an_unknown_type(run, target, tmp_path):
    image = single(1)
    write_layout(tmp_path / "layout", one=image)
    data = json.dumps({"schemaVersion": 2, "mediaType": "application/x.unknown+json", "parts": []}).encode()
    entry = {**images.described("application/x.unknown+json", data), "annotations": {"org.opencontainers.image.ref.name": "other"}}
    (tmp_path / "layout/blobs/sha256" / entry["digest"].partition(":")[2]).write_bytes(data)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    (tmp_path / "layout/index.json").write_text(json.dumps({**index, "manifests": [*index["manifests"], entry]}))
    said = refused(run, arguments((f"oci:{tmp_path / 'layout'}:other", f"{target.host}/app:1"), hosts=[target]))
    assert "unknown type 'application/x.unknown+json'" in said and target.writes() == []
    assert run(arguments((f"oci:{tmp_path / 'layout'}:one", f"{target.host}/app:1"), hosts=[target]))["changed"]


def test_an_index_that_lists_itself_for_ever(run, source, target):
    image = single(1)
    for _depth in range(8):
        image.add_manifest({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["index"], "manifests": [image.entry()]})
    assert "go deeper than 6" in refused(run, arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))
    assert target.writes() == []


# --- registries


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "DENIED", "an account that may push"),
        (405, "UNSUPPORTED", "does not allow it"),
        (409, "TAG_IMMUTABLE", "cannot be moved"),
        (400, "MANIFEST_INVALID", "the registry's log"),
    ],
)
def test_a_destination_that_does_not_take_the_tag(run, source, target, status, code, says):
    image = multi(1)
    wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
    target.fail("PUT", "/manifests/1$", status=status, body=json.dumps({"errors": [{"code": code}]}).encode(), times=1)
    said = refused(run, wish)
    assert says in said and "manifest 1" in said and ("app", "1") not in target.manifests
    before = len(target.writes())
    # Everything else is there by now.
    assert run(wish)["changed"] and target.writes()[before:] == ["PUT /v2/app/manifests/1"]
    assert stored(target, "app", "1") == everything(image)


def test_a_registry_that_stores_other_bytes_is_found_out(run, source, target):
    image = single(1)
    target.fail("PUT", "/manifests/1$", status=201, headers={"Docker-Content-Digest": "sha256:" + "0" * 64})
    said = refused(run, arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))
    assert f"stored it as sha256:{'0' * 64} instead of {image.root}" in said


# --- archives


def test_an_archive_that_expands_to_more_than_fits(run, target, tmp_path, monkeypatch):
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(bytes(200 << 20), 1))
    usage = namedtuple("usage", "total used free")
    free = iter([1 << 30, 200 << 20, 100 << 20])
    asked = []

    def disk_usage(folder):
        asked.append(folder)
        return usage(1 << 40, 0, next(free))

    monkeypatch.setattr(tar_files.shutil, "disk_usage", disk_usage)
    assert "does not fit on the disk" in refused(run, arguments((f"oci-archive:{bomb}", f"{target.host}/a:1"), hosts=[target]))
    # Each 64 MiB it was asked what is left.
    assert len(asked) == 3


def test_an_archive_that_is_damaged_stays_so_for_each_image_of_it(run, target, tmp_path):
    write_layout(tmp_path / "layout", one=single(1), two=single(2))
    whole = images.tar_bytes(images.layout_files(tmp_path / "layout"))
    (tmp_path / "short.tar.gz").write_bytes(gzip.compress(whole)[:-200])
    pairs = [(f"oci-archive:{tmp_path / 'short.tar.gz'}:{tag}", f"{target.host}/{tag}:1") for tag in ("one", "two")]
    result = run(arguments(*pairs, hosts=[target]))
    assert result["failed"] and all("is no tar archive, or is damaged" in image["error"] for image in result["images"])


def test_special_files_and_too_many_files(run, target, tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "device.tar", "w") as archive:
        entry = tarfile.TarInfo("blobs/device")
        entry.type = tarfile.CHRTYPE
        archive.addfile(entry)
    assert "has the special file blobs/device" in refused(run, arguments((f"oci-archive:{tmp_path / 'device.tar'}", f"{target.host}/a:1"), hosts=[target]))
    monkeypatch.setattr(tar_files, "_MOST_FILES", 3)
    (tmp_path / "many.tar").write_bytes(images.tar_bytes({str(number): b"" for number in range(5)}))
    assert "more than 3 files" in refused(run, arguments((f"oci-archive:{tmp_path / 'many.tar'}", f"{target.host}/a:1"), hosts=[target]))


# --- what is kept


def test_a_layout_keeps_what_it_has_of_a_blob_that_cannot_be_had(run, source, tmp_path):
    image = single(1, layers=1, size=3_000_000, packing="plain")
    folder = tmp_path / "layout/blobs/sha256"
    folder.mkdir(parents=True)
    digest = max(image.blobs, key=lambda digest: len(image.blobs[digest])).partition(":")[2]
    part = image.blobs[f"sha256:{digest}"][:1_000_000]
    wish = arguments((store(source, "app", image), f"oci:{tmp_path / 'layout'}:1"), hosts=[source])
    (folder / f".{digest}.partial").write_bytes(part)
    source.fail("GET", digest, status=404, times=1)
    said = refused(run, wish)
    assert digest in said and not (tmp_path / "layout/index.json").exists()
    assert (folder / f".{digest}.partial").read_bytes() == part
    source.sent_bytes = 0
    assert run(wish)["changed"] and source.sent_bytes < 2_100_000
