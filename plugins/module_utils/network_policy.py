# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections the pods may have. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils import cluster_monitor, egress_rules
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made, own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.metrics_scrape import wants_metrics
from ansible_collections.nanoagent.k8s.plugins.module_utils.outbound import proxy_ports
from ansible_collections.nanoagent.k8s.plugins.module_utils.policy_ports import api_ports, dns_ports

_HTTPS = 443


def check(options: dict) -> None:
    """Failure for a policy that would bind no pod, and for rules without a policy."""
    if not options.get("network_policy"):
        if options.get("network_policy_egress"):
            raise Failure("network_policy_egress is given without network_policy", "set network_policy: true")
        return
    if options["host_network"] and not cluster_monitor.enabled(options):
        raise Failure("network_policy binds no pod in the host's network", "set network_policy: false, or host_network: false")
    egress_rules.check("network_policy_egress", options.get("network_policy_egress") or [])


def objects(options: dict, facts: dict) -> list[dict]:
    """The NetworkPolicy, if wanted.

    In: nothing but scrapes of the metrics. Out: for our collector nothing or, with a backend, name service, the backend's
    port and the proxies; else name service, HTTPS, the API server, the backend's port and the proxies. What the user adds
    comes on top.
    """
    if not options.get("network_policy"):
        return []
    ingress = [{"ports": [{"protocol": "TCP", "port": options["metrics"]["port"]}]}] if wants_metrics(options) else []
    egress = [{"ports": _ports(options, facts)}] if options["profile"] != "bundled" or options.get("orc_url") else []
    egress += [egress_rules.as_kept(rule) for rule in options.get("network_policy_egress") or []]
    # The API server keeps no empty list; the types say that what is not named is forbidden.
    rules = {key: value for key, value in (("ingress", ingress), ("egress", egress)) if value}
    spec = {"podSelector": {"matchLabels": own_pod_labels(options["name"])}, "policyTypes": ["Ingress", "Egress"], **rules}
    return [made(options, "networking.k8s.io/v1", "NetworkPolicy", options["name"], spec=spec)]


def _ports(options, facts):
    others = () if options["profile"] == "bundled" else (_HTTPS, *api_ports(facts))
    backend = (urlsplit(options["orc_url"]).port or _HTTPS,) if options.get("orc_url") else ()
    names = dns_ports(facts)
    tcp = sorted({*others, *backend, *proxy_ports(options), *names})
    return [*({"protocol": "UDP", "port": port} for port in names), *({"protocol": "TCP", "port": port} for port in tcp)]
