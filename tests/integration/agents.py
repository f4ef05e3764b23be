# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of an installed agent ask for."""

from __future__ import annotations

import json
import time

from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION

AGENT, INFO, IMAGE = "nanoagent.k8s.agent", "nanoagent.k8s.agent_info", "nanoagent.k8s.collector_image"
# The digest of nothing that any registry holds.
ABSENT_DIGEST = "sha256:" + "0" * 64


def audited(cluster_env, since: int, name: str) -> list[tuple]:
    """(verb, path) of this collection's requests for one test's objects, from the audit log after its first `since` bytes."""
    with open(cluster_env["AUDIT_LOG"], encoding="utf-8") as log:
        log.seek(since)
        events = [json.loads(line) for line in log if line.endswith("\n")]
    ours = [event for event in events if event.get("userAgent", "") == f"nanoagent.k8s/{VERSION}" and event["stage"] == "ResponseComplete"]
    return [(event["verb"], event["requestURI"]) for event in ours if name in event["requestURI"]]


def pods(kubectl, name: str) -> dict:
    """Node -> (uid, restarts) of the pods in a namespace."""
    items = json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"]
    return {
        pod["spec"]["nodeName"]: (pod["metadata"]["uid"], sum(status["restartCount"] for status in pod["status"].get("containerStatuses") or []))
        for pod in items
    }


def one_line(result: dict) -> str:
    """The message of a failed task, which must be a single line with a next step."""
    assert result.get("failed"), result
    message = result["msg"]
    assert "\n" not in message and "Traceback" not in json.dumps(result) and "Next: " in message, message
    return message


def until(condition, seconds: int = 90):
    """The condition's first true answer."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.5)
    return answer
