# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures and the module image_mirror, through its main(): check mode, apply, apply again, wrong input."""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_stream
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_key
from ansible_collections.nanoagent.k8s.plugins.modules import image_mirror
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import everything, multi, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry
from ansible_collections.nanoagent.k8s.tests.unit.fakes.signatures import (
    ARCHIVE,
    bundle_signature,
    new_key,
    private_text,
    public_text,
    recorded_key,
    simple_signature,
)

pytestmark = pytest.mark.loopback


@pytest.fixture
def run(run_module, monkeypatch):
    monkeypatch.setattr(registry_stream.patience, "_FIRST_PAUSE", 0.001)

    def run(pairs, *fakes, check_mode=False, **options):
        images = [{"source": str(pair[0]), "destination": str(pair[1]), **(pair[2] if len(pair) > 2 else {})} for pair in pairs]
        registries = [{"host": fake.host, "plain_http": True} for fake in fakes]
        return run_module(image_mirror.main, {"images": images, "registries": registries, "journal": "", **options}, check_mode=check_mode)

    return run


@pytest.fixture
def source():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def target():
    with FakeRegistry() as running:
        yield running


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture(scope="module")
def require(key):
    return {"signature_policy": "require", "signature_keys": [public_text(key)]}


@pytest.fixture(scope="module")
def verified(key):
    return f"verified by {public_key(public_text(key), 'key').fingerprint}"


def sig_tag(digest):
    return f"{digest.replace(':', '-')}.sig"


@pytest.mark.parametrize("tag", ["p256-simple", "p256-bundle", "p256-referrer"])
def test_what_cosign_signed_is_mirrored_and_verified_again_where_it_went(run, target, tag):
    first = f"verified by {public_key(recorded_key('p256'), 'key').fingerprint}"
    wish = [(f"oci-archive:{ARCHIVE}:{tag}", f"{target.host}/app")]
    options = {"signature_policy": "require", "signature_keys": [recorded_key("rsa"), recorded_key("p256")]}
    predicted = run(wish, target, check_mode=True, **options)
    assert predicted["changed"] and target.writes() == []
    applied = run(wish, target, **options)
    assert applied["changed"] and applied["images"] == predicted["images"] and applied["images"][0]["signature"] == first
    assert applied["lines"][0].endswith(f" MB, signature {first}")
    written = len(target.writes())
    again = run(wish, target, **options)
    assert not again["changed"] and again["images"][0]["signature"] == first and len(target.writes()) == written
    assert again["lines"] == [f"{target.host}/app:{tag}: unchanged, signature {first}"]


def test_off_asks_nothing(run, source, target):
    name = store(source, "app", multi(1, layers=0))
    result = run([(name, f"{target.host}/app")], source, target)
    assert result["images"][0]["signature"] == "off" and not any("signature" in line for line in result["lines"])
    assert run([(name, f"{target.host}/app")], source, target)["requests"] == {target.host: {"HEAD": 1}}


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_image_that_is_not_signed_fails_alone_and_nothing_of_it_is_sent(run, source, target, key, require, verified, check_mode):
    good, bad = multi(1, layers=0), multi(2, layers=0)
    pairs = [(store(source, "bad", bad), f"{target.host}/bad:1"), (store(source, "good", good), f"{target.host}/good:1")]
    store(source, "good", bundle_signature(key, good.entry()))
    store(source, "bad", bundle_signature(new_key(), bad.entry()))
    result = run(pairs, source, target, check_mode=check_mode, **require)
    said = f"{source.host}/bad@{bad.root} has no signature by one of the keys: invalid: made by another key"
    assert result["failed"] and result["msg"].startswith(said + " (1 of 2 images failed")
    assert [image["signature"] for image in result["images"]] == ["invalid: made by another key", verified]
    assert [image["changed"] for image in result["images"]] == [False, True] and result["images"][0]["error"].startswith(said)
    assert not any("/bad/" in line for line in target.writes()) and bool(target.writes()) != check_mode
    if not check_mode:
        assert stored(target, "good", "1") == everything(good)


