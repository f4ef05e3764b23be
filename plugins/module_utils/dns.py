# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the agent's pods ask for names. Pure.

Source of the bounds: Kubernetes, pkg/apis/core/validation/validation.go (validatePodDNSConfig), read at 1.36.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain

_NAMESERVERS = 3
_SEARCHES = 32
_SEARCH_LENGTH = 2048


def check(options: dict) -> None:
    """Failure for servers and domains that the API server would refuse, and for a policy that leaves the pods without any server."""
    given = options.get("dns_config") or {}
    servers, searches = given.get("nameservers") or [], given.get("searches") or []
    if options.get("dns_policy") == "None" and not servers:
        raise Failure("dns_policy None leaves the pods without a name server", "name one in dns_config.nameservers, or choose another dns_policy")
    if len(servers) > _NAMESERVERS:
        raise Failure(f"dns_config.nameservers has {len(servers)} entries", f"name at most {_NAMESERVERS}")
    for server in servers:
        if not _is_address(server):
            raise Failure(f"dns_config.nameservers has {server!r}, which is no IP address", "use for example 192.0.2.53, no name and no port")
    if len(searches) > _SEARCHES or len(" ".join(searches)) > _SEARCH_LENGTH:
        raise Failure("dns_config.searches is too long", f"name at most {_SEARCHES} domains, of {_SEARCH_LENGTH} letters together")
    for domain in searches:
        check_dns_subdomain("dns_config.searches", domain.removesuffix("."))
    for option in given.get("options") or []:
        if not option["name"].strip():
            raise Failure("dns_config.options has an entry without a name", "use for example {name: ndots, value: '2'}")


def config(options: dict) -> dict:
    """spec.dnsConfig, without what is empty."""
    given = options.get("dns_config") or {}
    settings = [{"name": one["name"], **({"value": one["value"]} if one.get("value") else {})} for one in given.get("options") or []]
    found = {"nameservers": given.get("nameservers"), "searches": given.get("searches"), "options": settings}
    return {key: value for key, value in found.items() if value}


def _is_address(text):
    try:
        # A zone, as in fe80::1%eth0, is no part of an address there.
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False
