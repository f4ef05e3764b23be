# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import reach_job
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_security import violations
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.reach_job import (
    check_nodes,
    check_urls,
    chosen_nodes,
    gathered,
    parse_lines,
    reach_findings,
    reach_objects,
    run_reach,
)
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options, daemon_set
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

URL = "https://orc.example.com"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def objects(seconds=60, urls=(URL,), egress_namespace=None, **given):
    options = {**with_profile_defaults(agent_options(**given)), "egress_namespace": egress_namespace}
    return reach_objects(options, daemon_set(**given)["spec"]["template"], IMAGE, list(urls), "n1", seconds)


def pod(job):
    return job["spec"]["template"]["spec"]


def test_the_job_ends_by_itself_and_is_let_in_everywhere():
    job, *others = objects()
    assert others == [] and job["spec"]["activeDeadlineSeconds"] == 60 and job["spec"]["ttlSecondsAfterFinished"] > 0 and job["spec"]["backoffLimit"] == 0
    assert violations(job["spec"]["template"], "restricted") == []
    assert pod(job)["containers"][0]["args"] == ["reach", "--timeout", "10s", URL]
    assert objects(seconds=12)[0]["spec"]["template"]["spec"]["containers"][0]["args"][2] == "4s"
    assert len(objects(name="n" * 52)[0]["metadata"]["name"]) <= 63
    assert objects()[0]["metadata"]["name"] != job["metadata"]["name"]


def test_its_user_is_nobody_and_openshift_s_own_choice():
    options, template = {**agent_options(), "egress_namespace": None}, daemon_set()["spec"]["template"]
    jobs = [reach_objects(options, template, IMAGE, [URL], "n1", 60, [{"platform": platform}])[0] for platform in ("k3s", "openshift")]
    contexts = [pod(job)["securityContext"] for job in jobs]
    assert [context.get("runAsUser") for context in contexts] == [context.get("runAsGroup") for context in contexts] == [65532, None]
    assert all(context["runAsNonRoot"] for context in contexts) and violations(jobs[1]["spec"]["template"], "restricted") == []


def test_its_pod_is_none_of_the_agent_s_and_has_the_labels_of_its_network_policy():
    labels = objects()[0]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "nanoagent", "app.kubernetes.io/instance": "nanoagent", "app.kubernetes.io/component": "preflight"}
    selector = daemon_set()["spec"]["selector"]["matchLabels"]
    assert any(labels.get(key) != value for key, value in selector.items())


