# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signature of a bundle: over the bytes of its description, in base64, as cosign's sign-blob writes it too."""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict, dataclass

from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import DESCRIPTION, SIGNATURE
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import PublicKey, sign_bytes, verify_bytes

VERIFIED, UNCHECKED, MISSING = "verified", "unchecked", "missing"


@dataclass(frozen=True)
class Seal:
    """What is known of a bundle's signature. state: of the constants above. key: fingerprint of the key, empty where nobody checked."""

    state: str
    key: str = ""

    def facts(self) -> dict[str, str]:
        """As it stands in results."""
        return asdict(self)

    def notes(self, name: str) -> list[str]:
        """What a user who gave no keys should know."""
        if self.state == VERIFIED:
            return []
        why = "is not signed" if self.state == MISSING else "has a signature that nobody checked"
        return [f"{name} {why}: who made it is not known; give the makers' public keys in trusted_keys"]


def sign(description: bytes, key_path: str, passphrase: str | None) -> bytes:
    """The content of the signature's file.

    :raises Failure: as sign_bytes does
    """
    signature, _fingerprint = sign_bytes(description, key_path, passphrase)
    return base64.b64encode(signature) + b"\n"


def check(description: bytes, signature: bytes | None, keys: list[PublicKey], name: str) -> Seal:
    """Whether one of the keys has signed the description. Without keys nothing is checked.

    name: of the bundle, for messages.
    :raises Failure: there are keys, and it is not signed, or by somebody else, or is not what was signed
    """
    if not keys:
        return Seal(MISSING if signature is None else UNCHECKED)
    if signature is None:
        raise Failure(f"{name} is not signed (no {SIGNATURE}), and trusted_keys ask for it", f"get {SIGNATURE} too, or do not use the bundle")
    try:
        raw = base64.b64decode(b"".join(signature.split()), validate=True)
    except binascii.Error:
        raise Failure(f"{SIGNATURE} of {name} is no signature in base64", "get the bundle again") from None
    key = verify_bytes(description, raw, keys)
    if key is None:
        what = f"{DESCRIPTION} of {name} was changed after it was signed, or signed by another key than those of trusted_keys"
        raise Failure(what, "do not use the bundle; ask its makers for their public key")
    return Seal(VERIFIED, key.fingerprint)
