# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a changed agent gets to the nodes: the DaemonSet's updateStrategy, minReadySeconds, revisionHistoryLimit. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count
from ansible_collections.nanoagent.k8s.plugins.module_utils.metrics_scrape import wants_metrics

_SHAPE = re.compile(r"0|[1-9][0-9]{0,10}|(0|[1-9][0-9]?|100)%")
_ZERO = ("0", "0%")
# The API server's own defaults, which need not be said.
_REVISIONS = 10
# Seconds that a program needs to end where it cannot start as it was told, and the kubelet to see that.
_STAYS = 3


def check(options: dict) -> None:
    """Failure for budgets that the API server would refuse, or that a host port makes impossible."""
    unavailable, surge = options["max_unavailable"], _surge(options)
    for option in ("min_ready_seconds", "revision_history_limit", "termination_grace_period"):
        if options.get(option) is not None:
            check_count(option, options[option])
    if options.get("state") == "present" and options["wait"] and (options.get("min_ready_seconds") or 0) >= options["wait_timeout"]:
        raise Failure(
            f"min_ready_seconds {options['min_ready_seconds']} is not below wait_timeout {options['wait_timeout']}: no rollout could end in time",
            "raise wait_timeout, or lower min_ready_seconds",
        )
    if _on_delete(options):
        if unavailable is not None or surge not in _ZERO:
            raise Failure("max_unavailable and max_surge mean nothing to update_strategy OnDelete", "leave them out, or set update_strategy: RollingUpdate")
        return
    for option, text in (("max_unavailable", unavailable), ("max_surge", surge)):
        if not _SHAPE.fullmatch(text):
            raise Failure(f"{option} {text!r} is no number and no percentage up to 100%", "use for example 1 or 10%")
        if text.isdigit():
            check_count(option, int(text))
    if unavailable in _ZERO and surge in _ZERO:
        raise Failure(f"max_unavailable {unavailable!r} and max_surge {surge!r} let no agent be replaced", "set one of them above 0")
    if unavailable not in _ZERO and surge not in _ZERO:
        raise Failure(f"max_unavailable {unavailable!r} and max_surge {surge!r} exclude each other", "set max_unavailable to 0 beside a max_surge")
    if surge not in _ZERO and options["host_network"] and wants_metrics(options):
        raise Failure(
            "max_surge cannot work with metrics in the host's network: two agents would need the same port of the node",
            "use max_unavailable, or host_network: false",
        )


def readiness_fields(container: dict, seconds: int | None = None) -> dict:
    """minReadySeconds of a workload with this container; seconds: what the user wants, None for what is best.

    Without a readiness probe a pod counts as ready as soon as it runs, so that an update of a program that ends at once would
    go through all nodes.
    """
    if seconds is None:
        seconds = 0 if "readinessProbe" in container else _STAYS
    return {"minReadySeconds": seconds} if seconds else {}


def daemon_set_fields(options: dict, container: dict) -> dict:
    """The fields of the DaemonSet's spec beside selector and template. container: the agent's."""
    if _on_delete(options):
        strategy = {"type": "OnDelete"}
    else:
        rolling = {"maxUnavailable": _number_or_percent(options["max_unavailable"])}
        if _surge(options) not in _ZERO:
            rolling["maxSurge"] = _number_or_percent(_surge(options))
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    fields = {"updateStrategy": strategy, **readiness_fields(container, options.get("min_ready_seconds"))}
    if options.get("revision_history_limit", _REVISIONS) not in (None, _REVISIONS):
        fields["revisionHistoryLimit"] = options["revision_history_limit"]
    return fields


def _on_delete(options):
    return options.get("update_strategy") == "OnDelete"


def _surge(options):
    return str(options.get("max_surge") or "0")


def _number_or_percent(text):
    return int(text) if text.isdigit() else text
