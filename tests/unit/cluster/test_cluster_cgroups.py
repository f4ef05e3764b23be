# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster finds the machine's cgroup hierarchies, of either version or of both."""

from pathlib import Path

import pytest
from localcluster.cgroups import Cgroups, Hierarchy, parse_mounts, used_hierarchies
from localcluster.errors import StepFailed

HYBRID = """tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,xattr,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nsdelegate 0 0\n"
ONLY_SYSTEMD = UNIFIED + "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HYBRID, ["memory", "cpu,cpuacct", "systemd"]),
        (UNIFIED, ["cgroup"]),
        (ONLY_SYSTEMD, ["cgroup"]),
        ("proc /proc proc rw 0 0\n", []),
    ],
)
def test_used_hierarchies(text, expected):
    """Version 1 where it has controllers, else version 2."""
    assert [hierarchy.mount.name for hierarchy in used_hierarchies(parse_mounts(text))] == expected


def test_a_machine_without_cgroups_is_named():
    """There is nothing to fall back to."""
    with pytest.raises(StepFailed, match="no cgroup hierarchy"):
        Cgroups("test", [])


def test_version_1(tmp_path):
    """A node's folder is in every hierarchy, and its cpuset is filled; the serving processes are in one."""
    cpuset, pids = Hierarchy(tmp_path / "cpuset", False, frozenset({"cpuset", "memory"})), Hierarchy(tmp_path / "pids", False, frozenset({"pids"}))
    for part in ("cpuset", "cpuset/nanoagent-test", "cpuset/nanoagent-test/worker1", "pids"):
        (tmp_path / part).mkdir(parents=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            (tmp_path / part / name).write_text("0-1\n" if part == "cpuset" else "\n")
    cgroups = Cgroups("test", [cpuset, pids])
    cgroups.create_pods("worker1")
    assert cgroups.pods("worker1") == "/nanoagent-test/worker1"
    assert (tmp_path / "pids/nanoagent-test/worker1").is_dir()
    assert (tmp_path / "cpuset/nanoagent-test/worker1/cpuset.cpus").read_text() == "0-1\n"
    assert cgroups.services("worker1") == [tmp_path / "pids/nanoagent-test/services/worker1/cgroup.procs"]


def test_version_2(tmp_path):
    """Controllers are handed on to where the kubelet makes its own cgroups."""
    for part in ("", "nanoagent-test"):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / "cgroup.controllers").write_text("memory\n")
        (tmp_path / part / "cgroup.subtree_control").write_text("")
    cgroups = Cgroups("test", [Hierarchy(tmp_path, True, frozenset())])
    cgroups.create_pods("worker1")
    assert (tmp_path / "nanoagent-test/cgroup.subtree_control").read_text() == "+memory"
    assert (tmp_path / "nanoagent-test/worker1").is_dir()


def test_members_are_found_at_every_depth(tmp_path):
    """Those of pods and those of the serving processes; or of some parts only."""
    for part, pid in (("services/worker1", 11), ("worker1/kubepods/pod", 12), ("worker2", 13)):
        folder = tmp_path / "nanoagent-test" / part
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text(f"{pid}\n")
    cgroups = Cgroups("test", [Hierarchy(tmp_path, True, frozenset())])
    assert cgroups.members() == {11, 12, 13}
    assert cgroups.members("worker1", "services/worker1") == {11, 12}
    assert Cgroups("other", [Hierarchy(Path(tmp_path), True, frozenset())]).members() == set()
