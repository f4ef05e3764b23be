# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of rewrites and the lock file, through the module's main() between fake registries: check mode, apply, apply again, wrong input."""

from __future__ import annotations

import os

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_copy import Wish
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import source_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import entry_of, read_lock, record
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_pin import with_image_names
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_lock import MirrorLock
from ansible_collections.nanoagent.k8s.plugins.module_utils.mirror_task import Task
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_place import RegistryPlace
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import StreamingRegistry
from ansible_collections.nanoagent.k8s.plugins.modules import image_mirror
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import everything, multi, single, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback


@pytest.fixture
def source():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def target():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images.lock.yml"


@pytest.fixture
def run(run_module, source, target, path):
    """Runs the module for some images, with the table and the lock file."""

    def run(*wanted, check_mode=False, diff=False, **options):
        given = {
            "images": [{"source": each} if isinstance(each, str) else each for each in wanted],
            "rewrites": [{"source": f"{source.host}/team", "destination": f"{target.host}/mirror"}],
            "lock_file": str(path),
            "registries": [{"host": fake.host, "plain_http": True} for fake in (source, target)],
            **options,
        }
        return run_module(image_mirror.main, {key: value for key, value in given.items() if value is not None}, check_mode=check_mode, diff=diff)

    return run


def size_of(image):
    return sum(map(len, image.blobs.values())) + sum(len(data) for _media_type, data in image.manifests.values())


def only(result):
    assert not result.get("failed"), result["msg"]
    [image] = result["images"]
    return image


def test_check_apply_apply_again(run, source, target, path):
    image = multi(1)
    store(source, "team/app", image, "1")
    name = f"{source.host}/team/app:1"
    predicted = run(name, check_mode=True, diff=True)
    assert predicted["changed"] and predicted["lock_changed"] and os.listdir(path.parent) == [] and target.writes() == []

    applied = run(name, diff=True)
    assert only(applied) == only(predicted) and applied["diff"] == predicted["diff"]
    assert applied["diff"][1] == {"before": "", "after": path.read_text(), "before_header": str(path), "after_header": str(path)}
    assert stored(target, "mirror/app", "1") == everything(image)
    mirror = f"{target.host}/mirror/app:1"
    entry = {"source": name, "digest": image.root, "platforms": ["linux/amd64", "linux/arm64"], "size": size_of(image), "mirrors": [mirror]}
    assert read_lock(str(path)) == {name: entry}

    time = path.stat().st_mtime_ns
    for check_mode in (True, False):
        again = run(name, check_mode=check_mode, diff=True)
        assert again["changed"] is again["lock_changed"] is False and again["requests"] == {source.host: {"HEAD": 1}, target.host: {"HEAD": 1}}
        assert (only(again)["locked"], only(again)["moved_to"]) == (image.root, None)
        assert again["diff"][1]["before"] == again["diff"][1]["after"] == path.read_text()
    assert path.stat().st_mtime_ns == time
    options, _names = with_image_names({"image": name, "rewrites": None, "lock_file": str(path)})
    assert options["image"] == only(applied)["image"]


def test_a_digest_stays_one_request(run, source, target, path):
    image = single(1, architecture="arm64")
    name = store(source, "team/app", image)
    assert only(run(name))["destination"] == f"{target.host}/mirror/app"
    again = run(name)
    assert again["changed"] is False and again["requests"] == {target.host: {"HEAD": 1}}
    [entry] = list(read_lock(str(path)).values())
    assert (entry["platforms"], entry["size"], entry["mirrors"]) == (["linux/arm64"], size_of(image), [f"{target.host}/mirror/app"])


def test_what_is_mirrored_already_is_entered_from_where_it_is(run, source, target, path):
    image = multi(1)
    name = store(source, "team/app", image)
    run(name, lock_file=None)
    seen, writes = len(source.requests), len(target.writes())
    entered = run(name)
    assert entered["changed"] and entered["lock_changed"] and not only(entered)["changed"]
    assert (len(source.requests), len(target.writes())) == (seen, writes)
    [entry] = list(read_lock(str(path)).values())
    assert entry["size"] == size_of(image)


def test_a_moved_tag_is_told_and_the_locked_image_is_mirrored(run, source, target, path):
    first, second = multi(1), multi(2)
    store(source, "team/app", first, "1")
    name = f"{source.host}/team/app:1"
    run(name)
    before = path.read_text()
    store(source, "team/app", second, "1")
    for check_mode in (True, False):
        result = run(name, check_mode=check_mode)
        image = only(result)
        assert result["changed"] is False and (image["locked"], image["moved_to"]) == (first.root, second.root)
        assert f"{name}: the tag is {second.root} at its source by now" in str(result["warnings"]) and "update_lock: true" in str(result["warnings"])
    # Another mirror gets what is locked too.
    other = {"source": name, "destination": f"{target.host}/other/app"}
    assert only(run(other))["digest"] == first.root and stored(target, "other/app", "1") == everything(first)
    assert read_lock(str(path))[name]["mirrors"] == [f"{target.host}/mirror/app:1", f"{target.host}/other/app:1"]
    path.write_text(before)

    predicted = run(name, check_mode=True, update_lock=True)
    assert predicted["changed"] and path.read_text() == before
    updated = run(name, update_lock=True)
    assert only(updated) == only(predicted) and only(updated)["digest"] == second.root
    assert (only(updated)["locked"], only(updated)["moved_to"]) == (first.root, second.root)
    assert stored(target, "mirror/app", "1") == everything(second)
    assert (read_lock(str(path))[name]["digest"], read_lock(str(path))[name]["mirrors"]) == (second.root, [f"{target.host}/mirror/app:1"])
    assert run(name, update_lock=True)["changed"] is False


