# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module through its main(), between fake registries, folders and archives: check mode, apply, apply again, wrong input."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_stream
from ansible_collections.nanoagent.k8s.plugins.modules import image_mirror
from ansible_collections.nanoagent.k8s.tests.backend.forward_proxy import ForwardProxy
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy
from ansible_collections.nanoagent.k8s.tests.unit.fakes import images
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import artifact, everything, multi, single, store, stored, write_layout
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback

PASSWORD = "canary-pa55-word"


@pytest.fixture
def run(run_module):
    def run(arguments, **mode):
        return run_module(image_mirror.main, arguments, **mode)

    return run


@pytest.fixture
def source():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def target():
    with FakeRegistry() as running:
        yield running


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path_factory):
    """Pauses between tries are short, so that tests are; the journal is in a folder of its own; no registry counts as far away, however slow the machine."""
    monkeypatch.setattr(registry_stream, "_FAR", float("inf"))
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr(registry_stream.patience, "_FIRST_PAUSE", 0.001)


def arguments(*pairs, hosts=(), **options):
    plain = [{"host": fake.host, "plain_http": True} for fake in hosts]
    chosen = [{"source": str(pair[0]), "destination": str(pair[1]), **(pair[2] if len(pair) > 2 else {})} for pair in pairs]
    return {"images": chosen, "registries": plain, **options}


def only(result):
    assert not result.get("failed"), result["msg"]
    [image] = result["images"]
    return image


KINDS = {
    "multi": lambda: multi(1),
    "docker types": lambda: multi(2, kind=images.DOCKER),
    "one platform": lambda: single(3),
    "many layers": lambda: single(4, layers=60, size=100),
    "zstd": lambda: single(5, packing="zstd"),
    "uncompressed": lambda: single(6, packing="plain"),
    "no layers": lambda: single(7, layers=0),
    "artifact": lambda: artifact(None, b"something"),
    "empty blob": lambda: artifact(None, b""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_check_apply_apply_again_by_digest(run, source, target, kind):
    image = KINDS[kind]()
    wish = arguments((store(source, "team/app", image), f"{target.host}/mirror/app:1"), hosts=[source, target])
    predicted = run(wish, check_mode=True, diff=True)
    assert predicted["changed"] and target.writes() == [] and source.writes() == []

    applied = run(wish, diff=True)
    assert only(applied) == only(predicted) and applied["bytes"] == predicted["bytes"] == sum(map(len, image.blobs.values()))
    assert only(applied)["image"] == f"{target.host}/mirror/app@{image.root}"
    assert stored(target, "mirror/app", "1") == everything(image)
    assert target.manifests["mirror/app", "1"] == image.manifests[image.root]
    size = f"{sum(map(len, image.blobs.values())) / 1e6:.1f} MB"
    assert predicted["lines"] == [f"{target.host}/mirror/app:1: would be copied, {size}"]
    assert applied["lines"] == [f"{target.host}/mirror/app:1: copied, {size}"]
    assert applied["diff"] == {"before": "", "after": f"{target.host}/mirror/app:1: {image.root}\n"}

    for check_mode in (True, False):
        seen = len(source.requests)
        again = run(wish, check_mode=check_mode)
        assert again["changed"] is False and again["requests"] == {target.host: {"HEAD": 1}}
        assert again["lines"] == [f"{target.host}/mirror/app:1: unchanged"]
        assert len(source.requests) == seen


def test_ten_images_that_are_there_are_ten_requests(run, source, target):
    pairs = [(store(source, f"app{number}", single(number)), f"{target.host}/app{number}:1") for number in range(10)]
    wish = arguments(*pairs, hosts=[source, target])
    assert run(wish)["changed"]
    again = run(wish)
    assert again["changed"] is False and again["requests"] == {target.host: {"HEAD": 10}}


def test_a_tag_is_looked_up_with_a_head_and_a_moved_one_is_copied(run, source, target):
    first, second = multi(1), multi(2)
    name = store(source, "app", first, "1")
    wish = arguments((name, f"{target.host}/app"), hosts=[source, target])
    assert only(run(wish))["destination"] == f"{target.host}/app:1"
    again = run(wish)
    assert again["changed"] is False and again["requests"] == {source.host: {"HEAD": 1}, target.host: {"HEAD": 1}}
    store(source, "app", second, "1")
    moved = only(run(wish))
    assert (moved["before"], moved["digest"]) == (first.root, second.root)
    assert stored(target, "app", "1") == everything(second)


def test_manifests_come_after_blobs_and_the_tag_last(run, source, target):
    image = multi(1)
    run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))
    order = [re.sub(r"uploads/.*", "upload", line.split("/v2/app/")[1]) for line in target.writes()]
    blobs, manifests = order[: -len(image.manifests)], order[-len(image.manifests) :]
    assert set(blobs) == {"blobs/upload"}
    assert set(manifests[:-1]) == {f"manifests/{digest}" for digest in image.platforms.values()} and manifests[-1] == "manifests/1"


