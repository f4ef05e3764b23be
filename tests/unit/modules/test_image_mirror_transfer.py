# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How image_mirror moves blobs: in parts, within limits, and on from where an earlier process was killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import image_mirror as job
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_place, registry_stream, transfer_progress
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.modules import image_mirror
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import everything, single, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.killed_job import killed_once, until
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback

MIB = 1 << 20


@pytest.fixture
def run(run_module):
    return lambda arguments, **mode: run_module(image_mirror.main, arguments, **mode)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path_factory):
    """Pauses between tries are short, so that tests are; the journal is in a folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(registry_stream.patience, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def far_away(monkeypatch):
    """Every source counts as one far away and no destination, and parts are small."""
    monkeypatch.setattr(registry_place.RegistryPlace, "is_far", False)
    monkeypatch.setattr(registry_stream, "_FAR", 0.0)
    monkeypatch.setattr(registry_stream, "_PART", 300_000)


def arguments(*pairs, hosts=(), **options):
    plain = [{"host": fake.host, "plain_http": True} for fake in hosts]
    return {"images": [{"source": str(source), "destination": str(target)} for source, target in pairs], "registries": plain, **options}


def large_of(image):
    return max(image.blobs, key=lambda digest: len(image.blobs[digest]))


def ranges_of(fake, digest):
    """What was asked for of a blob, by its Range headers."""
    return [headers.get("Range") for line, headers in zip(fake.requests, fake.headers_seen) if line.startswith("GET") and line.endswith(digest)]


# --- parts


def test_large_blobs_from_far_away_come_in_parts(run, far_away):
    image = single("p1", layers=1, size=2_500_000, packing="plain")
    with FakeRegistry() as source, FakeRegistry() as target:
        wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
        assert run(wish)["changed"]
        assert stored(target, "app", "1") == everything(image)
        size = len(image.blobs[large_of(image)])
        assert sorted(ranges_of(source, large_of(image)), key=lambda text: int(text[6:].partition("-")[0])) == [
            f"bytes={start}-{min(start + 300_000, size) - 1}" for start in range(0, size, 300_000)
        ]
        assert source.sent_bytes == sum(map(len, image.blobs.values()))


def test_near_registries_give_one_stream(run, monkeypatch):
    monkeypatch.setattr(registry_stream, "_FAR", 1000.0)
    monkeypatch.setattr(registry_stream, "_PART", 300_000)
    image = single("p2", layers=1, size=2_500_000, packing="plain")
    with FakeRegistry() as source, FakeRegistry() as target:
        assert run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))["changed"]
        assert ranges_of(source, large_of(image)) == [None]


def test_a_registry_that_gives_no_parts_gives_the_whole(run, far_away):
    image = single("p3", layers=3, size=2_500_000, packing="plain")
    with FakeRegistry(ranges=False) as source, FakeRegistry() as target:
        assert run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))["changed"]
        assert stored(target, "app", "1") == everything(image)


def test_a_part_that_is_cut_goes_on_and_a_wrong_one_is_found_out(run, far_away):
    image = single("p4", layers=1, size=2_500_000, packing="plain")
    with FakeRegistry() as source, FakeRegistry() as target:
        wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
        source.fail("GET", large_of(image), keep=100_000, times=3)
        assert run(wish)["changed"] and stored(target, "app", "1") == everything(image)

        other = single("p5", layers=1, size=2_500_000, packing="plain")
        wish = arguments((store(source, "other", other), f"{target.host}/other:1"), hosts=[source, target])
        data = other.blobs[large_of(other)]
        source.blobs["other", large_of(other)] = data[:1_000_000] + b"x" + data[1_000_001:]
        failed = run(wish)
        assert failed["failed"] and "has other bytes" in failed["msg"]
        assert ("other", "1") not in target.manifests and ("other", large_of(other)) not in target.blobs


# --- progress


def test_progress_ends_at_all_that_was_to_be_moved(far_away, monkeypatch):
    """Also where parts, cuts, wrong bytes, mounts and what was there are on the way."""
    made = []

    class Progress(transfer_progress.TransferProgress):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(job, "TransferProgress", Progress)
    image = single("g1", layers=3, size=2_500_000, packing="plain")
    first, second, *_rest = sorted(image.blobs)
    with FakeRegistry() as source, FakeRegistry() as target:
        name = store(source, "app", image)
        source.fail("GET", first, keep=100_000, times=2)
        source.fail("GET", second, status=200, body=b"x" * len(image.blobs[second]))
        target.fail("PUT", "/uploads/", times=1)
        wish = arguments((name, f"{target.host}/a:1"), (name, f"{target.host}/b:1"), hosts=[source, target])
        options = ArgumentSpecValidator(image_mirror.argument_spec()).validate(wish).validated_parameters
        result = job.work(options, Run())
        assert sum(entry["mounted"] for entry in result["images"]) == len(image.blobs)
        [progress] = made
        assert progress._done == progress._total == sum(map(len, image.blobs.values()))


# --- limits


def test_a_registry_gets_as_many_requests_at_once_as_its_entry_says(run, far_away):
    image = single("s1", layers=20, size=900_000, packing="plain")
    with FakeRegistry() as source, FakeRegistry() as target:
        wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target], parallel=12)
        wish["registries"][0]["parallel"], wish["registries"][1]["parallel"] = 3, 2
        assert run(wish)["changed"] and stored(target, "app", "1") == everything(image)
        assert source.most_at_a_time <= 3 and target.most_at_a_time <= 2


def test_one_request_at_once_is_enough_within_a_registry_and_both_ways(run, monkeypatch):
    monkeypatch.setattr(registry_stream.StreamingRegistry.__init__, "__kwdefaults__", {"patience_seconds": 5.0, "chunk": 200_000})
    image, back = single("s2", layers=6, size=900_000, packing="plain"), single("s3", layers=6, size=900_000, packing="plain")
    with FakeRegistry(most_at_once=300_000) as one, FakeRegistry(most_at_once=300_000) as two:
        there = (store(one, "app", image), f"{two.host}/app:1")
        wish = arguments(there, (store(two, "back", back), f"{one.host}/back:1"), hosts=[one, two])
        for entry in wish["registries"]:
            entry["parallel"] = 1
        assert run(wish)["changed"]
        assert stored(two, "app", "1") == everything(image) and stored(one, "back", "1") == everything(back)


def test_wrong_limits(run):
    for options, says in (
        ({"rate_limit": "fast"}, "rate_limit"),
        ({"rate_limit": "1K"}, "give 16384 or more"),
        ({"registries": [{"host": "h.x", "parallel": 0}]}, "parallel 0 for h.x"),
    ):
        result = run({**arguments(("a:1", "h.x/c:1")), **options})
        assert result["failed"] and says in result["msg"] and "\n" not in result["msg"]


def test_a_limited_copy_is_the_same_copy(run, far_away, monkeypatch):
    taken = []
    monkeypatch.setattr("ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits.RateLimit.take", lambda _self, count: taken.append(count))
    image = single("s4", layers=2, size=900_000, packing="plain")
    with FakeRegistry() as source, FakeRegistry() as target:
        assert run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target], rate_limit="1M"))["changed"]
        assert stored(target, "app", "1") == everything(image)
        # Nothing is read ahead of the limit.
        assert ranges_of(source, large_of(image)) == [None]
    assert sum(taken) == sum(map(len, image.blobs.values())) and max(taken) <= MIB // 10


# --- after a process that was killed


def notes():
    return list((Path(os.environ["HOME"]) / ".ansible/nanoagent.k8s/uploads").glob("*"))


@pytest.mark.parametrize("from_files", [False, True])
def test_uploads_go_on_after_a_kill(run, stopping, tmp_path, from_files):
    image = single("k1", layers=1, size=9 * MIB, packing="plain")
    size = len(image.blobs[large_of(image)])
    with FakeRegistry() as origin, FakeRegistry() as target:
        name = store(origin, "app", image)
        if from_files:
            assert run(arguments((name, f"oci:{tmp_path / 'layout'}:1"), hosts=[origin]))["changed"]
            name = f"oci:{tmp_path / 'layout'}:1"
            target.fail("PUT", "/uploads/", keep=6 * MIB, until=stopping, least=MIB)
        else:
            origin.fail("GET", large_of(image), keep=6 * MIB + 5, until=stopping)
        wish = arguments((name, f"{target.host}/app:1"), hosts=[origin, target])
        killed_once(wish, tmp_path, lambda: target.received_bytes >= 6 * MIB)
        stopping.set()
        assert target.manifests == {}
        [note] = notes()
        assert note.stat().st_mode & 0o777 == 0o600 and note.parent.stat().st_mode & 0o777 == 0o700
        assert json.loads(note.read_text())["location"].startswith(f"http://{target.host}/v2/app/blobs/uploads/")
        until(lambda: any(target.uploads.values()))

        origin.sent_bytes, before = 0, target.received_bytes
        assert run(wish)["changed"]
        assert stored(target, "app", "1") == everything(image)
        assert target.received_bytes - before <= size - 6 * MIB + 100_000
        assert from_files or origin.sent_bytes <= size - 6 * MIB + 100_000
        assert notes() == []


def test_what_an_earlier_process_left_is_given_up_where_it_is_of_no_use(run, stopping, tmp_path):
    """Other bytes, an upload that is gone, a note that is none: it begins anew."""
    for number, spoil in enumerate(("bytes", "gone", "note")):
        image = single(f"k2{spoil}", layers=1, size=6 * MIB, packing="plain")
        with FakeRegistry() as source, FakeRegistry() as target:
            source.fail("GET", large_of(image), keep=3 * MIB + 5, until=stopping)
            wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
            killed_once(wish, tmp_path, lambda seen=target: seen.received_bytes >= 3 * MIB)
            until(lambda seen=target: any(seen.uploads.values()))
            [(upload, data)] = [item for item in target.uploads.items() if item[1]]
            if spoil == "bytes":
                target.uploads[upload] = bytes(len(data))
            elif spoil == "gone":
                del target.uploads[upload]
            else:
                notes()[0].write_text("{")
            assert run(wish)["changed"], number
            assert stored(target, "app", "1") == everything(image) and notes() == []


def test_no_journal_where_none_is_wanted(run):
    image = single("k3", layers=1, size=5 * MIB, packing="plain")
    with FakeRegistry() as source, FakeRegistry() as target:
        name = store(source, "app", image)
        assert run(arguments((name, f"{target.host}/app:1"), hosts=[source, target], journal=""))["changed"]
        assert run(arguments((name, f"{target.host}/app:1"), hosts=[source, target]))["changed"] is False
        assert not notes() and not list(Path(os.environ["HOME"]).iterdir())


def test_a_journal_that_cannot_be_written_is_told(run, tmp_path):
    image = single("k4", layers=1, size=5 * MIB, packing="plain")
    (tmp_path / "file").write_text("")
    with FakeRegistry() as source, FakeRegistry() as target:
        result = run(arguments((store(source, "app", image), f"{target.host}/a:1"), hosts=[source, target], journal=str(tmp_path / "file/journal")))
        assert result["changed"] and "cannot be written (Not a directory)" in str(result["warnings"])


def test_archives_go_on_after_a_kill(run, stopping, tmp_path):
    image, other = single("k6", layers=3, size=5 * MIB, packing="plain"), single("k7", layers=1, size=MIB, packing="plain")
    archive, partial = tmp_path / "images.tar", tmp_path / ".images.tar.partial"
    first, second = sorted(image.blobs, key=lambda digest: len(image.blobs[digest]))[-2:]
    with FakeRegistry() as source:
        wish = arguments((store(source, "app", image), f"oci-archive:{archive}:1"), hosts=[source])
        assert run(wish)["changed"]
        whole = archive.read_bytes()
        archive.unlink()
        source.fail("GET", first, keep=3 * MIB + 5, until=stopping)
        source.fail("GET", second, keep=2 * MIB + 5, until=stopping)
        killed_once(wish, tmp_path, lambda: partial.exists() and partial.stat().st_blocks * 512 >= 10 * MIB)
        stopping.set()
        assert not archive.exists() and not run(wish, check_mode=True).get("failed") and partial.exists()
        left = partial.read_bytes()
        source.sent_bytes = 0
        assert run(wish)["changed"] and archive.read_bytes() == whole and not partial.exists()
        assert source.sent_bytes < 7 * MIB

        # What is there may be wrong, another archive's, or no archive at all.
        position = whole.index(image.blobs[first])
        for spoiled in (left[:position] + b"x" * 100 + left[position + 100 :], whole[:position] + b"x" * 100 + whole[position + 100 :], b"x" * len(left), b"x"):
            archive.unlink()
            partial.write_bytes(spoiled)
            assert run(wish)["changed"] and archive.read_bytes() == whole and not partial.exists()
        archive.unlink()
        partial.write_bytes(left)
        assert run(arguments((store(source, "other", other), f"oci-archive:{archive}:1"), hosts=[source]))["changed"]
        assert archive.stat().st_size < 2 * MIB and not partial.exists()


def test_layouts_go_on_after_a_kill(run, stopping, tmp_path):
    image = single("k5", layers=1, size=9 * MIB, packing="plain")
    size = len(image.blobs[large_of(image)])
    with FakeRegistry() as source:
        source.fail("GET", large_of(image), keep=6 * MIB + 5, until=stopping)
        wish = arguments((store(source, "app", image), f"oci:{tmp_path / 'layout'}:1"), hosts=[source])
        folder = tmp_path / "layout/blobs/sha256"

        def partial():
            return [path for path in folder.glob(".*.partial") if path.stat().st_size >= 6 * MIB]

        killed_once(wish, tmp_path, partial)
        stopping.set()
        source.sent_bytes = 0
        assert run(wish)["changed"]
        assert source.sent_bytes <= size - 6 * MIB + 100_000
        assert {path.name for path in folder.iterdir()} == {digest.partition(":")[2] for digest in everything(image)}

        # What is there may be wrong, or more than the blob.
        for spoiled in (b"x" * 100, bytes(size), bytes(size + 1)):
            target = folder / large_of(image).partition(":")[2]
            target.unlink()
            target.with_name(f".{target.name}.partial").write_bytes(spoiled)
            assert run(wish)["changed"] and target.read_bytes() == image.blobs[large_of(image)]
            assert not list(folder.glob(".*"))
