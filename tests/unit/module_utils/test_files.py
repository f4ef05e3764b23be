# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import synchronise, write_atomically

MARK = "# made"


def actions(folder, files, check_mode=False):
    steps = synchronise(str(folder), {name: f"{MARK}\n{text}" for name, text in files.items()}, MARK, check_mode)
    return {os.path.basename(step["path"]): step["action"] for step in steps}


def test_a_folder_follows_its_files(tmp_path):
    folder = tmp_path / "new"
    first = {"one": "1", "two": "2"}
    assert actions(folder, first, check_mode=True) == {"one": "create", "two": "create"} and not folder.exists()
    assert actions(folder, first) == {"one": "create", "two": "create"}
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert actions(folder, first) == {"one": "keep", "two": "keep"}
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    second = {"two": "3", "three": "4"}
    expected = {"one": "delete", "two": "update", "three": "create"}
    assert actions(folder, second, check_mode=True) == expected and sorted(os.listdir(folder)) == ["one", "two"]
    assert actions(folder, second) == expected
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"two": f"{MARK}\n3", "three": f"{MARK}\n4"}


def test_what_was_edited_is_made_as_it_was(tmp_path):
    actions(tmp_path, {"one": "1"})
    (tmp_path / "one").write_bytes(MARK.encode() + b"\n\xff")
    assert actions(tmp_path, {"one": "1"}) == {"one": "update"}


def test_files_of_others_are_never_touched(tmp_path):
    (tmp_path / "theirs").write_text("x")
    (tmp_path / "short").write_text("#")
    (tmp_path / "folder").mkdir()
    assert actions(tmp_path, {"one": "1"}) == {"one": "create"}
    for check_mode in (True, False):
        with pytest.raises(Failure, match="theirs was not made by this collection"):
            actions(tmp_path, {"theirs": "1"}, check_mode)
        with pytest.raises(Failure, match="folder was not made by this collection"):
            actions(tmp_path, {"folder": "1"}, check_mode)
    assert (tmp_path / "theirs").read_text() == "x" and (tmp_path / "short").read_text() == "#"


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder, message in ((tmp_path / "no/where", "is no folder"), (tmp_path / "file", "cannot be read"), (tmp_path / "file/below", "is no folder")):
        for check_mode in (True, False):
            with pytest.raises(Failure, match=message):
                actions(folder, {"one": "1"}, check_mode)
    with pytest.raises(Failure, match="/proc/nanoagent cannot be made"):
        actions("/proc/nanoagent", {"one": "1"})


def test_a_folder_without_the_right_to_write(tmp_path, monkeypatch):
    # Root may write everywhere, so the system's answer is given here.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for check_mode in (True, False):
        with pytest.raises(Failure, match="Permission denied"):
            actions(tmp_path, {"one": "1"}, check_mode)
    assert actions(tmp_path, {}) == {}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="No space left"):
        write_atomically(str(path), b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_write_is_whole_and_public(tmp_path):
    path = tmp_path / "file"
    write_atomically(str(path), b"one")
    write_atomically(str(path), b"two")
    assert path.read_bytes() == b"two" and stat.S_IMODE(path.stat().st_mode) == 0o644 and os.listdir(tmp_path) == ["file"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_atomically(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"new"