def test_nothing_is_published_where_a_blob_is_missing_or_wrong(run, source, target):
    image = multi(1)
    wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
    victim = next(iter(image.blobs))
    del source.blobs["app", victim]
    lost = run(wish)
    assert lost["failed"] and victim in lost["msg"] and "\n" not in lost["msg"]
    source.blobs["app", victim] = b"x" * len(image.blobs[victim])
    wrong = run(wish)
    assert wrong["failed"] and victim in wrong["msg"] and "has other bytes" in wrong["msg"] and source.host in wrong["msg"]
    for data in (image.blobs[victim] + b"x", image.blobs[victim][:-1]):
        source.blobs["app", victim] = data
        assert run(wish)["failed"]
    assert target.manifests == {} and ("app", victim) not in target.blobs
    source.blobs["app", victim] = image.blobs[victim]
    completed = only(run(wish))
    assert completed["changed"] and completed["blobs"] < len(image.blobs)
    assert stored(target, "app", "1") == everything(image)


def test_one_image_that_fails_leaves_the_others(run, source, target):
    good, bad = single(1), single(2)
    pairs = [(f"{source.host}/absent:1", f"{target.host}/a:1"), (store(source, "good", good), f"{target.host}/b:1")]
    result = run(arguments(*pairs, hosts=[source, target]))
    assert result["failed"] and "absent:1 does not exist (1 of 2 images failed, see images)" in result["msg"]
    assert [image["changed"] for image in result["images"]] == [False, True] and "does not exist" in result["images"][0]["error"]
    assert stored(target, "b", "1") == everything(good) and ("a", "1") not in target.manifests and bad


def test_platforms(run, source, target):
    image = multi(1, ("amd64", "arm64", "s390x"))
    name = store(source, "app", image, "1")
    some = arguments((name, f"{target.host}/app", {"platforms": ["linux/amd64", "linux/arm64"]}), hosts=[source, target])
    result = run(some)
    assert "make another index" in str(result["warnings"]) and image.root in str(result["warnings"])
    index = json.loads(target.manifests["app", "1"][1])
    assert [entry["digest"] for entry in index["manifests"]] == [image.platforms["linux/amd64"], image.platforms["linux/arm64"]]
    assert image.platforms["linux/s390x"] not in stored(target, "app", "1") and only(result)["digest"] != image.root
    assert run(some)["changed"] is False

    whole = arguments((name, f"{target.host}/all", {"platforms": list(image.platforms)}), hosts=[source, target])
    assert only(run(whole))["digest"] == image.root
    absent = run(arguments((name, f"{target.host}/app", {"platforms": ["linux/riscv64"]}), hosts=[source, target]))
    assert absent["failed"] and "has no platform linux/riscv64" in absent["msg"] and "choose among linux/amd64, linux/arm64, linux/s390x" in absent["msg"]

    alone = store(source, "alone", single(3), "1")
    assert not run(arguments((alone, f"{target.host}/alone", {"platforms": ["linux/amd64"]}), hosts=[source, target])).get("failed")
    other = run(arguments((alone, f"{target.host}/other", {"platforms": ["linux/arm64"]}), hosts=[source, target]))
    assert other["failed"] and "is an image of the one platform linux/amd64" in other["msg"]


