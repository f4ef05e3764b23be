# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles from one real registry to another, with tar and skopeo as judges of what is carried over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.tests.unit.fakes import images
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import digest_of, multi, single, write_layout
from checkout import CHECKOUT, collections_folder
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

PASSPHRASE = "canary-passphrase"

pytestmark = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed, and nobody else could judge")


@pytest.fixture
def repository():
    return f"tests/bundle-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def key(tmp_path):
    """(path of an encrypted private key, its public key in PEM)."""
    private = ed25519.Ed25519PrivateKey.generate()
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    (tmp_path / "key.pem").write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return str(tmp_path / "key.pem"), private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def skopeo(*arguments) -> bytes:
    done = subprocess.run(["skopeo", "--command-timeout=60s", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def push(image: images.Image, folder: Path, host: str, repository: str, tag: str) -> str:
    """An image in the plain registry, put there by skopeo; its name."""
    write_layout(folder, one=image)
    name = f"{host}/{repository}:{tag}"
    skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{folder}:one", f"docker://{name}")
    return name


def joined(folder: Path, into: Path) -> Path:
    """The layout that tar makes of the parts, pieces put together."""
    into.mkdir()
    for part in sorted(folder.glob("bundle-*.tar")):
        subprocess.run(["tar", "-xf", part, "-C", into], check=True)
    for first in sorted(into.glob("pieces/*.000")):
        pieces = sorted(first.parent.glob(f"{first.stem}.*"))
        (into / "blobs/sha256" / first.stem).write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    return into


@pytest.mark.parametrize("media_size", [None, 300_000])
def test_what_we_write_skopeo_reads(run_tasks, registries, repository, tmp_path, media_size):
    image, other = multi("b1", layers=3, size=100_000), single("b2", layers=2, size=1_000_000)
    plain = registries[0]["host"]
    names = [push(each, tmp_path / f"made-{number}", plain, f"{repository}/{number}", "1") for number, each in enumerate((image, other))]
    (tmp_path / "collection.tar.gz").write_bytes(b"x" * 5000)
    options = {
        "path": str(tmp_path / "bundle"),
        "images": [{"source": name} for name in names],
        "files": [{"path": str(tmp_path / "collection.tar.gz")}],
        "registries": registries[:1],
        **({"media_size": media_size} if media_size else {}),
    }
    predicted, made, again = run_tasks(
        [{"nanoagent.k8s.bundle": options, "check_mode": True}, {"nanoagent.k8s.bundle": options}] + [{"nanoagent.k8s.bundle": options}]
    )
    assert not made.get("failed"), made
    assert made["digest"] == predicted["digest"] and made["changed"] and not again["changed"]
    assert (len(made["parts"]) > 3) == bool(media_size)
    place = f"oci:{joined(tmp_path / 'bundle', tmp_path / 'layout')}" if media_size else f"oci-archive:{tmp_path / 'bundle/bundle-000.tar'}"
    for name, each in zip(names, (image, other)):
        assert digest_of(skopeo("inspect", "--raw", f"{place}:{name}")) == each.root
        target = tmp_path / f"judged-{each.root[7:15]}"
        skopeo("copy", "--all", "--preserve-digests", f"{place}:{name}", f"dir:{target}")
        assert {*each.blobs, *each.manifests} <= {digest_of(path.read_bytes()) for path in target.iterdir()}


def test_the_whole_way_with_the_playbooks(registries, secret, repository, key, cluster_env, tmp_path, ansible_playbook):
    """Made, signed, checked and loaded by the roles; then an update as a delta against what the registry has."""
    plain, tls = (entry["host"] for entry in registries)
    first, second = multi("c1", layers=2, size=50_000), multi("c1", layers=3, size=50_000)
    bundle, unpacked = tmp_path / "bundle", tmp_path / "unpacked"
    name = push(first, tmp_path / "made-1", plain, f"{repository}/app", "1")
    variables = {
        "secret": secret,
        "bundle_path": str(bundle),
        "bundle_images": [{"source": name}],
        "bundle_media_size": "200K",
        "bundle_signing_key": key[0],
        "bundle_signing_passphrase": PASSPHRASE,
        "bundle_registries": registries[:1],
        "bundle_load_path": str(bundle),
        "mirror_rewrites": [{"source": plain, "destination": f"{tls}/mirror"}],
        "bundle_load_trusted_keys": [key[1]],
        "bundle_load_registries": registries[1:],
        "bundle_load_files_path": str(unpacked),
        "mirror_lock_file": str(tmp_path / "lock.yml"),
    }

    def play(playbook: str, *arguments: str, **more) -> str:
        (tmp_path / "variables.json").write_text(json.dumps({**variables, **more, "ansible_python_interpreter": sys.executable}))
        (tmp_path / "variables.json").chmod(0o600)
        done = ansible_playbook(CHECKOUT / "playbooks" / playbook, "-e", f"@{tmp_path / 'variables.json'}", "-vvv", "--diff", *arguments)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert secret not in output and PASSPHRASE not in output
        return output

    play("bundle.yml", "--check")
    assert not bundle.exists()
    play("bundle.yml")
    assert "changed=0" in play("bundle.yml") and len(list(bundle.glob("bundle-*.tar"))) > 1
    mirror = f"{tls}/mirror/{repository}/app"
    assert f"{mirror}:1: would be pushed" in play("bundle_load.yml", "--check") and not unpacked.exists()
    assert f"{mirror}:1: pushed" in play("bundle_load.yml")
    assert "changed=0" in play("bundle_load.yml") and f"{mirror}:1: unchanged" in play("bundle_load.yml")
    [entry] = yaml.safe_load((tmp_path / "lock.yml").read_text())["images"]
    assert entry["digest"] == first.root and entry["mirrors"] == [f"{mirror}:1"]

    # The way back out: what the registry has, carried to where the next bundle is made.
    tasks = [{"nanoagent.k8s.bundle_inventory": {"repositories": [mirror], "path": str(tmp_path / "inventory.json"), "registries": registries[1:]}}]
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    shutil.copy(inventory, tmp_path / "play.yml")
    play(str(tmp_path / "play.yml"))
    newer = push(second, tmp_path / "made-2", plain, f"{repository}/app", "2")
    update = {"bundle_path": str(tmp_path / "update"), "bundle_inventory": str(tmp_path / "inventory.json"), "bundle_images": [{"source": newer}]}
    play("bundle.yml", **update)
    assert sum(part.stat().st_size for part in (tmp_path / "update").glob("*.tar")) < 160_000
    moved = [{"source": plain, "destination": f"{tls}/elsewhere"}]
    for table, home in ((variables["mirror_rewrites"], "mirror"), (moved, "elsewhere")):
        assert f"{tls}/{home}/{repository}/app:2: pushed" in play("bundle_load.yml", bundle_load_path=str(tmp_path / "update"), bundle_load_rewrites=table)
        access = ["--src-cert-dir", tmp_path / "certs", "--src-creds", f"{cluster_env['REGISTRY_TLS_USER']}:{secret}"]
        (tmp_path / "certs").mkdir(exist_ok=True)
        shutil.copy(cluster_env["REGISTRY_TLS_CA"], tmp_path / "certs/ca.crt")
        skopeo("copy", "--all", "--preserve-digests", *access, f"docker://{tls}/{home}/{repository}/app:2", f"dir:{tmp_path / home}")
        assert {*second.blobs, *second.manifests} <= {digest_of(path.read_bytes()) for path in (tmp_path / home).iterdir()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a disk of a chosen size")
def test_a_full_disk(run_tasks, tmp_path):
    """One that is too small from the beginning, and one that something else fills meanwhile; then there is room."""
    image = single("e1", layers=4, size=500_000)
    write_layout(tmp_path / "made", one=image)
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    try:
        options = {"path": str(disk / "bundle"), "images": [{"source": f"oci:{tmp_path / 'made'}:one", "name": "example.com/app:1"}]}
        (disk / "other").write_bytes(bytes(3 << 20))
        [small] = run_tasks([{"nanoagent.k8s.bundle": options}])
        assert small["failed"] and "its disk has" in small["msg"] and "\n" not in small["msg"]
        (disk / "other").unlink()
        [made] = run_tasks([{"nanoagent.k8s.bundle": options}])
        assert made["changed"]

        # As an interrupted run leaves it, which took no room yet; meanwhile something else takes that.
        shutil.copy(disk / "bundle/bundle-000.tar", tmp_path / "kept")
        (disk / "bundle/bundle-000.tar").unlink()
        unfinished = disk / "bundle/.bundle-000.tar.unfinished"
        with open(unfinished, "wb") as file:
            file.truncate(made["bytes"])
        (disk / "bundle/bundle.json").rename(disk / "bundle/.bundle.json.unfinished")
        (disk / "other").write_bytes(bytes(3 << 20))
        [full] = run_tasks([{"nanoagent.k8s.bundle": options}])
        assert full["failed"] and "cannot be written (No space left on device)" in full["msg"]
        assert unfinished.exists() and not (disk / "bundle/bundle-000.tar").exists()
        (disk / "other").unlink()
        [whole, seen] = run_tasks([{"nanoagent.k8s.bundle": options}, {"nanoagent.k8s.bundle_info": {"path": options["path"]}}])
        assert whole["changed"] and seen["whole"] and whole["digest"] == made["digest"]
        assert (disk / "bundle/bundle-000.tar").read_bytes() == (tmp_path / "kept").read_bytes()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_memory_stays_flat(registries, repository, tmp_path):
    """Made, verified and loaded with a layer of 300 MB in parts of 100 MB, in a process of its own."""
    plain = registries[0]["host"]
    large = images.Image()
    config = large.add_blob(images.TYPES["oci"]["config"], b"{}")
    layer = large.add_blob(images.TYPES["oci"]["plain"], bytes(300 << 20))
    large.add_manifest({"schemaVersion": 2, "mediaType": images.TYPES["oci"]["manifest"], "config": config, "layers": [layer]})
    write_layout(tmp_path / "large", one=large)
    write_layout(tmp_path / "small", one=single("d1"))
    peaks = []
    for name in ("small", "large"):
        make = {"path": str(tmp_path / f"{name}-bundle"), "images": [{"source": f"oci:{tmp_path / name}:one", "name": f"example.com/{repository}:1"}]}
        load = {"path": make["path"], "rewrites": [{"source": "example.com", "destination": plain}], "registries": registries[:1], "journal": ""}
        calls = [["bundle", {**make, "media_size": "100M"}], ["bundle_info", {"path": make["path"]}], ["bundle_load", load]]
        code = (
            "import importlib, json, sys; sys.path.insert(0, sys.argv[1])\n"
            "from ansible.module_utils.common.arg_spec import ArgumentSpecValidator\n"
            "from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run\n"
            "for name, given in json.loads(sys.argv[2]):\n"
            "    module = importlib.import_module('ansible_collections.nanoagent.k8s.plugins.modules.' + name)\n"
            "    module.work(ArgumentSpecValidator(module.argument_spec()).validate(given).validated_parameters, Run(temp_dir=sys.argv[3]))\n"
            "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
        )
        command = [sys.executable, "-c", code, str(collections_folder()), json.dumps(calls), str(tmp_path)]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) // 1024)
    assert peaks[1] - peaks[0] < 30 and peaks[1] < 100, peaks
