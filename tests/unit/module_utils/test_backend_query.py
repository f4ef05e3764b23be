# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.backend_query import argument_spec, arrivals, check, filled, holds
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.tests.backend.backend import Backend
from ansible_collections.nanoagent.k8s.tests.backend.forward_proxy import ForwardProxy
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority

pytestmark = pytest.mark.loopback

FIRST, SECOND = "0123456789abcdef" * 2, "fedcba9876543210" * 2
NONCE = f"{FIRST}-{SECOND}"
TOKEN = "token-that-nobody-may-see"


def expected(url, **given):
    """The option as its argument spec leaves it."""
    defaults = {name: spec.get("default") for name, spec in argument_spec()["options"].items()}
    return {**defaults, "url": url, **given}


def event(nonce, node="n1"):
    return {"type": "exec", "node": node, "process": {"argv": ["/collector", "prove", nonce]}}


def batch(*events, first=1):
    lines = [{"type": "batch", "stream": "S", "first": first, "lines": len(events)}, *events]
    return gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("backend") / "ca", ("127.0.0.1", "backend.example"))


@pytest.fixture
def backend(authority, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Backend("127.0.0.1", TOKEN, authority.serving(anybody=True)) as running:
        yield running


@pytest.fixture
def ask(authority):
    """ask({node: nonce}, url, **options) -> {node: proof} after the asking."""

    def run(nonces, url, parallel=4, **given):
        given = {"ca_cert": str(authority.ca), "secret_headers": {"Authorization": f"Bearer {TOKEN}"}, "timeout": 20, **given}
        proofs = {node: {"proven": True, "latency_ms": 1.0, "round_trip_ms": 2.0, "reason": ""} for node in nonces}
        with arrivals(expected(url, **given), parallel) as (expect, add_to):
            for node, nonce in nonces.items():
                expect(node, nonce, time.monotonic())
            add_to(proofs)
        return proofs

    return run


def query(backend, text="contains={nonce}"):
    return f"{backend.url}/events?{text}"


@pytest.mark.parametrize("text", ["contains={nonce}", "nonce_sha256={nonce_sha256}", "contains={node}"])
def test_an_event_that_is_there_is_found(backend, ask, text):
    backend.take(batch(event(NONCE)))
    proof = ask({"n1": NONCE}, query(backend, text))["n1"]
    assert proof["proven"] is True and proof["backend_ms"] > 0 and proof["reason"] == ""


def test_an_event_that_comes_later_is_waited_for(backend, ask):
    later = threading.Timer(0.7, lambda: backend.take(batch(event(NONCE))))
    later.start()
    assert ask({"n1": NONCE}, query(backend))["n1"]["proven"] is True
    assert backend.statuses["GET 200"] > 1


def test_an_event_that_does_not_come_is_named(backend, ask):
    other = f"{SECOND}-{FIRST}"
    backend.take(batch(event(NONCE)))
    proofs = ask({"n1": NONCE, "n2": other}, query(backend), timeout=1)
    assert proofs["n1"]["proven"] is True
    assert (proofs["n2"]["proven"], proofs["n2"]["backend_ms"]) == (False, None)
    assert proofs["n2"]["reason"] == "the event did not reach the backend within 1 s"


def test_an_answer_that_repeats_the_question_proves_nothing(backend, ask):
    proof = ask({"n1": NONCE}, query(backend, "contains={nonce}&nonce_sha256={nonce_sha256}"), timeout=1)["n1"]
    assert proof["proven"] is False and "did not reach" in proof["reason"]


def test_the_second_half_never_leaves(backend, ask, monkeypatch):
    asked = []
    monkeypatch.setattr(backend, "find", lambda **given: asked.append(given) or [])
    ask({"n1": NONCE}, query(backend), timeout=1)
    assert asked and all(FIRST in given["contains"] and SECOND not in given["contains"] for given in asked)


def test_an_expression_may_name_the_node(backend, ask):
    backend.take(batch(event(NONCE, "n1")))
    proofs = ask({"n1": NONCE, "n2": NONCE}, query(backend), jmespath="events[?node=='{node}']", timeout=1)
    assert [proof["proven"] for proof in proofs.values()] == [True, False]


def test_many_nodes_wait_for_their_turn(backend, ask):
    nonces = {f"n{number}": f"{number:032x}-{SECOND}" for number in range(40)}
    backend.take(batch(*(event(nonce, node) for node, nonce in nonces.items() if node != "n7")))
    proofs = ask(nonces, query(backend), parallel=2, timeout=2)
    assert [node for node, proof in proofs.items() if not proof["proven"]] == ["n7"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"secret_headers": {"Authorization": "Bearer wrong"}}, "it answers HTTP 401"),
        ({"secret_headers": {}}, "it answers HTTP 401"),
        ({"ca_cert": None}, "certificate verify failed"),
        ({"jmespath": "length(query)[0].x || abs(query)"}, "jmespath does not fit the answer"),
    ],
)
def test_a_backend_that_cannot_be_asked_is_named(backend, ask, given, why):
    nonces = {f"n{number}": f"{number:032x}-{SECOND}" for number in range(10)}
    proofs = ask(nonces, query(backend), parallel=1, timeout=1, **given)
    assert {proof["reason"] for proof in proofs.values()} == {proofs["n0"]["reason"]}
    assert why in proofs["n0"]["reason"] and f"the backend 127.0.0.1:{backend.port} could not be asked" in proofs["n0"]["reason"]
    assert TOKEN not in json.dumps(proofs) and not any(proof["proven"] for proof in proofs.values())
    # Nobody waits for it once more.
    assert backend.statuses.total() <= 1


