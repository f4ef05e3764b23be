# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module and role collector_image against real registries, judged from outside by skopeo."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import socket
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.tests.unit.fakes.programs import make_elf
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

MODULE = "nanoagent.k8s.collector_image"
SHIPPED = Path(__file__).resolve().parents[2] / "files" / "ebpf" / "bin"
LARGEST_COMPRESSED = 5_000_000

needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")


@pytest.fixture(scope="module")
def binaries(tmp_path_factory):
    """Programs of 3 MB for both architectures, bare; half of them compresses well."""
    folder = tmp_path_factory.mktemp("binaries")
    paths = {}
    for architecture in ("amd64", "arm64"):
        path = folder / f"collector-linux-{architecture}"
        noise = random.Random(architecture).randbytes(1_500_000)
        path.write_bytes(make_elf(architecture) + noise + architecture.encode() * 300_000)
        paths[architecture] = str(path)
    return paths


@pytest.fixture
def repository():
    return f"tests/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def plain(cluster_env, binaries, repository):
    """Options for the plain registry."""
    return {"name": f"{cluster_env['REGISTRY']}/{repository}:1", "binaries": binaries, "plain_http": True}


@pytest.fixture
def tls(cluster_env, binaries, repository):
    """Options for the registry with TLS and a password; the password itself is in the variable `secret`."""
    if not cluster_env.get("REGISTRY_TLS"):
        pytest.skip("REGISTRY_TLS is not set")
    return {
        "name": f"{cluster_env['REGISTRY_TLS']}/{repository}:1",
        "binaries": binaries,
        "ca_cert": cluster_env["REGISTRY_TLS_CA"],
        "username": cluster_env["REGISTRY_TLS_USER"],
        "password": "{{ secret }}",
    }


@pytest.fixture
def secret(cluster_env):
    return Path(cluster_env["REGISTRY_TLS_PASSWORD_FILE"]).read_text().strip()


def skopeo(*arguments: str) -> bytes:
    return subprocess.run(["skopeo", *arguments], capture_output=True, check=True).stdout


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layout_blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


def check_layout(layout: Path, index_digest: str, binaries: dict) -> None:
    """A layout that skopeo wrote holds the index and, for every architecture, exactly its program."""
    index = json.loads(layout_blob(layout, index_digest))
    assert {entry["platform"]["architecture"] for entry in index["manifests"]} == set(binaries)
    for entry in index["manifests"]:
        manifest = json.loads(layout_blob(layout, entry["digest"]))
        config = json.loads(layout_blob(layout, manifest["config"]["digest"]))
        (layer,) = manifest["layers"]
        assert layer["size"] <= LARGEST_COMPRESSED
        tar = gzip.decompress(layout_blob(layout, layer["digest"]))
        assert config["rootfs"]["diff_ids"] == [digest_of(tar)]
        assert config["architecture"] == entry["platform"]["architecture"]
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            (member,) = archive.getmembers()
            assert (member.name, member.mode, member.uid, member.gid, member.mtime) == ("collector", 0o555, 0, 0, 0)
            content = archive.extractfile(member).read()
        source = Path(binaries[config["architecture"]]).read_bytes()
        assert content == (gzip.decompress(source) if source.startswith(b"\x1f\x8b") else source)