@pytest.mark.parametrize(("update", "told"), [(False, 1), (True, 0)])
def test_what_was_asked_for_is_no_warning(source, path, update, told):
    store(source, "team/app", single(1), "1")
    named = source_of(f"{source.host}/team/app:1")
    locked = f"sha256:{'1' * 64}"
    record(str(path), [entry_of(str(named), locked, [], 1)], check_mode=False)
    task = Task(Wish(named, named), named=named)
    task.source = lambda: RegistryPlace(StreamingRegistry(source.host, None, access="pull", plain_http=True), "team/app")
    lock = MirrorLock(str(path), update)
    lock.pin(task)
    assert task.locked == locked and task.moved_to == single(1).root and len(lock.warnings(task)) == told


def test_a_tag_that_is_gone_and_one_whose_image_is_gone(run, source, target):
    image = single(1)
    store(source, "team/app", image, "1")
    name = f"{source.host}/team/app:1"
    run(name)
    del source.manifests["team/app", "1"]
    gone = run(name)
    assert gone["changed"] is False and only(gone)["moved_to"] == "nothing" and "the tag is nothing" in str(gone["warnings"])
    del source.manifests["team/app", image.root]
    assert run(name)["changed"] is False
    lost = run({"source": name, "destination": f"{target.host}/other/app"})
    assert lost["failed"] and f"{name} is locked as {image.root}" in lost["msg"] and "its source no longer has" in lost["msg"]
    assert "update_lock: true" in lost["msg"] and ("other/app", "1") not in target.manifests


def test_what_failed_is_not_entered_and_the_rest_is(run, source, path):
    store(source, "team/good", single(1), "1")
    good, bad = f"{source.host}/team/good:1", f"{source.host}/team/bad:1"
    result = run(good, bad)
    assert result["failed"] and result["lock_changed"] and list(read_lock(str(path))) == [good]


def test_a_part_of_an_index_is_found_by_its_own_digest(run, source, target, path, tmp_path):
    image = multi(1)
    store(source, "team/app", image, "1")
    name = f"{source.host}/team/app:1"
    disk = {"source": name, "destination": f"oci-archive:{tmp_path}/app.tar", "platforms": ["linux/arm64"]}
    part = only(run(disk))["digest"]
    assert part != image.root and run(disk)["changed"] is False
    [entry] = list(read_lock(str(path)).values())
    assert (entry["digest"], entry["size"], entry["mirrors"]) == (image.root, size_of(image), [f"oci-archive:{tmp_path}/app.tar:1@{part}"])
    # In the closed network: the archive is the source, and the name stays the vendor's.
    inside = {"source": f"oci-archive:{tmp_path}/app.tar", "destination": f"{target.host}/mirror/app:1"}
    assert only(run(inside))["digest"] == part and run(inside)["changed"] is False
    [entry] = list(read_lock(str(path)).values())
    assert entry["source"] == name and f"{target.host}/mirror/app:1@{part}" in entry["mirrors"]
    options, _names = with_image_names({"image": name, "lock_file": str(path)})
    assert options["image"] == f"{target.host}/mirror/app@{part}"


def test_a_destination_counts_more_than_the_table(run, source, target):
    store(source, "team/app", single(1), "1")
    wish = {"source": f"{source.host}/team/app:1", "destination": f"{target.host}/own/name:2"}
    assert only(run(wish))["destination"] == f"{target.host}/own/name:2"
    assert ("mirror/app", "1") not in target.manifests


@pytest.mark.parametrize(
    ("wanted", "options", "message"),
    [
        ("other.example/app:1", {}, "other.example/app:1 has no destination, and rewrites covers no such name"),
        ("oci:/any/folder:1", {}, "has no destination"),
        ("ghcr.io/a", {"rewrites": None}, "ghcr.io/a:latest has no destination"),
        ("ghcr.io/a", {"rewrites": [{"source": "ghcr.io/a", "destination": "one.example"}]}, "leaves no repository"),
        ("ghcr.io/a", {"rewrites": [{"source": "ghcr.io", "destination": "mirror"}]}, "without a registry"),
        ({"source": "ghcr.io/a", "destination": "one.example/a"}, {"lock_file": "/nowhere/images.lock.yml"}, "/nowhere is no folder"),
        ({"source": "ghcr.io/a", "destination": "one.example/a"}, {"lock_file": None, "update_lock": True}, "update_lock means nothing without lock_file"),
    ],
)
def test_wrong_input(run, source, target, wanted, options, message):
    result = run(wanted, **options)
    assert result["failed"] and message in result["msg"] and "\n" not in result["msg"] and "Next: " in result["msg"]
    assert source.requests == target.requests == []


def test_a_damaged_lock_file_stops_everything(run, source, target, path):
    store(source, "team/app", single(1), "1")
    seen = len(source.requests)
    path.write_text("version: 1\nimages: {}\n")
    result = run(f"{source.host}/team/app:1")
    assert result["failed"] and f"the lock file {path} has no list of images" in result["msg"]
    assert target.requests == [] and len(source.requests) == seen and path.read_text() == "version: 1\nimages: {}\n"