def test_it_goes_out_as_the_agent_does():
    given = {
        "profile": "spyderbat",
        "require_digest": False,
        "registration_code": "code",
        "https_proxy": "http://proxy.example:3128",
        "proxy_exceptions": [".svc"],
        "ca_bundle": CERTIFICATE,
        "registry_login": {"registry": "r.example", "username": "u", "password": "canary-f00d"},
    }
    job, config, secret = objects(**given)
    spec = pod(job)
    env = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
    assert env["HTTPS_PROXY"] == env["https_proxy"] == "http://proxy.example:3128" and env["no_proxy"] == ".svc" and "SSL_CERT_FILE" in env
    # No credential, and nothing of the agent beside its way out.
    assert not set(env) - {"HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"}
    assert "canary-f00d" not in json.dumps(job) and spec["hostNetwork"] is True and spec["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert [volume["configMap"]["name"] for volume in spec["volumes"]] == [config["metadata"]["name"]]
    assert spec["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}] and secret["type"] == "kubernetes.io/dockerconfigjson"
    # Their own names: what the installation makes is not touched.
    assert {config["metadata"]["name"], secret["metadata"]["name"]} == {f"{job['metadata']['name']}-{number}" for number in (0, 1)}


def test_another_namespace():
    job, config = objects(egress_namespace="default", profile="custom", ca_bundle=CERTIFICATE)
    assert job["metadata"]["namespace"] == config["metadata"]["namespace"] == "default"


def line(**fields):
    return {"url": URL, "ok": True, "status": 401, "stage": "done", "error": "", "remote": "192.0.2.7:443", "proxy": "", "tls": None, "ms": 41.2, **fields}


def outcome(*results, problem="", fix="", node="n1"):
    return {"results": list(results), "problem": problem, "fix": fix, "node": node}


def test_lines_among_others():
    log = f'time=now level=info\n{json.dumps(line())}\n[1]\n{{"url": 5, "ok": true}}\n{json.dumps(line(ok=False))}\n{{"url": "cut'
    assert [entry["ok"] for entry in parse_lines(log)] == [True, False] and parse_lines("") == []


@pytest.mark.parametrize(
    ("result", "expected", "words"),
    [
        (line(tls={"version": "TLS 1.3"}), "ok", ["answers 401 in 41 ms, TLS 1.3", "from a pod in namespace x on n1"]),
        (line(proxy="http://p:3128"), "ok", ["through the proxy http://p:3128"]),
        (line(ok=False, stage="dns", error="no such host"), "error", ["ends at dns: no such host"]),
        (line(ok=False, stage="connect", error="refused"), "error", ["ends at connect"]),
        (line(ok=False, stage="proxy", error="407"), "error", ["ends at proxy"]),
        (
            line(ok=False, stage="tls", error="unknown authority", tls={"version": "", "issuer": "CN=Box", "subject": "CN=orc"}),
            "error",
            ["ends at tls", "CN=orc is signed by CN=Box"],
        ),
        (line(ok=False, stage="http", error="reset"), "error", ["ends at http"]),
        (line(ok=False, stage="new", error="?"), "error", ["ends at new"]),
    ],
)
def test_what_an_answer_means(result, expected, words):
    [found] = reach_findings(outcome(result), [URL], "x")
    assert (found["result"], found["object"]) == (expected, URL) and all(word in found["evidence"] for word in words)
    assert bool(found["fix"]) is (expected == "error")


def test_a_url_of_which_the_pod_said_nothing():
    [told] = reach_findings(outcome(problem="ImageNotFound: not found", fix="push it"), [URL], "x")
    assert told["result"] == "warning" and "could not be tried" in told["evidence"] and "ImageNotFound" in told["evidence"] and told["fix"] == "push it"
    one, other = reach_findings(outcome(line()), [URL, "https://other.example"], "x")
    assert (one["result"], other["result"]) == ("ok", "warning")


@pytest.mark.parametrize("url", ["orc.example.com", "ftp://a", "https://", "https://a:0", "https://a:99999", "http://[::1", "https://u:p@a", ""])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(Failure):
        check_urls("egress_urls", [URL, url])


def test_urls_that_are():
    check_urls("egress_urls", [URL, "http://10.0.0.1:8080/path?q=1", "https://[::1]:443/"])


def spot(name, pool="", zone="", up=True, cordoned=False):
    return {"node": name, "pool": pool, "zone": zone, "up": up, "cordoned": cordoned}


ROWS = [spot("a", "x", "1"), spot("b", "x", "1"), spot("c", "x", "2"), spot("d", "y", "1", up=False), spot("e", "y", "1"), spot("f", "x", "1", cordoned=True)]


@pytest.mark.parametrize(
    ("rows", "wanted", "nodes"),
    [
        (ROWS, "pools", ["a", "c", "e"]),
        (ROWS, "1", ["a"]),
        (ROWS, "4", ["a", "c", "e", "b"]),
        (ROWS, "50", ["a", "c", "e", "b"]),
        ([spot("a"), spot("b")], "pools", ["a"]),
        ([spot(f"n{number}", f"p{number}") for number in range(40)], "pools", [f"n{number}" for number in range(10)]),
        ([spot("a", up=False)], "pools", []),
        ([], "3", []),
    ],
)
def test_one_node_of_each_pool_and_zone_or_as_many_as_wanted(rows, wanted, nodes):
    assert chosen_nodes(rows, wanted) == nodes


@pytest.mark.parametrize("wanted", ["all", "0", "51", "-1", "", "3.5", "\u0663"])
def test_a_number_of_nodes_that_is_none(wanted):
    with pytest.raises(Failure, match="egress_nodes"):
        check_nodes(wanted)


def test_what_several_nodes_found_is_told_once():
    def found(node, **given):
        return [{**one, "nodes": [node]} for one in reach_findings({**outcome(line(**given)), "node": node}, [URL], "x")]

    refused = {"ok": False, "stage": "connect", "error": "refused"}
    good, bad = gathered([*found("a"), *found("b"), *found("c", **refused)], 3)
    assert good["nodes"] == ["a", "b"] and good["result"] == "ok" and good["evidence"].endswith("; the same from 1 other node")
    assert bad["nodes"] == ["c"] and bad["result"] == "error" and "on c" in bad["evidence"]
    assert gathered(found("a"), 1) == found("a")


def run(logs, exit_code=0, events=(200, {"items": []}), late=0, seconds=60):
    """(outcome of the Job whose pod has ended, what each reading of its log says in turn; how often the log was read).

    events: the answer to a list of events. late: how many lists of pods are without it. seconds: that the Job has.
    """
    job, said, absent = objects()[0], iter(logs), iter([True] * late)
    ended = {"name": "reach", "state": {"terminated": {"exitCode": exit_code}}}
    pod_seen = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Succeeded", "containerStatuses": [ended]}}

    def answer(method, path, _query):
        if path.endswith("/log"):
            text = next(said)
            return (200, text.encode()) if isinstance(text, str) else text
        if path.endswith("/pods"):
            return 200, {"items": [] if next(absent, False) else [pod_seen], "metadata": {"resourceVersion": "1"}}
        if path.endswith("/events"):
            return events
        return 200, {**job, "metadata": {**job["metadata"], "uid": "u"}} if method == "PATCH" else {}

    with FakeApiServer(answer) as server:
        cluster = Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url, "api_key": "a-token-of-this-test"})
        outcome = run_reach(cluster, [job], 1, seconds)
        return outcome, sum(path.endswith("/log") for _method, path, _query in server.seen)


