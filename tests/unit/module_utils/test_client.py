# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.reflector import Reflector
from ansible_collections.nanoagent.k8s.plugins.modules import agent, agent_info
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

IMAGE = "registry.example/c@sha256:" + "0" * 64
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "the continue token is too old"}


def connect(server):
    return Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url, "api_key": "a-token-of-this-test"})


def node(name):
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "5"}}


def page(*names, token=""):
    return {"metadata": {"resourceVersion": "7", "continue": token}, "items": [node(name) for name in names]}


def test_a_list_is_read_page_by_page():
    with FakeApiServer(lambda m, p, query: (200, page("b") if query.get("continue") == "x" else page("a", token="x"))) as server:
        cluster = connect(server)
        items, version = cluster.list("Node")
    assert [item["metadata"]["name"] for item in items] == ["a", "b"] and version == "7"
    assert items[0]["kind"] == "Node" and cluster.requests == {"read": 2, "write": 0}


def test_the_server_makes_a_page_while_the_one_before_is_read():
    asked = threading.Event()

    def answer(_method, _path, query):
        if not query.get("continue"):
            return 200, page("a", token="eA==")
        asked.set()
        return 200, page("b")

    def keep(item):
        assert asked.wait(10)
        return item

    with FakeApiServer(answer) as server:
        items, _version = connect(server).list("Node", keep=keep)
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]
    assert [query.get("continue") for _method, _path, query in server.seen] == [None, "eA=="]


def after_its_items(body):
    return json.dumps({"items": body["items"], "metadata": body["metadata"]}).encode()


def with_two_tokens(body):
    return b'{"metadata": {"continue": "wrong"}, ' + json.dumps(body).encode()[1:]


@pytest.mark.parametrize("written", [after_its_items, with_two_tokens])
def test_the_page_after_is_the_one_that_the_list_names(written):
    with FakeApiServer(lambda _m, _p, query: (200, page("b") if query.get("continue") == "x" else written(page("a", token="x")))) as server:
        items, _version = connect(server).list("Node")
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]


def test_a_page_that_is_cut_short_is_asked_for_again():
    broken = iter([True, False])

    def answer(_method, _path, query):
        body = json.dumps(page("b") if query.get("continue") == "x" else page("a", token="x")).encode()
        return 200, body[:-5] if not query.get("continue") and next(broken) else body

    with FakeApiServer(answer) as server:
        items, _version = connect(server).list("Node")
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]


def test_a_list_from_what_is_no_api_server_fails_at_once():
    with FakeApiServer(lambda *_: (200, b"<html>")) as server, pytest.raises(Failure, match="no Kubernetes object"):
        connect(server).list("Node")
    assert len(server.seen) == 1


def test_a_page_that_fails_fails_the_list():
    def answer(_method, _path, query):
        return (403, {"kind": "Status"}) if query.get("continue") else (200, page("a", token="x"))

    with FakeApiServer(answer) as server, pytest.raises(ApiFailure) as caught:
        connect(server).list("Node")
    assert caught.value.status == 403


def test_expired_pages_are_read_again_from_the_beginning():
    answers = iter([(200, page("a", token="x")), (410, GONE), (200, page("a", token="y")), (200, page("b"))])
    with FakeApiServer(lambda *_: next(answers)) as server:
        items, _version = connect(server).list("Node")
    assert [item["metadata"]["name"] for item in items] == ["a", "b"]


def test_pages_that_expire_for_ever_end_in_a_failure():
    with FakeApiServer(lambda *_: (410, GONE)) as server, pytest.raises(ApiFailure) as caught:
        connect(server).list("Node")
    assert caught.value.status == 410
    assert ["limit" in query for _method, _path, query in server.seen] == [True, True, False]


def test_a_list_that_expires_twice_is_read_at_once():
    def answer(_method, _path, query):
        if not query.get("limit"):
            return 200, page("a", "b", "c")
        return (410, GONE) if query.get("continue") else (200, page("a", token="x"))

    with FakeApiServer(answer) as server:
        items, _version = connect(server).list("Node", labelSelector="a=b")
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
    assert [query.get("continue") for _method, _path, query in server.seen] == [None, "x", None, "x", None]
    assert all(query["labelSelector"] == "a=b" for _method, _path, query in server.seen)


@pytest.mark.parametrize("items", [None, "text", [None, 5, [], "x"], {}])
def test_what_is_no_object_is_no_item_of_a_list(items):
    with FakeApiServer(lambda *_: (200, {"metadata": [], "items": items})) as server:
        assert connect(server).list("Node") == ([], "")