@pytest.mark.parametrize("at_source", [True, False])
@pytest.mark.parametrize("at_target", [True, False])
def test_what_refers_to_an_image_comes_along(run, at_source, at_target):
    with FakeRegistry(referrers=at_source) as source, FakeRegistry(referrers=at_target) as target:
        image = multi(1)
        name = store(source, "app", image)
        parts = artifact(image.entry(), b"a list of parts")
        about_parts = artifact(parts.entry(), b"who made the list")
        about_platform = artifact({**image.entry(), "digest": image.platforms["linux/arm64"]}, b"about arm64")
        signature = artifact(None, b"signed")
        for each in (parts, about_parts, about_platform):
            store(source, "app", each)
        store(source, "app", signature, f"{image.root.replace(':', '-')}.sig")
        if not at_source:
            for subject, each in ((image.root, parts), (parts.root, about_parts), (image.platforms["linux/arm64"], about_platform)):
                listed = images.Image()
                listed.add_manifest({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["index"], "manifests": [each.entry()]})
                store(source, "app", listed, subject.replace(":", "-"))
        wish = arguments((name, f"{target.host}/app:1"), hosts=[source, target])
        predicted, applied = only(run(wish, check_mode=True)), only(run(wish))
        assert applied == predicted
        assert set(applied["referrers"]) == {parts.root, about_parts.root, about_platform.root, signature.root}
        for each in (parts, about_parts, about_platform, signature):
            assert stored(target, "app", each.root) == everything(each)
        assert target.manifests["app", f"{image.root.replace(':', '-')}.sig"] == signature.manifests[signature.root]
        if not at_target:
            listed = json.loads(target.manifests["app", image.root.replace(":", "-")][1])
            assert [(entry["digest"], entry["artifactType"]) for entry in listed["manifests"]] == [(parts.root, "application/x.test")]
        assert run(wish)["requests"] == {target.host: {"HEAD": 1}}

        without = only(run({**arguments((name, f"{target.host}/bare:1"), hosts=[source, target]), "referrers": False}))
        assert without["referrers"] == [] and ("bare", parts.root) not in target.manifests


@pytest.mark.parametrize("body", [b'{"manif', b'{"manifests":' + b"[" * 100_000], ids=["cut", "deep"])
def test_a_damaged_list_of_referrers_is_asked_for_again_and_leaves_nothing_behind_silently(run, source, target, body):
    image = single(1)
    name, about = store(source, "app", image), artifact(image.entry(), b"about it")
    store(source, "app", about)
    damaged = {"status": 200, "body": body, "headers": {"Content-Type": images.TYPES["oci"]["index"]}}
    source.fail("GET", f"/referrers/{image.root}", times=2, **damaged)
    assert only(run(arguments((name, f"{target.host}/app:1"), hosts=[source, target])))["referrers"] == [about.root]
    source.fail("GET", f"/referrers/{image.root}", times=100, **damaged)
    failed = run(arguments((name, f"{target.host}/other:1"), hosts=[source, target]))
    assert failed["failed"] and "the answer is no list" in failed["msg"] and ("other", "1") not in target.manifests


def test_a_referrer_that_is_listed_and_not_there_is_told(run, target):
    image = single(1)
    about = artifact(image.entry(), b"about it")
    with FakeRegistry(referrers=False) as source:
        listed = images.Image()
        listed.add_manifest({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["index"], "manifests": [about.entry()]})
        store(source, "app", listed, image.root.replace(":", "-"))
        result = run(arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))
        assert result["changed"] and f"{about.root} is listed as referring to it, and is not there" in str(result["warnings"])


def test_a_part_of_an_index_leaves_signatures_of_the_whole_behind(run, source, target):
    image = multi(1)
    name = store(source, "app", image)
    store(source, "app", artifact(image.entry(), b"about all"))
    about = artifact({**image.entry(), "digest": image.platforms["linux/amd64"]}, b"about amd64")
    store(source, "app", about)
    part = only(run(arguments((name, f"{target.host}/app:1", {"platforms": ["linux/amd64"]}), hosts=[source, target])))
    assert part["referrers"] == [about.root]


