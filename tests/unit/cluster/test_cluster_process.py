# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process is known by its id and its start, and never by its name."""

import contextlib
import os
import subprocess
import sys

import pytest
from localcluster.errors import StepFailed
from localcluster.process import Identity, Processes, alive, identity_of, kill, parse_stat, wait_for


@pytest.fixture(name="processes")
def fixture_processes(tmp_path):
    """An empty table of processes."""
    return Processes(tmp_path / "records", tmp_path / "logs")


@pytest.fixture(name="sleeper")
def fixture_sleeper():
    """A process that does nothing."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield child
    child.kill()
    child.wait()


def test_a_process_name_may_hold_anything():
    """The second field of the kernel's text is the name, in brackets, which may hold brackets and spaces."""
    text = "12 (a) S 1 (b)) S " + " ".join(str(number) for number in range(4, 30))
    assert parse_stat(text) == ("S", 22)


def test_an_identity_outlives_no_process(sleeper):
    """As soon as a process has ended it is not alive, even before its parent has taken notice."""
    identity = identity_of(sleeper.pid)
    assert alive(identity)
    sleeper.kill()
    assert wait_for(lambda: not alive(identity), 5)


def test_another_start_time_is_another_process(sleeper):
    """A process id that was used again is left alone."""
    identity = identity_of(sleeper.pid)
    stranger = Identity(identity.pid, identity.started - 1)
    assert not alive(stranger)
    kill(stranger)
    assert alive(identity)


def test_start_once_and_stop(processes, tmp_path):
    """A running process is not started a second time; its cgroup is entered first."""
    procs = tmp_path / "cgroup.procs"
    assert processes.start("one", ["sleep", "600"], [procs])
    identity = processes.identity("one")
    assert not processes.start("one", ["sleep", "600"], [procs])
    assert processes.identity("one") == identity
    assert wait_for(procs.exists, 5) and wait_for(lambda: procs.read_text().strip() == str(identity.pid), 5)
    assert processes.names() == ["one"]
    processes.stop("one")
    assert not alive(identity)
    assert processes.names() == []


def test_nothing_runs_outside_of_its_cgroup(processes, tmp_path):
    """A process whose cgroup is gone never becomes the program."""
    mark = tmp_path / "mark"
    with contextlib.suppress(StepFailed):  # which says so when it ends before it is looked at
        processes.start("lost", ["touch", str(mark)], [tmp_path / "missing" / "cgroup.procs"])
    assert wait_for(lambda: not processes.running("lost"), 5)
    assert not mark.exists()


def test_a_process_that_ends_is_named_with_its_log(processes, tmp_path):
    """Whoever waits for it learns at once, with the line that tells why."""
    processes.start("short", ["sh", "-c", "sleep 0.2; echo starting; echo 'level=error no such thing'; echo bye"], [])
    with pytest.raises(StepFailed) as failure:
        processes.wait("short", lambda: False, 60, "a step")
    assert str(failure.value).startswith("a step: short ended; log ")
    assert str(failure.value).endswith("short.log: level=error no such thing")


def test_waiting_has_an_end(processes):
    """Something that never gets ready is named too."""
    processes.start("slow", ["sleep", "600"], [])
    with pytest.raises(StepFailed, match="slow was not ready within 0 s"):
        processes.wait("slow", lambda: False, 0.1, "a step")
    processes.stop("slow")


def test_an_unknown_process_is_not_running(processes):
    """No record, or a broken one, is no process."""
    assert not processes.running("unknown")
    processes.stop("unknown")
    assert identity_of(os.getpid()) is not None
