# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting requests in an API server's audit log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

READS = frozenset({"get", "list", "watch"})
# A watch is logged when it starts and when it ends; what has not ended yet counts too.
STAGES = frozenset({"ResponseStarted", "ResponseComplete", "Panic"})


def count_requests(lines: Iterable[str], user_agent: str, user: str) -> dict[str, int]:
    """{"read": int, "write": int}: requests by a user agent that begins so, in the name of an impersonated user. Pure.

    Lines that are cut off are left out: the server may be writing the last one.
    """
    verbs = {}
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        impersonated = event.get("impersonatedUser") or {}
        ours = event.get("userAgent", "").startswith(user_agent) and impersonated.get("username") == user
        if ours and event.get("stage") in STAGES:
            verbs[event["auditID"]] = event["verb"]
    reads = sum(verb in READS for verb in verbs.values())
    return {"read": reads, "write": len(verbs) - reads}


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