def test_a_warning_is_no_failure(run, source, target, require):
    image = multi(1, layers=0)
    wish = [(store(source, "app", image, "1"), f"{target.host}/app")]
    result = run(wish, source, target, **{**require, "signature_policy": "warn"})
    assert result["changed"] and result["images"][0]["signature"] == "missing"
    assert f"{source.host}/app:1 ({image.root}) has no signature by one of the keys: missing" in str(result["warnings"])
    assert stored(target, "app", "1") == everything(image)
    again = run(wish, source, target, **{**require, "signature_policy": "warn"})
    assert not again["changed"] and "missing" in str(again["warnings"])
    refused = run(wish, source, target, **require)
    assert refused["failed"] and "missing" in refused["msg"]


def test_the_signature_of_another_image_is_none(run, source, target, key, require):
    image, other = multi(1, layers=0), multi(2, layers=0)
    name = store(source, "app", image)
    store(source, "app", simple_signature(key, other.root), sig_tag(image.root))
    result = run([(name, f"{target.host}/app:1")], source, target, **require)
    assert result["failed"] and f"invalid: about another image, {other.root}" in result["msg"] and target.writes() == []


def test_the_signature_of_one_platform_is_none_of_the_index(run, source, target, key, require, verified):
    image = multi(1, layers=0)
    name = store(source, "app", image)
    store(source, "app", simple_signature(key, image.platforms["linux/amd64"]), sig_tag(image.platforms["linux/amd64"]))
    part = [(name, f"{target.host}/app:1", {"platforms": ["linux/amd64"]})]
    assert "missing" in run(part, source, target, **require)["msg"] and target.writes() == []
    store(source, "app", simple_signature(key, image.root), sig_tag(image.root))
    for changed in (True, False):
        result = run(part, source, target, **require)
        assert result["changed"] is changed and result["images"][0]["signature"] == verified
        assert result["images"][0]["digest"] != image.root


def test_what_is_at_its_destination_is_verified_there_without_the_source(run, source, target, key, require, verified):
    image = multi(1, layers=0)
    wish = [(store(source, "app", image), f"{target.host}/app:1")]
    store(source, "app", bundle_signature(key, image.entry()))
    assert run(wish, source, target, **require)["changed"]
    seen = len(source.requests)
    again = run(wish, source, target, **require)
    assert not again["changed"] and again["images"][0]["signature"] == verified and len(source.requests) == seen


@pytest.mark.parametrize("form", ["simple", "bundle"])
@pytest.mark.parametrize("named", ["tag", "digest"])
def test_a_signature_that_came_later_follows(run, source, target, key, require, verified, form, named):
    image = multi(1, layers=0)
    wish = [(store(source, "app", image, "1" if named == "tag" else ""), f"{target.host}/app:1")]
    assert run(wish, source, target)["changed"]
    if form == "simple":
        store(source, "app", simple_signature(key, image.root), sig_tag(image.root))
    else:
        store(source, "app", bundle_signature(key, image.entry()))
    predicted = run(wish, source, target, check_mode=True, **require)
    applied = run(wish, source, target, **require)
    assert predicted["images"] == applied["images"] and applied["changed"] and len(applied["images"][0]["referrers"]) == 1
    assert applied["images"][0]["before"] == applied["images"][0]["digest"] == image.root
    seen = len(source.requests), len(target.writes())
    again = run(wish, source, target, **require)
    assert not again["changed"] and again["images"][0]["signature"] == verified
    assert len(target.writes()) == seen[1] and (named == "tag" or len(source.requests) == seen[0])


def test_a_signature_that_came_later_follows_into_a_folder(run, source, key, require, verified, tmp_path):
    image = multi(1, layers=0)
    wish = [(store(source, "app", image, "1"), f"oci:{tmp_path / 'folder'}:1")]
    assert run(wish, source)["changed"]
    store(source, "app", bundle_signature(key, image.entry()))
    for changed in (True, False):
        result = run(wish, source, **require)
        assert result["changed"] is changed and result["images"][0]["signature"] == verified
    onward = run([(f"oci:{tmp_path / 'folder'}:1", f"oci:{tmp_path / 'other'}:1")], **require)
    assert onward["changed"] and onward["images"][0]["signature"] == verified


