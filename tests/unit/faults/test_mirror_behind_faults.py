# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images between two registries, each behind a proxy that injects faults: whole or not there, and the next run completes it.

FAULT_SEEDS=first:count chooses the seeds (0:12 by default). A failure prints the seed and the faults that it met.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_stream
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.modules.image_mirror import argument_spec
from ansible_collections.nanoagent.k8s.tests.faults import registry_faults
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import artifact, digest_of, everything, multi, single, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

FIRST, COUNT = (int(part) for part in os.environ.get("FAULT_SEEDS", "0:12").split(":"))
# Most of a seed is waiting for a pause to end.
PARALLEL = 6


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    """Longer than a registry is ever away, unless for good; and blobs of several chunks."""
    monkeypatch.setattr(registry_stream.StreamingRegistry.__init__, "__kwdefaults__", {"patience_seconds": 4.0, "chunk": 256 << 10})


def mirror(pairs, *hosts):
    given = {
        "images": [{"source": source, "destination": target} for source, target in pairs],
        "registries": [{"host": host, "plain_http": True} for host in hosts],
    }
    return work(ArgumentSpecValidator(argument_spec()).validate(given).validated_parameters, Run())


def play(seed: int) -> str:
    """What became of a seed's run; fails where anything is not as it should be."""
    large, small = single(f"f{seed}", layers=2, size=900_000), multi(f"f{seed}", layers=3, size=20_000)
    about = artifact(small.entry(), b"about it")
    with FakeRegistry() as source, FakeRegistry() as target:
        names = [store(source, "large", large), store(source, "small", small)]
        store(source, "small", about)
        plans = registry_faults.plan(seed), registry_faults.plan(seed + 10_000)
        with FaultProxy(f"http://{source.host}", plans[0]) as before, FaultProxy(f"http://{target.host}", plans[1]) as behind:
            from_, to = (proxy.url.removeprefix("http://") for proxy in (before, behind))
            pairs = [(name.replace(source.host, from_), f"{to}/{tag}:1") for name, tag in zip(names, ("large", "small"))]
            try:
                outcome = "copied" if mirror(pairs, from_, to)["changed"] else "nothing"
            except Failure as failure:
                outcome = "failed"
                assert "\n" not in failure.message and "Next: " in failure.message
        story = "\n".join(plan.describe() for plan in plans)
        for (_repository, digest), data in target.blobs.items():
            assert digest_of(data) == digest, story
        for repository, reference in list(target.manifests):
            assert stored(target, repository, reference), story
        for image, tag in ((large, "large"), (small, "small")):
            if (tag, "1") in target.manifests:
                assert stored(target, tag, "1") == everything(image), story
            assert outcome == "failed" or (tag, "1") in target.manifests, story
        # Without faults the next run completes it, and the one after it has nothing to do.
        straight = [(name, f"{target.host}/{tag}:1") for name, tag in zip(names, ("large", "small"))]
        assert mirror(straight, source.host, target.host)["changed"] <= (outcome == "failed"), story
        assert not mirror(straight, source.host, target.host)["changed"]
        assert stored(target, "large", "1") == everything(large) and stored(target, "small", "1") == everything(small), story
        assert stored(target, "small", about.root) == everything(about), story
        return outcome


def test_whole_or_not_there():
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        outcomes = list(pool.map(play, range(FIRST, FIRST + COUNT)))
    # Seeds that all end in the same way would prove nothing.
    assert COUNT < 12 or set(outcomes) == {"copied", "failed"}
