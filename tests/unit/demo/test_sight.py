# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines of the collectors' logs are the workload's, and what is still missing."""

from __future__ import annotations

import json

from demonstration.sight import container_id, missing, workload_events

NAMES = {"shop": "shop-1", "visitor": "visitor-1"}


def whole_story(recorder):
    """All that the workload does."""
    recorder.start("shop-1", 10, 1, "/shop", "serve")
    recorder.start("visitor-1", 20, 1, "/shop", "visit")
    for number in range(3):
        buyer, worker = 30 + number, 40 + number
        recorder.start("visitor-1", buyer, 20, "/shop", "buy")
        recorder.connect("visitor-1", buyer, f"10.0.0.2:400{number}", "10.0.0.1:8080")
        recorder.accept("shop-1", 10, "10.0.0.1:8080", f"10.0.0.2:400{number}")
        recorder.start("shop-1", worker, 10, "/shop", "worker")
        recorder.end("shop-1", worker, 10)
        recorder.end("visitor-1", buyer, 20)
    return recorder.events


def test_nothing_is_missing_of_the_whole_story(recorder):
    assert missing(whole_story(recorder), NAMES) == []


def test_what_is_missing_is_named_by_type_and_pod(recorder):
    events = [event for event in whole_story(recorder) if event["type"] != "accept"]
    assert missing(events, NAMES) == ["accept in shop-1 (0 of 3)"]
    assert "exec in visitor-1 (0 of 4)" in missing([], NAMES)


def test_processes_of_the_container_runtime_do_not_count(recorder):
    events = [event for event in whole_story(recorder) if event["type"] != "exit"]
    for pid in range(50, 53):
        recorder.add("exit", "shop-1", pid, 1, exit={"code": 0}, comm="runc")
    assert "exit in shop-1 (0 of 3)" in missing(events + recorder.events[-3:], NAMES)


def test_only_whole_lines_of_the_workloads_containers_are_taken(recorder):
    recorder.start("shop-1", 10, 1, "/shop")
    sandbox = recorder.add("exec", "shop-1", 9, 1, argv=["/pause"])
    sandbox["container"] = {"id": "sandbox"}
    other = recorder.add("exec", "shop-1", 9, 1, argv=["/nanoagent-demo"])
    del other["container"]
    lines = [json.dumps(event) for event in recorder.events]
    log = "\n".join([*lines, "collector: nanoagent-demo on standard error", lines[1][:-20]])

    assert workload_events([log, ""], {"shop-1-container-id"}) == recorder.events[:2]


def test_a_containers_id_comes_without_the_runtime():
    assert container_id({"status": {"containerStatuses": [{"containerID": "containerd://abc"}]}}) == "abc"
