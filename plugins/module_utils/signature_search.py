# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signatures of an image, from wherever images are, and what the user wants of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_manifest import content_of, is_descriptor
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_signature import (
    BUNDLE_TYPES,
    INVALID,
    PREDICATE_ANNOTATION,
    SIGN_PREDICATE,
    SIMPLE_TYPE,
    UNKNOWN,
    Verdict,
    bundle_verdict,
    simple_verdict,
    summary,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import referrers_tag
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import PublicKey, public_keys

OFF, WARN, REQUIRE = "off", "warn", "require"
POLICIES = (OFF, WARN, REQUIRE)

# How lists of what refers to an image call signatures; where they go by the type of an empty configuration they say nothing.
_KINDS = (BUNDLE_TYPES, "application/vnd.dev.cosign.", "application/vnd.oci.empty.", "application/vnd.oci.image.config.")
_MOST_LOOKED_AT = 200
_LARGEST_SIGNATURE = 1 << 20


@dataclass(frozen=True)
class SignaturePolicy:
    """What is asked of an image's signature, and by which keys; any one of these is enough."""

    policy: str = OFF
    keys: list[PublicKey] = field(default_factory=list)

    @property
    def is_off(self) -> bool:
        """Whether signatures are not looked at."""
        return self.policy == OFF

    def verdict(self, place: Callable, digest: str, where: str) -> Verdict:
        """The verdict on the image of this digest. place: gives what has the methods of RegistryPlace. where: the image, for messages.

        :raises Failure: the policy is `require` and the place does not answer
        """
        try:
            return verdict_at(place(), digest, self.keys)
        except Failure as failure:
            if self.policy == REQUIRE:
                raise Failure(f"{where}: its signature cannot be verified: {failure.what}", failure.next_step) from None
            return Verdict(UNKNOWN, why=failure.what)

    def warnings(self, where: str, digest: str, verdict: Verdict) -> list[str]:
        """What is to be told of an image with this verdict.

        :raises Failure: the policy is `require` and the verdict is not good
        """
        if verdict.is_good:
            return []
        named = where if not digest or digest in where else f"{where} ({digest})"
        said = f"{named} has no signature by one of the keys: {verdict}"
        if self.policy == REQUIRE:
            raise Failure(said, "have it signed by the holder of a key ('cosign sign --key'), or correct the keys; do not use it otherwise")
        return [said]


def policy_of(options: dict, policy: str, keys: str) -> SignaturePolicy:
    """The policy that two options make, which have these names.

    :raises Failure: they do not fit each other, or a key is none
    """
    chosen, given = options[policy], options[keys]
    if chosen == OFF:
        if given:
            raise Failure(f"{keys} is set and {policy} is off, so that nothing is verified", f"set {policy} to require or warn, or leave out {keys}")
        return SignaturePolicy()
    if not given:
        raise Failure(f"{policy} is {chosen} and {keys} is empty", "give the public keys that sign the images")
    return SignaturePolicy(chosen, public_keys(given, keys))


def verdict_at(place, digest: str, keys: list[PublicKey]) -> Verdict:
    """The verdict on the image of this digest: the first valid signature ends the search.

    What refers to the image is looked at first, then the tag under which cosign kept signatures before there was such a list.
    :raises Failure: the place does not answer
    """
    verdicts = []
    for number, verdict in enumerate(_verdicts(place, digest, keys), start=1):
        if verdict:
            verdicts.append(verdict)
            if verdict.is_good:
                break
        if number == _MOST_LOOKED_AT:
            return Verdict(INVALID, why="too much refers to it, and none of what was looked at is a valid signature")
    return summary(verdicts)


def _verdicts(place, digest, keys) -> Iterator[Verdict | None]:
    """A verdict for each signature, None for each thing that was fetched and is none by itself."""
    for entry in filter(_may_be_signature, place.referrers(digest)):
        yield None
        try:
            yield from _of_manifest(place, entry["digest"], digest, keys)
        except Failure as failure:
            # One that cannot be read is no reason to pass over the others.
            yield Verdict(INVALID, why=failure.what)
    yield from _of_manifest(place, f"{referrers_tag(digest)}.sig", digest, keys)


def _may_be_signature(entry):
    kind, annotations = entry.get("artifactType"), entry.get("annotations")
    predicate = annotations.get(PREDICATE_ANNOTATION) if isinstance(annotations, dict) else None
    return (not kind or str(kind).startswith(_KINDS)) and predicate in (None, SIGN_PREDICATE)


def _of_manifest(place, wanted, digest, keys):
    """The verdicts on the signatures that a manifest holds, a layer each."""
    manifest = place.manifest(wanted)
    layers = content_of(manifest, place.name).get("layers") if manifest else None
    return (_of_layer(place, layer, digest, keys) for layer in (layers if isinstance(layers, list) else []) if is_descriptor(layer))


def _of_layer(place, layer, digest, keys):
    kind, annotations = str(layer.get("mediaType")), layer.get("annotations")
    if kind != SIMPLE_TYPE and not kind.startswith(BUNDLE_TYPES):
        return None
    if layer["size"] > _LARGEST_SIGNATURE:
        return Verdict(INVALID, why=f"larger than {_LARGEST_SIGNATURE >> 20} MiB")
    try:
        data = b"".join(place.reader(layer, lambda count: None).pieces())
        if kind == SIMPLE_TYPE:
            return simple_verdict(data, annotations if isinstance(annotations, dict) else {}, digest, keys)
        return bundle_verdict(data, lambda: (place.manifest(digest) or {"data": b""})["data"], digest, keys)
    except Failure as failure:
        return Verdict(INVALID, why=failure.what)