@needs_skopeo
def test_check_apply_again_and_judged_by_skopeo(run_tasks, plain, tmp_path):
    (predicted,) = run_tasks([{MODULE: plain}], "--check", "--diff")
    absent = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{plain['name']}"], capture_output=True, check=False)
    assert absent.returncode != 0

    applied, again, checked = run_tasks([{MODULE: plain}, {MODULE: plain}, {MODULE: plain, "check_mode": True}])
    assert applied["changed"] and predicted["changed"]
    assert applied["actions"] == predicted["actions"]
    assert applied["image"] == predicted["image"]
    for result in (again, checked):
        assert not result["changed"]
        assert result["requests"] == {"HEAD": 1}

    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{plain['name']}")
    assert digest_of(raw) == applied["digest"]
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{applied['image']}", f"oci:{tmp_path / 'layout'}:1")
    check_layout(tmp_path / "layout", applied["digest"], plain["binaries"])
    for architecture, platform in applied["platforms"].items():
        target = tmp_path / architecture
        skopeo("--override-arch", architecture, "copy", "--src-tls-verify=false", f"docker://{plain['name']}", f"oci:{target}:1")
        (entry,) = json.loads((target / "index.json").read_text())["manifests"]
        assert entry["digest"] == platform["digest"]
        config = json.loads(skopeo("--override-arch", architecture, "inspect", "--config", "--tls-verify=false", f"docker://{plain['name']}"))
        assert config["config"]["Entrypoint"] == ["/collector"] and config["config"]["Cmd"] == ["run"]


def test_moved_tag_is_moved_back_with_one_write(run_tasks, plain):
    other = {**plain, "labels": {"team": "security"}}
    first, moved, back = run_tasks([{MODULE: plain}, {MODULE: other}, {MODULE: plain}])
    assert moved["digest"] != first["digest"]
    assert [action["what"] for action in moved["actions"]] == [
        "config linux/amd64",
        "config linux/arm64",
        "manifest linux/amd64",
        "manifest linux/arm64",
        "index",
    ]
    assert [action["what"] for action in back["actions"]] == ["index"]
    assert back["digest"] == first["digest"]


@needs_skopeo
def test_archive_that_skopeo_reads(run_tasks, binaries, tmp_path):
    options = {"archive": str(tmp_path / "collector.tar"), "binaries": binaries}
    (predicted,) = run_tasks([{MODULE: options}], "--check")
    assert not (tmp_path / "collector.tar").exists()
    applied, again = run_tasks([{MODULE: options}, {MODULE: options}])
    assert applied["actions"] == predicted["actions"]
    assert applied["changed"] and not again["changed"]
    skopeo("copy", "--all", f"oci-archive:{tmp_path / 'collector.tar'}", f"oci:{tmp_path / 'layout'}:1")
    check_layout(tmp_path / "layout", applied["digest"], binaries)


@needs_skopeo
def test_tls_and_password(run_tasks, tls, secret, tmp_path):
    applied, again = run_tasks([{MODULE: tls}, {MODULE: tls}], "-vvv", "--diff", variables={"secret": secret})
    assert applied["changed"] and not again["changed"]
    assert again["requests"]["HEAD"] == 2  # the first one is refused with the challenge
    assert secret not in run_tasks.process.stdout + run_tasks.process.stderr

    config = tmp_path / "auth.json"
    config.write_text("{}")
    host = tls["name"].split("/")[0]
    certificates = tmp_path / "certs"
    certificates.mkdir()
    shutil.copy(tls["ca_cert"], certificates / "ca.crt")
    subprocess.run(
        ["skopeo", "login", "--authfile", config, "--cert-dir", certificates, "-u", tls["username"], "--password-stdin", host],
        input=secret.encode(),
        capture_output=True,
        check=True,
    )
    raw = skopeo("inspect", "--raw", "--authfile", str(config), "--cert-dir", str(certificates), f"docker://{tls['name']}")
    assert digest_of(raw) == applied["digest"]

    by_config = {key: value for key, value in tls.items() if key not in ("username", "password")}
    (with_config,) = run_tasks([{MODULE: {**by_config, "docker_config": str(config)}}])
    assert not with_config.get("failed") and not with_config["changed"]


