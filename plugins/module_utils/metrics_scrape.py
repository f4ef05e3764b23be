# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Prometheus finds the agents: annotations, a PodMonitor, or a Service with a ServiceMonitor. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_port, text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import daemon_set_labels, made, own_pod_labels

PORT_NAME = "metrics"
_PATH = "/metrics"
_GROUP = "monitoring.coreos.com"
# prometheus-operator, pkg/apis/monitoring/v1/types.go (Duration); 0 would leave it to Prometheus, as no interval does.
_DURATION = re.compile("".join(f"([0-9]+{unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms")))
_KINDS = {"pod_monitor": "PodMonitor", "service_monitor": "ServiceMonitor"}


def wants_metrics(options: dict) -> bool:
    """Whether the agents' metrics are to be scraped."""
    return bool(options.get("metrics")) and options["metrics"].get("scrape", "off") != "off"


def check(options: dict) -> None:
    """Failure for metrics that no agent serves, and for a port or interval that is none."""
    if not wants_metrics(options):
        return
    metrics = options["metrics"]
    if options["profile"] == "spyderbat":
        raise Failure("metrics are not served by the vendor's agent", "leave out metrics with the profile spyderbat")
    check_port("metrics.port", metrics["port"])
    interval = metrics.get("interval")
    if interval and not _DURATION.fullmatch(interval):
        raise Failure(f"metrics.interval {interval!r} is no duration", "use for example 30s")
    taken = sorted({*_annotations(options)} & {*text_values(options.get("pod_annotations"))})
    if taken and metrics["scrape"] in ("annotations", "auto"):
        raise Failure(f"pod_annotations.{taken[0]} is what metrics.scrape {metrics['scrape']} sets", "leave one of them out")
    if interval and metrics["scrape"] == "annotations":
        raise Failure("metrics.interval means nothing to annotations", "leave it out, or set metrics.scrape to pod_monitor or service_monitor")


def asked_kinds(options: dict) -> list[str]:
    """The kinds that matter here whether the API has them."""
    scrape = options["metrics"]["scrape"] if wants_metrics(options) else "off"
    kind = _KINDS["pod_monitor"] if scrape == "auto" else _KINDS.get(scrape)
    return [kind] if kind else []


def way(options: dict, facts: dict) -> str:
    """off, annotations, pod_monitor or service_monitor.

    auto becomes pod_monitor where the API is known to have it, else annotations, which every API takes.
    """
    if not wants_metrics(options):
        return "off"
    chosen, served = options["metrics"]["scrape"], facts.get("served")
    if chosen == "auto":
        return "pod_monitor" if f"PodMonitor.{_GROUP}" in (served or ()) else "annotations"
    kind = _KINDS.get(chosen)
    if kind and served is not None and f"{kind}.{_GROUP}" not in served:
        raise Failure(f"metrics.scrape is {chosen}, but the API server has no {kind}", "install the Prometheus operator first, or use annotations or auto")
    return chosen


def pod_annotations(options: dict, facts: dict) -> dict:
    """The annotations that Prometheus' usual pod discovery reads."""
    if way(options, facts) != "annotations":
        return {}
    return _annotations(options)


def _annotations(options):
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(options["metrics"]["port"]), "prometheus.io/path": _PATH}


def container_ports(options: dict) -> list[dict]:
    """The agent container's ports."""
    return [{"name": PORT_NAME, "containerPort": options["metrics"]["port"], "protocol": "TCP"}] if wants_metrics(options) else []


def objects(options: dict, facts: dict) -> list[dict]:
    """The monitor's objects, if any."""
    chosen, name = way(options, facts), f"{options['name']}-metrics"
    if chosen not in _KINDS:
        return []
    labels = _pods_that_serve(options)
    endpoint = {"port": PORT_NAME, "path": _PATH}
    if options["metrics"].get("interval"):
        endpoint["interval"] = options["metrics"]["interval"]
    if chosen == "pod_monitor":
        return [made(options, f"{_GROUP}/v1", "PodMonitor", name, spec={"selector": {"matchLabels": labels}, "podMetricsEndpoints": [endpoint]})]
    # Headless: each agent is its own target, there is nothing to balance.
    port = {"name": PORT_NAME, "port": options["metrics"]["port"], "targetPort": PORT_NAME, "protocol": "TCP"}
    service = made(options, "v1", "Service", name, spec={"clusterIP": "None", "selector": labels, "ports": [port]})
    service["metadata"]["labels"]["app.kubernetes.io/component"] = "metrics"
    selector = {"app.kubernetes.io/instance": options["name"], "app.kubernetes.io/component": "metrics"}
    return [service, made(options, f"{_GROUP}/v1", "ServiceMonitor", name, spec={"selector": {"matchLabels": selector}, "endpoints": [endpoint]})]


def _pods_that_serve(options):
    """The labels of the agents' pods, or of these and the cluster monitor's."""
    monitored = (options.get("monitor") or {}).get("enabled")
    return own_pod_labels(options["name"]) if monitored else daemon_set_labels(options["name"])
