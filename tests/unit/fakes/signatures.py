# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of images: recorded ones of the real cosign, and some of our own making, which can be wrong in any way."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_archive import OciArchive
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import is_about_another, names
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import TYPES, Image
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

RECORDED = Path(__file__).parents[1] / "data/signed_images"
ARCHIVE = RECORDED / "images.tar.gz"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def recorded(folder: Path) -> tuple[OciArchive, dict[str, str]]:
    """The recorded archive as a place, and the digest of each image in it by its tag. folder: takes what is expanded."""
    archive = OciArchive(str(ARCHIVE), str(folder))
    return archive, {names(entry)[0]: entry["digest"] for entry in archive.entries if not is_about_another(entry)}


def recorded_key(kind: str) -> str:
    """The path of a public key that recorded signatures are of."""
    return str(RECORDED / f"{kind}.pub")


def new_key() -> ec.EllipticCurvePrivateKey:
    """A private key as cosign makes it."""
    return ec.generate_private_key(ec.SECP256R1())


def public_text(key) -> str:
    """The public key in PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def private_text(key, passphrase: bytes | None = None) -> str:
    """The private key in PEM."""
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


def signed(key, data: bytes) -> str:
    """The signature of an ECDSA key over bytes, in base64."""
    return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def payload(digest: str, **critical) -> bytes:
    """What simple signing signs. critical: what stands there instead."""
    content = {"identity": {"docker-reference": "any"}, "image": {"docker-manifest-digest": digest}, "type": "cosign container image signature"}
    return json.dumps({"critical": {**content, **critical}, "optional": None}).encode()


def statement(digest: str, **changes) -> bytes:
    """What a bundle's envelope holds."""
    subject = [{"digest": {"sha256": digest.partition(":")[2]}}]
    about = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}}
    return json.dumps({**about, **changes}).encode()


def envelope(key, text: bytes, kind: str = "application/vnd.in-toto+json") -> dict:
    """A DSSE envelope that the key has signed."""
    encoded = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(text), text)
    return {"payload": base64.b64encode(text).decode(), "payloadType": kind, "signatures": [{"sig": signed(key, encoded)}]}


def bundle(**content) -> bytes:
    """A sigstore bundle with this content."""
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}}, **content}).encode()


def signature_image(layers: list[tuple[str, bytes, dict]], about: dict | None = None, artifact_type: str = "") -> Image:
    """The manifest with (media type, bytes, annotations) as its layers; about: what it refers to."""
    image = Image()
    entries = [{**image.add_blob(kind, data), **({"annotations": annotations} if annotations else {})} for kind, data, annotations in layers]
    config = image.add_blob("application/vnd.oci.image.config.v1+json", b"{}")
    content = {"schemaVersion": 2, "mediaType": TYPES["oci"]["manifest"], "config": config, "layers": entries}
    image.add_manifest({**content, **({"subject": about} if about else {}), **({"artifactType": artifact_type} if artifact_type else {})})
    return image


def simple_signature(key, digest: str, **critical) -> Image:
    """What cosign keeps under the tag `sha256-....sig`."""
    text = payload(digest, **critical)
    return signature_image([(SIMPLE, text, {"dev.cosignproject.cosign/signature": signed(key, text)})])


def bundle_signature(key, about: dict, **changes) -> Image:
    """What cosign keeps as a referrer. about: the descriptor of the image."""
    return signature_image([(BUNDLE, bundle(dsseEnvelope=envelope(key, statement(about["digest"], **changes))), {})], about, BUNDLE)
