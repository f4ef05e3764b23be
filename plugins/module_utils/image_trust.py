# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the images of an installation are signed, asked at their registries from the machine that runs this."""

from __future__ import annotations

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import cluster_monitor, registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_presence import registry_options
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_signature import UNKNOWN, Verdict
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_place import RegistryPlace
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import StreamingRegistry
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import REQUIRE, SignaturePolicy, policy_of


def image_policy(options: dict) -> SignaturePolicy:
    """What an installation's options ask of its images' signatures.

    :raises Failure: the options do not fit each other, or a key is none
    """
    return policy_of(options, "image_signature_policy", "image_signature_keys")


def check_images(options: dict) -> dict:
    """Verifies the images of an installation: {"image_signatures": [{"image", "signature"}], "warnings"}; nothing where the policy is `off`.

    options: the agent module's, with the names by which images are pulled.
    :raises Failure: the policy is `require` and an image has no valid signature
    """
    trust = image_policy(options)
    if trust.is_off:
        return {}
    check_options(options)
    verdicts = [(image, *image_verdict(image, options, trust)) for image in installed_images(options)]
    warnings = [line for image, digest, verdict in verdicts for line in trust.warnings(image, digest, verdict)]
    return {"image_signatures": [{"image": image, "signature": str(verdict)} for image, _digest, verdict in verdicts], "warnings": warnings}


def installed_images(options: dict) -> list[str]:
    """The names of an installation's images, each once. Pure."""
    return list(dict.fromkeys([options["image"], *([cluster_monitor.image(options)] if cluster_monitor.enabled(options) else [])]))


def image_verdict(image: str, options: dict, trust: SignaturePolicy) -> tuple[str, Verdict]:
    """An image's digest, empty where it is not known, and the verdict on its signature.

    :raises Failure: the policy is `require`, and the image has no digest or its registry does not answer
    """
    if registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    reference = parse_reference(image)
    if trust.policy == REQUIRE and not reference.digest:
        raise Failure(
            f"image_signature_policy is require and the image {image} has no digest, so that nodes may pull another one than was verified",
            "name it by digest (name@sha256:...), or take the digest from a lock_file",
        )
    try:
        access = registry_options(options, reference.host)
        place = RegistryPlace(registry.registry_from_options(access, reference.host, "pull", StreamingRegistry), reference.repository)
        digest = reference.digest or place.present(reference.tag or "latest")
    except Failure as failure:
        if trust.policy == REQUIRE:
            raise
        return "", Verdict(UNKNOWN, why=failure.what)
    if not digest:
        return "", Verdict(UNKNOWN, why="its registry does not have it")
    return digest, trust.verdict(lambda: place, digest, image)


def trust_findings(image: str, options: dict, trust: SignaturePolicy) -> list[dict]:
    """The findings of a look ahead about an image's signature; none where the policy is `off`."""
    if trust.is_off:
        return []
    result = "error" if trust.policy == REQUIRE else "warning"
    try:
        _digest, verdict = image_verdict(image, options, trust)
    except Failure as failure:
        return [finding("image", result, failure.what, failure.next_step, image)]
    if verdict.is_good:
        return [finding("image", "ok", f"its signature is {verdict}", subject=image)]
    return [finding("image", result, f"no signature by one of the keys: {verdict}", "have it signed by the holder of a key, or correct the keys", image)]
