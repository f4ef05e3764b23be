# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cluster keeps its files, and the few facts about it that outlive a command."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?")


def state_home() -> Path:
    """The folder that holds one folder for each cluster."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "nanoagent-k8s"


def cache_home() -> Path:
    """The folder of the binaries, which outlive clusters."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nanoagent-k8s"


def boot_id() -> str:
    """Tells this start of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file so that a reader sees either the old or the new content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as stream:
        stream.write(text)
    fresh.replace(path)


@dataclass(frozen=True)
class Facts:
    """What a cluster was made with."""

    name: str
    slot: int
    nodes: int
    kubernetes: str
    binaries: str
    simulated: int
    boot: str
    complete: bool = False


@dataclass(frozen=True)
class Folder:
    """The state folder of one cluster."""

    name: str

    @property
    def path(self) -> Path:
        """The folder itself."""
        return state_home() / self.name

    @property
    def pki(self) -> Path:
        """Keys, certificates and kubeconfigs."""
        return self.path / "pki"

    @property
    def logs(self) -> Path:
        """One log for each process."""
        return self.path / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.path / "kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log, one JSON object a line."""
        return self.path / "audit" / "audit.log"

    def node(self, node: str) -> Path:
        """The folder of one node."""
        return self.path / "nodes" / node

    def facts(self) -> Facts | None:
        """The recorded facts, or None where there is no cluster."""
        try:
            return Facts(**json.loads((self.path / "cluster.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def record(self, facts: Facts, **changes) -> Facts:
        """Write the facts down, with changes, and return them."""
        facts = replace(facts, **changes)
        write_atomically(self.path / "cluster.json", json.dumps(asdict(facts), indent=2) + "\n")
        return facts

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the cluster against other commands; the folder exists inside."""
        descriptor = self._lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def _lock(self) -> int:
        # Another command may remove the folder at any moment until we hold it.
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except (FileExistsError, FileNotFoundError):
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self._is(descriptor):
                return descriptor
            os.close(descriptor)

    def _is(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False


@contextmanager
def slots_locked() -> Iterator[None]:
    """Hold the choice of a slot against clusters of other names."""
    state_home().mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_home(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def recorded_slots() -> set[int]:
    """The slots of all clusters of this state folder."""
    if not state_home().is_dir():
        return set()
    known = (Folder(entry.name).facts() for entry in state_home().iterdir())
    return {facts.slot for facts in known if facts is not None}
