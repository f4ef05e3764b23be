# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent container's probes: the profile's own, changed or replaced by the user's. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count, check_port

_KINDS = ("startup", "readiness", "liveness")
_NUMBERS = {
    "period_seconds": ("periodSeconds", 1),
    "timeout_seconds": ("timeoutSeconds", 1),
    "failure_threshold": ("failureThreshold", 1),
    "initial_delay_seconds": ("initialDelaySeconds", 0),
}


def check(options: dict) -> None:
    """Failure for numbers that the API server refuses, and for a probe that asks nothing or two things."""
    for kind, given in _given(options):
        where = f"probes.{kind}"
        for option, (_field, least) in _NUMBERS.items():
            if given.get(option) is not None:
                check_count(f"{where}.{option}", given[option], least)
        asks = [option for option in ("command", "http_path") if given.get(option)]
        if asks and options["profile"] == "bundled":
            raise Failure(f"{where}.{asks[0]} means nothing to the profile bundled", "its probes ask the collector itself; leave it out")
        if len(asks) > 1:
            raise Failure(f"{where} has a command and an http_path", "leave one of them out")
        if bool(given.get("http_path")) != (given.get("port") is not None):
            raise Failure(f"{where} needs http_path and port together", "give both, or a command")
        if given.get("port") is not None:
            check_port(f"{where}.port", given["port"])
        if given.get("http_path") and not given["http_path"].startswith("/"):
            raise Failure(f"{where}.http_path {given['http_path']!r} does not begin with /", "use for example /healthz")
        if not asks and given.get("enabled", True) and options["profile"] != "bundled":
            raise Failure(f"{where} asks nothing", "give a command, or http_path and port")


def container_probes(options: dict, own: dict) -> dict:
    """{"startupProbe": ..., ...} of the container; own: the profile's probes by startup, readiness, liveness."""
    given = dict(_given(options))
    found = {}
    for kind in _KINDS:
        changes = given.get(kind) or {}
        probe = {**own.get(kind, {}), **_asked(changes), **_numbers(changes)}
        # The API server keeps no delay of 0: it would be a difference for ever.
        probe = {field: value for field, value in probe.items() if value != 0}
        if changes.get("enabled", True) and (kind in own or changes):
            found[f"{kind}Probe"] = probe
    return found


def _given(options):
    probes = options.get("probes") or {}
    return [(kind, probes[kind]) for kind in _KINDS if probes.get(kind)]


def _asked(changes):
    if changes.get("command"):
        return {"exec": {"command": list(changes["command"])}}
    if changes.get("http_path"):
        return {"httpGet": {"path": changes["http_path"], "port": changes["port"]}}
    return {}


def _numbers(changes):
    return {field: changes[option] for option, (field, _least) in _NUMBERS.items() if changes.get(option) is not None}
