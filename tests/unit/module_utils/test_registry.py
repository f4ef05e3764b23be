# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import os
import socket
import threading

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import image_push, oci, registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import Reference, parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import Registry, RegistryFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_credentials import Challenge, Credentials, docker_config_credentials, parse_challenge
from ansible_collections.nanoagent.k8s.tests.unit.fakes.programs import make_elf
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

DIGEST = "sha256:" + "0" * 64
ALICE = Credentials("alice", "pa55-word")


@pytest.fixture
def fake():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def image():
    programs = {}
    for architecture in oci.ARCHITECTURES:
        content = make_elf(architecture)
        programs[architecture] = {"content": content, "member": oci.stored_member(content), "reproducible": True}
    return oci.build_image(programs)


def client(fake, credentials=None, **options):
    """A client that does not really wait; what it would have waited is in the list `pauses`."""
    pauses = []
    settings = {"plain_http": True, "access": "pull,push", "timeout": (2, 2), "sleep": pauses.append, **options}
    made = Registry(fake.host, credentials, **settings)
    made.pauses = pauses
    return made


def push(registry_client, image, tag="1"):
    target = Reference(registry_client.host, "team/collector", tag)
    plan = image_push.plan_push(registry_client, target, image)
    image_push.push(registry_client, target, {blob["digest"]: blob for blob in oci.image_blobs(image)}, plan["actions"])
    return plan


# --- names


@pytest.mark.parametrize(
    "text, expected",
    [
        ("reg.example.com/team/app:1.0", Reference("reg.example.com", "team/app", "1.0")),
        ("reg.example.com:5000/app", Reference("reg.example.com:5000", "app")),
        (f"localhost/app:x@{DIGEST}", Reference("localhost", "app", "x", DIGEST)),
        (f"[::1]:5000/a/b@{DIGEST}", Reference("[::1]:5000", "a/b", "", DIGEST)),
        ("alpine", Reference("docker.io", "library/alpine")),
        ("alpine:3", Reference("docker.io", "library/alpine", "3")),
        ("team/app:3", Reference("docker.io", "team/app", "3")),
        ("docker.io/alpine", Reference("docker.io", "library/alpine")),
        ("index.docker.io/team/app", Reference("docker.io", "team/app")),
        ("REG/app", Reference("REG", "app")),
        (" reg:1/app:1\n", Reference("reg:1", "app", "1")),
        ("a.b/c__d/e-f.g:T_1", Reference("a.b", "c__d/e-f.g", "T_1")),
    ],
)
def test_names(text, expected):
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text, says",
    [
        ("https://reg.example.com/app", "URL scheme"),
        ("docker://reg/app", "URL scheme"),
        ("", "no repository"),
        ("reg:5000/", "no repository"),
        ("reg:5000/:tag", "no repository"),
        ("reg:99999/app", "malformed host"),
        ("reg:0/app", "malformed host"),
        ("reg:port/app", "malformed host"),
        ("-reg.example/app", "malformed host"),
        ("reg.example/App", "capital letters"),
        ("reg.example/a//b", "malformed repository"),
        ("reg.example/a b", "malformed repository"),
        ("reg.example/../b", "malformed repository"),
        ("reg.example/app:", "malformed tag"),
        ("reg.example/app:ta g", "malformed tag"),
        ("reg.example/app:" + "t" * 129, "malformed tag"),
        ("reg.example/app@sha256:12", "no digest"),
        ("reg.example/app@", "no digest"),
        ("reg.example/" + "a" * 256, "malformed repository"),
    ],
)
def test_malformed_names(text, says):
    with pytest.raises(Failure) as failure:
        parse_reference(text)
    assert says in failure.value.message
    assert "\n" not in failure.value.message


def test_password_in_a_name_is_not_repeated():
    with pytest.raises(Failure) as failure:
        parse_reference("alice:pa55-word@reg.example/app:1")
    assert "pa55-word" not in failure.value.message


def test_name_parts_come_back_together():
    text = f"reg.example.com:5000/team/app:1.0@{DIGEST}"
    assert str(parse_reference(text)) == text
    assert parse_reference(text).name == "reg.example.com:5000/team/app"


