# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on signatures: those of the real cosign as cosign itself judged them, and wrong ones of every kind."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import signature_search
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_layout import LayoutFolder
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_signature import Verdict, bundle_verdict, simple_verdict, summary
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_place import RegistryPlace
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import StreamingRegistry
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import SignaturePolicy, policy_of, verdict_at
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_key
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import TYPES, artifact, digest_of, multi, store
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry
from ansible_collections.nanoagent.k8s.tests.unit.fakes.signatures import (
    BUNDLE,
    RECORDED,
    SIMPLE,
    bundle,
    bundle_signature,
    envelope,
    new_key,
    payload,
    private_text,
    public_text,
    recorded,
    recorded_key,
    signature_image,
    signed,
    simple_signature,
    statement,
)
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS = ("p256", "p384", "ed25519", "rsa")
JUDGED = json.loads((RECORDED / "verdicts.json").read_text())
MANIFEST = b'{"schemaVersion": 2}'
DIGEST, OTHER = digest_of(MANIFEST), "sha256:" + "cd" * 32
SIGNATURE = "dev.cosignproject.cosign/signature"
# What a bundle and an in-toto statement are made of.
NAMES = ["payload", "payloadType", "signatures", "sig", "signature", "messageSignature", "dsseEnvelope", "verificationMaterial", "subject", "digest"]
DEEP = b"[" * 100_000


def _branches(inner):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=5)


@pytest.fixture(scope="module")
def pair():
    """(private key, [it as one to verify with])."""
    key = new_key()
    return key, [public_key(public_text(key), "key")]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def fake():
    with FakeRegistry() as running:
        yield running


def place(fake, repository="app"):
    return RegistryPlace(StreamingRegistry(fake.host, None, plain_http=True, access="pull"), repository)


# --- what cosign made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", JUDGED)
def test_the_verdict_is_cosign_s(tag, kind, archive):
    files, digests = archive
    key = public_key(recorded_key(kind), "key")
    verdict = verdict_at(files, digests[tag], [key])
    if tag == "attested":
        # Cosign takes any statement of the key as a signature. One that says that a test failed is none.
        assert JUDGED[tag] == ["p256"] and str(verdict) == "missing"
    elif kind in JUDGED[tag]:
        assert verdict == Verdict("verified", key.fingerprint)
    else:
        assert str(verdict) == ("missing" if tag == "unsigned" else "invalid: made by another key")


def test_a_signature_that_is_a_referrer_counts(archive):
    files, digests = archive
    assert verdict_at(files, digests["p256-referrer"], [public_key(recorded_key("p256"), "key")]).is_good


def test_of_several_keys_any_one_is_enough_and_is_named(archive):
    files, digests = archive
    keys = {kind: public_key(recorded_key(kind), kind) for kind in KINDS}
    assert verdict_at(files, digests["rsa-bundle"], list(keys.values())).key == keys["rsa"].fingerprint
    assert verdict_at(files, digests["two-keys"], [keys["p384"], keys["rsa"]]).key == keys["p384"].fingerprint
    hint = json.loads(_layer(files, digests["p256-bundle"]))["verificationMaterial"]["publicKey"]["hint"]
    assert "sha256:" + base64.b64decode(hint).hex() == keys["p256"].fingerprint


def _layer(files, digest):
    [entry] = files.referrers(digest)
    [layer] = json.loads(files.manifest(entry["digest"])["data"])["layers"]
    return b"".join(files.reader(layer, lambda count: None).pieces())


