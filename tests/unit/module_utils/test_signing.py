# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and signatures, judged by openssl both ways."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_key, public_keys, sign_bytes, verify_bytes

DATA = b"what is signed\n"
KINDS = {
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["-algorithm", "ED25519"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}
OTHER_KINDS = {
    "secp256k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    "x25519": ["-algorithm", "X25519"],
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
}


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True, **options).stdout


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """kind -> (path of the private key, path of the public one)."""
    folder, made = tmp_path_factory.mktemp("keys"), {}
    for kind, how in {**KINDS, **OTHER_KINDS}.items():
        made[kind] = private, public = folder / f"{kind}.key", folder / f"{kind}.pub"
        openssl("genpkey", *how, "-out", private)
        openssl("pkey", "-in", private, "-pubout", "-out", public)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_openssl_accepts_what_is_signed(kind, keys, tmp_path):
    private, public = keys[kind]
    signature, fingerprint = sign_bytes(DATA, str(private))
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "signature").write_bytes(signature)
    hashed = {"p384": ["-digest", "sha384"], "p521": ["-digest", "sha512"]}.get(kind, ["-digest", "sha256"])
    raw = ["-rawin"] if kind == "ed25519" else ["-rawin", *hashed]
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-sigfile", tmp_path / "signature", "-in", tmp_path / "data", *raw)
    der = openssl("pkey", "-pubin", "-in", public, "-outform", "DER")
    assert fingerprint == "sha256:" + hashlib.sha256(der).hexdigest()
    assert verify_bytes(DATA, signature, [public_key(str(public), "key")]).fingerprint == fingerprint


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("p256", ["-sha256"]),
        ("p384", ["-sha256"]),
        ("p384", ["-sha384"]),
        ("p521", ["-sha256"]),
        ("rsa", ["-sha256"]),
        ("rsa", ["-sha512"]),
        ("rsa", ["-sha256", "-sigopt", "rsa_padding_mode:pss"]),
        ("rsa", ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]),
    ],
)
def test_what_openssl_signs_is_accepted(kind, how, keys):
    private, public = keys[kind]
    signature = openssl("dgst", *how, "-sign", private, input=DATA)
    key = public_key(public.read_text(), "key")
    assert verify_bytes(DATA, signature, [key]) is key
    assert verify_bytes(DATA + b" ", signature, [key]) is None
    assert verify_bytes(DATA, signature[:-1], [key]) is None
    assert verify_bytes(DATA, b"", [key]) is None


def test_a_hash_that_is_broken_does_not_count(keys):
    private, public = keys["rsa"]
    signature = openssl("dgst", "-sha1", "-sign", private, input=DATA)
    assert verify_bytes(DATA, signature, [public_key(str(public), "key")]) is None


def test_one_of_several_keys_is_enough_and_is_told(keys):
    signature, fingerprint = sign_bytes(DATA, str(keys["ed25519"][0]))
    several = public_keys([str(keys[kind][1]) for kind in KINDS], "keys")
    assert verify_bytes(DATA, signature, several).fingerprint == fingerprint
    assert verify_bytes(DATA, signature, [key for key in several if key.fingerprint != fingerprint]) is None
    assert verify_bytes(DATA, signature, []) is None


def test_a_key_by_text_and_by_path_is_the_same(keys):
    path = keys["p256"][1]
    assert public_key(path.read_text(), "key") == public_key(str(path), "key")


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_keys_of_other_kinds_are_refused(kind, keys):
    private, public = keys[kind]
    with pytest.raises(Failure, match="^key is (a key of|an RSA key of 1024 bits)"):
        public_key(str(public), "key")
    with pytest.raises(Failure, match=f"{kind}.key is (a key of|an RSA key of 1024 bits)"):
        sign_bytes(DATA, str(private))


@pytest.mark.parametrize("cipher", [[], ["-aes256", "-passout", "pass:sesame"]])
def test_a_private_key_among_the_public_ones_is_refused_and_not_shown(cipher, keys):
    text = openssl("pkey", "-in", keys["p256"][0], *cipher).decode()
    with pytest.raises(Failure) as refused:
        public_keys([keys["p256"][1].read_text(), text], "signature_keys")
    assert refused.value.what == "signature_keys[1] is a private key"
    assert not any(line in refused.value.message for line in text.splitlines())


def test_what_is_no_public_key_is_refused_and_not_shown(keys, tmp_path):
    whole = keys["p256"][1].read_text()
    certificate = openssl("req", "-x509", "-key", keys["p256"][0], "-subj", "/CN=any").decode()
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    wrong = {
        whole[: len(whole) // 2]: "is no public key in PEM",
        whole.replace("\n", "\nA", 2): "is no public key in PEM",
        "-----BEGIN PUBLIC KEY-----\n!!!\n-----END PUBLIC KEY-----\n": "is no public key in PEM",
        certificate: "is a certificate",
        whole + whole: "holds several keys",
        str(tmp_path / "binary"): "is no public key in PEM",
        str(tmp_path / "large"): "is larger than 64 KiB",
        str(tmp_path / "absent"): r"cannot be read \(No such file",
        str(tmp_path): r"cannot be read \(Is a directory",
        "": r"cannot be read \(No such file",
        "a\0b": r"cannot be read \(no path",
        "MFkwEwYHKoZIzj0CAQYI" * 40: r"cannot be read \(File name too long",
    }
    for given, why in wrong.items():
        with pytest.raises(Failure, match=rf"^key {why}") as refused:
            public_key(given, "key")
        assert not given or given[:20] not in refused.value.message


def test_a_private_key_that_does_not_open_says_why(keys, tmp_path):
    locked, cosign, cut = tmp_path / "locked", tmp_path / "cosign", tmp_path / "cut"
    openssl("pkey", "-in", keys["ed25519"][0], "-aes256", "-passout", "pass:sesame", "-out", locked)
    cosign.write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    cut.write_text(keys["p256"][0].read_text()[:80])
    assert sign_bytes(DATA, str(locked), "sesame")[0] == sign_bytes(DATA, str(keys["ed25519"][0]))[0]
    wrong = [
        (locked, None, "is encrypted"),
        (locked, "other", "cannot be opened"),
        (keys["p256"][0], "sesame", "is not encrypted, and a passphrase is given"),
        (keys["p256"][1], None, "is none in PEM"),
        (cosign, "sesame", "is in cosign's own form"),
        (cut, None, "cannot be opened"),
        (tmp_path / "absent", None, r"cannot be read \(No such file"),
    ]
    for path, passphrase, why in wrong:
        with pytest.raises(Failure, match=f"^the private key {path} {why}") as refused:
            sign_bytes(DATA, str(path), passphrase)
        assert "sesame" not in refused.value.message and "other" not in refused.value.message