def test_refusals_are_one_clear_line(run_tasks, tls, secret, repository, binaries):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    anonymous = {key: value for key, value in tls.items() if key not in ("username", "password")}
    cases = [
        ({**tls, "password": "{{ wrong }}"}, "HTTP 401", "check username and password"),
        (anonymous, "HTTP 401", "check username and password"),
        ({**tls, "ca_cert": None}, "certificate is not trusted", "set ca_cert"),
        ({**tls, "plain_http": True}, "HTTP 400", ""),
        ({**tls, "ca_cert": "/absent"}, "ca_cert /absent cannot be read", "PEM"),
        ({"name": f"127.0.0.1:{closed}/{repository}:1", "binaries": binaries, "plain_http": True}, "connection refused", "check host and port"),
        ({"name": f"127.0.0.1:{closed}/{repository}:1", "binaries": binaries}, "connection refused", "check host and port"),
        ({**tls, "binaries": {"amd64": "/absent/collector"}, "architectures": ["amd64"]}, "/absent/collector does not exist", "make collector"),
        ({**tls, "binaries": {"amd64": binaries["arm64"]}, "architectures": ["amd64"]}, "built for arm64", "amd64 binary"),
        ({**tls, "name": "UPPER/Case:1"}, "capital letters", "lower case"),
    ]
    tasks = [{MODULE: {key: value for key, value in options.items() if value is not None}} for options, _says, _step in cases]
    results = run_tasks(tasks, "-vvv", variables={"secret": secret, "wrong": "wr0ng-canary"})
    for result, (_options, says, step) in zip(results, cases):
        assert result["failed"], result
        assert says in result["msg"] and step in result["msg"], result["msg"]
        assert "\n" not in result["msg"]
        assert "Traceback" not in json.dumps(result)
    output = run_tasks.process.stdout + run_tasks.process.stderr
    assert secret not in output and "wr0ng-canary" not in output


def test_plain_registry_is_not_spoken_to_without_being_asked(run_tasks, plain):
    (result,) = run_tasks([{MODULE: {**plain, "plain_http": False}}])
    assert result["failed"]
    assert "set plain_http to true" in result["msg"]


def test_failing_registry_recovers_or_is_reported(run_tasks, binaries):
    with FakeRegistry() as fake:
        options = {"name": f"{fake.host}/team/collector:1", "binaries": binaries, "plain_http": True}
        fake.fail("PUT", "uploads/", status=503, times=2)
        fake.fail("PUT", "manifests/", times=1)
        fake.fail("POST", "uploads/", status=429, headers={"Retry-After": "1"})
        (recovered,) = run_tasks([{MODULE: options}])
        assert recovered["changed"] and not recovered.get("failed")
        assert ("team/collector", "1") in fake.manifests

        fake.fail("HEAD", "manifests/2", status=500, times=99)
        (failed,) = run_tasks([{MODULE: {**options, "name": f"{fake.host}/team/collector:2"}}])
        assert failed["failed"]
        assert "HEAD manifest 2: HTTP 500 (tried 5 times)" in failed["msg"]


@pytest.mark.skipif(not (SHIPPED / "collector-linux-amd64").exists(), reason="the collector is not built")
@needs_skopeo
def test_role_pushes_what_the_collection_ships(run_tasks, plain, tmp_path):
    variables = {"collector_image_name": plain["name"], "collector_image_plain_http": "true"}
    role = {"ansible.builtin.include_role": {"name": "nanoagent.k8s.collector_image"}}
    result_of = {"ansible.builtin.set_fact": {"seen": "{{ collector_image_result }}"}}
    _role, first, _again, second = run_tasks([role, result_of, role, result_of], variables=variables)
    applied, again = first["ansible_facts"]["seen"], second["ansible_facts"]["seen"]
    assert applied["changed"] and not again["changed"]
    assert all(platform["size_compressed"] <= LARGEST_COMPRESSED for platform in applied["platforms"].values())
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{applied['image']}", f"oci:{tmp_path / 'layout'}:1")
    shipped = {architecture: str(SHIPPED / f"collector-linux-{architecture}") for architecture in ("amd64", "arm64")}
    check_layout(tmp_path / "layout", applied["digest"], shipped)
