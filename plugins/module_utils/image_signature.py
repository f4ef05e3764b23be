# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a signature that cosign made of an image is one of a given key, about a given digest. Pure.

Two forms are known: the payload of "simple signing", whose signature stands beside it as an annotation, and the bundle of
sigstore, which holds an in-toto statement in a DSSE envelope, or a signature over the image's own manifest.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import PublicKey, verify_bytes

SIMPLE_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE_TYPES = "application/vnd.dev.sigstore.bundle"
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType"
# What is said of an image in a statement with another predicate, such as its parts or its weaknesses, is no approval of it.
SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"

_CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate"
_SIMPLE_KIND = "cosign container image signature"
_STATEMENT_TYPE = "application/vnd.in-toto+json"
_STATEMENTS = "https://in-toto.io/Statement/v"

VERIFIED, MISSING, INVALID, UNKNOWN = "verified", "missing", "invalid", "unknown"
_OTHER_KEY = "made by another key"
_KEYLESS = "by a certificate, not by key"
_NOT_BASE64 = "not base64"


@dataclass(frozen=True)
class Verdict:
    """result: of the constants above. key: fingerprint of the key that made the signature. why: what is wrong, if anything."""

    result: str
    key: str = ""
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there is a valid signature."""
        return self.result == VERIFIED

    def __str__(self) -> str:
        return f"{self.result} by {self.key}" if self.key else f"{self.result}: {self.why}" if self.why else self.result


def simple_verdict(payload: bytes, annotations: dict, digest: str, keys: list[PublicKey]) -> Verdict:
    """The verdict on a payload of simple signing. annotations: of the layer that it is."""
    signature = _decoded(annotations.get(SIGNATURE_ANNOTATION))
    if signature is None:
        return Verdict(INVALID, why=_NOT_BASE64)
    key = verify_bytes(payload, signature, keys)
    if key is None:
        return Verdict(INVALID, why=_KEYLESS if annotations.get(_CERTIFICATE_ANNOTATION) else _OTHER_KEY)
    critical = _mapping(_mapping(_parsed(payload)).get("critical"))
    if critical.get("type") != _SIMPLE_KIND:
        return Verdict(INVALID, why="its payload is no signature of an image")
    named = _mapping(critical.get("image")).get("docker-manifest-digest")
    return Verdict(VERIFIED, key.fingerprint) if named == digest else Verdict(INVALID, why=_about([named]))


def bundle_verdict(data: bytes, manifest: Callable[[], bytes], digest: str, keys: list[PublicKey]) -> Verdict | None:
    """The verdict on a bundle; None where it is something else that is said of the image. manifest: gives the bytes of the digest."""
    bundle = _mapping(_parsed(data))
    keyless = {"certificate", "x509CertificateChain"} & set(_mapping(bundle.get("verificationMaterial")))
    if isinstance(bundle.get("messageSignature"), dict):
        verdict = _message_verdict(bundle["messageSignature"], manifest, digest, keys)
    elif isinstance(bundle.get("dsseEnvelope"), dict):
        verdict = _envelope_verdict(bundle["dsseEnvelope"], digest, keys)
    else:
        return Verdict(INVALID, why="a bundle without a signature")
    return Verdict(INVALID, why=_KEYLESS) if verdict and verdict.why == _OTHER_KEY and keyless else verdict


def summary(verdicts: list[Verdict]) -> Verdict:
    """The verdict on an image: verified where one of its signatures is, missing where it has none."""
    if not verdicts:
        return Verdict(MISSING)
    good = next((verdict for verdict in verdicts if verdict.is_good), None)
    return good or Verdict(INVALID, why="; ".join(list(dict.fromkeys(verdict.why for verdict in verdicts))[:4]))


def _message_verdict(content, manifest, digest, keys):
    signature = _decoded(content.get("signature"))
    if signature is None:
        return Verdict(INVALID, why=_NOT_BASE64)
    signed = manifest()
    if sha256_digest(signed) != digest:
        return Verdict(INVALID, why="the manifest has other bytes")
    key = verify_bytes(signed, signature, keys)
    return Verdict(VERIFIED, key.fingerprint) if key else Verdict(INVALID, why=_OTHER_KEY)


def _envelope_verdict(envelope, digest, keys):
    payload = _decoded(envelope.get("payload"))
    if payload is None:
        return Verdict(INVALID, why=_NOT_BASE64)
    statement = _mapping(_parsed(payload))
    is_statement = envelope.get("payloadType") == _STATEMENT_TYPE and str(statement.get("_type")).startswith(_STATEMENTS)
    if not is_statement or statement.get("predicateType") != SIGN_PREDICATE:
        return None
    entries = envelope.get("signatures")
    signatures = [_decoded(_mapping(entry).get("sig")) for entry in entries] if isinstance(entries, list) else []
    if None in signatures:
        return Verdict(INVALID, why=_NOT_BASE64)
    signed = b" ".join([b"DSSEv1", *(part for text in (_STATEMENT_TYPE.encode(), payload) for part in (str(len(text)).encode(), text))])
    key = next(filter(None, (verify_bytes(signed, signature, keys) for signature in signatures)), None)
    if key is None:
        return Verdict(INVALID, why=_OTHER_KEY)
    subjects = statement["subject"] if isinstance(statement.get("subject"), list) else []
    named = [f"sha256:{_mapping(_mapping(entry).get('digest')).get('sha256')}" for entry in subjects]
    return Verdict(VERIFIED, key.fingerprint) if digest in named else Verdict(INVALID, why=_about(named))


def _about(named):
    """What is said of a signature by one of the keys that names other digests than the image's."""
    shown = next((digest for digest in named if DIGEST.fullmatch(str(digest))), None)
    return f"about another image, {shown}" if shown else "about no digest"


def _decoded(text):
    """The bytes of a text in base64, None where it is none."""
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError, TypeError):
        return None


def _parsed(data):
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _mapping(value):
    return value if isinstance(value, dict) else {}
