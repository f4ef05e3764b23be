# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import oci
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.tests.unit.fakes.programs import make_elf

# Of build_image() for the two programs of make_elf(), compressed into stored blocks. Another value means that the
# same binaries get another digest than before, and every agent in the field restarts with the next install.
GOLDEN_INDEX = "sha256:c3a1d3950a230b07cd749af74e718521ad3b91055f12c1ba9555e876cd7cd4ee"


def program(architecture: str, content: bytes | None = None) -> dict:
    """A program whose compressed form comes from no compressor, so that the digest is the same wherever this runs."""
    content = make_elf(architecture) if content is None else content
    return {"content": content, "member": oci.stored_member(content), "reproducible": True}


@pytest.fixture
def image():
    return oci.build_image({name: program(name) for name in oci.ARCHITECTURES})


# --- bytes


def test_golden_digest(image):
    assert image["index"]["digest"] == GOLDEN_INDEX


def test_order_of_input_does_not_matter(image):
    other = oci.build_image({name: program(name) for name in reversed(oci.ARCHITECTURES)}, {})
    assert other == image


@pytest.mark.parametrize("size", [0, 1, 65534, 65535, 65536, 200000])
def test_stored_member_is_gzip(size):
    data = bytes(number % 251 for number in range(size))
    assert gzip.decompress(oci.stored_member(data)) == data


@pytest.mark.parametrize("size", [0, 511, 512, 513])
def test_layer_is_a_tar_that_others_read(size):
    content = b"x" * size
    layer, diff_id = oci.single_file_layer("collector", program("amd64", content))
    tar = gzip.decompress(layer["data"])
    assert diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        (entry,) = archive.getmembers()
        assert (entry.name, entry.mode, entry.uid, entry.gid, entry.uname, entry.mtime) == ("collector", 0o555, 0, 0, "", 0)
        assert archive.extractfile(entry).read() == content


def test_layer_from_deflated_member_reads_the_same():
    content = make_elf("amd64")
    deflated = {**program("amd64"), "member": oci.deflated_member(content)}
    layer, diff_id = oci.single_file_layer("collector", deflated)
    stored_layer, stored_diff_id = oci.single_file_layer("collector", program("amd64"))
    assert diff_id == stored_diff_id
    assert layer["digest"] != stored_layer["digest"]
    assert gzip.decompress(layer["data"]) == gzip.decompress(stored_layer["data"])


def test_zlib_probe_notices_another_compressor(monkeypatch):
    original = zlib.compressobj
    oci.zlib_is_classic.cache_clear()
    monkeypatch.setattr(oci.zlib, "compressobj", lambda level, *rest: original(level - 1, *rest))
    try:
        assert oci.zlib_is_classic() is False
    finally:
        oci.zlib_is_classic.cache_clear()


# --- documents