# --- credentials


def write_config(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "entry, expected",
    [
        ({"auth": encoded("alice:pa55:word")}, Credentials("alice", "pa55:word")),
        ({"username": "alice", "password": "x"}, Credentials("alice", "x")),
        ({"identitytoken": "t0ken", "auth": encoded("u:")}, Credentials(identity_token="t0ken")),
    ],
)
@pytest.mark.parametrize("key", ["reg.example:5000", "https://reg.example:5000", "https://reg.example:5000/v1/"])
def test_docker_config_entries(tmp_path, entry, expected, key):
    assert docker_config_credentials(write_config(tmp_path, {"auths": {key: entry}}), "reg.example:5000") == expected


def test_docker_config_of_docker_hub(tmp_path):
    path = write_config(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": encoded("a:b")}}})
    assert docker_config_credentials(path, "docker.io") == Credentials("a", "b")


def test_docker_config_without_the_host(tmp_path):
    path = write_config(tmp_path, {"auths": {"other.example": {"auth": encoded("a:b")}}})
    assert docker_config_credentials(path, "reg.example") is None


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Install a credential helper named docker-credential-fake that prints and exits as asked."""

    def install(output, code=0):
        program = tmp_path / "docker-credential-fake"
        program.write_text(f"#!/bin/sh\nread server\ncat <<END\n{output}\nEND\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


def test_credential_helper(tmp_path, helper):
    helper(json.dumps({"Username": "alice", "Secret": "pa55"}))
    path = write_config(tmp_path, {"credHelpers": {"reg.example": "fake"}})
    assert docker_config_credentials(path, "reg.example") == Credentials("alice", "pa55")


def test_common_credential_helper_with_a_token(tmp_path, helper):
    helper(json.dumps({"Username": "<token>", "Secret": "t0ken"}))
    path = write_config(tmp_path, {"auths": {"reg.example": {}}, "credsStore": "fake"})
    assert docker_config_credentials(path, "reg.example") == Credentials(identity_token="t0ken")


def test_credential_helper_that_has_nothing(tmp_path, helper):
    helper("credentials not found in native keychain", code=1)
    assert docker_config_credentials(write_config(tmp_path, {"credsStore": "fake"}), "reg.example") is None


@pytest.mark.parametrize("output, code", [("s3cret trouble", 2), ("s3cret", 0), ('{"Username": "s3cret"}', 0)])
def test_broken_credential_helper(tmp_path, helper, output, code):
    helper(output, code)
    with pytest.raises(Failure) as failure:
        docker_config_credentials(write_config(tmp_path, {"credsStore": "fake"}), "reg.example")
    assert "docker-credential-fake" in failure.value.message
    assert "s3cret" not in failure.value.message


@pytest.mark.parametrize(
    "content, says",
    [
        ("{", "not a Docker config.json"),
        ("[]", "not a Docker config.json"),
        ({"auths": {"reg.example": {"auth": "s3cret!"}}}, "not base64"),
        ({"auths": {"reg.example": {"auth": encoded("s3cret")}}}, "not base64 of user:password"),
        ({"credsStore": "absent-helper"}, "not installed"),
    ],
)
def test_broken_docker_config(tmp_path, content, says):
    with pytest.raises(Failure) as failure:
        docker_config_credentials(write_config(tmp_path, content), "reg.example")
    assert says in failure.value.message
    assert "s3cret" not in failure.value.message


def test_missing_docker_config():
    with pytest.raises(Failure, match="does not exist"):
        docker_config_credentials("/absent/config.json", "reg.example")


def test_credentials_do_not_show():
    assert "pa55" not in repr(ALICE)


@pytest.mark.parametrize(
    "header, expected",
    [
        (
            'Bearer realm="https://auth.example/token",service="reg",scope="repository:a:pull,push"',
            Challenge("bearer", "https://auth.example/token", "reg"),
        ),
        ('bearer service=reg, realm="https://auth.example/t"', Challenge("bearer", "https://auth.example/t", "reg")),
        ('Basic realm="Registry, basic"', Challenge("basic", "Registry, basic")),
        ('Basic realm="a", Bearer realm="https://b",service="c"', Challenge("bearer", "https://b", "c")),
        ('Bearer realm="https://b",service="c", Basic realm="a"', Challenge("bearer", "https://b", "c")),
        ("Negotiate", None),
        ("", None),
    ],
)
def test_challenges(header, expected):
    assert parse_challenge(header) == expected


# --- small parts


@pytest.mark.parametrize(
    "value, expected",
    [(None, None), ("7", 7.0), ("100000", 60.0), ("nonsense", None), ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0), ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0)],
)
def test_retry_after(value, expected):
    assert registry.retry_after(value, now=10.0) == expected


@pytest.mark.parametrize(
    "body, expected",
    [
        (b'{"errors": [{"code": "DENIED", "message": "two\\nlines"}]}', ("DENIED", "two lines")),
        (b'{"errors": [{"code": "DENIED"}]}', ("DENIED", "")),
        (b'{"errors": []}', ("", "")),
        (b'{"errors": ["x"]}', ("", "")),
        (b'{"errors": null}', ("", "")),
        (b"[]", ("", "")),
        (b"<html>", ("", "")),
        (b"\xff", ("", "")),
    ],
)
def test_registry_error(body, expected):
    assert registry.registry_error(body) == expected


# --- push


def test_push_then_nothing_to_do(fake, image):
    plan = push(client(fake), image)
    assert plan["before"] is None
    assert [(action["action"], action["what"]) for action in plan["actions"]] == [
        ("upload_blob", "layer linux/amd64"),
        ("upload_blob", "config linux/amd64"),
        ("upload_blob", "layer linux/arm64"),
        ("upload_blob", "config linux/arm64"),
        ("put_manifest", "manifest linux/amd64"),
        ("put_manifest", "manifest linux/arm64"),
        ("put_manifest", "index"),
    ]
    assert fake.requests[-1] == "PUT /v2/team/collector/manifests/1"

    again = client(fake)
    fake.requests.clear()
    assert push(again, image) == {"before": image["index"]["digest"], "actions": []}
    assert fake.requests == ["HEAD /v2/team/collector/manifests/1"]
    assert dict(again.counts) == {"HEAD": 1}


def test_moved_tag_takes_one_write(fake, image):
    push(client(fake), image)
    other = oci.build_image({"amd64": {"content": make_elf("amd64"), "member": oci.stored_member(make_elf("amd64"))}})
    push(client(fake), other)
    fake.requests.clear()
    plan = push(client(fake), image)
    assert plan["before"] == other["index"]["digest"]
    assert fake.writes() == ["PUT /v2/team/collector/manifests/1"]


def test_other_tag_takes_one_write(fake, image):
    push(client(fake), image)
    fake.requests.clear()
    assert [action["reference"] for action in push(client(fake), image, tag="2")["actions"]] == ["2"]
    assert fake.writes() == ["PUT /v2/team/collector/manifests/2"]


def test_lost_blob_is_sent_again(fake, image):
    push(client(fake), image)
    layer = image["platforms"]["arm64"]["layer"]
    del fake.blobs["team/collector", layer["digest"]]
    plan = push(client(fake), image, tag="2")
    assert [action["what"] for action in plan["actions"]] == ["layer linux/arm64", "index"]
    assert fake.blobs["team/collector", layer["digest"]] == layer["data"]


def test_interrupted_push_is_completed_by_the_next(fake, image):
    fake.fail("PUT", "manifests/1$", status=403)
    with pytest.raises(RegistryFailure):
        push(client(fake), image)
    assert ("team/collector", "1") not in fake.manifests
    assert [action["what"] for action in push(client(fake), image)["actions"]] == ["index"]


def test_tag_is_not_written_when_a_blob_fails(fake, image):
    fake.fail("PUT", "uploads/", status=400)
    with pytest.raises(RegistryFailure):
        push(client(fake), image)
    assert fake.manifests == {}


# --- uploads


def big_blob(size=300_000):
    return os.urandom(size)


@pytest.mark.parametrize("minimum, sizes", [(None, [100_000, 100_000, 100_000]), (250_000, [250_000, 50_000])])
def test_chunked_upload(fake, minimum, sizes):
    data = big_blob()
    fake.min_chunk = minimum
    client(fake, chunk_bytes=100_000).upload_blob("a", registry.bytes_source(data))
    assert list(fake.blobs.values()) == [data]
    assert fake.chunk_sizes == sizes


def test_small_blob_is_not_chunked(fake):
    client(fake, chunk_bytes=100_000).upload_blob("a", registry.bytes_source(b"small"))
    assert fake.chunk_sizes == []
    assert list(fake.blobs.values()) == [b"small"]


def test_empty_blob(fake):
    client(fake).upload_blob("a", registry.bytes_source(b""))
    assert list(fake.blobs.values()) == [b""]


def test_upload_from_a_file_names_its_length(fake, tmp_path):
    data = big_blob()
    (tmp_path / "blob").write_bytes(data)
    client(fake).upload_blob("a", registry.file_source(str(tmp_path / "blob"), oci.sha256_digest(data), len(data)))
    assert list(fake.blobs.values()) == [data]
    assert fake.headers_seen[-1]["Content-Length"] == str(len(data))


def test_file_that_changed_is_refused_by_the_registry(fake, tmp_path):
    (tmp_path / "blob").write_bytes(b"changed")
    with pytest.raises(RegistryFailure, match="DIGEST_INVALID"):
        client(fake).upload_blob("a", registry.file_source(str(tmp_path / "blob"), DIGEST, 7))


@pytest.mark.parametrize("method, chunk", [("POST", 0), ("PUT", 0), ("PATCH", 100_000), ("PUT", 100_000)])
@pytest.mark.parametrize("status", [0, 503])
def test_cut_upload_begins_again(fake, method, chunk, status):
    data = big_blob()
    fake.fail(method, "uploads/", status=status, times=2)
    client(fake, chunk_bytes=chunk).upload_blob("a", registry.bytes_source(data))
    assert list(fake.blobs.values()) == [data]


# --- retries


def test_rate_limit_is_obeyed(fake):
    fake.fail("HEAD", "manifests", status=429, headers={"Retry-After": "3"})
    fake.fail("HEAD", "manifests", status=503)
    busy = client(fake)
    assert busy.head_manifest("a", "1") is None
    assert busy.pauses == [3.0, 1.0]


def test_retries_are_bounded(fake):
    fake.fail("HEAD", "manifests", status=502, times=99)
    failing = client(fake)
    with pytest.raises(RegistryFailure) as failure:
        failing.head_manifest("a/b", "1")
    assert failing.counts["HEAD"] == 5
    assert failure.value.status == 502
    assert failure.value.message == (
        f"registry {fake.host}, repository a/b: HEAD manifest 1: HTTP 502 (tried 5 times). Next: the registry itself fails: look at its log, then run it again."
    )


@pytest.mark.parametrize(
    "status, code, says",
    [
        (400, "TAG_INVALID", "choose another tag"),
        (401, "UNAUTHORIZED", "check username and password"),
        (403, "DENIED", "an account that may push"),
        (404, "NAME_UNKNOWN", "create the repository"),
        (405, "UNSUPPORTED", "read-only"),
        (409, "CONFLICT", "cannot be moved"),
        (413, "SIZE_INVALID", "size limit of the proxy"),
        (418, "TEAPOT", "look at the registry's log"),
    ],
)
def test_refusals_say_what_to_do_and_are_not_repeated(fake, image, status, code, says):
    fake.fail("PUT", "manifests/1$", status=status, body=json.dumps({"errors": [{"code": code, "message": "no"}]}).encode(), times=99)
    with pytest.raises(RegistryFailure) as failure:
        client(fake).put_manifest("team/collector", "1", image["index"])
    message = failure.value.message
    assert fake.host in message and "team/collector" in message and f"HTTP {status} {code} (no)" in message
    assert says in message
    assert "\n" not in message
    assert (failure.value.status, failure.value.code) == (status, code)
    assert len(fake.requests) == 1


# --- transport


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_transport(host, says, **options):
    settings = {"timeout": (1, 1), "sleep": lambda seconds: None, **options}
    with pytest.raises(RegistryFailure) as failure:
        Registry(host, **settings).head_manifest("a", "1")
    assert says in failure.value.message
    assert "Next: " in failure.value.message
    assert "\n" not in failure.value.message
    return failure.value.message


def test_refused_connection():
    check_transport(f"127.0.0.1:{closed_port()}", "connection refused", plain_http=True)


def test_unknown_host():
    check_transport("registry.invalid", "does not resolve", plain_http=True)


def test_tls_towards_a_plain_registry(fake):
    assert "plain_http" in check_transport(fake.host, "does not speak TLS")


def test_missing_ca_file():
    with pytest.raises(Failure, match="/absent/ca.pem cannot be read .No such file"):
        Registry("reg.example", ca_cert="/absent/ca.pem")


def test_ca_file_that_is_none(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(Failure, match="holds no certificate"):
        Registry("reg.example", ca_cert=str(tmp_path / "ca.pem"))


def test_silent_server():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        check_transport(f"127.0.0.1:{server.getsockname()[1]}", "no answer in time", plain_http=True, timeout=(0.2, 0.2))


def test_cut_connection(fake):
    fake.fail("HEAD", "", times=99)
    check_transport(fake.host, "the connection was cut (tried 5 times)", plain_http=True)


def test_endless_answer(fake, monkeypatch):
    monkeypatch.setattr(registry, "ANSWER_LIMIT", 1000)
    fake.fail("GET", "", status=200, body=b"x" * 2000)
    with pytest.raises(RegistryFailure, match="larger than"):
        client(fake).get_manifest("a", "1")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "[::1::2]"])
def test_impossible_hosts(host):
    check_transport(host, "HEAD manifest 1", plain_http=True)


def test_malformed_location(fake):
    fake.fail("POST", "", status=202, headers={"Location": "http://host:port/upload"})
    with pytest.raises(RegistryFailure, match="malformed address"):
        client(fake).upload_blob("a", registry.bytes_source(b"x"))


@pytest.mark.parametrize(
    "location, expected",
    [
        ("/v2/a/blobs/uploads/1?s=2", "https://reg.example/v2/a/blobs/uploads/1?s=2"),
        ("http://reg.example/v2/a", "https://reg.example/v2/a"),
        ("https://REG.example:443/v2/a", "https://REG.example:443/v2/a"),
        ("https://storage.example/x", "https://storage.example/x"),
    ],
)
def test_where_an_upload_goes_on(location, expected):
    call = registry.Call("POST", "https://reg.example/v2/a/blobs/uploads/", "a", "blob")
    answer = registry.Answer(202, {"Location": location}, b"")
    assert Registry("reg.example")._location(call, answer) == expected


def test_answer_that_is_no_registry(fake):
    fake.fail("POST", "", status=202)
    with pytest.raises(RegistryFailure, match="did not say where"):
        client(fake).upload_blob("a", registry.bytes_source(b"x"))


# --- manifests


def test_manifest_comes_back(fake, image):
    push(client(fake), image)
    index = image["index"]
    assert client(fake).get_manifest("team/collector", "1") == index
    assert client(fake).head_manifest("team/collector", "1") == oci.descriptor(index)
    assert client(fake).get_manifest("team/collector", "absent") is None


def test_registry_that_does_not_name_digests(image):
    with FakeRegistry(digest_header=False) as fake:
        push(client(fake), image)
        assert client(fake).head_manifest("team/collector", "1") == oci.descriptor(image["index"])
        assert client(fake).head_manifest("team/collector", "absent") is None


def test_other_bytes_than_the_digest_are_refused(fake):
    fake.fail("GET", "manifests", status=200, body=b"{}")
    with pytest.raises(RegistryFailure, match="other bytes"):
        client(fake).get_manifest("a", DIGEST)


def test_changed_manifest_is_noticed(fake, image):
    fake.fail("PUT", "manifests", status=201, headers={"Docker-Content-Digest": DIGEST})
    with pytest.raises(RegistryFailure, match="instead of"):
        client(fake).put_manifest("a", "1", image["index"])


# --- authorisation


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_push_with_password(auth, image):
    with FakeRegistry(auth) as fake:
        push(client(fake, ALICE), image)
        assert ("team/collector", "1") in fake.manifests


def test_one_token_serves_a_whole_push(image):
    with FakeRegistry("bearer") as fake:
        pushing = client(fake, ALICE)
        push(pushing, image)
        assert pushing.counts["token"] == 1
        assert list(fake.tokens.values()) == ["repository:team/collector:pull,push"]


def test_expired_token_is_renewed(image):
    with FakeRegistry("bearer") as fake:
        pushing = client(fake, ALICE)
        push(pushing, image)
        fake.tokens.clear()
        assert pushing.head_manifest("team/collector", "1")
        assert pushing.counts["token"] == 2


def test_token_that_expires_before_an_upload_costs_no_bytes(fake):
    """The body is opened anew for the second try with a new token."""
    data = big_blob()
    with FakeRegistry("bearer") as fake:
        uploading = client(fake, ALICE)
        original = fake.new_token
        fake.new_token = lambda scope: fake.tokens.update({"short": scope}) or "short"
        uploading.has_blob("a", DIGEST)
        fake.tokens.clear()
        fake.new_token = original
        uploading.upload_blob("a", registry.bytes_source(data))
        assert list(fake.blobs.values()) == [data]


def test_identity_token():
    with FakeRegistry("bearer") as fake:
        fake.refresh_token = "r3fresh"
        assert client(fake, Credentials(identity_token="r3fresh")).head_manifest("a", "1") is None


def test_threads_share_a_token():
    with FakeRegistry("bearer") as fake:
        shared = client(fake, ALICE)
        threads = [threading.Thread(target=shared.has_blob, args=("a", DIGEST)) for _number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shared.counts["token"] == 1


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("credentials", [Credentials("alice", "wr0ng-secret"), None])
def test_wrong_password(auth, credentials):
    with FakeRegistry(auth) as fake, pytest.raises(RegistryFailure) as failure:
        client(fake, credentials).head_manifest("team/collector", "1")
    assert failure.value.status == 401
    assert "check username and password" in failure.value.message
    assert "wr0ng-secret" not in failure.value.message
    assert len(fake.requests) <= 3


def test_secret_that_the_registry_repeats_is_masked(fake):
    body = json.dumps({"errors": [{"code": "DENIED", "message": "user alice with pa55-word may not"}]}).encode()
    fake.fail("HEAD", "", status=403)
    fake.fail("GET", "", status=403, body=body)
    with pytest.raises(RegistryFailure) as failure:
        client(fake, ALICE).get_manifest("a", "1")
    assert "may not" in failure.value.message
    assert "pa55-word" not in failure.value.message


def test_password_does_not_go_to_a_plain_token_service():
    challenge = 'Bearer realm="http://auth.example/token",service="x"'
    with FakeRegistry() as fake:
        fake.fail("HEAD", "", status=401, headers={"WWW-Authenticate": challenge})
        careful = client(fake, ALICE)
        careful._plain_http = False
        with pytest.raises(RegistryFailure, match="in the clear"):
            careful.head_manifest("a", "1")


def test_credentials_do_not_go_to_another_host():
    with FakeRegistry("basic") as fake, FakeRegistry() as storage:
        uploading = client(fake, ALICE)
        uploading.has_blob("a", DIGEST)
        fake.fail("POST", "uploads/", status=202, headers={"Location": f"http://{storage.host}/v2/a/blobs/uploads/0?state=a/b"})
        storage.uploads["0"] = b""
        uploading.upload_blob("a", registry.bytes_source(b"x"))
        assert list(storage.blobs.values()) == [b"x"]
        assert all("Authorization" not in headers for headers in storage.headers_seen)


def test_netrc_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password n3trc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with FakeRegistry() as fake:
        client(fake).head_manifest("a", "1")
        assert all("Authorization" not in headers for headers in fake.headers_seen)


def test_docker_hub_is_asked_at_its_api_host():
    assert Registry("docker.io")._url("library/alpine", "manifests", "3") == "https://registry-1.docker.io/v2/library/alpine/manifests/3"