def test_no_changed_bit_of_a_recorded_signature_passes(archive):
    files, digests = archive
    keys = [public_key(recorded_key(kind), kind) for kind in KINDS]
    data = _layer(files, digests["p256-bundle"])
    content = json.loads(data)
    assert bundle_verdict(data, bytes, digests["p256-bundle"], keys).is_good
    assert not bundle_verdict(data, bytes, digests["p384-bundle"], keys).is_good
    for name in ("payload", "sig"):
        holder = content["dsseEnvelope"] if name == "payload" else content["dsseEnvelope"]["signatures"][0]
        whole = holder[name]
        raw = bytearray(base64.b64decode(whole))
        for position in range(len(raw)):
            raw[position] ^= 1
            holder[name] = base64.b64encode(raw).decode()
            verdict = bundle_verdict(json.dumps(content).encode(), bytes, digests["p256-bundle"], keys)
            assert verdict is None or not verdict.is_good
            raw[position] ^= 1
        holder[name] = whole


# --- simple signing


def test_a_simple_signature(pair):
    key, keys = pair
    text = payload(DIGEST)
    annotations = {SIGNATURE: signed(key, text)}
    assert simple_verdict(text, annotations, DIGEST, keys) == Verdict("verified", keys[0].fingerprint)
    other = [public_key(public_text(new_key()), "key")]
    assert str(simple_verdict(text, annotations, DIGEST, other)) == "invalid: made by another key"
    assert str(simple_verdict(text + b" ", annotations, DIGEST, keys)) == "invalid: made by another key"
    keyless = {**annotations, "dev.sigstore.cosign/certificate": "-----BEGIN CERTIFICATE-----"}
    assert str(simple_verdict(text, keyless, DIGEST, other)) == "invalid: by a certificate, not by key"
    assert simple_verdict(text, keyless, DIGEST, keys).is_good


@pytest.mark.parametrize("signature", [None, "", "%%%", "AAA", "ä", ["AAAA"], 7, {}])
def test_a_simple_signature_that_is_no_base64(pair, signature):
    assert str(simple_verdict(payload(DIGEST), {SIGNATURE: signature}, DIGEST, pair[1])) == "invalid: not base64"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (payload(OTHER), f"about another image, {OTHER}"),
        (payload(DIGEST, image={}), "about no digest"),
        (payload(DIGEST, image=[DIGEST]), "about no digest"),
        (payload(DIGEST, image={"docker-manifest-digest": [DIGEST]}), "about no digest"),
        (payload(DIGEST.upper()), "about no digest"),
        (payload(DIGEST, type="atomic container signature"), "its payload is no signature of an image"),
        (payload(DIGEST, type=None), "its payload is no signature of an image"),
        (b'{"critical": []}', "its payload is no signature of an image"),
        (b"[]", "its payload is no signature of an image"),
        (b"\xff", "its payload is no signature of an image"),
        (b"", "its payload is no signature of an image"),
        (DEEP, "its payload is no signature of an image"),
    ],
)
def test_what_the_key_has_signed_has_to_be_about_the_image(pair, text, why):
    key, keys = pair
    assert simple_verdict(text, {SIGNATURE: signed(key, text)}, DIGEST, keys) == Verdict("invalid", why=why)


# --- bundles


def test_a_bundle_with_an_envelope(pair):
    key, keys = pair
    good = envelope(key, statement(DIGEST))
    assert bundle_verdict(bundle(dsseEnvelope=good), bytes, DIGEST, keys) == Verdict("verified", keys[0].fingerprint)
    several = {**good, "signatures": [*envelope(new_key(), statement(DIGEST))["signatures"], *good["signatures"]]}
    assert bundle_verdict(bundle(dsseEnvelope=several), bytes, DIGEST, keys).is_good
    more = statement(DIGEST, subject=[{"digest": {"sha256": "ab" * 32}}, {"digest": {"sha256": DIGEST[7:]}}])
    assert bundle_verdict(bundle(dsseEnvelope=envelope(key, more)), bytes, DIGEST, keys).is_good
    other = bundle(dsseEnvelope=envelope(new_key(), statement(DIGEST)))
    assert str(bundle_verdict(other, bytes, DIGEST, keys)) == "invalid: made by another key"
    for material in ({"certificate": {"rawBytes": "AAAA"}}, {"x509CertificateChain": {}}):
        keyless = bundle(dsseEnvelope=envelope(new_key(), statement(DIGEST)), verificationMaterial=material)
        assert str(bundle_verdict(keyless, bytes, DIGEST, keys)) == "invalid: by a certificate, not by key"


