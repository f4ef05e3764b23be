# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module through its main(), against the fake registry: check mode, apply, apply again, wrong input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils import oci
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry as registry_client
from ansible_collections.nanoagent.k8s.plugins.modules import collector_image
from ansible_collections.nanoagent.k8s.tests.unit.fakes.programs import make_elf
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

PASSWORD = "canary-pa55-word"


@pytest.fixture
def run(run_module):
    def run(arguments, **mode):
        return run_module(collector_image.main, arguments, **mode)

    return run


@pytest.fixture
def fake():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def binaries(tmp_path):
    paths = {}
    for architecture in oci.ARCHITECTURES:
        path = tmp_path / f"collector-{architecture}.gz"
        path.write_bytes(oci.stored_member(make_elf(architecture)))
        paths[architecture] = str(path)
    return paths


@pytest.fixture
def arguments(fake, binaries):
    return {"name": f"{fake.host}/team/collector:1", "binaries": binaries, "plain_http": True}


# --- registry


def test_check_apply_apply_again(run, fake, arguments):
    predicted = run(arguments, check_mode=True, diff=True)
    assert predicted["changed"] is True
    assert fake.writes() == []

    applied = run(arguments, diff=True)
    assert applied["changed"] is True
    for key in ("actions", "image", "digest", "platforms", "diff"):
        assert applied[key] == predicted[key]
    assert applied["image"] == f"{fake.host}/team/collector@{applied['digest']}"
    assert oci.sha256_digest(fake.manifests["team/collector", "1"][1]) == applied["digest"]
    assert applied["diff"] == {"before": "", "after": f"image: {applied['digest']}\n"}
    assert applied["requests"] == {"HEAD": 7, "POST": 4, "PUT": 7}
    assert applied["reproducible"] is True
    index = json.loads(fake.manifests["team/collector", "1"][1])
    assert {entry["platform"]["architecture"]: entry["digest"] for entry in index["manifests"]} == {
        architecture: platform["digest"] for architecture, platform in applied["platforms"].items()
    }

    for check_mode in (True, False):
        again = run(arguments, check_mode=check_mode, diff=True)
        assert again["changed"] is False
        assert again["actions"] == []
        assert again["requests"] == {"HEAD": 1}
        assert again["image"] == applied["image"]
        assert again["diff"]["before"] == again["diff"]["after"]


def test_diff_only_when_asked_for(run, arguments):
    assert "diff" not in run(arguments)


def test_other_labels_make_another_image(run, arguments):
    first = run(arguments)
    second = run({**arguments, "labels": {"team": "security"}}, diff=True)
    assert second["changed"] is True
    assert second["diff"] == {"before": f"image: {first['digest']}\n", "after": f"image: {second['digest']}\n"}
    assert run({**arguments, "labels": {"team": "security"}})["changed"] is False


def test_one_architecture(run, arguments):
    result = run({**arguments, "architectures": ["arm64"], "binaries": {"arm64": arguments["binaries"]["arm64"]}})
    assert list(result["platforms"]) == ["arm64"]


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_password(run, binaries, auth):
    with FakeRegistry(auth, password=PASSWORD) as fake:
        arguments = {"name": f"{fake.host}/a:1", "binaries": binaries, "plain_http": True, "username": "alice", "password": PASSWORD}
        applied = run(arguments)
        assert applied["changed"] is True
        assert run(arguments)["changed"] is False
        assert PASSWORD not in json.dumps(applied)


def test_docker_config(run, binaries, tmp_path):
    with FakeRegistry("basic", password=PASSWORD) as fake:
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"auths": {fake.host: {"username": "alice", "password": PASSWORD}}}))
        result = run({"name": f"{fake.host}/a:1", "binaries": binaries, "plain_http": True, "docker_config": str(config)})
    assert result["changed"] is True


@pytest.mark.parametrize("check_mode", [True, False])
def test_wrong_password(run, binaries, check_mode):
    with FakeRegistry("bearer", password="another") as fake:
        result = run(
            {"name": f"{fake.host}/a:1", "binaries": binaries, "plain_http": True, "username": "alice", "password": PASSWORD},
            check_mode=check_mode,
        )
    assert result["failed"] is True
    assert "HTTP 401 UNAUTHORIZED" in result["msg"] and "check username and password" in result["msg"]
    assert PASSWORD not in json.dumps({**result, "invocation": None})
    assert fake.writes() == []


def test_failing_registry(run, fake, arguments, monkeypatch):
    monkeypatch.setitem(registry_client.Registry.__init__.__kwdefaults__, "sleep", lambda seconds: None)
    fake.fail("POST", "uploads/", status=500, times=999)
    result = run(arguments)
    assert result["failed"] is True
    assert "HTTP 500 (tried 5 times)" in result["msg"]
    assert "\n" not in result["msg"]
    assert fake.manifests == {}