def test_blobs_are_mounted_within_a_registry(run, target):
    image = multi(1)
    name = store(target, "app", image)
    result = only(run(arguments((name, f"{target.host}/copy:1"), hosts=[target])))
    assert result["mounted"] == len(image.blobs)
    assert stored(target, "copy", "1") == everything(image)
    assert not any(line.startswith(("PATCH", "GET /v2/app/blobs", "PUT /v2/copy/blobs")) for line in target.requests)


def test_a_blob_for_two_repositories_is_sent_once(run, source, target):
    image = multi(1)
    name = store(source, "app", image)
    result = run(arguments((name, f"{target.host}/a:1"), (name, f"{target.host}/b:1"), hosts=[source, target]))
    assert sum(entry["mounted"] for entry in result["images"]) == len(image.blobs)
    assert stored(target, "a", "1") == stored(target, "b", "1") == everything(image)
    assert len([line for line in source.requests if line.startswith("GET") and "/blobs/" in line]) == len(image.blobs)


# --- breaks on the way


def big(monkeypatch):
    """An image with a blob of several chunks and pieces, where those are small."""
    monkeypatch.setattr(registry_stream, "CHUNK", 1 << 20)
    monkeypatch.setattr(registry_stream.StreamingRegistry.__init__, "__kwdefaults__", {"patience_seconds": 5.0, "chunk": 1 << 20})
    return single(1, layers=1, size=5 << 20, packing="plain")


def test_downloads_go_on_where_they_were_cut(run, source, target, monkeypatch):
    image = big(monkeypatch)
    name = store(source, "app", image)
    layer = max(image.blobs, key=lambda digest: len(image.blobs[digest]))
    source.fail("GET", layer, keep=1_500_000, times=2)
    assert only(run(arguments((name, f"{target.host}/app:1"), hosts=[source, target])))["changed"]
    assert stored(target, "app", "1") == everything(image)
    asked = [headers.get("Range") for line, headers in zip(source.requests, source.headers_seen) if line.startswith("GET") and "/blobs/" in line]
    assert "bytes=1500000-" in asked and "bytes=3000000-" in asked


def test_uploads_go_on_where_they_were_cut(run, source, target, monkeypatch):
    image = big(monkeypatch)
    name = store(source, "app", image)
    # The configuration, which is small, is not meant.
    target.fail("PUT", "/uploads/", least=1 << 20)
    target.fail("PATCH", "/uploads/", keep=600_001)
    assert only(run(arguments((name, f"{target.host}/app:1"), hosts=[source, target])))["changed"]
    assert stored(target, "app", "1") == everything(image)
    assert sum(target.chunk_sizes) + 600_001 == max(len(data) for data in image.blobs.values())


def test_what_lets_only_small_requests_through_gets_chunks(run, source, monkeypatch):
    image = big(monkeypatch)
    with FakeRegistry(most_at_once=2 << 20) as target:
        wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
        assert only(run(wish))["changed"]
        assert stored(target, "app", "1") == everything(image) and max(target.chunk_sizes) == 1 << 20


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_busy_registries_are_waited_for(run, source, target, status):
    image = multi(1)
    name = store(source, "app", image)
    headers = {"Retry-After": "0"} if status == 429 else {}
    for fake, method in ((source, "GET"), (target, "POST"), (target, "PUT"), (target, "HEAD")):
        fake.fail(method, "/(blobs|manifests)/", status=status, headers=headers, times=2)
    assert only(run(arguments((name, f"{target.host}/app:1"), hosts=[source, target])))["changed"]
    assert stored(target, "app", "1") == everything(image)


# --- files