def test_signatures_that_are_left_behind_are_verified_at_the_source(run, source, target, key, require, verified):
    image = multi(1, layers=0)
    wish = [(store(source, "app", image), f"{target.host}/app:1")]
    store(source, "app", simple_signature(key, image.root), sig_tag(image.root))
    for changed in (True, False):
        result = run(wish, source, target, referrers=False, **require)
        assert result["changed"] is changed and result["images"][0]["signature"] == verified
    assert set(target.manifests) == {("app", digest) for digest in image.manifests} | {("app", "1")}


def test_a_source_that_is_away(run, source, target, key, require):
    image = multi(1, layers=0)
    with FakeRegistry() as gone:
        wish = [(store(gone, "app", image), f"{target.host}/app:1")]
        assert run(wish, gone, target)["changed"]
    refused = run(wish, gone, target, **require)
    assert refused["failed"] and "its signature cannot be verified" in refused["msg"] and "connection refused" in refused["msg"]
    told = run(wish, gone, target, **{**require, "signature_policy": "warn"})
    assert not told["changed"] and told["images"][0]["signature"].startswith("unknown: ") and "connection refused" in str(told["warnings"])


def test_archives_and_folders(run, source, key, require, verified, tmp_path):
    image, other = multi(1, layers=0), multi(2, layers=0)
    for number, each in enumerate((image, other)):
        store(source, "app", each, str(number))
        store(source, "app", bundle_signature(key, each.entry()))
    pairs = [(f"{source.host}/app:{number}", f"oci-archive:{tmp_path / 'a.tar'}:{number}") for number in range(2)]
    for changed in (True, False):
        result = run(pairs, source, **require)
        assert result["changed"] is changed and [entry["signature"] for entry in result["images"]] == [verified] * 2
    onward = [(f"oci-archive:{tmp_path / 'a.tar'}:0", f"oci:{tmp_path / 'folder'}:0")]
    for changed in (True, False):
        assert run(onward, **require)["changed"] is changed
    store(source, "app", multi(3, layers=0), "1")
    before = (tmp_path / "a.tar").read_bytes()
    refused = run(pairs, source, **require)
    assert refused["failed"] and "missing" in refused["msg"] and not refused["changed"]
    assert [entry["signature"] for entry in refused["images"]] == [verified, "missing"]
    assert (tmp_path / "a.tar").read_bytes() == before


def test_wrong_options(run, source, target, key, tmp_path):
    name, public = store(source, "app", multi(1, layers=0)), public_text(key)
    (tmp_path / "private.pem").write_text(private_text(key))
    wrong = [
        ({"signature_keys": [public]}, "signature_keys is set and signature_policy is off"),
        ({"signature_policy": "require"}, "signature_policy is require and signature_keys is empty"),
        ({"signature_policy": "always", "signature_keys": [public]}, "value of signature_policy must be one of"),
        ({"signature_policy": "warn", "signature_keys": [private_text(key)]}, "signature_keys[0] is a private key"),
        ({"signature_policy": "warn", "signature_keys": [public, str(tmp_path / "private.pem")]}, "signature_keys[1] is a private key"),
        ({"signature_policy": "warn", "signature_keys": [public[:60]]}, "signature_keys[0] is no public key in PEM"),
        ({"signature_policy": "warn", "signature_keys": [str(tmp_path / "none.pem")]}, "signature_keys[0] cannot be read (No such file"),
    ]
    secret = private_text(key).splitlines()[1]
    for options, why in wrong:
        result = run([(name, f"{target.host}/app")], source, target, **options)
        assert result["failed"] and result["msg"].startswith(why) and "\n" not in result["msg"]
        assert secret not in json.dumps(result)
    assert source.requests == target.requests == []
