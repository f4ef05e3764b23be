# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client and the reflector behind the proxy: what each single fault does to them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import reflector
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.listing import Listing
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import await_rollout
from ansible_collections.nanoagent.k8s.tests.faults.fault import Answer, Away, Cut, Lose, Reset, Shorten, Truncate
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

pytestmark = pytest.mark.loopback

VERSION = {"major": "1", "minor": "36"}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n", "uid": "1"}}
MODIFIED = Answer(409, b'{"kind": "Status", "reason": "Conflict", "message": "the object has been modified"}')
INTERNAL = Answer(500, b'{"kind": "Status", "reason": "InternalError", "message": "etcdserver: leader changed"}')
HELD = b'{"details": {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with \\"kubectl\\"", "field": ".data.a"}]}}'


@pytest.fixture
def meet():
    """meet(answer, fault, ...) -> (cluster, fake server): after one good answer, requests meet these faults, later ones none."""
    with contextlib.ExitStack() as stack:

        def enter(answer, *faults, patience=5.0):
            server = stack.enter_context(FakeApiServer(lambda method, path, query: (200, VERSION) if path == "/version" else answer(method, path, query)))
            plan, left = Plan(0), [None, *faults]
            plan.meet = lambda request: left.pop(0) if left else None
            proxy = stack.enter_context(FaultProxy(server.url, plan))
            cluster = Cluster({**dict.fromkeys(connection_argument_spec()), "host": proxy.url, "api_key": "a-token-of-this-test"}, patience=patience)
            assert cluster.version() == (1, 36)
            server.seen.clear()
            return cluster, server

        yield enter


def methods(server):
    return [method for method, _path, _query in server.seen]


@pytest.mark.parametrize("fault", [Reset(), Lose(), Truncate(0.5), Shorten(0.5), Away(0.3), MODIFIED, INTERNAL, Answer(502, b"<html>"), Answer(503)])
def test_one_fault_does_not_end_an_apply(meet, fault):
    cluster, _server = meet(lambda *_: (200, CONFIG), fault)
    assert cluster.apply(CONFIG) == CONFIG
    assert cluster.requests["write"] >= 2


def test_a_conflict_with_another_manager_is_final(meet):
    cluster, _server = meet(lambda *_: (200, CONFIG), Answer(409, HELD), Answer(409, HELD))
    with pytest.raises(ApiFailure) as caught:
        cluster.apply(CONFIG)
    assert "held by kubectl" in caught.value.message and cluster.requests["write"] == 1


def test_an_hour_s_pause_is_not_slept_through(meet):
    cluster, server = meet(lambda *_: (200, CONFIG), *[Answer(429, b"{}", {"Retry-After": "3600"})] * 2)
    with pytest.raises(ApiFailure) as caught:
        cluster.apply(CONFIG)
    assert caught.value.status == 429 and server.seen == [] and cluster.requests["write"] == 1


def test_an_answer_that_is_lost_for_good_says_that_the_deed_may_be_done(meet):
    cluster, server = meet(lambda *_: (200, CONFIG), *[Lose()] * 20, patience=1.0)
    with pytest.raises(Failure) as caught:
        cluster.apply(CONFIG)
    assert "broke before it answered to apply ConfigMap n/c: Connection reset by peer" in caught.value.message
    assert "may have been done or not" in caught.value.message and len(server.seen) == cluster.requests["write"] > 1


def test_after_a_read_nothing_may_have_been_done(meet):
    cluster, _server = meet(lambda *_: (200, CONFIG), *[Lose()] * 20, patience=0.0)
    with pytest.raises(Failure) as caught:
        cluster.get("ConfigMap", "c", "n")
    assert caught.value.message.endswith("Next: run again.")