@pytest.mark.parametrize(
    "subject", [[], None, {}, "x", [None], [{}], [{"digest": None}], [{"digest": {"sha512": DIGEST[7:]}}], [{"digest": {"sha256": DIGEST}}]]
)
def test_a_statement_about_nothing(pair, subject):
    key, keys = pair
    verdict = bundle_verdict(bundle(dsseEnvelope=envelope(key, statement(DIGEST, subject=subject))), bytes, DIGEST, keys)
    assert str(verdict) == "invalid: about no digest"


def test_a_statement_about_another_image(pair):
    key, keys = pair
    verdict = bundle_verdict(bundle(dsseEnvelope=envelope(key, statement(OTHER))), bytes, DIGEST, keys)
    assert str(verdict) == f"invalid: about another image, {OTHER}"


@pytest.mark.parametrize(
    "made",
    [
        lambda key: envelope(key, statement(DIGEST, predicateType="https://slsa.dev/provenance/v1")),
        lambda key: envelope(key, statement(DIGEST, predicateType=None)),
        lambda key: envelope(key, statement(DIGEST, _type="https://example.com")),
        lambda key: envelope(key, statement(DIGEST), kind="text/plain"),
        lambda key: envelope(key, b"[]"),
        lambda key: envelope(key, DEEP),
        lambda key: envelope(key, b"\xff"),
    ],
)
def test_another_statement_is_no_signature_at_all(pair, made):
    assert bundle_verdict(bundle(dsseEnvelope=made(pair[0])), bytes, DIGEST, pair[1]) is None


def test_the_kind_of_what_is_signed_is_signed_too(pair):
    key, keys = pair
    renamed = {**envelope(key, statement(DIGEST), kind="text/plain"), "payloadType": "application/vnd.in-toto+json"}
    assert str(bundle_verdict(bundle(dsseEnvelope=renamed), bytes, DIGEST, keys)) == "invalid: made by another key"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"payload": "%"}, "not base64"),
        ({"payload": None}, "not base64"),
        ({"signatures": [{"sig": "%"}]}, "not base64"),
        ({"signatures": [None]}, "not base64"),
        ({"signatures": []}, "made by another key"),
        ({"signatures": {}}, "made by another key"),
        ({"signatures": None}, "made by another key"),
    ],
)
def test_a_damaged_envelope(pair, change, why):
    key, keys = pair
    assert str(bundle_verdict(bundle(dsseEnvelope={**envelope(key, statement(DIGEST)), **change}), bytes, DIGEST, keys)) == f"invalid: {why}"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"null", DEEP, b"\xff", b'{"dsseEnvelope": 1}', b'{"messageSignature": []}', b'{"verificationMaterial": 1}']
)
def test_what_is_no_bundle(pair, data):
    assert str(bundle_verdict(data, bytes, DIGEST, pair[1])) == "invalid: a bundle without a signature"


def test_a_bundle_over_the_manifest_itself(pair):
    key, keys = pair

    def verdict(signature, manifest=MANIFEST):
        return str(bundle_verdict(bundle(messageSignature={"signature": signature}), lambda: manifest, DIGEST, keys))

    assert verdict(signed(key, MANIFEST)) == f"verified by {keys[0].fingerprint}"
    assert verdict(signed(new_key(), MANIFEST)) == verdict(signed(key, b"other")) == "invalid: made by another key"
    assert verdict(signed(key, b"other"), b"other") == "invalid: the manifest has other bytes"
    assert verdict("%") == verdict(None) == "invalid: not base64"


def test_one_good_signature_outweighs_all_others():
    good, bad, worse = Verdict("verified", "sha256:1"), Verdict("invalid", why="a"), Verdict("invalid", why="b")
    assert summary([bad, good, worse]) is good
    assert str(summary([bad, worse, bad])) == "invalid: a; b"
    assert str(summary([])) == "missing"


