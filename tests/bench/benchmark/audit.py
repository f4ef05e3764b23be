# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting requests in an API server's audit log, and finding when a rollout began and ended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

READS = frozenset({"get", "list", "watch"})
# A watch is logged when it starts and when it ends; what has not ended yet counts too.
STAGES = frozenset({"ResponseStarted", "ResponseComplete", "Panic"})


def count_requests(lines: Iterable[str], user_agent: str, user: str) -> dict[str, int]:
    """{"read": int, "write": int}: requests by a user agent that begins so, in the name of an impersonated user. Pure."""
    verbs = {}
    for event in _events(lines):
        impersonated = event.get("impersonatedUser") or {}
        ours = event.get("userAgent", "").startswith(user_agent) and impersonated.get("username") == user
        if ours and event.get("stage") in STAGES:
            verbs[event["auditID"]] = event["verb"]
    reads = sum(verb in READS for verb in verbs.values())
    return {"read": reads, "write": len(verbs) - reads}


def rollout_parts(lines: Iterable[str], namespace: str, began: float, ended: float) -> dict[str, float]:
    """The parts of the time of a command that waited for a DaemonSet in the namespace, in seconds; none where the log does not tell. Pure.

    {"before": until it was first written, "rollout": until its controller last counted its pods, "after": the rest}. began, ended: of
    the command, in seconds since 1970.
    """
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    written, counted = [], []
    for event in _events(line for line in lines if path in line):
        uri, _mark, query = event["requestURI"].partition("?")
        at = datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00")).timestamp()
        if not uri.startswith(path) or event["verb"] in READS or "dryRun=" in query or at > ended:
            continue
        (counted if uri.endswith("/status") else written).append(at)
    if not written or not counted:
        return {}
    return {"before": min(written) - began, "rollout": max(counted) - min(written), "after": ended - max(counted)}


def _events(lines):
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            # Cut off: the server may be writing the last one.
            continue


class AuditLog:
    """The part of an audit log that is written from now on."""

    def __init__(self, path: Path):
        self._path = path
        self._start = path.stat().st_size

    def lines(self) -> list[str]:
        """What has been written since."""
        with self._path.open("rb") as stream:
            stream.seek(self._start)
            return stream.read().decode("utf-8", "replace").splitlines()
