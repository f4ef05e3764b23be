# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a NetworkPolicy takes as egress rules, and how the API server keeps them. Pure.

Source: Kubernetes, pkg/apis/networking/validation/validation.go, read at 1.36.
"""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import (
    as_stored,
    check_label_key,
    check_labels,
    check_mapping,
    check_port,
    entries_of,
)

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_SELECTORS = ("podSelector", "namespaceSelector")
_WITH_VALUES, _WITHOUT_VALUES = ("In", "NotIn"), ("Exists", "DoesNotExist")
_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")


def check(option: str, rules: list[dict]) -> None:
    """Failure for a rule that the API server would refuse; option: what the rules are named by."""
    for where, rule in entries_of(option, rules, ("to", "ports")):
        for place, entry in entries_of(f"{where}.ports", rule.get("ports"), ("port", "protocol", "endPort")):
            _check_port(place, entry)
        for place, entry in entries_of(f"{where}.to", rule.get("to"), ("ipBlock", *_SELECTORS)):
            _check_peer(place, entry)


def as_kept(rule: dict) -> dict:
    """The rule as the API server keeps it, without empty lists and with each protocol.

    It treats the rules as one list that is ours as a whole: what it adds or drops inside would be a difference for ever.
    """
    kept = as_stored(rule)
    if "ports" in kept:
        kept["ports"] = [{"protocol": "TCP", **port} for port in kept["ports"]]
    return kept


def _check_port(where, entry):
    if entry.get("protocol", "TCP") not in _PROTOCOLS:
        raise Failure(f"{where}.protocol {entry['protocol']!r} is no protocol", f"use one of {', '.join(_PROTOCOLS)}")
    port, last = entry.get("port"), entry.get("endPort")
    if isinstance(port, str) and _PORT_NAME.fullmatch(port):
        if last is not None:
            raise Failure(f"{where}.endPort stands beside the name of a port", "use numbers for both, or leave it out")
    elif "port" in entry:
        _check_number(f"{where}.port", port)
    if "endPort" in entry:
        _check_number(f"{where}.endPort", last)
        if port is None or last < port:
            raise Failure(f"{where}.endPort {last} does not follow its port", "set port to the first port of the range, and endPort to the last one")


def _check_number(where, port):
    if not isinstance(port, int) or isinstance(port, bool):
        raise Failure(f"{where} {port!r} is no port", "use a number from 1 to 65535, without quotes")
    check_port(where, port)


def _check_peer(where, entry):
    if not entry or ("ipBlock" in entry and len(entry) > 1):
        raise Failure(f"{where} names {'ipBlock and a selector' if entry else 'nothing'}", "give ipBlock alone, or podSelector, namespaceSelector or both")
    if "ipBlock" in entry:
        _check_block(f"{where}.ipBlock", entry["ipBlock"])
    for selector in _SELECTORS:
        if selector in entry:
            _check_selector(f"{where}.{selector}", entry[selector])


def _check_block(where, block):
    check_mapping(where, block, ("cidr", "except"))
    whole, parts = _network(f"{where}.cidr", block.get("cidr")), block.get("except")
    if not isinstance(parts, (list, type(None))):
        raise Failure(f"{where}.except is no list", "write each network after a dash")
    for number, text in enumerate(parts or []):
        part = _network(f"{where}.except[{number}]", text)
        if part.version != whole.version or part == whole or not part.subnet_of(whole):
            raise Failure(f"{where}.except[{number}] {text} is no part of {block['cidr']}", "name a smaller network in it, or leave it out")


def _network(where, text):
    try:
        # Python takes numbers, single addresses and masks of four numbers as well.
        if isinstance(text, str) and re.fullmatch(r"[^/%]+/(0|[1-9][0-9]{0,2})", text):
            found = ipaddress.ip_network(text, strict=False)
            if not getattr(found.network_address, "ipv4_mapped", None):
                return _exact(where, text, found)
    except ValueError:
        pass
    raise Failure(f"{where} {text!r} is no network", "use for example 198.18.0.0/15 or 2001:db8::/32")


def _exact(where, text, network):
    """The network; Failure where the text is an address in it, which the API server refuses since Kubernetes 1.36."""
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise Failure(f"{where} {text!r} is an address and not the network that it is in", f"write {network}")
    return network


def _check_selector(where, selector):
    check_mapping(where, selector, ("matchLabels", "matchExpressions"))
    labels = selector.get("matchLabels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise Failure(f"{where}.matchLabels is no mapping of texts", "write each as key: value, with numbers and booleans in quotes")
    check_labels(f"{where}.matchLabels", labels)
    for place, entry in entries_of(f"{where}.matchExpressions", selector.get("matchExpressions"), ("key", "operator", "values")):
        check_label_key(place, entry.get("key"))
        operator, values = entry.get("operator"), entry.get("values") or []
        if operator not in (*_WITH_VALUES, *_WITHOUT_VALUES):
            raise Failure(f"{place}.operator {operator!r} is not known", f"use one of {', '.join((*_WITH_VALUES, *_WITHOUT_VALUES))}")
        texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
        if not texts or bool(values) != (operator in _WITH_VALUES):
            raise Failure(f"{place}.values do not fit {operator}", "give In and NotIn a list of texts, Exists and DoesNotExist none")
        for value in values:
            check_labels(f"{place}.values", {entry["key"]: value})
