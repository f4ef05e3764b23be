# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections the pods may have. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils import cluster_monitor
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made, own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.metrics_scrape import wants_metrics
from ansible_collections.nanoagent.k8s.plugins.module_utils.outbound import proxy_ports

_DNS = 53
# Most network plugins judge a connection after the service's address is replaced by the API server's own.
_HTTPS_AND_API = (443, 6443)


def check(options: dict) -> None:
    """Failure for a policy that would bind no pod, and for rules without a policy."""
    if not options.get("network_policy"):
        if options.get("network_policy_egress"):
            raise Failure("network_policy_egress is given without network_policy", "set network_policy: true")
        return
    if options["host_network"] and not cluster_monitor.enabled(options):
        raise Failure("network_policy binds no pod in the host's network", "set network_policy: false, or host_network: false")
    for number, rule in enumerate(options.get("network_policy_egress") or []):
        unknown = set(rule) - {"to", "ports"}
        if unknown:
            raise Failure(f"network_policy_egress[{number}].{min(unknown)} is not known", "use to and ports, as in a NetworkPolicy's egress rules")


def objects(options: dict) -> list[dict]:
    """The NetworkPolicy, if wanted.

    In: nothing but scrapes of the metrics. Out: for our collector nothing or, with a backend, name service, the backend's
    port and the proxies; else name service, HTTPS, the API server and the proxies. What the user adds comes on top.
    """
    if not options.get("network_policy"):
        return []
    ingress = [{"ports": [{"protocol": "TCP", "port": options["metrics"]["port"]}]}] if wants_metrics(options) else []
    egress = [{"ports": _ports(options)}] if options["profile"] != "bundled" or options.get("orc_url") else []
    egress += [_with_protocols(rule) for rule in options.get("network_policy_egress") or []]
    # The API server keeps no empty list; the types say that what is not named is forbidden.
    rules = {key: value for key, value in (("ingress", ingress), ("egress", egress)) if value}
    spec = {"podSelector": {"matchLabels": own_pod_labels(options["name"])}, "policyTypes": ["Ingress", "Egress"], **rules}
    return [made(options, "networking.k8s.io/v1", "NetworkPolicy", options["name"], spec=spec)]


def _with_protocols(rule):
    # The API server adds it, inside of a list that it treats as one: left out, it would be a difference for ever.
    return {**rule, "ports": [{"protocol": "TCP", **port} for port in rule["ports"]]} if rule.get("ports") else rule


def _ports(options):
    own = (urlsplit(options["orc_url"]).port or 443,) if options["profile"] == "bundled" else _HTTPS_AND_API
    tcp = sorted({*own, *proxy_ports(options), _DNS})
    return [{"protocol": "UDP", "port": _DNS}, *({"protocol": "TCP", "port": port} for port in tcp)]
