# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed images between real registries and on a real cluster: what cosign signed counts wherever it was mirrored to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.signing import public_key
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, audited, one_line, pods
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import write_layout
from ansible_collections.nanoagent.k8s.tests.unit.fakes.signatures import (
    ARCHIVE,
    RECORDED,
    new_key,
    private_text,
    public_text,
    recorded_key,
    simple_signature,
)

MIRROR, PREFLIGHT = "nanoagent.k8s.image_mirror", "nanoagent.k8s.preflight"
SIGNED = {"p256-simple": "p256", "p256-bundle": "p256", "p384-bundle": "p384", "rsa-simple": "rsa", "rsa-bundle": "rsa"}


@pytest.fixture
def repository():
    return f"tests/signed-{uuid.uuid4().hex[:12]}"


def fingerprint(path):
    return public_key(str(path), "key").fingerprint


def mirror(pairs, registries, **options):
    return {MIRROR: {"images": [{"source": source, "destination": target} for source, target in pairs], "registries": registries, **options}}


def test_what_cosign_signed_goes_through_two_registries(run_tasks, cluster_env, repository):
    if not cluster_env.get("REGISTRY_TLS"):
        pytest.skip("REGISTRY_TLS is not set")
    plain, tls = cluster_env["REGISTRY"], cluster_env["REGISTRY_TLS"]
    login = {"username": cluster_env["REGISTRY_TLS_USER"], "password": "{{ secret }}", "ca_cert": cluster_env["REGISTRY_TLS_CA"]}
    registries = [{"host": plain, "plain_http": True}, {"host": tls, **login}]
    secret = Path(cluster_env["REGISTRY_TLS_PASSWORD_FILE"]).read_text().strip()
    keys = [recorded_key(kind) for kind in ("p256", "p384", "rsa")]
    ways = (
        (lambda tag: f"oci-archive:{ARCHIVE}:{tag}", f"{plain}/{repository}/{{}}:{{}}"),
        (
            lambda tag: f"{plain}/{repository}/{tag}:{tag}",
            f"{tls}/{repository}/{{}}:{{}}",
        ),
    )
    for source, target in ways:
        task = mirror([(source(tag), target.format(tag, tag)) for tag in SIGNED], registries, signature_policy="require", signature_keys=keys)
        [predicted] = run_tasks([task], "--check", variables={"secret": secret})
        applied, again = run_tasks([task, task], variables={"secret": secret})
        assert predicted["changed"] and applied["changed"] and not again["changed"], (predicted, applied, again)
        for result in (predicted, applied, again):
            said = [image["signature"] for image in result["images"]]
            assert said == [f"verified by {fingerprint(recorded_key(kind))}" for kind in SIGNED.values()]
    unsigned = mirror([(f"oci-archive:{ARCHIVE}:unsigned", f"{plain}/{repository}/no:1")], registries, signature_policy="require", signature_keys=keys)
    [refused] = run_tasks([unsigned], variables={"secret": secret})
    assert "has no signature by one of the keys: missing" in one_line(refused)
    assert set(refused["requests"][plain]) <= {"HEAD", "GET"}


@pytest.mark.skipif(not shutil.which("cosign"), reason="cosign is not installed; tests/tools/sign_test_images.py says what it is needed for")
def test_cosign_finds_what_was_mirrored(run_tasks, cluster_env, repository):
    plain = cluster_env["REGISTRY"]
    [result] = run_tasks([mirror([(f"oci-archive:{ARCHIVE}:{tag}", f"{plain}/{repository}/{tag}:1") for tag in SIGNED], [{"host": plain, "plain_http": True}])])
    judged = json.loads((RECORDED / "verdicts.json").read_text())
    for tag, image in zip(SIGNED, result["images"]):
        for kind in ("p256", "p384", "rsa"):
            form = ["--new-bundle-format=false"] if tag.endswith("simple") else []
            form += ["--signature-digest-algorithm", "sha384"] if kind == "p384" else []
            command = ["cosign", "verify", "--key", recorded_key(kind), "--insecure-ignore-tlog", "--allow-http-registry", *form, image["image"]]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.returncode == 0) == (kind in judged[tag]), done.stderr