@pytest.mark.parametrize("line", [b"[]", b"{}", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": 5}', b"5", b"\xff"])
def test_a_watch_ends_where_its_stream_holds_no_events(line):
    good = {"type": "ADDED", "object": node("a")}
    with FakeApiServer(lambda *_: (200, json.dumps(good).encode() + b"\n" + line + b"\n" + json.dumps(good).encode() + b"\n")) as server:
        assert list(connect(server).watch("Node", None, "1", 1)) == [good]


def test_a_watch_leaves_out_objects_that_say_no_version():
    lines = [{"type": "ADDED", "object": {"metadata": {}}}, {"type": "ADDED", "object": node("a")}, {"type": "ERROR", "object": GONE}]
    with FakeApiServer(lambda *_: (200, b"".join(json.dumps(line).encode() + b"\n" for line in lines))) as server:
        assert list(connect(server).watch("Node", None, "1", 1)) == lines[1:]


def test_the_clock_is_the_server_s():
    dates = iter([{"Date": ""}, {"Date": "Sun, 01 Mar 2026 12:00:00 GMT"}, {"Date": "yesterday"}])
    with FakeApiServer(lambda *_: (200, page("a"), next(dates))) as server:
        cluster = connect(server)
        cluster.list("Node")
        assert cluster.now() is None
        for _again in range(2):
            cluster.list("Node")
            assert 0 <= cluster.now() - 1772366400 < 60


def test_a_server_that_is_busy_is_asked_again():
    answers = iter([(429, {}, {"Retry-After": "0"}), (503, {}), (200, {"major": "1", "minor": "36+"})])
    with FakeApiServer(lambda *_: next(answers)) as server:
        assert connect(server).version() == (1, 36)


def test_what_the_server_cannot_read_is_not_sent_again():
    said = {"kind": "Status", "message": "failed to create typed patch object (a/b; v1, Kind=ConfigMap): .x: field not declared in schema"}
    asked = []

    def answer(*_):
        asked.append(1)
        return 500, said

    with FakeApiServer(answer) as server, pytest.raises(Failure, match="rejects ConfigMap a/b"):
        connect(server).apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "a"}, "x": 1})
    assert len(asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"major": "one"}'])
def test_something_else_that_answers_is_told_as_such(body):
    with FakeApiServer(lambda *_: (200, body)) as server, pytest.raises(Failure) as caught:
        connect(server).version()
    assert server.url in caught.value.message and "check host" in caught.value.message


def test_an_old_kubernetes_is_refused_before_anything_is_written(run_module):
    def answer(_method, path, _query):
        if path == "/version":
            return 200, {"major": "1", "minor": "24"}
        last = path.rpartition("/")[2]
        return (404, {}) if last == "nanoagent" else (200, page("a"))

    with FakeApiServer(answer) as server:
        result = run_module(agent.main, {"host": server.url, "api_key": "a-token-of-this-test", "image": IMAGE})
    assert result["failed"] and "Kubernetes 1.24" in result["msg"] and "1.25" in result["msg"]
    assert {method for method, _path, _query in server.seen} == {"GET"}


@pytest.mark.parametrize("wrong", [{"name": "U-x"}, {"namespace": "a.b"}, {"wait_timeout": -5}])
def test_what_no_installation_can_be_called_is_not_looked_for(run_module, wrong):
    with FakeApiServer(lambda *_: (200, page("a"))) as server:
        result = run_module(agent.main, {"host": server.url, "api_key": "a-token-of-this-test", "state": "absent", **wrong})
    assert result["failed"] and next(iter(wrong)) in result["msg"] and server.seen == []


def test_nothing_installed_is_not_well(run_module):
    def answer(_method, path, _query):
        return (404, {}) if path.endswith("/daemonsets/nanoagent") else (200, page("a") if path.endswith("/nodes") else page())

    with FakeApiServer(answer) as server:
        result = run_module(agent_info.main, {"host": server.url, "api_key": "a-token-of-this-test"})
    assert not result["changed"] and not result["installed"] and not result["ok"]
    assert result["causes"] == ["DaemonSet nanoagent/nanoagent does not exist: the agent is not installed; run the playbook nanoagent.k8s.install"]


def test_a_reflector_follows_lists_cut_streams_and_expired_ones():
    def line(kind, name, version):
        return json.dumps({"type": kind, "object": {"metadata": {"name": name, "uid": name, "resourceVersion": version}}}).encode() + b"\n"

    hold, lists = threading.Event(), iter([page("a"), page("a", "c")])
    streams = iter([line("ADDED", "b", "8") + b'{"type": "ADD', line("ERROR", "x", "9"), line("DELETED", "a", "10")])

    def answer(_method, _path, query):
        if not query.get("watch"):
            return 200, next(lists)
        body = next(streams, None)
        if body is None:
            hold.wait(10)
            return 200, b""
        return 200, body

    changed = threading.Event()
    with FakeApiServer(answer) as server:
        reflector = Reflector(connect(server), changed, "Node")
        reflector.start()
        for expected in (["a", "b"], ["c"]):
            while sorted(obj["metadata"]["name"] for obj in reflector.objects()) != expected:
                assert changed.wait(10), expected
                changed.clear()
        reflector.stop()
        hold.set()
    versions = [query["resourceVersion"] for _m, _p, query in server.seen if query.get("watch")]
    assert versions[:3] == ["7", "8", "7"]


def test_a_reflector_without_the_right_ends_with_the_reason():
    body = {"message": 'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope'}
    changed = threading.Event()
    with FakeApiServer(lambda *_: (403, body)) as server:
        reflector = Reflector(connect(server), changed, "Node")
        reflector.start()
        reflector.join(10)
    assert "eve may not list nodes in the whole cluster" in reflector.failure.message


def test_the_last_words_of_a_container_are_fit_to_be_shown(monkeypatch):
    monkeypatch.setattr(Cluster, "logs", lambda *_: "proxy http://user:canary@proxy.example: connection refused")
    with FakeApiServer(lambda *_: (200, {})) as server:
        assert connect(server).last_words("n", "p", "c", 3) == "proxy http://(hidden)@proxy.example: connection refused"