def test_layouts_both_ways(run, source, target, tmp_path):
    first, second = multi(1), multi(2)
    name = store(source, "app", first, "1")
    about = artifact(first.entry(), b"about it")
    store(source, "app", about)
    wish = arguments((name, f"oci:{tmp_path / 'layout'}"), hosts=[source])
    predicted = run(wish, check_mode=True)
    assert predicted["changed"] and not (tmp_path / "layout").exists()
    assert only(run(wish)) == only(predicted) and run(wish)["changed"] is False
    store(source, "second", second, "2")
    more = arguments((f"{source.host}/second:2", f"oci:{tmp_path / 'layout'}:two"), hosts=[source])
    assert run(more)["changed"]
    back = arguments((f"oci:{tmp_path / 'layout'}:1", f"{target.host}/app"), (f"oci:{tmp_path / 'layout'}:two", f"{target.host}/app"), hosts=[target])
    assert [image["digest"] for image in run(back)["images"]] == [first.root, second.root]
    assert stored(target, "app", "1") == everything(first) and stored(target, "app", "two") == everything(second)
    assert stored(target, "app", about.root) == everything(about)

    (tmp_path / "layout/blobs/sha256" / next(iter(first.blobs)).partition(":")[2]).unlink()
    repaired = only(run(wish))
    assert repaired["changed"] and repaired["blobs"] == 1 and run(wish)["changed"] is False


def test_archives_both_ways(run, source, target, tmp_path):
    first, second = multi(1), multi(2)
    about = artifact(first.entry(), b"about it")
    store(source, "first", about)
    archive = tmp_path / "images.tar"
    pairs = [(store(source, "first", first, "1"), f"oci-archive:{archive}"), (store(source, "second", second), f"oci-archive:{archive}:two")]
    wish = arguments(*pairs, hosts=[source])
    predicted = run(wish, check_mode=True)
    assert predicted["changed"] and not archive.exists()
    assert run(wish)["images"] == predicted["images"]
    written = archive.read_bytes()
    again = run(wish)
    assert again["changed"] is False and [path.name for path in tmp_path.iterdir()] == ["images.tar"]

    packed = tmp_path / "images.tar.gz"
    packed.write_bytes(gzip.compress(written))
    back = arguments((f"oci-archive:{packed}:1", f"{target.host}/app"), (f"oci-archive:{archive}:two", f"{target.host}/app"), hosts=[target])
    assert [image["digest"] for image in run(back)["images"]] == [first.root, second.root]
    assert stored(target, "app", "1") == everything(first) and stored(target, "app", about.root) == everything(about)

    # One of them alone: the other is dropped, and what is there already comes from the archive.
    asked = len(source.requests)
    fewer = run(arguments(pairs[1], hosts=[source]))
    assert fewer["changed"] and archive.stat().st_size < len(written) and source.requests[asked:] == []
    assert run(arguments(pairs[1], hosts=[source]))["changed"] is False
    archive.unlink()
    run(wish)
    assert archive.read_bytes() == written


def test_an_archive_is_not_written_where_one_of_its_images_fails(run, source, tmp_path):
    pairs = [(store(source, "app", multi(1), "1"), f"oci-archive:{tmp_path / 'a.tar'}"), (f"{source.host}/absent:2", f"oci-archive:{tmp_path / 'a.tar'}")]
    result = run(arguments(*pairs, hosts=[source]))
    assert result["failed"] and not result["changed"] and list(tmp_path.iterdir()) == []


