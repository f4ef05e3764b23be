# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built by ansible-galaxy, installed elsewhere, run from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
IMAGE = "registry.example/c@sha256:" + "0" * 64


def run(*command: str, **environment: str) -> str:
    done = subprocess.run([str(BIN / command[0]), *command[1:]], env={**os.environ, **environment}, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the collection installed from its archive, and the names in that archive."""
    folder = tmp_path_factory.mktemp("release")
    subprocess.run([str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", str(folder)], cwd=CHECKOUT, check=True, capture_output=True)
    [archive] = folder.glob("nanoagent-k8s-*.tar.gz")
    collections = str(folder / "collections")
    # Without a path of its own it finds the checkout, and then there is nothing to install.
    run("ansible-galaxy", "collection", "install", "--offline", "-p", collections, str(archive), ANSIBLE_COLLECTIONS_PATH=collections)
    with tarfile.open(archive) as content:
        names = content.getnames()
    return folder / "collections", names


def test_the_archive_ships_the_collector_and_no_leftovers(installed):
    _folder, names = installed
    assert {"files/ebpf/bin/collector-linux-amd64.gz", "files/ebpf/bin/collector-linux-arm64.gz"} <= set(names)
    assert {"files/ebpf/bin/NOTICES.txt", "files/monitor/bin/NOTICES.txt"} <= set(names)
    assert {"files/ebpf/internal/bpf/tp_btf.bpf.o", "meta/runtime.yml", "CHANGELOG.md"} <= set(names)
    unwanted = (".venv", ".build", ".git/", "__pycache__", "tests/output", "bin/collector-linux-amd64", "bin/collector-linux-arm64")
    assert not [name for name in names if name.startswith(unwanted) or name.endswith((".pyc", "collector-linux-amd64", "collector-linux-arm64"))]


def test_it_makes_the_image_and_the_manifests_from_where_it_is_installed(installed, tmp_path):
    folder, _names = installed
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, "collector_image_archive": str(tmp_path / "collector.tar")},
        "roles": ["nanoagent.k8s.collector_image"],
        "post_tasks": [{"nanoagent.k8s.agent": {"state": "rendered", "image": IMAGE}}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    run("ansible-playbook", str(tmp_path / "play.yml"), ANSIBLE_COLLECTIONS_PATH=str(folder))
    with tarfile.open(tmp_path / "collector.tar") as archive:
        index = json.load(archive.extractfile("index.json"))
    assert len(index["manifests"]) == 1


@pytest.mark.parametrize("playbook", sorted(path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")))
def test_playbooks_are_found_by_their_full_names(installed, playbook, ansible_playbook):
    folder, _names = installed
    done = ansible_playbook("--syntax-check", "-i", "localhost,", f"nanoagent.k8s.{playbook}", ANSIBLE_COLLECTIONS_PATH=str(folder))
    assert done.returncode == 0 and f"playbook: {folder}/ansible_collections/nanoagent/k8s/playbooks/{playbook}.yml\n" in done.stdout, done.stdout + done.stderr


def test_every_module_and_role_is_documented(installed):
    folder, _names = installed
    modules = {f"nanoagent.k8s.{path.stem}" for path in (CHECKOUT / "plugins/modules").glob("*.py")}
    told = json.loads(run("ansible-doc", "--json", *modules, ANSIBLE_COLLECTIONS_PATH=str(folder)))
    assert {module for module, each in told.items() if each["doc"]["options"] and each["examples"].strip()} == modules
    roles = {f"nanoagent.k8s.{path.name}" for path in (CHECKOUT / "roles").iterdir()}
    told = json.loads(run("ansible-doc", "-t", "role", "--json", *roles, ANSIBLE_COLLECTIONS_PATH=str(folder)))
    assert {role for role, each in told.items() if each["entry_points"]["main"]["short_description"]} == roles
