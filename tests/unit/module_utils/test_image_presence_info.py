# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_presence_info import line, node_images, presence
from ansible_collections.nanoagent.k8s.plugins.modules import image_presence_info
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

DIGEST = "sha256:" + "ab" * 32
IMAGE = "registry.example/team/agent"


def node(name, *images, **status):
    listed = [{"names": list(names), "sizeBytes": 1000 + number} for number, names in enumerate(images)]
    return node_images({"metadata": {"name": name}, "status": {"images": listed, **status}})


def others(count):
    return [(f"r.example/other:{number}",) for number in range(count)]


def test_a_node_holds_it_lacks_it_or_need_not_say():
    held = node("a", (f"{IMAGE}:1", f"{IMAGE}@{DIGEST}"))
    lacks = node("b", ("r.example/other:1",))
    full = node("c", *others(50))
    row = presence(f"{IMAGE}:1", [full, lacks, held])
    assert row == {"image": f"{IMAGE}:1", "held": ["a"], "missing": ["b"], "unknown": ["c"], "size": 1000}
    assert line(row) == f"{IMAGE}:1: 1 of 3 nodes hold it; not: b; perhaps: c"


def test_a_digest_counts_and_not_the_tag_beside_it():
    nodes = [node("a", (f"{IMAGE}:1", f"{IMAGE}@{DIGEST}")), node("b", (f"{IMAGE}:1",))]
    assert presence(f"{IMAGE}:1@{DIGEST}", nodes)["held"] == ["a"]


def test_without_a_tag_it_is_latest_and_without_a_host_docker_hub():
    assert presence("pause", [node("a", ("docker.io/library/pause:latest",))])["held"] == ["a"]


@pytest.mark.parametrize("images", [others(50), [], [tuple(f"r.example/many:{number}" for number in range(5))]])
def test_a_list_that_may_be_cut_short_proves_no_absence(images):
    assert presence(f"{IMAGE}:1", [node("a", *images)])["unknown"] == ["a"]


def test_49_images_are_a_whole_list():
    assert presence(f"{IMAGE}:1", [node("a", *others(49))])["missing"] == ["a"]


def test_many_nodes_are_counted():
    row = presence(f"{IMAGE}:1", [node(f"n{number:03}", *others(1)) for number in range(300)])
    assert line(row).endswith("n008, n009 and 290 more")


@pytest.mark.parametrize("status", [None, {}, {"images": None}, {"images": ["x", {"names": None}, {"names": [5, "y"]}]}, "text"])
def test_absurd_nodes_hold_nothing(status):
    row = presence(f"{IMAGE}:1", [node_images({"metadata": {"name": "a"}, "status": status})])
    assert row["held"] == [] and row["size"] is None


def test_a_malformed_name_is_told():
    with pytest.raises(Failure, match="malformed"):
        presence("registry.example/team/agent:-", [])


@pytest.fixture
def ask(run_module):
    """ask(nodes, **options) -> (result, queries), of the module against an API server with these nodes, two a page."""

    def run(nodes, **options):
        def answer(_method, path, query):
            if path != "/api/v1/nodes":
                return 404, {}
            start = int(query.get("continue") or 0)
            more = str(start + 2) if start + 2 < len(nodes) else ""
            return 200, {"metadata": {"resourceVersion": "1", "continue": more}, "items": nodes[start : start + 2]}

        with FakeApiServer(answer) as api:
            result = run_module(image_presence_info.main, {"host": api.url, "api_key": "a-token-of-this-test", **options})
        return result, [query for _method, _path, query in api.seen]

    return run


def raw(name, *names):
    return {"metadata": {"name": name}, "status": {"images": [{"names": list(names), "sizeBytes": 7}]}}


def test_one_request_a_page_and_the_labels_go_to_the_server(ask):
    nodes = [raw("a", f"{IMAGE}:1"), raw("b", f"{IMAGE}:1"), raw("c", "r.example/other:1")]
    result, queries = ask(nodes, images=[f"{IMAGE}:1"], selector="pool=x")
    assert result["images"][0]["missing"] == ["c"] and not result["everywhere"] and not result["changed"]
    assert len(queries) == 2 and {query["labelSelector"] for query in queries} == {"pool=x"}
    assert ask(nodes[:2], images=[f"{IMAGE}:1"])[0]["everywhere"]


def test_no_node_is_an_error_and_a_malformed_name_asks_nobody(ask):
    result, _queries = ask([], images=[f"{IMAGE}:1"], selector="pool=x")
    assert result["failed"] and "no such node" in result["msg"]
    result, queries = ask([], images=["registry.example/team/agent:-"])
    assert result["failed"] and "malformed" in result["msg"] and queries == []