def test_docker_archives(run, source, target, tmp_path):
    image = single(1)
    plain, packed, own = tmp_path / "save.tar", tmp_path / "save.tar.gz", tmp_path / "own.tar"
    plain.write_bytes(images.tar_bytes(images.docker_save(image, "vendor/app:1")))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    pairs = [(f"docker-archive:{plain}", f"{target.host}/plain:1"), (f"docker-archive:{packed}:vendor/app:1", f"{target.host}/packed")]
    result = run(arguments(*pairs, hosts=[target]))
    digests = [entry["digest"] for entry in result["images"]]
    assert digests[0] == digests[1]
    layers = {digest: data for digest, data in stored(target, "plain", "1").items() if digest != digests[0]}
    config = json.loads(image.manifests[image.root][1])["config"]["digest"]
    assert set(layers) == {config, *json.loads(image.blobs[config])["rootfs"]["diff_ids"]} and stored(target, "packed", "1")
    assert run(arguments(*pairs, hosts=[target]))["changed"] is False

    name = store(source, "app", image, "1")
    wish = arguments((name, f"docker-archive:{own}"), hosts=[source])
    assert only(run(wish))["digest"] == image.root and run(wish)["changed"] is False
    assert only(run(arguments((f"docker-archive:{own}", f"{target.host}/own:1"), hosts=[target])))["digest"] == image.root
    several = run(arguments((store(source, "multi", multi(2), "1"), f"docker-archive:{tmp_path / 'multi.tar'}"), hosts=[source]))
    assert several["failed"] and "docker load takes one" in several["msg"] and not (tmp_path / "multi.tar").exists()
    one = arguments((f"{source.host}/multi:1", f"docker-archive:{tmp_path / 'multi.tar'}", {"platforms": ["linux/arm64"]}), hosts=[source])
    assert run(one)["changed"] and run(one)["changed"] is False


def test_layers_of_docker_archives_may_be_links_or_compressed(run, target, tmp_path):
    image = single(1, layers=1)
    files = images.docker_save(image, "app:1", packing="gzip")
    (tmp_path / "gzip.tar").write_bytes(images.tar_bytes(files))
    assert only(run(arguments((f"docker-archive:{tmp_path / 'gzip.tar'}", f"{target.host}/gzip:1"), hosts=[target])))["changed"]
    assert set(image.blobs) < set(stored(target, "gzip", "1"))

    files = images.docker_save(image, "app:1")
    [layer] = [name for name in files if name.endswith("layer.tar")]
    moved = {**files, "shared/layer.tar": files[layer]}
    del moved[layer]
    (tmp_path / "link.tar").write_bytes(images.tar_bytes(moved, {layer: "../shared/layer.tar"}))
    assert only(run(arguments((f"docker-archive:{tmp_path / 'link.tar'}", f"{target.host}/link:1"), hosts=[target])))["changed"]


# --- logins


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("way", ["password", "docker_config", "pull_secret", "pull_secret object", "pull_secret as the API gives it"])
def test_logins(run, source, tmp_path, auth, way):
    image = multi(1)
    with FakeRegistry(auth=auth, password=PASSWORD) as target:
        wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
        logins = {"auths": {target.host: {"username": "alice", "password": PASSWORD}}}
        if way == "password":
            wish["registries"][1].update(username="alice", password=PASSWORD)
        elif way == "docker_config":
            (tmp_path / "config.json").write_text(json.dumps(logins))
            wish["docker_config"] = str(tmp_path / "config.json")
        elif way == "pull_secret":
            wish["pull_secret"] = json.dumps(logins)
        elif way == "pull_secret object":
            wish["pull_secret"] = {"kind": "Secret", "stringData": {".dockerconfigjson": json.dumps(logins)}}
        else:
            wish["pull_secret"] = {"kind": "Secret", "data": {".dockerconfigjson": base64.b64encode(json.dumps(logins).encode()).decode()}}
        result = run(wish)
        assert only(result)["changed"] and PASSWORD not in json.dumps(result)
        assert stored(target, "app", "1") == everything(image)

        copy = only(run({**wish, "images": [{"source": f"{target.host}/app:1", "destination": f"{target.host}/copy:1"}]}))
        assert copy["mounted"] == len(image.blobs)


def test_a_token_is_sent_as_it_is(run, source, target):
    token = "canary-token-123"
    wish = arguments((store(source, "app", multi(1)), f"{target.host}/app:1"), hosts=[source, target])
    wish["registries"][1]["token"] = token
    assert only(run(wish))["changed"]
    assert {headers.get("Authorization") for headers in target.headers_seen} == {f"Bearer {token}"}
    assert not any("Authorization" in headers for headers in source.headers_seen)


