# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster writes down, and how commands keep out of each other's way."""

import threading

import pytest
from localcluster.cluster import Wish, _check_change
from localcluster.errors import StepFailed, telling_line
from localcluster.golang import parse_version, wanted_version
from localcluster.progress import bar_text
from localcluster.state import Facts, Folder, recorded_slots, write_atomically

FACTS = Facts("test", 2, 3, "1.36", "/binaries", 0, "boot")


@pytest.fixture(name="folder")
def fixture_folder(tmp_path, monkeypatch):
    """The folder of a cluster, in a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Folder("test")


def test_facts_are_read_back(folder):
    """With changes, where there are some."""
    assert folder.facts() is None and recorded_slots() == set()
    folder.record(FACTS, complete=True)
    assert folder.facts().complete and folder.facts().slot == 2
    assert recorded_slots() == {2}


def test_broken_facts_are_no_facts(folder):
    """A crash or another version of this program may have left anything."""
    write_atomically(folder.path / "cluster.json", '{"name": "test"}')
    assert folder.facts() is None


def test_secrets_are_never_readable_by_others(tmp_path):
    """The mode is there from the first byte on."""
    write_atomically(tmp_path / "secret", "text", 0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_lock_survives_the_removal_of_the_folder(folder):
    """Who waited for a cluster that was then removed holds the new folder, not the old one."""
    entered, order = threading.Event(), []

    def wait_for_it():
        entered.set()
        with folder.locked():
            order.append("second")
            assert folder.path.is_dir()

    waiter = threading.Thread(target=wait_for_it)
    with folder.locked():
        waiter.start()
        entered.wait(5)
        order.append("first")
        folder.path.rmdir()
    waiter.join(5)
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        (Wish("test", kubernetes="1.35"), "runs Kubernetes 1.36"),
        (Wish("test", nodes=2), "to have fewer"),
    ],
)
def test_changes_that_need_a_new_cluster_are_refused(wish, cause):
    """One line says what to run."""
    with pytest.raises(StepFailed, match=cause) as failure:
        _check_change(wish, FACTS)
    assert "down --name test" in str(failure.value)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("I1121 started\nE1121 11:00:00 broken\nI1121 bye\n", "E1121 11:00:00 broken"),
        ("# kube\n./kubelet.go:11:2: too many arguments\n\thave (one)\n\twant ()\n", "./kubelet.go:11:2: too many arguments"),
        ("one\ntwo\n\n", "two"),
        ("", ""),
    ],
)
def test_the_line_that_tells(tmp_path, log, expected):
    """The last line of trouble, or else the last line."""
    (tmp_path / "log").write_text(log)
    assert telling_line(tmp_path / "log") == expected


def test_go_versions(tmp_path):
    """Compared as numbers."""
    assert parse_version("go1.26.10") > parse_version("go1.26.9") > parse_version("1.4")
    assert parse_version("") == ()
    (tmp_path / "go.mod").write_text("module x\n\ngo 1.26.0\n")
    assert wanted_version(tmp_path / "go.mod") == (1, 26, 0)


def test_bar():
    """Never longer than full."""
    assert bar_text("x", 1, 2) == "x [" + "#" * 15 + "." * 15 + "] 1/2"
    assert bar_text("x", 3, 2).startswith("x [" + "#" * 30 + "]")
