# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures over bytes: keys in PEM, ECDSA, Ed25519 and RSA. What a key file holds never gets into a message.

A signature is as openssl and cosign make it: ECDSA in DER, RSA as PKCS #1 v1.5 or PSS, Ed25519 over the bytes themselves.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest

CRYPTOGRAPHY_IMPORT_ERROR = None
try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
except ImportError:
    CRYPTOGRAPHY_IMPORT_ERROR = traceback.format_exc()

_BEGIN = "-----BEGIN"
_LARGEST_FILE = 64 << 10
_SMALLEST_RSA = 2048
_GIVE_PUBLIC = "give the public key in PEM, as 'cosign public-key' and 'openssl pkey -pubout' write it"
_GIVE_PRIVATE = "give an ECDSA or Ed25519 key in PEM, as 'openssl genpkey' writes it"


@dataclass(frozen=True)
class PublicKey:
    """fingerprint: SHA-256 of the key in DER (SubjectPublicKeyInfo), as `sha256:<hex>`. key: of cryptography."""

    fingerprint: str
    key: object = field(repr=False, compare=False)


def insist_on_cryptography() -> None:
    """:raises Failure: the library is not there"""
    if CRYPTOGRAPHY_IMPORT_ERROR:
        raise Failure(missing_required_lib("cryptography"), "install it for that Python", exception=CRYPTOGRAPHY_IMPORT_ERROR)


def public_keys(given: list[str], option: str) -> list[PublicKey]:
    """The keys of an option, whose elements are PEM texts or paths of such files.

    :raises Failure: one of them is something else; it is named by its place in the option only
    """
    return [public_key(text, f"{option}[{number}]") for number, text in enumerate(given)]


def public_key(given: str, name: str) -> PublicKey:
    """A public key from its PEM text or the path of a file with it. name: for messages.

    :raises Failure: it is something else, a private key among them
    """
    insist_on_cryptography()
    data = given.encode() if _BEGIN in given else _read(given, name)
    if b"PRIVATE KEY" in data:
        raise Failure(f"{name} is a private key", f"{_GIVE_PUBLIC}; who could read this one can sign as its owner")
    if b"BEGIN CERTIFICATE" in data:
        raise Failure(f"{name} is a certificate", _GIVE_PUBLIC)
    if data.count(_BEGIN.encode()) > 1:
        raise Failure(f"{name} holds several keys", "give each as an element of its own")
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Failure(f"{name} is no public key in PEM, or a damaged one", _GIVE_PUBLIC) from None
    _check_kind(key, name)
    return PublicKey(_fingerprint(key), key)


def sign_bytes(data: bytes, key_path: str, passphrase: str | None = None) -> tuple[bytes, str]:
    """The signature of a private key (PEM) over bytes, and the fingerprint of its public key.

    The hash fits the key: SHA-256, for P-384 SHA-384 and for P-521 SHA-512.
    :raises Failure: the key cannot be read, opened or used
    """
    insist_on_cryptography()
    key = _private_key(key_path, passphrase)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(data)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        signature = key.sign(data, ec.ECDSA(_hashes(key)[0]))
    else:
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return signature, _fingerprint(key.public_key())


def public_half(key_path: str, passphrase: str | None = None) -> PublicKey:
    """The public key of a private one.

    :raises Failure: as sign_bytes does
    """
    insist_on_cryptography()
    key = _private_key(key_path, passphrase).public_key()
    return PublicKey(_fingerprint(key), key)


def verify_bytes(data: bytes, signature: bytes, keys: Iterable[PublicKey]) -> PublicKey | None:
    """The first of the keys that has made a signature over these bytes; None where none has."""
    return next((key for key in keys if _fits(data, signature, key.key)), None)


def _fits(data, signature, key):
    if isinstance(key, ed25519.Ed25519PublicKey):
        attempts = [()]
    elif isinstance(key, ec.EllipticCurvePublicKey):
        attempts = [(ec.ECDSA(algorithm),) for algorithm in _hashes(key)]
    else:
        attempts = [(way, algorithm) for algorithm in _rsa_hashes() for way in (padding.PKCS1v15(), padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO))]
    for attempt in attempts:
        try:
            key.verify(signature, data, *attempt)
            return True
        except InvalidSignature:
            continue
    return False


def _hashes(key):
    """What fits the curve, and SHA-256, which signers of images take for every curve."""
    own = {384: hashes.SHA384(), 521: hashes.SHA512()}.get(key.curve.key_size)
    return [own, hashes.SHA256()] if own else [hashes.SHA256()]


def _rsa_hashes():
    return hashes.SHA256(), hashes.SHA384(), hashes.SHA512()


def _check_kind(key, name):
    kinds = (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        if key.key_size < _SMALLEST_RSA:
            raise Failure(f"{name} is an RSA key of {key.key_size} bits, which can be broken", f"use one of {_SMALLEST_RSA} bits or more, or an ECDSA key")
    elif isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        if not isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)):
            raise Failure(f"{name} is a key of the curve {key.curve.name}", "use one of P-256, P-384 or P-521, or an Ed25519 key")
    elif not isinstance(key, kinds):
        raise Failure(f"{name} is a key of a kind that is not used here", "use an ECDSA, Ed25519 or RSA key")


def _private_key(path, passphrase):
    name = f"the private key {path}"
    data = _read(path, name)
    if b"SIGSTORE PRIVATE KEY" in data or b"COSIGN PRIVATE KEY" in data:
        raise Failure(f"{name} is in cosign's own form", f"{_GIVE_PRIVATE}; 'cosign import-key-pair' takes such a key too")
    if b"PRIVATE KEY" not in data:
        raise Failure(f"{name} is none in PEM", _GIVE_PRIVATE)
    try:
        key = serialization.load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except TypeError:
        if passphrase:
            raise Failure(f"{name} is not encrypted, and a passphrase is given", "leave the passphrase out, or encrypt the key") from None
        raise Failure(f"{name} is encrypted", "give its passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        hint = "correct the passphrase, or get the file again" if passphrase else _GIVE_PRIVATE
        raise Failure(f"{name} cannot be opened", hint) from None
    _check_kind(key, name)
    return key


def _read(path, name):
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        raise Failure(f"{name} cannot be read ({why})", "give the path of a PEM file on the machine that runs this") from None
    if len(data) > _LARGEST_FILE:
        raise Failure(f"{name} is larger than {_LARGEST_FILE >> 10} KiB", "it is no key: give a PEM file")
    return data


def _fingerprint(key):
    return sha256_digest(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