def test_a_token_that_runs_out_on_the_way_is_renewed(run, source):
    image = single(1, layers=6)
    with FakeRegistry(auth="bearer", password=PASSWORD) as target:
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{target.host}/token",service="fake"'}
        # One refusal of each: a request that is refused twice has a wrong login.
        for method in ("POST", "PUT"):
            target.fail(method, "/uploads/", status=401, headers=challenge)
        wish = arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target])
        wish["registries"][1].update(username="alice", password=PASSWORD)
        assert only(run(wish))["changed"]
        assert stored(target, "app", "1") == everything(image) and len(target.tokens) > 1


def test_own_authority_client_certificate_and_proxy(run, source, tmp_path, monkeypatch):
    image = multi(1)
    authority = Authority(tmp_path / "ca", ("registry.example",))
    with FakeRegistry() as target, FaultProxy(f"http://{target.host}", Plan(1, lambda _request: []), serving_tls=authority.serving()) as tls:
        with ForwardProxy("127.0.0.1", {"registry.example": "127.0.0.1"}) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            host = f"registry.example:{tls.url.rpartition(':')[2]}"
            known = {"host": host, "ca_cert": str(authority.ca)}
            client = {"client_cert": str(authority.client_cert), "client_key": str(authority.client_key)}
            wish = arguments((store(source, "app", image), f"{host}/app:1"), hosts=[source])
            assert "not trusted" in refused(run, {**wish, "registries": [*wish["registries"], {"host": host}]})
            assert f"registry {host}" in refused(run, {**wish, "registries": [*wish["registries"], known]})
            assert target.requests == []
            assert only(run({**wish, "registries": [*wish["registries"], {**known, **client}]}))["changed"]
            assert set(proxy.asked) == {host}
        assert stored(target, "app", "1") == everything(image)


# --- wrong input


def refused(run, wish):
    result = run(wish)
    assert result["failed"] and "\n" not in result["msg"] and "Traceback" not in json.dumps(result), result
    return result["msg"]


def test_wrong_names(run, source, tmp_path):
    for name, says in (
        ("ftp://host/app:1", "unknown transport 'ftp'"),
        ("host/app@sha256:12", "no digest"),
        ("oci:", "has no path"),
        ("oci:/somewhere@sha256:1", "no digest"),
        ("UPPER/Case/App:1", "capital letters"),
        (f"oci:{tmp_path / 'absent'}:1", "does not exist"),
        (f"oci-archive:{tmp_path / 'absent.tar'}", "does not exist"),
        (f"docker-archive:{tmp_path / 'absent.tar'}", "does not exist"),
    ):
        assert says in refused(run, arguments((name, f"{source.host}/b:1"), hosts=[source])), name
    assert "follows from the content" in refused(run, arguments(("a:1", "b@sha256:" + "0" * 64)))
    assert "destination docker.io/library/c:1 twice" in refused(run, arguments(("a:1", "c:1"), ("b:1", "c:1")))
    assert "is source and destination" in refused(run, arguments((f"oci-archive:{tmp_path}/a", f"docker-archive:{tmp_path}/a")))
    assert "host 'a:b:c'" in refused(run, {**arguments(("a:1", "c:1")), "registries": [{"host": "a:b:c"}]})
    assert "the host 'mirror', which is no registry's name" in refused(run, {**arguments(("a:1", "c:1")), "registries": [{"host": "mirror"}]})
    assert "twice" in refused(run, {**arguments(("a:1", "c:1")), "registries": [{"host": "h.x"}, {"host": "h.x"}]})
    assert "parallel is 0" in refused(run, {**arguments(("a:1", "c:1")), "parallel": 0})
    assert "pull_secret is no Secret" in refused(run, {**arguments((f"{source.host}/a:1", "h.x/c:1"), hosts=[source]), "pull_secret": "rubbish"})


