# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images of an installation are verified at their registry before they are installed."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_trust import check_images, image_policy, installed_images, trust_findings
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_key
from ansible_collections.nanoagent.k8s.plugins.modules import agent
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import multi, store
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry
from ansible_collections.nanoagent.k8s.tests.unit.fakes.signatures import bundle_signature, new_key, private_text, public_text


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture(scope="module")
def verified(key):
    return f"verified by {public_key(public_text(key), 'key').fingerprint}"


@pytest.fixture
def fake():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def given(key):
    """Options of the agent that want a signature."""
    return {"image_signature_policy": "require", "image_signature_keys": [public_text(key)], "registry_access": {"plain_http": True}}


def put(fake, key, repository="collector", seed=1, tag=""):
    """A signed image; its name."""
    image = multi(seed, layers=0)
    name = store(fake, repository, image, tag)
    store(fake, repository, bundle_signature(key, image.entry()))
    return name


def test_off_asks_nothing(fake, key):
    assert check_images(agent_options(image=put(fake, key))) == {} and fake.requests == []


def test_the_agent_s_image_and_the_monitor_s_are_verified(fake, key, given, verified):
    image, monitor = put(fake, key), put(fake, key, "monitor", 2)
    options = agent_options(image=image, monitor={"enabled": True, "image": monitor}, **given)
    assert check_images(options) == {"image_signatures": [{"image": name, "signature": verified} for name in (image, monitor)], "warnings": []}
    del fake.manifests["monitor", monitor.partition("@")[2]]
    other = store(fake, "monitor", multi(3, layers=0))
    with pytest.raises(Failure, match=f"^{other} has no signature by one of the keys: missing"):
        check_images(agent_options(image=image, monitor={"enabled": True, "image": other}, **given))
    assert installed_images(agent_options(image=image, monitor={"enabled": False, "image": other})) == [image]
    assert installed_images(agent_options(image=image, monitor={"enabled": True, "image": image})) == [image]


def test_a_warning_is_no_refusal(fake, key, given):
    name = store(fake, "collector", multi(1, layers=0))
    found = check_images(agent_options(image=name, **{**given, "image_signature_policy": "warn"}))
    assert found == {"image_signatures": [{"image": name, "signature": "missing"}], "warnings": [f"{name} has no signature by one of the keys: missing"]}


def test_a_tag_is_no_digest(fake, key, given, verified):
    name = put(fake, key, tag="1")
    with pytest.raises(Failure, match=f"^image_signature_policy is require and the image {name} has no digest"):
        check_images(agent_options(image=name, require_digest=False, **given))
    warn = {**given, "image_signature_policy": "warn", "require_digest": False}
    assert check_images(agent_options(image=name, **warn)) == {"image_signatures": [{"image": name, "signature": verified}], "warnings": []}
    gone = f"{fake.host}/collector:2"
    assert "its registry does not have it" in str(check_images(agent_options(image=gone, **warn))["warnings"])


def test_the_pull_login_is_used(key, given, verified):
    with FakeRegistry(auth="basic") as fake:
        name = put(fake, key)
        with pytest.raises(Failure, match="401"):
            check_images(agent_options(image=name, **given))
        login = {"registry": fake.host, "username": fake.username, "password": fake.password}
        assert check_images(agent_options(image=name, registry_login=login, **given))["image_signatures"][0]["signature"] == verified
        with pytest.raises(Failure, match="401"):
            check_images(agent_options(image=name, registry_login={**login, "registry": "other.example"}, **given))


def test_a_registry_that_is_away(key, given):
    with FakeRegistry() as gone:
        name = put(gone, key)
    with pytest.raises(Failure, match="connection refused"):
        check_images(agent_options(image=name, **given))
    found = check_images(agent_options(image=name, **{**given, "image_signature_policy": "warn"}))
    assert "connection refused" in found["warnings"][0] and found["image_signatures"][0]["signature"].startswith("unknown: ")


def test_wrong_options(key, given):
    wrong = [
        ({"image_signature_policy": "off"}, "image_signature_keys is set and image_signature_policy is off"),
        ({"image_signature_keys": []}, "image_signature_policy is require and image_signature_keys is empty"),
        ({"image_signature_keys": [private_text(key)]}, r"image_signature_keys\[0\] is a private key"),
        ({"ring_bytes": 5}, "ring_bytes"),
    ]
    for change, why in wrong:
        with pytest.raises(Failure, match=why):
            check_images(agent_options(**{**given, **change}))


def test_what_a_look_ahead_says(fake, key, given, verified):
    good, bad, tag = put(fake, key), store(fake, "other", multi(2, layers=0)), f"{fake.host}/collector:1"

    def told(image, policy):
        options = agent_options(image=image, require_digest=False, **{**given, "image_signature_policy": policy})
        [found] = trust_findings(image, options, image_policy(options))
        assert found["check"] == "image" and found["object"] == image
        return found["result"], found["evidence"]

    assert told(good, "require") == told(good, "warn") == ("ok", f"its signature is {verified}")
    assert told(bad, "require") == ("error", "no signature by one of the keys: missing")
    assert told(bad, "warn") == ("warning", "no signature by one of the keys: missing")
    assert told(tag, "require")[0] == "error" and "has no digest" in told(tag, "require")[1]
    options = agent_options(image=good)
    assert trust_findings(good, options, image_policy(options)) == []


def test_manifests_are_rendered_of_signed_images_only(fake, key, given, verified, run_module, tmp_path):
    good, bad = put(fake, key), store(fake, "other", multi(2, layers=0))
    made = run_module(agent.main, {"state": "rendered", "image": good, **given})
    assert made["manifests"] and made["image_signatures"] == [{"image": good, "signature": verified}]
    refused = run_module(agent.main, {"state": "rendered", "render_dir": str(tmp_path / "out"), "image": bad, **given})
    assert refused["failed"] and refused["msg"].startswith(f"{bad} has no signature by one of the keys: missing. Next: ") and not (tmp_path / "out").exists()
    warned = run_module(agent.main, {"state": "rendered", "image": bad, **given, "image_signature_policy": "warn"})
    assert warned["manifests"] and "missing" in str(warned["warnings"])
