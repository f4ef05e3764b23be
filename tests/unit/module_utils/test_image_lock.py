# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import random

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import (
    check_lock_path,
    entry_of,
    find,
    full_name,
    lock_text,
    merged,
    mirror_name,
    mirrored,
    parse_lock,
    read_lock,
    record,
    registry_mirrors,
)

ONE, TWO, PART = (f"sha256:{digit * 64}" for digit in "12a")
AGENT = "ghcr.io/spyderbat/nano-agent:1.0.90"
MIRROR = "registry.example.com:5000/mirror/nano-agent:1.0.90"
TEXT = f"""\
# Which images were mirrored, by digest. Written by nanoagent.k8s; belongs under version control.
version: 1
images:
  - source: docker.io/library/busybox:latest
    digest: {TWO}
    platforms: []
    size: 0
    mirrors: []
  - source: {AGENT}
    digest: {ONE}
    platforms: [linux/amd64, linux/arm64]
    size: 155189248
    mirrors:
      - oci-archive:/media/disk/agent.tar:1.0.90@{PART}
      - {MIRROR}
"""


def agent(digest=ONE, mirrors=(MIRROR, f"oci-archive:/media/disk/agent.tar:1.0.90@{PART}")):
    return entry_of(AGENT, digest, ["linux/arm64", "linux/amd64"], 155189248, mirrors)


def test_the_text_is_the_same_whatever_the_order():
    entries = [agent(), entry_of("busybox", TWO, [], 0)]
    assert lock_text(merged({}, entries)) == lock_text(merged({}, reversed(entries))) == TEXT
    assert parse_lock(TEXT, "any") == merged({}, entries)
    assert lock_text(parse_lock(TEXT, "any")) == TEXT


def test_other_readers_of_yaml_find_what_is_meant():
    content = yaml.safe_load(TEXT)
    assert content["version"] == 1 and content["images"][1]["digest"] == ONE and content["images"][1]["mirrors"][1] == MIRROR


@pytest.mark.parametrize("image", [AGENT, f"docker://{AGENT}", f"{AGENT}@{ONE}", f"ghcr.io/spyderbat/nano-agent@{ONE}"])
def test_an_image_is_found_by_its_names(image):
    assert find(parse_lock(TEXT, "any"), image)["source"] == AGENT


@pytest.mark.parametrize("image", ["ghcr.io/spyderbat/nano-agent", f"ghcr.io/spyderbat/nano-agent@{TWO}", f"ghcr.io/other/nano-agent@{ONE}"])
def test_an_image_that_is_not_locked_is_not_found(image):
    assert find(parse_lock(TEXT, "any"), image) is None


@pytest.mark.parametrize("image", ["busybox", "library/busybox:latest", "docker.io/busybox", "index.docker.io/library/busybox"])
def test_short_names_are_those_of_docker_hub(image):
    assert full_name(image) == "docker.io/library/busybox:latest"
    assert find(parse_lock(TEXT, "any"), image)["digest"] == TWO


def test_mirrors_know_their_digest():
    assert mirrored(agent()) == [("oci-archive:/media/disk/agent.tar:1.0.90", PART), (MIRROR, ONE)]
    assert [str(reference) for reference in registry_mirrors(agent())] == [f"{MIRROR}@{ONE}"]
    untagged = entry_of(f"ghcr.io/a/b@{ONE}", ONE, [], 1, ["registry.example/a/b"])
    assert [str(reference) for reference in registry_mirrors(untagged)] == [f"registry.example/a/b@{ONE}"]
    assert mirror_name(MIRROR, ONE, ONE) == MIRROR and mirror_name(MIRROR, PART, ONE) == f"{MIRROR}@{PART}"


def test_mirrors_of_the_same_bytes_add_up():
    lock = merged(merged({}, [agent(mirrors=["one.example/a:1"])]), [agent(mirrors=["two.example/a:1"])])
    assert lock[AGENT]["mirrors"] == ["one.example/a:1", "two.example/a:1"]


def test_mirrors_of_other_bytes_go():
    lock = merged(merged({}, [agent(mirrors=["one.example/a:1"])]), [agent(TWO, mirrors=["two.example/a:1"])])
    assert (lock[AGENT]["digest"], lock[AGENT]["mirrors"]) == (TWO, ["two.example/a:1"])


def test_a_destination_belongs_to_whoever_wrote_it_last():
    other = entry_of("ghcr.io/other/agent:2", TWO, [], 1, [MIRROR])
    lock = merged(merged({}, [agent()]), [other])
    assert MIRROR not in lock[AGENT]["mirrors"] and lock[other["source"]]["mirrors"] == [MIRROR]
    part = merged(merged({}, [agent()]), [agent(mirrors=[f"{MIRROR}@{PART}"])])
    assert [mirror for mirror in part[AGENT]["mirrors"] if mirror.startswith(MIRROR)] == [f"{MIRROR}@{PART}"]


