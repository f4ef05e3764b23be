# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_presence import (
    ask_registry,
    holders,
    image_findings,
    moved_tag_findings,
    node_images,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import Registry, RegistryFailure, bytes_source
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_credentials import Credentials
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
PLAIN = {"registry_access": {"plain_http": True}, "registry_login": None}


@pytest.fixture
def fake():
    with FakeRegistry() as running:
        yield running


def blob(media_type, content):
    data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode()
    return {"mediaType": media_type, "data": data, "digest": sha256_digest(data), "size": len(data)}


def put(fake, platforms, credentials=None):
    """Stores an image for each platform in team/agent, and the index of all under the tag 1; the index's digest."""
    client = Registry(fake.host, credentials, plain_http=True, access="pull,push")
    entries = []
    for system, architecture in platforms:
        config = json.dumps({"os": system, "architecture": architecture}).encode()
        client.upload_blob("team/agent", bytes_source(config))
        about = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256_digest(config), "size": len(config)}
        manifest = blob(MANIFEST, {"config": about, "layers": []})
        client.put_manifest("team/agent", manifest["digest"], manifest)
        client.put_manifest("team/agent", f"only-{architecture}", manifest)
        entries.append({key: manifest[key] for key in ("mediaType", "digest", "size")} | {"platform": {"os": system, "architecture": architecture}})
    index = blob(INDEX, {"manifests": entries})
    client.put_manifest("team/agent", "1", index)
    return index["digest"]


def test_an_index_by_tag_and_by_digest(fake):
    digest = put(fake, [("linux", "amd64"), ("linux", "arm64"), ("unknown", "unknown")])
    for name in ("team/agent:1", f"team/agent@{digest}"):
        asked = ask_registry(f"{fake.host}/{name}", PLAIN)
        assert asked == {"digest": digest, "platforms": {"linux/amd64", "linux/arm64"}, "lost": []}


def test_an_image_without_an_index_says_it_in_its_configuration(fake):
    put(fake, [("linux", "arm64")])
    assert ask_registry(f"{fake.host}/team/agent:only-arm64", PLAIN)["platforms"] == {"linux/arm64"}


def test_a_part_that_the_registry_lost_is_told(fake):
    put(fake, [("linux", "amd64"), ("linux", "arm64")])
    fake.fail("HEAD", "/manifests/", status=404)
    assert ask_registry(f"{fake.host}/team/agent:1", PLAIN)["lost"] == ["linux/amd64"]


def test_a_tag_that_names_other_bytes_than_the_locked_ones_is_told(fake):
    locked = put(fake, [("linux", "arm64")])
    image, given = f"{fake.host}/team/agent@{locked}", "ghcr.io/spyderbat/agent:1"
    assert moved_tag_findings(image, given, PLAIN) == []
    now = put(fake, [("linux", "amd64"), ("linux", "arm64")])
    [found] = moved_tag_findings(image, given, PLAIN)
    assert found["result"] == "warning" and f"the tag 1 is {now} there" in found["evidence"] and found["object"] == image
    for other in ("ghcr.io/spyderbat/agent:none", "ghcr.io/spyderbat/agent", f"ghcr.io/spyderbat/agent:1@{locked}"):
        assert moved_tag_findings(image, other, PLAIN) == []
    assert moved_tag_findings(f"{fake.host}/team/agent:1", given, PLAIN) == []
    assert moved_tag_findings(f"127.0.0.1:1/team/agent@{locked}", given, PLAIN) == []


def test_what_is_not_there_and_what_does_not_answer(fake):
    assert ask_registry(f"{fake.host}/team/agent:none", PLAIN)["digest"] == ""
    refused = ask_registry("127.0.0.1:1/team/agent:1", PLAIN)
    assert isinstance(refused, Failure) and "connection refused" in refused.what