def test_a_backend_that_is_away_is_named(backend, ask):
    backend.stop()
    proofs = ask({"n1": NONCE, "n2": NONCE}, query(backend), parallel=1, timeout=1)
    assert all("could not be asked" in proof["reason"] and "refused" in proof["reason"] for proof in proofs.values())


def test_it_is_not_there_yet(backend, ask):
    """An index that the first event makes: 404 may pass."""
    later = threading.Timer(0.5, lambda: backend.take(batch(event(NONCE))))
    later.start()
    proof = ask({"n1": NONCE}, f"{backend.url}/events?index={{nonce}}", timeout=1)["n1"]
    assert proof["proven"] is False and "it answers HTTP 404" in proof["reason"] and backend.statuses["GET 404"] > 1


def test_no_redirect_is_followed(backend, ask, monkeypatch):
    backend.take(batch(event(NONCE)))
    backend.answer = (307, {"Location": query(backend).replace("{nonce}", FIRST)})
    proof = ask({"n1": NONCE}, query(backend), body='{"q": "{nonce}"}', timeout=1)["n1"]
    assert "it answers HTTP 307" in proof["reason"] and not backend.statuses["GET 200"]


@pytest.mark.parametrize("by", ["option", "environment", "without a scheme", "with a login"])
def test_a_proxy_is_taken(backend, ask, monkeypatch, by):
    backend.take(batch(event(NONCE)))
    with ForwardProxy("127.0.0.1", {"backend.example": "127.0.0.1"}) as proxy:
        given = {"proxy": proxy.url} if by == "option" else {}
        address = proxy.url.removeprefix("http://")
        monkeypatch.setenv("https_proxy", {"without a scheme": address, "with a login": f"http://user:p%40ss@{address}"}.get(by, proxy.url))
        if by == "with a login":
            proxy.login = "user:p@ss"
        proofs = ask({"n1": NONCE}, f"https://backend.example:{backend.port}/events?contains={{nonce}}", **given)
        assert proofs["n1"]["proven"] is True and set(proxy.asked) == {f"backend.example:{backend.port}"}
        refused = ask({"n1": NONCE}, f"https://other.example:{backend.port}/events", timeout=1, **given)
        assert "could not be asked" in refused["n1"]["reason"] and "403" in refused["n1"]["reason"]


