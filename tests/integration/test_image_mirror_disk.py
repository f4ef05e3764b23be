# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirroring to a disk that is full: a clear line, nothing half, and the rest when there is room again. Needs no cluster, but root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.modules.image_mirror import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import single, store
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

MIB = 1 << 20
# A disk of some size is a file system in memory, which only root can make.
pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="nobody else may mount a file system")


@pytest.fixture
def disk(tmp_path):
    """A folder with room for 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={8 * MIB}", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def mirror(source, name, target, tmp_path):
    given = {
        "images": [{"source": name, "destination": str(target)}],
        "registries": [{"host": source.host, "plain_http": True}],
        "journal": str(tmp_path / "journal"),
    }
    return work(ArgumentSpecValidator(argument_spec()).validate(given).validated_parameters, Run(temp_dir=str(tmp_path)))


def test_a_layout_goes_on_when_there_is_room_again(disk, tmp_path):
    image = single("full", layers=2, size=7 * MIB, packing="plain")
    with FakeRegistry() as source:
        name = store(source, "app", image)
        with pytest.raises(Failure, match="No space left on device.*with room"):
            mirror(source, name, f"oci:{disk / 'layout'}:1", tmp_path)
        assert not (disk / "layout/index.json").exists()
        left = [path for path in (disk / "layout/blobs/sha256").iterdir() if path.name.startswith(".")]
        assert left and sum(path.stat().st_size for path in left) > MIB
        subprocess.run(["mount", "-o", f"remount,size={32 * MIB}", str(disk)], check=True)
        source.sent_bytes = 0
        assert mirror(source, name, f"oci:{disk / 'layout'}:1", tmp_path)["changed"]
        assert source.sent_bytes < 14 * MIB - MIB
        present = {path.name: path.read_bytes() for path in (disk / "layout/blobs/sha256").iterdir()}
        assert present == {digest.partition(":")[2]: data for digest, data in {**image.blobs, image.root: image.manifests[image.root][1]}.items()}


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_an_archive_is_not_there_before_it_is_whole(disk, tmp_path, transport):
    image = single("full", layers=2, size=7 * MIB, packing="plain")
    with FakeRegistry() as source:
        name, target = store(source, "app", image), f"{transport}:{disk / 'images.tar'}:example.com/app:1"
        with pytest.raises(Failure, match="No space left on device.*with room"):
            mirror(source, name, target, tmp_path)
        assert [path.name for path in Path(disk).iterdir()] == [".images.tar.partial"]
        subprocess.run(["mount", "-o", f"remount,size={32 * MIB}", str(disk)], check=True)
        source.sent_bytes = 0
        assert mirror(source, name, target, tmp_path)["changed"]
        assert source.sent_bytes < 14 * MIB - MIB and [path.name for path in Path(disk).iterdir()] == ["images.tar"]
        went_on = (disk / "images.tar").read_bytes()
        assert mirror(source, name, target, tmp_path)["changed"] is False
        assert mirror(source, name, f"{transport}:{tmp_path / 'images.tar'}:example.com/app:1", tmp_path)["changed"]
        assert went_on == (tmp_path / "images.tar").read_bytes()
