# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images between two registries, each behind a proxy that injects faults: whole or not there, and the next run completes it.

FAULT_SEEDS=first:count chooses the seeds (0:40 by default). A failure prints the seed and the faults that it met.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry, registry_place, registry_stream
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.modules.image_mirror import argument_spec
from ansible_collections.nanoagent.k8s.tests.faults import registry_faults
from ansible_collections.nanoagent.k8s.tests.faults.fault import Request
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import artifact, digest_of, everything, multi, single, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback

FIRST, COUNT = (int(part) for part in os.environ.get("FAULT_SEEDS", "0:40").split(":"))
# Most of a seed is waiting for a pause to end.
PARALLEL = 6
# The client's time, and that for which a registry is away, passes so much faster.
HASTE = 5


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    """Longer than a registry is ever away, unless for good; blobs of several chunks and parts, with notes in the journal."""
    kept = registry.Registry.__init__.__kwdefaults__
    monkeypatch.setattr(registry.Registry.__init__, "__kwdefaults__", {**kept, "sleep": lambda seconds: time.sleep(seconds / HASTE)})
    monkeypatch.setattr(registry_stream, "time", SimpleNamespace(monotonic=lambda: time.monotonic() * HASTE))
    kept = registry_stream.StreamingRegistry.__init__.__kwdefaults__
    monkeypatch.setattr(registry_stream.StreamingRegistry.__init__, "__kwdefaults__", {**kept, "patience_seconds": 4.0, "chunk": 256 << 10})
    monkeypatch.setattr(registry_place.RegistryPlace, "is_far", False)
    for name, value in (("_FAR", 0.0), ("_PART", 128 << 10), ("_NOTED", 64 << 10)):
        monkeypatch.setattr(registry_stream, name, value)


def none(_request: Request) -> list:
    """The faults of a network without any."""
    return []


def hasty(plan: Plan) -> Plan:
    """The plan in the client's time."""
    plan.outage = plan.outage and (plan.outage[0], plan.outage[1] / HASTE)
    return plan


def mirror(pairs, journal, *hosts):
    given = {
        "images": [{"source": source, "destination": target} for source, target in pairs],
        "registries": [{"host": host, "plain_http": True} for host in hosts],
        "journal": str(journal),
    }
    return work(ArgumentSpecValidator(argument_spec()).validate(given).validated_parameters, Run())


def play(seed: int, folder: Path) -> str:
    """What became of a seed's run; fails with its story where anything is not as it should be."""
    plans = hasty(registry_faults.plan(seed)), hasty(registry_faults.plan(seed + 10_000))
    try:
        return play_with(plans, seed, folder / str(seed))
    except BaseException as error:
        raise AssertionError("\n".join(plan.describe() for plan in plans)) from error


def play_with(plans: tuple[Plan, Plan], seed: int, journal: Path) -> str:
    """The run itself, behind one plan's faults on each side."""
    large, small = single(f"f{seed}", layers=2, size=900_000), multi(f"f{seed}", layers=3, size=20_000)
    about = artifact(small.entry(), b"about it")
    with FakeRegistry() as source, FakeRegistry() as target:
        names = [store(source, "large", large), store(source, "small", small)]
        store(source, "small", about)
        with FaultProxy(f"http://{source.host}", plans[0]) as before, FaultProxy(f"http://{target.host}", plans[1]) as behind:
            from_, to = (proxy.url.removeprefix("http://") for proxy in (before, behind))
            pairs = [(name.replace(source.host, from_), f"{to}/{tag}:1") for name, tag in zip(names, ("large", "small"))]
            try:
                outcome = "copied" if mirror(pairs, journal, from_, to)["changed"] else "nothing"
            except Failure as failure:
                outcome = "failed"
                assert "\n" not in failure.message and "Next: " in failure.message
        for (_repository, digest), data in target.blobs.items():
            assert digest_of(data) == digest
        for repository, reference in list(target.manifests):
            assert stored(target, repository, reference)
        for image, tag in ((large, "large"), (small, "small")):
            if (tag, "1") in target.manifests:
                assert stored(target, tag, "1") == everything(image)
            assert outcome == "failed" or (tag, "1") in target.manifests
        # Without faults the next run completes it, also from what is noted, and the one after it has nothing to do.
        notes = len(list(journal.glob("*")))
        from_port, to_port = (int(address.rpartition(":")[2]) for address in (from_, to))
        with FaultProxy(f"http://{source.host}", Plan(seed, none), port=from_port), FaultProxy(f"http://{target.host}", Plan(seed, none), port=to_port):
            assert mirror(pairs, journal, from_, to)["changed"] <= (outcome == "failed")
            assert not mirror(pairs, journal, from_, to)["changed"]
        # A blob that arrived although nobody was told so leaves its note to time.
        assert outcome == "failed" or not list(journal.glob("*"))
        assert stored(target, "large", "1") == everything(large) and stored(target, "small", "1") == everything(small)
        assert stored(target, "small", about.root) == everything(about)
        return f"{outcome}, {'with' if notes else 'without'} notes"


def test_whole_or_not_there(tmp_path):
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        outcomes = list(pool.map(lambda seed: play(seed, tmp_path), range(FIRST, FIRST + COUNT)))
    # Seeds that all end in the same way would prove nothing.
    assert COUNT < 40 or set(outcomes) == {"copied, without notes", "failed, without notes", "failed, with notes"}