def test_a_delete_whose_answer_was_lost_finds_the_object_gone(meet):
    answers = iter([(200, CONFIG), (404, {})])
    cluster, server = meet(lambda *_: next(answers), Lose())
    assert cluster.delete(CONFIG) is False
    assert methods(server) == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        ((404, {}), False),
        ((200, {**CONFIG, "metadata": {"uid": "2"}}), False),
        ((200, {**CONFIG, "metadata": {"uid": "1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}), True),
        ((200, CONFIG), None),
    ],
)
def test_a_delete_that_always_meets_a_conflict_looks_what_is_there(meet, now, outcome):
    cluster, server = meet(lambda method, _path, _query: now if method == "GET" else (200, {}), *[MODIFIED] * 4)
    if outcome is None:
        with pytest.raises(ApiFailure) as caught:
            cluster.delete(CONFIG)
        assert "cannot delete ConfigMap n/c" in caught.value.message
    else:
        assert cluster.delete(CONFIG) is outcome
    assert methods(server) == ["GET"]


@pytest.mark.parametrize("end", [(404, {}), (200, {**CONFIG, "metadata": {"uid": "2"}})])
def test_an_object_that_ends_slowly_is_waited_for(meet, end):
    answers = iter([(200, CONFIG), (200, CONFIG), end])
    cluster, server = meet(lambda *_: next(answers), Lose())
    cluster.await_gone(CONFIG)
    assert methods(server) == ["GET"] * 3


def test_an_object_that_does_not_end_is_told_with_its_finalizers(meet):
    held = {**CONFIG, "metadata": {**CONFIG["metadata"], "finalizers": ["orphan"]}}
    cluster, _server = meet(lambda *_: (200, held))
    with pytest.raises(Failure) as caught:
        cluster.await_gone(CONFIG, timeout=0.2)
    assert "ConfigMap n/c was deleted and is still there after 0.2 s (orphan)" in caught.value.message


def test_a_server_that_was_never_there_is_not_waited_for_long():
    cluster = Cluster({**dict.fromkeys(connection_argument_spec()), "host": "http://127.0.0.1:1", "api_key": "a-token-of-this-test"})
    with pytest.raises(Failure) as caught:
        cluster.version()
    assert "http://127.0.0.1:1 cannot be reached: " in caught.value.message and "refused" in caught.value.message
    assert 1 < cluster.requests["read"] < 6


def test_a_log_that_cannot_be_had_is_empty(meet):
    cluster, _server = meet(lambda *_: (200, b"line"), *[Reset()] * 20, patience=0.0)
    assert cluster.last_words("n", "p", "c", 3) == ""


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_of_a_container_that_the_kubelet_has_thrown_away_the_other_is_asked_for(meet, gone):
    answers = [*[b"unable to retrieve container logs for containerd://0123"] * gone, b"line", b"another"]
    cluster, server = meet(lambda *_: (200, answers.pop(0)))
    assert cluster.last_words("n", "p", "c", 3) == ("line" if gone < 3 else "") and len(server.seen) == min(gone + 1, 3)


def test_a_reflector_lives_on_where_failures_are_not_in_a_row(meet, monkeypatch):
    monkeypatch.setattr(reflector, "_PAUSE_AFTER_FAILURE", 0.01)
    lists, seven = [], threading.Event()

    def answer(_method, _path, query):
        if query.get("watch"):
            return 500, {}
        lists.append(1)
        if len(lists) == 7:
            seven.set()
        return 200, {"metadata": {"resourceVersion": "7"}, "items": []}

    cluster, _server = meet(answer, patience=0.0)
    live = reflector.Reflector(cluster, threading.Event(), "Node")
    live.start()
    assert seven.wait(20) and live.failure is None
    live.stop()
    live.join(20)


def test_a_reflector_that_never_gets_a_list_ends_with_the_reason(meet, monkeypatch):
    monkeypatch.setattr(reflector, "_PAUSE_AFTER_FAILURE", 0.01)
    cluster, _server = meet(lambda *_: (500, {"message": "no luck today"}), patience=0.0)
    live = reflector.Reflector(cluster, threading.Event(), "Node")
    live.start()
    live.join(20)
    assert "no luck today" in live.failure.message and live.trouble is live.failure


def test_a_reflector_starts_from_a_list_that_is_known_and_lists_only_where_it_is_too_old(meet):
    asked, known = [], [{"metadata": {"uid": "1", "name": "a"}}]
    listed = threading.Event()

    def answer(_method, _path, query):
        asked.append((bool(query.get("watch")), query.get("resourceVersion")))
        if query.get("watch"):
            return 410, {"message": "too old resource version"}
        listed.set()
        return 200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"uid": "2", "name": "b"}}]}

    cluster, _server = meet(answer, patience=0.0)
    changed = threading.Event()
    live = reflector.Reflector(cluster, changed, "Node", known=(known, "7"))
    live.start()
    assert listed.wait(20)
    deadline = time.monotonic() + 20
    while [node["metadata"]["name"] for node in live.objects()] != ["b"] and time.monotonic() < deadline:
        changed.wait(0.1)
        changed.clear()
    assert [node["metadata"]["name"] for node in live.objects()] == ["b"] and live.failure is None
    live.stop()
    live.join(20)
    assert asked[:2] == [(True, "7"), (False, None)] and live.objects() == []