def test_documents_fit_together(image):
    index = json.loads(image["index"]["data"])
    assert index["mediaType"] == oci.INDEX_TYPE
    assert [entry["platform"] for entry in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    for entry in index["manifests"]:
        platform = image["platforms"][entry["platform"]["architecture"]]
        manifest = json.loads(platform["manifest"]["data"])
        config = json.loads(platform["config"]["data"])
        assert entry["digest"] == oci.sha256_digest(platform["manifest"]["data"])
        assert entry["size"] == len(platform["manifest"]["data"])
        assert manifest["config"] == oci.descriptor(platform["config"])
        assert manifest["layers"] == [oci.descriptor(platform["layer"])]
        assert config["architecture"] == entry["platform"]["architecture"]
        assert config["config"]["Entrypoint"] == ["/collector"]
        assert config["config"]["Cmd"] == ["run"]
        assert "User" not in config["config"] and "created" not in config
        layer_tar = gzip.decompress(platform["layer"]["data"])
        assert config["rootfs"] == {"type": "layers", "diff_ids": [oci.sha256_digest(layer_tar)]}


def test_labels_are_added_replaced_and_removed():
    labels = oci.image_labels({"team": "security", "org.opencontainers.image.title": "ours", "org.opencontainers.image.source": ""})
    assert labels["team"] == "security"
    assert labels["org.opencontainers.image.title"] == "ours"
    assert "org.opencontainers.image.source" not in labels
    assert "org.opencontainers.image.licenses" in labels


def test_labels_are_texts():
    labels = oci.image_labels({"number": 0, "nothing": None})
    assert labels["number"] == "0" and "nothing" not in labels
    with pytest.raises(Failure, match="label team is no text"):
        oci.image_labels({"team": ["a"]})


def test_index_carries_only_labels_of_the_oci_namespace():
    built = oci.build_image({"amd64": program("amd64")}, {"team": "security", "org.opencontainers.image.version": 1})
    annotations = json.loads(built["index"]["data"])["annotations"]
    assert "team" not in annotations
    assert annotations["org.opencontainers.image.version"] == "1"


# --- programs


@pytest.mark.parametrize("architecture", oci.ARCHITECTURES)
def test_static_program_is_accepted(architecture):
    oci.check_program(make_elf(architecture), architecture, "file")
    oci.check_program(make_elf(architecture, kind=3), architecture, "file")


@pytest.mark.parametrize(
    "content, says",
    [
        (b"#!/bin/sh\n", "not a Linux program"),
        (b"", "not a Linux program"),
        (b"\x7fELF", "cut off"),
        (make_elf("amd64")[:70], "cut off"),
        (make_elf("amd64")[:-1], "cut off"),
        (make_elf("arm64"), "built for arm64, not for amd64"),
        (make_elf("amd64", machine=8), "built for ELF machine 8, not for amd64"),
        (make_elf("amd64", interpreter=True), "linked dynamically"),
        (make_elf("amd64", kind=1), "not a program"),
        (make_elf("amd64", abi=9), "not built for Linux"),
        (make_elf("amd64", elf_class=1), "not a 64-bit"),
    ],
    ids=["script", "empty", "magic", "header", "end", "other", "unknown", "dynamic", "object", "freebsd", "32-bit"],
)
def test_other_files_are_refused(content, says):
    with pytest.raises(Failure) as failure:
        oci.check_program(content, "amd64", "/some/file")
    assert says in failure.value.message
    assert "/some/file" in failure.value.message
    assert "Next: " in failure.value.message
    assert "\n" not in failure.value.message


def test_compressed_program_goes_in_as_it_is(tmp_path):
    content = make_elf("amd64")
    packed = oci.stored_member(content)
    (tmp_path / "collector.gz").write_bytes(packed)
    assert oci.read_program(str(tmp_path / "collector.gz"), "amd64") == {"content": content, "member": packed, "reproducible": True}


def test_bare_program_is_compressed_here(tmp_path):
    (tmp_path / "collector").write_bytes(make_elf("amd64"))
    read = oci.read_program(str(tmp_path / "collector"), "amd64")
    assert gzip.decompress(read["member"]) == read["content"] == make_elf("amd64")
    assert read["reproducible"] is oci.zlib_is_classic()


def test_compressed_program_beside_a_newer_one_is_refused(tmp_path):
    (tmp_path / "collector.gz").write_bytes(oci.stored_member(make_elf("amd64")))
    (tmp_path / "collector").write_bytes(make_elf("amd64") + b"new")
    with pytest.raises(Failure, match="out of date"):
        oci.read_program(str(tmp_path / "collector.gz"), "amd64")
    (tmp_path / "collector").write_bytes(make_elf("amd64"))
    oci.read_program(str(tmp_path / "collector.gz"), "amd64")


def test_compressed_program_with_a_time_is_refused(tmp_path):
    (tmp_path / "collector.gz").write_bytes(gzip.compress(make_elf("amd64"), mtime=1700000000))
    with pytest.raises(Failure, match="gzip -9n"):
        oci.read_program(str(tmp_path / "collector.gz"), "amd64")


@pytest.mark.parametrize("keep", [5, 30, -1])
def test_damaged_compressed_program_is_refused(tmp_path, keep):
    (tmp_path / "collector.gz").write_bytes(oci.stored_member(make_elf("amd64"))[:keep])
    with pytest.raises(Failure, match="damaged"):
        oci.read_program(str(tmp_path / "collector.gz"), "amd64")


@pytest.mark.parametrize(
    "binaries, architectures, says",
    [
        ({"amd64": "/absent/collector"}, ["amd64"], "make collector"),
        ({"amd64": "/absent/collector"}, ["arm64"], "no path for arm64"),
        ({"amd64": 5}, ["amd64"], "no path for amd64"),
        ({"x86_64": "/absent"}, ["amd64"], "unknown architecture 'x86_64'"),
        ({"amd64": "/absent"}, [], "architectures is empty"),
        ({"amd64": "/"}, ["amd64"], "cannot be read"),
    ],
)
def test_wrong_binaries(binaries, architectures, says):
    with pytest.raises(Failure) as failure:
        oci.read_programs(binaries, architectures)
    assert says in failure.value.message


# --- archives


def test_archive_is_a_whole_layout(image):
    content = oci.archive_bytes(image, "registry.example/collector:1", "1")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {entry.name: archive.extractfile(entry).read() for entry in archive}
        assert {(entry.mode, entry.uid, entry.mtime) for entry in archive} == {(0o644, 0, 0)}
    assert json.loads(files.pop("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files.pop("index.json"))["manifests"]
    assert entry["digest"] == image["index"]["digest"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "registry.example/collector:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert files == {"blobs/" + blob["digest"].replace(":", "/"): blob["data"] for blob in oci.image_blobs(image)}


def test_archive_without_a_name_has_no_annotations(image):
    with tarfile.open(fileobj=io.BytesIO(oci.archive_bytes(image))) as archive:
        assert "annotations" not in json.load(archive.extractfile("index.json"))["manifests"][0]


def test_archive_in_a_missing_folder():
    with pytest.raises(Failure, match="does not exist"):
        oci.check_folder("/absent/folder/archive.tar")


def test_file_digest(tmp_path):
    assert oci.file_digest(str(tmp_path / "absent")) is None
    (tmp_path / "file").write_bytes(b"content")
    assert oci.file_digest(str(tmp_path / "file")) == oci.sha256_digest(b"content")
    with pytest.raises(Failure, match="cannot be read"):
        oci.file_digest(str(tmp_path))


def test_the_monitor_s_image_holds_the_monitor():
    built = oci.build_image({"amd64": program("amd64")}, name="monitor")
    config = json.loads(built["platforms"]["amd64"]["config"]["data"])
    assert config["config"]["Entrypoint"] == ["/monitor"] and config["config"]["Labels"]["org.opencontainers.image.title"] == "nanoagent monitor"
    layer = gzip.decompress(built["platforms"]["amd64"]["layer"]["data"])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getnames() == ["monitor"]


def test_messages_name_the_program(tmp_path):
    with pytest.raises(Failure, match="build the monitor with 'make monitor'"):
        oci.read_program(str(tmp_path / "none"), "amd64", "monitor")