def test_merging_leaves_its_arguments_alone():
    lock = merged({}, [agent()])
    merged(lock, [agent(mirrors=["two.example/a:1"])])
    assert lock == merged({}, [agent()])


def test_a_file_is_written_once_and_then_left_alone(tmp_path):
    path = tmp_path / "images.lock.yml"
    entries = [agent(), entry_of("busybox", TWO, [], 0)]
    step = {"path": str(path), "changed": True, "before": "", "after": TEXT}
    assert record(str(path), entries, check_mode=True) == step and os.listdir(tmp_path) == []
    assert record(str(path), entries, check_mode=False) == step and path.read_text() == TEXT
    time = path.stat().st_mtime_ns
    assert record(str(path), entries, check_mode=False) == {"path": str(path), "changed": False, "before": TEXT, "after": TEXT}
    assert path.stat().st_mtime_ns == time and os.listdir(tmp_path) == [path.name]
    changed = record(str(path), [agent(TWO)], check_mode=True)
    assert changed["changed"] and changed["after"] != TEXT and path.read_text() == TEXT


def test_a_file_that_says_the_same_in_another_way_is_left_alone(tmp_path):
    path = tmp_path / "images.lock.yml"
    path.write_text("# mine\n" + yaml.safe_dump(yaml.safe_load(TEXT)))
    before = path.read_text()
    assert record(str(path), [agent()], check_mode=False) == {"path": str(path), "changed": False, "before": before, "after": before}
    assert path.read_text() == before


def _record(path, number):
    record(path, [entry_of(f"ghcr.io/a/image:{number}", ONE, [], number)], check_mode=False)


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    path = str(tmp_path / "images.lock.yml")
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.starmap(_record, [(path, number) for number in range(40)])
    assert sorted(entry["size"] for entry in read_lock(path).values()) == list(range(40))


def test_a_missing_file_is_an_empty_lock_unless_it_is_needed(tmp_path):
    path = str(tmp_path / "images.lock.yml")
    assert read_lock(path) == {}
    with pytest.raises(Failure, match="does not exist.*image_mirror"):
        read_lock(path, required=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "version 2"),
        ("version: 1", "version: [", "no YAML"),
        ("version: 1", "version: 2026-99-99", "no YAML"),
        ("images:", f"more: {'[' * 5000}\nimages:", "no YAML"),
        ("images:", "imagos:", "no list of images"),
        (ONE, "sha256:12", "image 2 has a digest"),
        ("size: 155189248", "size: -1", "image 2 has a size"),
        ("size: 155189248", "size: true", "image 2 has a size"),
        ("size: 0\n", "size: 0\n    more: 1\n", "image 1 must have source, digest"),
        ("    size: 0\n", "", "image 1 must have source, digest"),
        ("platforms: []", "platforms: all", "image 1 has platforms"),
        ("platforms: []", "platforms: [1]", "image 1 has platforms"),
        ("busybox", "BUSYBOX", "image 1 has a malformed name"),
        (MIRROR, "registry.example.com:5000/", "image 2 has a malformed name"),
        (PART, "sha256:1", "image 2 has a malformed name"),
        ("docker.io/library/busybox:latest", AGENT, "twice"),
    ],
)
def test_a_damaged_file_is_told_with_the_place(tmp_path, old, new, message):
    path = tmp_path / "images.lock.yml"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(Failure, match=message) as caught:
        read_lock(str(path))
    assert str(path) in caught.value.message and "\n" not in caught.value.message
    assert path.read_text() == TEXT.replace(old, new)


@pytest.mark.parametrize("seed", range(50))
def test_any_damage_is_a_failure_or_a_lock(tmp_path, seed):
    draw = random.Random(seed)
    data = bytearray(TEXT.encode())
    for _number in range(draw.randint(1, 4)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    path = tmp_path / "images.lock.yml"
    path.write_bytes(bytes(data))
    try:
        lock = read_lock(str(path))
    except Failure as failure:
        assert "\n" not in failure.message
    else:
        assert parse_lock(lock_text(lock), "any") == lock


def test_what_cannot_be_read_or_made_is_told_before_anything_else(tmp_path):
    with pytest.raises(Failure, match="is no folder"):
        check_lock_path(str(tmp_path / "none" / "images.lock.yml"))
    with pytest.raises(Failure, match="cannot be read"):
        read_lock(str(tmp_path))
    check_lock_path(str(tmp_path / "images.lock.yml"))
