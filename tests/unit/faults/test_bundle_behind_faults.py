# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles made and loaded through proxies that inject faults: whole or not there, and the next run completes them.

FAULT_SEEDS=first:count chooses the seeds (0:12 by default). A failure prints the seed and the faults that it met.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import registry, registry_stream
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.modules import bundle, bundle_info, bundle_load
from ansible_collections.nanoagent.k8s.tests.faults import registry_faults
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import artifact, digest_of, everything, multi, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback

FIRST, COUNT = (int(part) for part in os.environ.get("FAULT_SEEDS", "0:12").split(":"))
PARALLEL = 6
# The client's time, and that for which a registry is away, passes so much faster.
HASTE = 5


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    """Longer than a registry is ever away, unless for good; blobs of several chunks."""
    kept = registry.Registry.__init__.__kwdefaults__
    monkeypatch.setattr(registry.Registry.__init__, "__kwdefaults__", {**kept, "sleep": lambda seconds: time.sleep(seconds / HASTE)})
    monkeypatch.setattr(registry_stream, "time", SimpleNamespace(monotonic=lambda: time.monotonic() * HASTE))
    kept = registry_stream.StreamingRegistry.__init__.__kwdefaults__
    monkeypatch.setattr(registry_stream.StreamingRegistry.__init__, "__kwdefaults__", {**kept, "patience_seconds": 4.0, "chunk": 256 << 10})


def call(module, **given):
    return module.work(ArgumentSpecValidator(module.argument_spec()).validate(given).validated_parameters, Run())


def attempt(*arguments, **given):
    """The result, or None where it failed in a way that a user can read."""
    try:
        return call(*arguments, **given)
    except Failure as failure:
        assert "\n" not in failure.message and "Next: " in failure.message
        return None


def through(seed, side, port=0, host=""):
    """A proxy with the faults of a seed; without any where it is the second of its address."""
    plan = Plan(seed, lambda _request: []) if port else registry_faults.plan(seed + side)
    plan.outage = plan.outage and (plan.outage[0], plan.outage[1] / HASTE)
    return plan, FaultProxy(f"http://{host}", plan, port=port)


def play(seed: int, folder) -> tuple[bool, bool]:
    """Whether making and loading got through the faults; fails with the seed's story where anything is not as it should be."""
    image = multi(f"g{seed}", layers=3, size=200_000)
    about, path = artifact(image.entry(), b"about it"), folder / str(seed)
    plans = []
    try:
        with FakeRegistry() as source, FakeRegistry() as target:
            name = store(source, "app", image, "1")
            store(source, "app", about)
            ports, outcomes = {}, []
            for side, fake, module in ((0, source, bundle), (10_000, target, bundle_load)):
                for _attempt in range(2):
                    plan, proxy = through(seed, side, ports.get(side, 0), fake.host)
                    plans.append(plan)
                    with proxy:
                        host = proxy.url.removeprefix("http://")
                        ports[side] = int(host.rpartition(":")[2])
                        given = {"path": str(path), "registries": [{"host": host, "plain_http": True}]}
                        if module is bundle:
                            given |= {"images": [{"source": name.replace(source.host, host), "name": "example.com/app:1"}], "media_size": 300_000}
                        else:
                            given |= {"rewrites": [{"source": "example.com", "destination": host}], "journal": str(folder / f"{seed}-journal")}
                        done = attempt(module, **given)
                        outcomes.append(bool(done))
                        if module is bundle:
                            assert (path / "bundle.json").exists() == bool(done) and (not done or call(bundle_info, path=str(path))["whole"])
                        else:
                            assert all(digest_of(data) == digest for (_home, digest), data in target.blobs.items())
                            assert all(stored(target, *key) for key in list(target.manifests))
                            assert not done or stored(target, "app", "1") == everything(image)
            # The second attempts met no faults.
            assert outcomes[1] and outcomes[3] and stored(target, "app", about.root) == everything(about)
            return outcomes[0], outcomes[2]
    except BaseException as error:
        raise AssertionError("\n".join(plan.describe() for plan in plans)) from error


def test_whole_or_not_there(tmp_path):
    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        outcomes = list(pool.map(lambda seed: play(seed, tmp_path), range(FIRST, FIRST + COUNT)))
    # Seeds that all end in the same way would prove nothing.
    assert COUNT < 12 or {made for made, _loaded in outcomes} == {loaded for _made, loaded in outcomes} == {True, False}