@pytest.mark.parametrize("known_nodes", [None, ([{"metadata": {"name": f"n{number}", "uid": str(number)}} for number in range(500)], "7")])
def test_a_rollout_that_cannot_be_seen_did_not_fail(meet, known_nodes):
    cluster, _server = meet(lambda *_: (500, {"message": "no luck today"}), patience=0.0)
    with pytest.raises(ApiFailure) as caught:
        await_rollout(cluster, {"metadata": {"namespace": "n", "name": "a"}}, 0.3, FIELD_MANAGER, known_nodes=known_nodes)
    assert "no luck today" in caught.value.message


def test_a_listing_gives_up_after_failures_in_a_row_only(meet):
    luck = iter([True, *[False] * 4, True, *[False] * 5])
    pods = [{"metadata": {"uid": "1", "name": "a"}}]
    cluster, _server = meet(lambda *_: (200, {"metadata": {}, "items": pods}) if next(luck) else (500, {"message": "no luck today"}), patience=0.0)
    live = Listing(cluster, "Pod", "n")
    assert live.refreshed() and [pod["metadata"]["name"] for pod in live.objects()] == ["a"]
    assert [live.refreshed() for _again in range(4)] == [False] * 4
    # What was listed long ago is not passed off as new.
    assert live.objects() == [] and live.failure is None and "no luck today" in live.trouble.message
    assert live.refreshed() and live.trouble is None
    assert not any(live.refreshed() for _again in range(5)) and "no luck today" in live.failure.message


def test_a_listing_goes_on_as_a_watch_from_where_it_was(meet):
    asked = []

    def answer(_method, _path, query):
        asked.append((bool(query.get("watch")), query.get("resourceVersion"), query.get("labelSelector")))
        return 200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"uid": "1", "name": "a"}}]}

    cluster, _server = meet(answer, patience=0.0)
    listing = Listing(cluster, "Pod", "n", labelSelector="a=b")
    assert listing.refreshed()
    live = listing.watched(threading.Event())
    deadline = time.monotonic() + 20
    while len(asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [pod["metadata"]["name"] for pod in live.objects()] == ["a"]
    live.stop()
    live.join(20)
    assert asked[:2] == [(False, None, "a=b"), (True, "9", "a=b")]


@pytest.mark.parametrize("status", [401, 403])
def test_a_listing_that_is_refused_gives_up_at_once(meet, status):
    cluster, _server = meet(lambda *_: (status, {"message": "not you"}), patience=0.0)
    live = Listing(cluster, "Pod", "n")
    assert not live.refreshed() and live.failure.status == status


@pytest.fixture
def exec_server():
    """URL of a server that answers every exec with `out` on channel 1 and success on channel 3."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer waits 40 ms for a delayed acknowledgement of its head.
        disable_nagle_algorithm = True

        def do_GET(self):
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}", "", ""]
            self.wfile.write("\r\n".join(head).encode())
            for message in (b"\x01out", b'\x03{"status": "Success"}'):
                self.wfile.write(bytes([0x82, len(message)]) + message)
            self.wfile.write(bytes([0x88, 0]))
            self.connection.recv(100)
            self.close_connection = True

        def log_message(self, *_arguments):
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def run_command(url, *faults, patience=5.0):
    plan, left = Plan(0), list(faults)
    plan.meet = lambda request: left.pop(0) if left else None
    with FaultProxy(url, plan) as proxy:
        options = {**dict.fromkeys(connection_argument_spec()), "host": proxy.url, "api_key": "a-token-of-this-test"}
        return Cluster(options, patience=patience).execute("n", "p", "c", ["prove"], 10)


@pytest.mark.parametrize("faults", [(), (INTERNAL,), (Answer(429, b"{}", {"Retry-After": "0"}),), (Reset(), Answer(503)), (Cut(20, True),), (Cut(0, False),)])
def test_an_exec_that_was_not_accepted_is_sent_again(exec_server, faults):
    assert run_command(exec_server, *faults) == (0, "out", "")


@pytest.mark.parametrize("reset", [True, False])
def test_an_exec_that_breaks_later_says_so(exec_server, reset):
    with pytest.raises(Failure) as caught:
        run_command(exec_server, Cut(140, reset))
    assert "the exec stream to Pod n/p broke" in caught.value.message and "\n" not in caught.value.message


def test_an_exec_that_is_refused_is_not_sent_again(exec_server):
    with pytest.raises(ApiFailure) as caught:
        run_command(exec_server, Answer(403, b'{"message": "pods \\"p\\" is forbidden"}'))
    assert caught.value.status == 403