def test_a_log_that_cannot_be_read_whole_yet_is_read_again():
    line = json.dumps({"url": URL, "ok": True, "status": 200})
    outcome, reads = run(["", line[:20], line])
    assert [entry["url"] for entry in outcome["results"]] == [URL] and outcome["node"] == "n1" and reads == 3


def refusal(status, message):
    return status, {"kind": "Status", "message": message, "reason": "Forbidden" if status == 403 else "InternalError"}


def test_a_log_that_may_not_be_read_is_asked_for_once_and_the_right_is_named():
    forbidden = 'pods "p" is forbidden: User "u" cannot get resource "pods/log" in API group "" in the namespace "n"'
    outcome, reads = run([refusal(403, forbidden)])
    told = reach_findings(outcome, [URL], "n")[0]
    assert "the pod's log could not be read: the user u may not get pods/log in namespace n" in told["evidence"] and reads == 1
    assert told["fix"] == "grant the verb get on pods/log in namespace n" and told["result"] == "warning"


def test_a_log_that_cannot_be_read_for_a_moment_is_read_again():
    line = json.dumps({"url": URL, "ok": True, "status": 200})
    outcome, reads = run([refusal(500, "the kubelet is busy")] * 6 + [line])
    assert [entry["url"] for entry in outcome["results"]] == [URL] and outcome["problem"] == "" and reads > 1


@pytest.fixture
def no_waiting(monkeypatch):
    """Looks follow each other at once, and the controller is soon asked why there is no pod."""
    monkeypatch.setattr(reach_job, "_POLL", 0)
    monkeypatch.setattr(reach_job, "_DENIED_AFTER", 0)


FORBIDDEN_EVENTS = refusal(403, 'events is forbidden: User "u" cannot list resource "events" in API group "" in the namespace "n"')


@pytest.mark.parametrize("events", [FORBIDDEN_EVENTS, (200, {"items": [{"reason": "SuccessfulCreate", "message": "made"}]})])
def test_a_pod_that_is_late_is_waited_for_whether_events_can_be_read_or_not(no_waiting, events):
    line = json.dumps({"url": URL, "ok": True, "status": 200})
    outcome, _reads = run([line], events=events, late=3)
    assert [entry["url"] for entry in outcome["results"]] == [URL] and outcome["problem"] == "" and outcome["node"] == "n1"


def test_a_job_that_gets_no_pod_is_told_with_the_cause_where_it_can_be_read(no_waiting):
    outcome, _reads = run([], events=(200, {"items": [{"reason": "FailedCreate", "message": "exceeded quota"}]}), late=9)
    assert outcome["problem"] == "exceeded quota" and "quota" in outcome["fix"]
    outcome, _reads = run([], events=FORBIDDEN_EVENTS, late=100000, seconds=1)
    assert outcome["results"] == [] and outcome["problem"] == "no end within 1 s (the Job has no pod)" and "quota" in outcome["fix"]


def test_the_log_of_a_program_that_could_not_ask_is_read_once():
    outcome, reads = run(["no such command"], exit_code=2)
    assert outcome["results"] == [] and "exit code 2: no such command" in outcome["problem"] and reads == 1