# --- where signatures are found


@pytest.mark.parametrize("referrers", [True, False])
@pytest.mark.parametrize("form", ["simple", "bundle"])
def test_signatures_in_a_registry_and_a_folder(pair, form, referrers, tmp_path):
    key, keys = pair
    image = multi(1, layers=0)
    with FakeRegistry(referrers=referrers) as fake:
        store(fake, "app", image)
        assert str(verdict_at(place(fake), image.root, keys)) == "missing"
        writer = RegistryPlace(StreamingRegistry(fake.host, None, plain_http=True, access="pull,push"), "app")
        made = simple_signature(key, image.root) if form == "simple" else bundle_signature(key, image.entry())
        for place_to in (writer, LayoutFolder(str(tmp_path))):
            _put(place_to, made, f"{image.root.replace(':', '-')}.sig" if form == "simple" else "")
            assert str(verdict_at(place_to, image.root, keys)) == f"verified by {keys[0].fingerprint}"
            assert str(verdict_at(place_to, image.platforms["linux/amd64"], keys)) == "missing"


def _put(place_to, image, tag):
    """Stores an image in a place, by the place's own way."""
    with FakeRegistry() as source:
        store(source, "app", image)
        reader = place(source)
        manifest = reader.manifest(image.root)
        content = json.loads(manifest["data"])
        for entry in [content["config"], *content["layers"]]:
            place_to.put_blob(reader.reader(entry, lambda count: None))
        place_to.put_manifest(manifest, tag)


def test_what_is_no_signature_by_its_kind_is_not_fetched(pair, fake, monkeypatch):
    key, keys = pair
    image = multi(1, layers=0)
    store(fake, "app", image)
    kinds = {"application/spdx+json": False, "application/vnd.dev.cosign.artifact.sig.v1+json": True, "": True, BUNDLE: True}
    entries = []
    for kind in kinds:
        made = artifact(image.entry(), kind.encode(), kind or "any")
        store(fake, "app", made)
        entries.append({**made.entry(), **({"artifactType": kind} if kind else {})})
    entries.append({**entries[-1], "digest": OTHER, "annotations": {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}})
    here = place(fake)
    monkeypatch.setattr(here.registry, "referrers", lambda repository, digest: entries)
    assert str(verdict_at(here, image.root, keys)) == "missing"
    asked = {line.split("/")[-1] for line in fake.requests if "/manifests/" in line}
    assert {entry["digest"] for entry, wanted in zip(entries, kinds.values()) if wanted} | {f"{image.root.replace(':', '-')}.sig"} == asked


def test_one_that_cannot_be_read_does_not_hide_a_good_one(pair, fake):
    key, keys = pair
    image = multi(1, layers=0)
    store(fake, "app", image)
    lost, changed, large = (bundle_signature(new_key(), image.entry()) for _number in range(3))
    for made in (lost, changed, large):
        store(fake, "app", made)
    del fake.blobs["app", _blob(lost)]
    fake.blobs["app", _blob(changed)] = b"x" * len(fake.blobs["app", _blob(changed)])
    huge = signature_image([(BUNDLE, b" " * ((1 << 20) + 1), {})], image.entry(), BUNDLE)
    broken = signature_image([(SIMPLE, b"{}", {})], image.entry())
    for made in (huge, broken):
        store(fake, "app", made)
    verdict = verdict_at(place(fake), image.root, keys)
    assert verdict.result == "invalid" and "\n" not in str(verdict)
    store(fake, "app", simple_signature(key, image.root), f"{image.root.replace(':', '-')}.sig")
    assert verdict_at(place(fake), image.root, keys).is_good
    assert not any(_blob(huge) in line for line in fake.requests)