def test_bare_binaries_warn_where_zlib_differs(run, arguments, tmp_path, monkeypatch):
    path = tmp_path / "bare"
    path.write_bytes(make_elf("amd64"))
    arguments = {**arguments, "architectures": ["amd64"], "binaries": {"amd64": str(path)}}
    monkeypatch.setattr(oci, "zlib_is_classic", lambda: True)
    result = run(arguments)
    assert result["reproducible"] is True
    assert "gzip -9n" not in json.dumps(result.get("warnings"))
    monkeypatch.setattr(oci, "zlib_is_classic", lambda: False)
    result = run(arguments)
    assert result["reproducible"] is False
    assert "gzip -9n" in json.dumps(result["warnings"])


# --- archive


def test_archive_check_apply_apply_again(run, binaries, tmp_path):
    path = tmp_path / "out" / "collector.tar"
    path.parent.mkdir()
    arguments = {"archive": str(path), "binaries": binaries}
    predicted = run(arguments, check_mode=True)
    assert predicted["changed"] is True
    assert not path.exists()

    applied = run(arguments, diff=True)
    assert applied["actions"] == predicted["actions"]
    assert [action["action"] for action in applied["actions"]] == ["write_archive"]
    assert applied["actions"][0]["digest"] == oci.file_digest(str(path))
    assert applied["requests"] == {}
    assert "image" not in applied
    assert os.listdir(path.parent) == ["collector.tar"]

    before = path.stat()
    assert run(arguments)["changed"] is False
    assert path.stat().st_mtime_ns == before.st_mtime_ns

    path.write_bytes(b"damaged")
    assert run(arguments)["changed"] is True
    assert run(arguments)["changed"] is False


def test_registry_and_archive_together(run, arguments, tmp_path):
    arguments = {**arguments, "archive": str(tmp_path / "both.tar")}
    applied = run(arguments)
    assert applied["actions"][-1]["action"] == "write_archive"
    assert arguments["name"].encode() in (tmp_path / "both.tar").read_bytes()
    assert run(arguments)["changed"] is False


# --- wrong input


@pytest.mark.parametrize(
    "change, says",
    [
        ({"name": None}, "one of the following is required: name, archive"),
        ({"name": "reg.example/collector"}, "add one, for example reg.example/collector:1.0"),
        ({"name": "reg.example/collector:1@sha256:" + "0" * 64}, "the digest follows from the content"),
        ({"name": "reg.example/Collector:1"}, "lower case"),
        ({"binaries": {"amd64": "/absent", "arm64": "/absent"}}, "make collector"),
        ({"binaries": {"x86": "/absent"}}, "unknown architecture"),
        ({"binaries": {}}, "no path for amd64"),
        ({"architectures": ["riscv64"]}, "must be one or more of: amd64, arm64"),
        ({"architectures": []}, "architectures is empty"),
        ({"username": "alice"}, "password"),
        ({"username": "alice", "password": PASSWORD, "docker_config": "/x"}, "mutually exclusive"),
        ({"docker_config": "/absent/config.json"}, "does not exist"),
        ({"ca_cert": "/absent/ca.pem"}, "cannot be read"),
        ({"archive": "/absent/folder/archive.tar"}, "create it first"),
    ],
)
def test_wrong_input(run, fake, arguments, change, says):
    result = run({key: value for key, value in {**arguments, **change}.items() if value is not None})
    assert result["failed"] is True
    assert says in result["msg"]
    assert "\n" not in result["msg"]
    assert "exception" not in result
    assert fake.requests == []


def test_exchanged_binaries(run, arguments):
    binaries = arguments["binaries"]
    result = run({**arguments, "binaries": {"amd64": binaries["arm64"], "arm64": binaries["amd64"]}})
    assert "built for" in result["msg"]


def test_missing_requests(run, arguments, monkeypatch):
    monkeypatch.setattr(registry_client, "REQUESTS_IMPORT_ERROR", "No module named requests")
    result = run(arguments)
    assert result["failed"] is True
    assert "requests" in result["msg"]


def test_role_readme_and_specs_agree():
    role = Path(__file__).resolve().parents[3] / "roles" / "collector_image"
    options = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    rows = [line.split("|")[1].strip(" `") for line in (role / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert rows == list(options)
    own = {"monitor", "monitor_name", "monitor_archive"}
    assert {name.removeprefix("collector_image_") for name in options} == set(collector_image.argument_spec()) - {"program"} | own


def test_the_role_sends_the_monitor_s_image_as_it_sends_the_collector_s():
    tasks = Path(__file__).resolve().parents[3] / "roles" / "collector_image" / "tasks"
    [of_collector, of_monitor] = [yaml.safe_load((tasks / name).read_text())[0]["nanoagent.k8s.collector_image"] for name in ("main.yml", "monitor.yml")]
    assert (of_collector["program"], of_monitor["program"]) == ("collector", "monitor") and set(of_monitor) == set(of_collector)
    own = {"program", "name", "archive", "binaries"}
    assert all(of_monitor[option] == of_collector[option] for option in set(of_collector) - own)


def test_the_monitor_s_image(run, arguments):
    of_collector, of_monitor = run(arguments), run({**arguments, "program": "monitor"})
    assert not of_monitor.get("failed") and of_monitor["digest"] != of_collector["digest"]
