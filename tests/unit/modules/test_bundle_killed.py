# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and loading a bundle in a process that is killed: nothing stands there that is not whole, and the next run goes on."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.modules import bundle, bundle_info, bundle_load
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import everything, single, store, stored
from ansible_collections.nanoagent.k8s.tests.unit.fakes.killed_job import killed_once, until
from ansible_collections.nanoagent.k8s.tests.unit.fakes.registry import FakeRegistry

pytestmark = pytest.mark.loopback

MIB = 1 << 20


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """The journal is in a folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def image():
    return single("killed", layers=3, size=5 * MIB, packing="plain")


def layers(image) -> list[str]:
    return sorted(image.blobs, key=lambda digest: len(image.blobs[digest]))[-3:]


def well(result):
    assert not result.get("failed"), result["msg"]
    return result


def wishes(*hosts, **more) -> dict:
    return {"registries": [{"host": fake.host, "plain_http": True} for fake in hosts], **more}


@pytest.mark.parametrize("older", [False, True])
def test_making_goes_on_and_fetches_only_what_was_not_whole(run_module, image, stopping, tmp_path, older):
    folder = tmp_path / "bundle"
    held = layers(image)[-1]
    with FakeRegistry() as source:
        if older:
            other = wishes(source, path=str(folder), images=[{"source": store(source, "other", single("older"), "1")}])
            before = well(run_module(bundle.main, other))["digest"]
        wish = wishes(source, path=str(folder), images=[{"source": store(source, "app", image, "1")}], media_size=6 * MIB)
        source.fail("GET", held, keep=3 * MIB + 5, until=stopping)

        def written() -> bool:
            there = b"".join(path.read_bytes() for path in folder.glob(".bundle*.tar*"))
            return image.blobs[held][2 * MIB : 2 * MIB + 64] in there and all(data[-64:] in there for digest, data in image.blobs.items() if digest != held)

        killed_once(wish, tmp_path, written, "bundle")
        stopping.set()
        left = run_module(bundle_info.main, {"path": str(folder)})
        assert (well(left)["digest"] == before and left["whole"]) if older else left["failed"] and not list(folder.glob("bundle*"))

        source.requests.clear()
        assert well(run_module(bundle.main, wish))["changed"]
        fetched = {digest for digest in image.blobs if any(line.endswith(digest) for line in source.requests if line.startswith("GET"))}
        assert fetched == {held}
        assert well(run_module(bundle_info.main, {"path": str(folder)}))["whole"]
        assert all(not path.name.startswith(".") for path in folder.iterdir())
        assert well(run_module(bundle.main, wish))["changed"] is False


def test_loading_goes_on_and_no_tag_stands_before_all_is_there(run_module, image, stopping, tmp_path):
    folder = tmp_path / "bundle"
    size = sum(len(image.blobs[layer]) for layer in layers(image))
    with FakeRegistry() as source, FakeRegistry() as target:
        well(run_module(bundle.main, wishes(source, path=str(folder), images=[{"source": store(source, "app", image, "1")}])))
        wish = wishes(target, path=str(folder), rewrites=[{"source": source.host, "destination": f"{target.host}/mirror"}])
        target.fail("PUT", "/uploads/", keep=3 * MIB, until=stopping, least=MIB)
        killed_once(wish, tmp_path, lambda: target.received_bytes >= 13 * MIB, "bundle_load")
        stopping.set()
        assert target.manifests == {}
        until(lambda: any(target.uploads.values()))

        before = target.received_bytes
        assert well(run_module(bundle_load.main, wish))["changed"]
        assert stored(target, "mirror/app", "1") == everything(image)
        assert target.received_bytes - before <= size - 13 * MIB + 100_000
        assert well(run_module(bundle_load.main, wish))["changed"] is False
