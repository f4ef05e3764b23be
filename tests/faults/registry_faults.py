# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults as image registries, and what stands in front of them, have them."""

from __future__ import annotations

import json
import random

from ansible_collections.nanoagent.k8s.tests.faults.fault import Answer, Corrupt, Request
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan, breaks


def plan(seed: int) -> Plan:
    """The faults of one seed for a client of a registry."""
    return Plan(seed, menu, likeness)


def likeness(request: Request) -> str:
    """Method and kind; the names of uploads differ from run to run."""
    kind = next((part for part in ("/blobs/uploads/", "/blobs/", "/manifests/", "/referrers/") if part in request.path), request.path)
    return f"{request.method} {kind}{'' if kind == '/blobs/uploads/' else request.path.rpartition('/')[2]}"


def menu(request: Request) -> list:
    """The faults that a request may meet, with their weights."""
    refusals = [(1.5, _too_many), (1, lambda _draw: _error(500, "UNKNOWN")), (1, lambda _draw: Answer(502, b"<html>bad gateway</html>")), (1, _unavailable)]
    # A list of referrers has no digest by which anybody could see that it is another one.
    is_checked = request.method == "GET" and "/referrers/" not in request.path
    return [*refusals, *breaks(request), *([(1, lambda draw: Corrupt(draw.random()))] if is_checked else [])]


def _error(status: int, code: str, **headers: str) -> Answer:
    return Answer(status, json.dumps({"errors": [{"code": code, "message": "drawn from a seed"}]}).encode(), headers)


def _too_many(draw: random.Random) -> Answer:
    return _error(429, "TOOMANYREQUESTS", **{"Retry-After": draw.choice(["0", "1"])})


def _unavailable(_draw: random.Random) -> Answer:
    return _error(503, "UNAVAILABLE")
