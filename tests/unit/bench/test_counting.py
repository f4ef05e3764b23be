# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting requests in an audit log, events in the collector's output, pods on the cluster."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from benchmark.audit import AuditLog, count_requests, rollout_parts
from benchmark.events import count_events, expected_events, metrics, missing_events, reported_loss
from benchmark.kubernetes import disturbances
from benchmark.process import BenchFailed, measured
from benchmark.running import kilobytes

METRICS = """
# HELP nanoagent_collector_events_lost_total Events that found the ring full.
# TYPE nanoagent_collector_events_lost_total counter
nanoagent_collector_events_lost_total{type="exec",cpu="0"} 2
nanoagent_collector_events_lost_total{type="exec",cpu="1"} 3
nanoagent_collector_events_lost_total{type="fork",cpu="0"} 1
nanoagent_collector_hook_missed_total{hook="sched_process_exec"} 4
nanoagent_collector_cpu_seconds_total 0.208
"""


def request(number: int, verb: str, agent: str = "nanoagent.k8s/0.1.0", user: str | None = "bench", stage: str = "ResponseComplete") -> str:
    event = {"auditID": str(number), "stage": stage, "verb": verb, "userAgent": agent, "user": {"username": "admin"}}
    if user:
        event["impersonatedUser"] = {"username": user}
    return json.dumps(event)


def test_requests_are_reads_or_writes():
    verbs = ["get", "list", "watch", "patch", "create", "delete"]
    lines = [request(number, verb) for number, verb in enumerate(verbs)]
    assert count_requests(lines, "nanoagent.k8s/", "bench") == {"read": 3, "write": 3}


def test_requests_of_others_do_not_count():
    lines = [request(1, "get", agent="kubectl/v1.36"), request(2, "patch", user="somebody"), request(3, "patch", user=None)]
    assert count_requests(lines, "nanoagent.k8s/", "bench") == {"read": 0, "write": 0}


def test_a_request_counts_once_whatever_its_stages():
    lines = [request(1, "watch", stage="ResponseStarted"), request(1, "watch"), request(2, "get", stage="RequestReceived")]
    assert count_requests(lines, "nanoagent.k8s/", "bench") == {"read": 1, "write": 0}


def test_a_line_that_is_cut_off_is_left_out():
    assert count_requests([request(1, "get"), request(2, "get")[:40], ""], "nanoagent.k8s/", "bench") == {"read": 1, "write": 0}


DAEMON_SETS = "/apis/apps/v1/namespaces/here/daemonsets"


def at_second(second: int, verb: str, uri: str) -> str:
    return json.dumps({"stageTimestamp": f"1970-01-01T00:00:{second:02}.500000Z", "stage": "ResponseComplete", "verb": verb, "requestURI": uri})


def test_a_rollout_is_from_the_first_write_to_the_last_count():
    lines = [
        at_second(1, "list", f"{DAEMON_SETS}?limit=250"),
        at_second(2, "patch", f"{DAEMON_SETS}/agent?fieldManager=x&dryRun=All"),
        at_second(3, "patch", f"{DAEMON_SETS}/agent?fieldManager=x"),
        at_second(4, "patch", f"{DAEMON_SETS}/agent?fieldManager=x"),
        at_second(5, "update", f"{DAEMON_SETS}/agent/status"),
        at_second(6, "update", f"{DAEMON_SETS}/agent/status"),
        at_second(7, "update", "/apis/apps/v1/namespaces/there/daemonsets/agent/status"),
        at_second(8, "get", f"{DAEMON_SETS}/agent"),
        at_second(9, "update", f"{DAEMON_SETS}/agent/status"),
        at_second(9, "update", f"{DAEMON_SETS}/agent/status")[:-20],
    ]
    assert rollout_parts(lines, "here", 1.5, 9.0) == {"before": 2.0, "rollout": 3.0, "after": 2.5}


@pytest.mark.parametrize("missing", ["/agent/status", "/agent?"])
def test_a_log_without_the_write_or_the_count_tells_no_rollout(missing: str):
    lines = [at_second(3, "patch", f"{DAEMON_SETS}/agent?fieldManager=x"), at_second(5, "update", f"{DAEMON_SETS}/agent/status")]
    assert rollout_parts(lines, "here", 1.5, 9.0) == {"before": 2.0, "rollout": 2.0, "after": 3.5}
    assert rollout_parts([line for line in lines if missing not in line], "here", 1.5, 9.0) == {}


def test_audit_log_gives_what_came_later(tmp_path):
    path = tmp_path / "audit.log"
    path.write_text("before\n")
    log = AuditLog(path)
    with path.open("a") as stream:
        stream.write("after\nlast\n")
    assert log.lines() == ["after", "last"]


def test_metrics_are_summed_by_name_and_by_type():
    sums = metrics(METRICS)
    assert sums["events_lost_total"] == 6
    assert sums["events_lost_total", "exec"] == 5
    assert sums["hook_missed_total"] == 4
    assert sums["cpu_seconds_total"] == 0.208


def test_reported_loss_is_a_difference():
    assert reported_loss(Counter({"events_lost_total": 1}), metrics(METRICS) + Counter({"events_dropped_total": 7})) == 5 + 4 + 7


def event(kind: str, command: str, **more) -> str:
    return json.dumps({"type": kind, "process": {"comm": command}, **more}, separators=(",", ":"))


def test_events_of_one_command_are_counted():
    lines = [event("exec", "storm"), event("exec", "storm"), event("exit", "storm"), event("exec", "sh", parent={"comm": "storm"}), '{"comm":"storm"', ""]
    assert count_events(lines, "storm") == {"exec": 2, "exit": 1}


@pytest.mark.parametrize("workload", ["exec", "connect"])
def test_nothing_is_missing_when_all_came(workload):
    expected = expected_events(workload, 10)
    assert missing_events(expected, Counter(expected)) == 0
    assert missing_events(expected, Counter()) == sum(expected.values())


def test_more_than_expected_does_not_make_up_for_what_is_missing():
    assert missing_events({"exec": 2, "fork": 2}, Counter(exec=3, fork=1)) == 1


def test_disturbed_pods_are_those_replaced_or_restarted():
    assert disturbances({"a": 0, "b": 1}, {"a": 0, "b": 1, "new": 0}) == 0
    assert disturbances({"a": 0, "b": 1, "c": 0}, {"a": 1, "b": 1}) == 2


def test_kilobytes_become_mebibytes():
    assert kilobytes("Name:\tx\nVmRSS:\t    2048 kB\nVmRSSx: 1 kB\n", "VmRSS") == 2


def test_measured_counts_time_of_children():
    usage = measured(["sh", "-c", "sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'; echo done"])
    assert usage.output == "done\n"
    assert usage.cpu > 0
    assert usage.wall > 0


def test_measured_says_what_failed():
    with pytest.raises(BenchFailed, match="ended with 3:\nwhy"):
        measured(["sh", "-c", "echo why; exit 3"])