def test_only_a_signed_agent_is_installed(run_tasks, cluster_env, kubectl, options, name, shipped, repository, tmp_path):
    """Refused before the cluster is asked for anything; signed afterwards, it is installed, and looking ahead says so."""
    plain, key = cluster_env["REGISTRY"], new_key()
    (tmp_path / "cosign.pub").write_text(public_text(key))
    made = {"name": f"{plain}/{repository}:1", "plain_http": True, "binaries": {"amd64": shipped["amd64"]}, "architectures": ["amd64"]}
    [image] = run_tasks([{"nanoagent.k8s.collector_image": made}])
    signed = {"image_signature_policy": "require", "image_signature_keys": [str(tmp_path / "cosign.pub")], "registry_access": {"plain_http": True}}
    wanted = {**options, "image": image["image"], "limit_percent": 5, **signed}
    ahead = {PREFLIGHT: {**wanted, "skip": ["rights", "room", "sizing", "admission", "quota"]}}

    mark = os.path.getsize(cluster_env["AUDIT_LOG"]) if cluster_env.get("AUDIT_LOG") else 0
    refused, looked = run_tasks([{AGENT: wanted}, ahead])
    assert one_line(refused).startswith(f"{image['image']} has no signature by one of the keys: missing")
    assert [one["result"] for one in looked["checks"] if one["check"] == "image"] == ["error", "ok"] and not looked["ok"]
    if cluster_env.get("AUDIT_LOG"):
        assert not [verb for verb, _path in audited(cluster_env, mark, name) if verb not in ("get", "list")]

    write_layout(tmp_path / "layout", signature=simple_signature(key, image["digest"]))
    tag = f"{image['digest'].replace(':', '-')}.sig"
    [attached] = run_tasks([mirror([(f"oci:{tmp_path / 'layout'}:signature", f"{plain}/{repository}:{tag}")], [{"host": plain, "plain_http": True}])])
    assert attached["changed"], attached
    [predicted] = run_tasks([{AGENT: wanted}], "--check")
    looked, applied, again = run_tasks([ahead, {AGENT: wanted}, {AGENT: wanted}])
    said = [{"image": image["image"], "signature": f"verified by {fingerprint(tmp_path / 'cosign.pub')}"}]
    assert predicted["changed"] and applied["changed"] and not again["changed"], (predicted, applied, again)
    assert predicted["image_signatures"] == applied["image_signatures"] == again["image_signatures"] == said
    assert looked["ok"] and {one["result"] for one in looked["checks"] if one["check"] == "image"} == {"ok"}
    assert len(pods(kubectl, name)) == applied["summary"]["eligible"]


@pytest.mark.parametrize("interpreter", ["in this process", "as a module"])
def test_a_private_key_that_was_given_by_mistake_is_not_shown(run_tasks, cluster_env, options, repository, tmp_path, interpreter):
    text = private_text(new_key())
    elsewhere = tmp_path / "bin"
    elsewhere.mkdir()
    (elsewhere / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (elsewhere / "python3").chmod(0o755)
    wish = mirror([(f"oci-archive:{ARCHIVE}:unsigned", f"{cluster_env['REGISTRY']}/{repository}:1")], [], signature_policy="warn", signature_keys=["{{ key }}"])
    install = {AGENT: {**options, "image": f"registry.invalid/a@sha256:{'0' * 64}", "image_signature_policy": "warn", "image_signature_keys": ["{{ key }}"]}}
    how = {} if interpreter == "in this process" else {"vars": {"ansible_python_interpreter": str(elsewhere / "python3")}}
    results = run_tasks([{**wish, **how}, {**install, **how}], "-vvv", variables={"key": text})
    for result, option in zip(results, ("signature_keys", "image_signature_keys")):
        assert one_line(result).startswith(f"{option}[0] is a private key")
    shown = run_tasks.process.stdout + run_tasks.process.stderr + json.dumps(results)
    assert not any(line in shown for line in text.splitlines()[1:-1])