def test_files_that_are_something_else(run, target, tmp_path):
    def archive(name, files, links=None):
        (tmp_path / name).write_bytes(images.tar_bytes(files, links))
        return f"oci-archive:{tmp_path / name}"

    (tmp_path / "text.tar").write_text("no archive " * 100)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("x")
    image = multi(1)
    write_layout(tmp_path / "layout", one=image)
    files = images.layout_files(tmp_path / "layout")
    whole = archive("whole.tar", files).partition(":")[2]
    (tmp_path / "short.tar").write_bytes((tmp_path / "whole.tar").read_bytes()[:-20000])
    (tmp_path / "short.tar.gz").write_bytes(gzip.compress((tmp_path / "whole.tar").read_bytes())[:-2000])
    victim = f"blobs/{image.root.replace(':', '/')}"
    for source, says in (
        (f"oci-archive:{tmp_path / 'text.tar'}", "is no tar archive, or is damaged"),
        (f"oci-archive:{tmp_path / 'short.tar'}", "is no tar archive, or is damaged"),
        (f"oci-archive:{tmp_path / 'short.tar.gz'}", "is no tar archive, or is damaged"),
        (f"oci:{tmp_path / 'folder'}", "is no OCI image layout"),
        (f"docker-archive:{tmp_path / 'text.tar'}", "is no tar archive"),
        (archive("outside.tar", {**files, "../evil": b"x"}), "leads out of it"),
        (archive("absolute.tar", {**files, "/etc/evil": b"x"}), "leads out of it"),
        (archive("link.tar", files, {"evil": "../../etc/passwd"}), "leads out of it"),
        (archive("empty.tar", {"a": b""}), "is no OCI archive (no index.json)"),
        (archive("broken.tar", {**files, "index.json": b"[]"}), "is none of an OCI image layout"),
        (archive("changed.tar", {**files, victim: b" " + files[victim]}), "has other bytes"),
        (archive("lacking.tar", {name: data for name, data in files.items() if name != victim}), "does not exist"),
        (f"oci-archive:{whole}:two", "does not exist"),
    ):
        assert says in refused(run, arguments((source, f"{target.host}/a:1"), hosts=[target])), source
    assert target.writes() == []
    saved = images.docker_save(single(1, layers=1), "app:1", packing="gzip")
    [layer] = [name for name in saved if name.endswith("layer.tar")]
    [config] = [name for name in saved if name.endswith(".json") and name != "manifest.json"]
    content = json.loads(saved[config])
    content["rootfs"]["diff_ids"] = ["sha256:../../evil"]
    for number, (changed, says) in enumerate(
        (
            ({layer: saved[layer][:40] + b"x" * 40 + saved[layer][80:]}, f"the layer {layer} is damaged"),
            ({config: json.dumps(content).encode()}, "is no docker archive"),
        )
    ):
        (tmp_path / f"saved{number}.tar").write_bytes(images.tar_bytes({**saved, **changed}))
        for place in (f"{target.host}/a:1", f"oci:{tmp_path / 'made'}:1"):
            assert says in refused(run, arguments((f"docker-archive:{tmp_path / f'saved{number}.tar'}", place), hosts=[target])), says
    assert target.writes() == [] and not (tmp_path / "made").exists()
    overwritten = refused(run, arguments((f"oci:{tmp_path / 'layout'}", f"oci-archive:{tmp_path / 'text.tar'}")))
    assert "is no tar archive" in overwritten and (tmp_path / "text.tar").read_text().startswith("no archive")
    nowhere = arguments((f"oci:{tmp_path / 'layout'}", f"oci-archive:{tmp_path / 'absent/a.tar'}"))
    assert "cannot be written" in refused(run, nowhere) and run(nowhere, check_mode=True)["failed"]


def test_manifests_that_nobody_knows(run, source, target):
    for content, says in (
        ({"schemaVersion": 1, "mediaType": images.TYPES["oci"]["manifest"]}, "old schema 1"),
        ({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["manifest"], "config": {}, "layers": []}, "without a sha256 digest and a size"),
        ({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["index"], "manifests": ["x"]}, "without a sha256 digest and a size"),
    ):
        image = images.Image()
        image.add_manifest(content)
        assert says in refused(run, arguments((store(source, "app", image), f"{target.host}/app:1"), hosts=[source, target]))
    lacking = multi(1)
    name = store(source, "app", lacking)
    del source.manifests["app", lacking.platforms["linux/arm64"]]
    assert "that its index lists" in refused(run, arguments((name, f"{target.host}/app:1"), hosts=[source, target]))
    assert target.writes() == []