@pytest.mark.parametrize("layers", [{"a": 1}, "x", 7, [None], [[]], [{"mediaType": SIMPLE}], [{"mediaType": SIMPLE, "digest": "x", "size": 1}]])
@pytest.mark.parametrize("kind", ["manifest", "index"])
def test_absurd_manifests(pair, fake, layers, kind):
    """An index may say anything of layers, since it has none."""
    _key, keys = pair
    image = multi(1, layers=0)
    store(fake, "app", image)
    media_type = TYPES["oci"][kind]
    data = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": layers, "subject": image.entry()}).encode()
    for reference in (digest_of(data), f"{image.root.replace(':', '-')}.sig"):
        fake.manifests["app", reference] = (media_type, data)
        try:
            assert verdict_at(place(fake), image.root, keys).result in ("missing", "invalid")
        except Failure as failure:
            assert "has an entry without a sha256 digest" in failure.what


@settings(max_examples=300, deadline=None, database=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([DIGEST, SIGNATURE, SIMPLE]), _branches, max_leaves=15))
def test_any_content_has_a_verdict(pair, content):
    _key, keys = pair
    data = json.dumps(content).encode()
    verdicts = [bundle_verdict(made, lambda: data, DIGEST, keys) for made in (data, bundle(dsseEnvelope=content), bundle(messageSignature=content))]
    verdicts.append(simple_verdict(data, {SIGNATURE: content}, DIGEST, keys))
    assert not any(verdict and verdict.is_good for verdict in verdicts)


def _blob(image):
    return max(image.blobs, key=lambda digest: len(image.blobs[digest]))


def test_the_search_has_an_end(pair, fake, monkeypatch):
    key, keys = pair
    image = multi(1, layers=0)
    store(fake, "app", image)
    monkeypatch.setattr(signature_search, "_MOST_LOOKED_AT", 10)
    for number in range(20):
        store(fake, "app", artifact(image.entry(), b"%d" % number, BUNDLE))
    store(fake, "app", simple_signature(key, image.root), f"{image.root.replace(':', '-')}.sig")
    assert verdict_at(place(fake), image.root, keys).why.startswith("too much refers to it")
    assert len(fake.requests) < 20


# --- the policy


def test_policy_and_keys_have_to_fit(pair):
    key, _keys = pair

    def policy(chosen, *texts):
        return policy_of({"p": chosen, "k": list(texts)}, "p", "k")

    assert policy("off").is_off and not policy("warn", public_text(key)).is_off
    wrong = {
        ("off", public_text(key)): "k is set and p is off, so that nothing is verified",
        ("require",): "p is require and k is empty",
        ("warn",): "p is warn and k is empty",
        ("warn", public_text(key), private_text(key)): r"k\[1\] is a private key",
        ("require", private_text(key, b"sesame")): r"k\[0\] is a private key",
    }
    for arguments, why in wrong.items():
        with pytest.raises(Failure, match=f"^{why}"):
            policy(*arguments)


def test_what_the_policy_makes_of_a_verdict(pair):
    good, bad = Verdict("verified", "sha256:1"), Verdict("invalid", why="made by another key")
    require, warn = SignaturePolicy("require", pair[1]), SignaturePolicy("warn", pair[1])
    assert require.warnings("r/app", DIGEST, good) == warn.warnings("r/app", DIGEST, good) == []
    said = f"r/app ({DIGEST}) has no signature by one of the keys: invalid: made by another key"
    assert warn.warnings("r/app", DIGEST, bad) == [said]
    with pytest.raises(Failure) as refused:
        require.warnings("r/app", DIGEST, bad)
    assert refused.value.what == said
    named = f"r/app@{DIGEST}"
    assert warn.warnings(named, DIGEST, bad) == [f"{named} has no signature by one of the keys: invalid: made by another key"]


def test_a_place_that_does_not_answer(pair):
    def away():
        raise Failure("registry r: connection refused", "check it")

    assert str(SignaturePolicy("warn", pair[1]).verdict(away, DIGEST, "r/app")) == "unknown: registry r: connection refused"
    with pytest.raises(Failure, match="^r/app: its signature cannot be verified: registry r: connection refused. Next: check it"):
        SignaturePolicy("require", pair[1]).verdict(away, DIGEST, "r/app")