def test_a_proxy_of_the_environment_that_is_none_is_named(backend, ask, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://user:{TOKEN}@p.example:port")
    with pytest.raises(Failure, match="HTTPS_PROXY") as caught:
        ask({"n1": NONCE}, "https://backend.example/events")
    assert TOKEN not in caught.value.message


def test_without_the_option_nothing_is_asked():
    proofs = {"n1": {"proven": True}}
    with arrivals(None, 4) as (expect, add_to):
        add_to(proofs)
    assert expect is None and proofs == {"n1": {"proven": True}}


LINE = json.dumps(event(NONCE))
LOKI = json.dumps({"status": "success", "data": {"result": [{"stream": {"node": "n1"}, "values": [["1", LINE]]}]}})
ELASTICSEARCH = json.dumps({"hits": {"total": {"value": 1}, "hits": [{"_source": event(NONCE)}]}})


@pytest.mark.parametrize(
    ("answer", "expression", "found"),
    [
        (LINE, None, True),
        (LOKI, None, True),
        (LOKI, "data.result[?stream.node=='n1'].values[]", True),
        (LOKI, "data.result[?stream.node=='n2'].values[]", False),
        (ELASTICSEARCH, "hits.hits[]._source | [?node=='n1'].process.argv[]", True),
        (ELASTICSEARCH, "hits.total", False),
        (ELASTICSEARCH, "absent", False),
        (LINE.replace(SECOND, FIRST), None, False),
        (json.dumps({"error": f"no index for {FIRST}"}), None, False),
        ("", None, False),
    ],
)
def test_what_an_answer_holds(answer, expression, found):
    assert holds(answer, NONCE, expression) is found


def test_an_expression_needs_json():
    with pytest.raises(ValueError):
        holds("<html>", NONCE, "a")


def test_placeholders():
    digest = hashlib.sha256(NONCE.encode()).hexdigest()
    assert filled("{nonce} {node} {nonce_sha256} {other}", NONCE, "n1") == f"{FIRST} n1 {digest} {{other}}"
    loki = 'https://l.example/api?query={app="x", node="{node}"} |= "{nonce}"'
    assert filled(loki, NONCE, "a b/c", quoted=True) == f'https://l.example/api?query={{app="x", node="a%20b%2Fc"}} |= "{FIRST}"'


URL = "https://b.example/search?q={nonce}"


@pytest.mark.parametrize(
    ("given", "live", "says"),
    [
        ({}, False, "expect_events_at needs live: true"),
        ({"url": "b.example"}, True, "url is no http or https URL"),
        ({"url": "ftp://b.example"}, True, "url is no http or https URL"),
        ({"url": "https://b.example:port/"}, True, "url is no http or https URL"),
        ({"url": f"https://user:{TOKEN}@b.example"}, True, "without user and password"),
        ({"url": "http://b.example", "secret_headers": {"a": TOKEN}}, True, "would go out without TLS"),
        ({"proxy": f"http://user:{TOKEN}@p.example"}, True, "proxy is no URL of a proxy"),
        ({"proxy": "p.example:3128"}, True, "proxy is no URL of a proxy"),
        ({"secret_headers": {"Authorization": f"Bearer {TOKEN}\n"}}, True, "secret_headers holds what no header may hold"),
        ({"secret_headers": {"Authorization": f"{TOKEN}é"}}, True, "secret_headers holds what no header may hold"),
        ({"headers": {"a b": "c"}}, True, "headers holds what no header may hold"),
        ({"ca_cert": "/nonexistent/ca.crt"}, True, "ca_cert"),
        ({"timeout": 0}, True, "timeout 0 is out of bounds"),
        ({"jmespath": "hits["}, True, "jmespath does not parse"),
    ],
)
def test_what_is_refused(given, live, says):
    with pytest.raises(Failure) as caught:
        check(expected(**{"url": URL, **given}), live)
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
    assert TOKEN not in caught.value.message


def test_what_is_taken():
    check(None, False)
    check(expected(URL, jmespath="hits[]", proxy="http://p.example:3128", secret_headers={"a": TOKEN}), True)
    check(expected('http://loki.example:3100/loki/api/v1/query_range?query={app="x"} |= "{nonce}"'), True)