def test_a_login_is_used_for_its_own_registry_only():
    login = {"registry": "", "username": "alice", "password": "pa55-word"}
    with FakeRegistry(auth="basic") as fake:
        put(fake, [("linux", "amd64")], Credentials("alice", "pa55-word"))
        image = f"{fake.host}/team/agent:1"
        assert ask_registry(image, {**PLAIN, "registry_login": {**login, "registry": fake.host}})["platforms"] == {"linux/amd64"}
        assert ask_registry(image, {**PLAIN, "registry_login": {**login, "registry": "other.example"}}).status == 401


def asked(*architectures, digest="sha256:d", lost=()):
    return {"digest": digest, "platforms": {f"linux/{one}" for one in architectures}, "lost": list(lost)}


ARCHITECTURES = {"amd64": ["a", "b"], "arm64": ["c"]}
GONE = asked(digest="")
AWAY = RegistryFailure("registry r: connection refused", "check it")
DENIED = RegistryFailure("registry r: HTTP 401", "log in", 401)


@pytest.mark.parametrize(
    ("answer", "held", "pull", "login", "result", "word"),
    [
        (asked("amd64", "arm64"), [], "IfNotPresent", False, "ok", "0 of 3 eligible nodes hold it already"),
        (asked("amd64", "arm64"), None, "IfNotPresent", False, "ok", "which nodes hold it already is not known"),
        (asked("amd64"), [], "IfNotPresent", False, "error", "has no linux/arm64, only linux/amd64"),
        (asked("amd64", "arm64", lost=["linux/amd64"]), [], "IfNotPresent", False, "error", "has lost the part for linux/amd64"),
        ({**asked(), "platforms": None}, [], "IfNotPresent", False, "warning", "is not known"),
        (GONE, ["a"], "IfNotPresent", False, "error", "does not have it; 1 of 3"),
        (GONE, ["a", "b", "c"], "IfNotPresent", False, "warning", "3 of 3"),
        (GONE, ["a", "b", "c"], "Always", False, "error", "3 of 3"),
        (AWAY, [], "IfNotPresent", True, "warning", "whether the nodes reach the registry was not tried"),
        (DENIED, [], "IfNotPresent", False, "warning", "HTTP 401"),
        (DENIED, [], "IfNotPresent", True, "error", "HTTP 401"),
        (None, ["a", "b", "c"], "Never", False, "ok", "never pulled"),
        (None, ["a"], "Never", False, "warning", "never pulled"),
    ],
)
def test_what_it_means(answer, held, pull, login, result, word):
    found = image_findings("r/i:1", answer, ARCHITECTURES, held, pull, login)
    assert found[0]["result"] == result and word in found[0]["evidence"] and found[0]["object"] == "r/i:1"


def test_the_nodes_of_a_missing_architecture_are_named():
    [found] = image_findings("r/i:1", asked("amd64"), ARCHITECTURES, [], "Always", False)
    assert found["nodes"] == ["c"]
    [found] = image_findings("r/i:1", None, ARCHITECTURES, ["a"], "Never", False)
    assert found["nodes"] == ["b", "c"]


@pytest.mark.parametrize(
    ("image", "names", "holds"),
    [
        ("r.example/i@sha256:" + "a" * 64, ["r.example/i@sha256:" + "a" * 64], True),
        ("r.example/i@sha256:" + "a" * 64, ["r.example/other@sha256:" + "a" * 64], False),
        ("r.example/i:1", ["r.example/i:1"], True),
        ("r.example/i", ["r.example/i:latest"], True),
        ("busybox:1", ["docker.io/library/busybox:1"], True),
        ("r.example/i:1", ["r.example/i:2"], False),
        ("r.example/i:1", None, False),
    ],
)
def test_who_holds_an_image(image, names, holds):
    nodes = [node_images({"metadata": {"name": "n"}, "status": {"images": [{"names": names}]}}), node_images({"metadata": {"name": "m"}})]
    assert holders(image, nodes) == (["n"] if holds else [])
