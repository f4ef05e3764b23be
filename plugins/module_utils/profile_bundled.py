# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profile bundled: the collector that this collection builds. Pure."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import token_file
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_scalars, text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import daemon_set_labels, made
from ansible_collections.nanoagent.k8s.plugins.module_utils.metrics_scrape import wants_metrics
from ansible_collections.nanoagent.k8s.plugins.module_utils.outbound import check_https
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import COLLECTOR as RESOURCES

CONTAINER = "collector"
COLLECTOR = "/collector"
DEFAULTS = {
    "name": "nanoagent",
    "namespace": "nanoagent",
    "max_unavailable": "10%",
    "privileged": False,
    "run_as_user": 0,
    "host_network": False,
    "host_pid": False,
    "termination_grace_period": 10,
    "resources": RESOURCES,
    "network_policy": True,
    "events": ["exec", "fork", "exit", "connect", "accept"],
    "ring_bytes": 4194304,
}
OWN = ("events", "ring_bytes", "cluster_name", "tags", "orc_url", "registration_code", "credentials")
# Nobody's: the collector needs to be the user root for its capabilities, not the group.
_GROUP = 65532
_CONFIG_DIR = "/etc/nanoagent"
_RUN_DIR = "/run/nanoagent"
_POD_LOGS = "/host/var/log"
# The collector sends what waits for 5 s, then writes its last lines.
_SHORTEST_GRACE = 8


def check(options: dict) -> None:
    """Failure for what the collector would refuse."""
    ring = options["ring_bytes"]
    if ring < 65536 or ring & (ring - 1) or ring > 1 << 30:
        raise Failure(f"ring_bytes {ring} is no power of two from 65536 to 1073741824", "use for example 4194304")
    if not options["events"]:
        raise Failure("events is empty", "name at least one of exec, fork, exit, connect, accept")
    if options["run_as_user"] != 0:
        raise Failure(
            f"run_as_user {options['run_as_user']} cannot load eBPF programs",
            "leave it at 0: capabilities reach a process only as root, file capabilities would need privilege escalation",
        )
    check_scalars("tags", options["tags"])
    _check_backend(options)


def _check_backend(options):
    if not options.get("orc_url"):
        for option in ("registration_code", "credentials"):
            if options.get(option):
                raise Failure(f"{option} means nothing to the profile bundled without a backend", "set orc_url, or leave it out")
        return
    check_https("orc_url", options["orc_url"])
    if options["termination_grace_period"] < _SHORTEST_GRACE:
        raise Failure(
            f"termination_grace_period {options['termination_grace_period']} is too short to send what waits to the backend",
            f"set at least {_SHORTEST_GRACE}",
        )


def collector_config(options: dict) -> str:
    """The collector's configuration file, as files/ebpf/README.md describes it: one line of JSON with sorted keys."""
    config = {
        "events": options["events"],
        "pod_logs": _POD_LOGS,
        "ring_bytes": options["ring_bytes"],
        "socket": f"{_RUN_DIR}/collector.sock",
    }
    if options["cluster_name"]:
        config["cluster"] = options["cluster_name"]
    if options["tags"]:
        config["tags"] = text_values(options["tags"])
    if options.get("orc_url"):
        token = token_file(options)
        config["backend"] = {"url": options["orc_url"], **({"token_file": token} if token else {})}
    if wants_metrics(options):
        config["listen"] = f":{options['metrics']['port']}"
    return json.dumps(config, sort_keys=True, separators=(",", ":"))


def part(options: dict, facts: dict) -> dict:
    """The collector's share of the pod, as profiles describes it."""
    config = collector_config(options)
    digest = hashlib.sha256(config.encode()).hexdigest()
    # A name of its own for each content: pods of the previous revision keep their configuration, also when they start again.
    config_map = f"{options['name']}-collector-{digest[:8]}"
    return {
        "args": ["run"],
        "env": [],
        "mounts": [
            {"name": "config", "mountPath": _CONFIG_DIR, "readOnly": True},
            {"name": "run", "mountPath": _RUN_DIR},
            {"name": "pod-logs", "mountPath": f"{_POD_LOGS}/pods", "readOnly": True},
            {"name": "container-logs", "mountPath": f"{_POD_LOGS}/containers", "readOnly": True},
        ],
        "volumes": [
            {"name": "config", "configMap": {"name": config_map}},
            {"name": "run", "emptyDir": {}},
            {"name": "pod-logs", "hostPath": {"path": "/var/log/pods", "type": "Directory"}},
            {"name": "container-logs", "hostPath": {"path": "/var/log/containers", "type": "Directory"}},
        ],
        "probes": {
            # It waits by itself, since the kubelet asks once a second at most and the collector is ready in a fraction of that.
            # Without it the readiness probe alone, one exec less, is sooner ready in most starts (median of ten starts on three
            # nodes 4.7 s for 5.2 s on a busy machine), but in every fifth 8 s later: the kubelet asks out of turn once only, and
            # where it does not know yet that the container runs, the next turn is a whole period away.
            "startup": _probe(["ready", "--wait", "4s"], period=1, failures=15),
            "readiness": _probe(["ready"], period=10, failures=3),
            # Not at the start too, where the other two say as much and each probe costs a process on every node.
            "liveness": {**_probe(["live"], period=30, failures=3), "initialDelaySeconds": 30},
        },
        "read_only_root": True,
        "run_as_group": _GROUP,
        "selector": daemon_set_labels(options["name"]),
        "labels": {},
        "annotations": {},
        "objects": [made(options, "v1", "ConfigMap", config_map, data={"collector.json": config}, immutable=True)],
    }


def _probe(what, period, failures):
    # An exec probe: the collector listens on a Unix socket only, so that no port of the pod is open.
    return {"exec": {"command": [COLLECTOR, "health", *what]}, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures}
