# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports at which pods reach name service and API server, as a NetworkPolicy has to name them. Pure.

Most network plugins judge a connection after the service's address was replaced by a pod's or the API server's own: both
ports have to be open, the service's and the one behind it.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import names

_DNS = 53
# openshift/cluster-dns-operator, assets/dns/daemonset.yaml: the pods behind the service's port 53 listen on this one.
_OPENSHIFT_DNS = 5353
_API = (443, 6443)
# microk8s, "Services and ports".
_MICROK8S_API = 16443


def dns_ports(facts: dict) -> list[int]:
    """The ports of name service, for UDP and TCP alike. facts: of objects.desired_objects."""
    return [_DNS, *([_OPENSHIFT_DNS] if "openshift" in names(facts.get("platforms") or []) else [])]


def api_ports(facts: dict) -> list[int]:
    """The ports of the API server, by its service and by its own address. facts: of objects.desired_objects."""
    return [*_API, *([_MICROK8S_API] if "microk8s" in names(facts.get("platforms") or []) else [])]
