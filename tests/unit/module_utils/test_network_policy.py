# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each agent may connect to, on each platform; which rules of a user's own are taken."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, objects

VENDOR = {"profile": "spyderbat", "host_network": False, "network_policy": True}
CUSTOM = {"profile": "custom", "network_policy": True}
BACKEND = {"orc_url": "https://backend.example:8443"}


def on(platform):
    return {"platforms": [{"platform": platform, "nodes": ["n"], "evidence": "x"}]}


def ways_out(facts=None, **given):
    """(protocol, port) of the first rule, the one that is not the user's."""
    rule = objects(facts, **given)["NetworkPolicy/nanoagent"]["spec"]["egress"][0]
    return {(port["protocol"], port["port"]) for port in rule["ports"]}


def rules(*given):
    return objects(**CUSTOM, network_policy_egress=list(given))["NetworkPolicy/nanoagent"]["spec"]["egress"][1:]


@pytest.mark.parametrize("given", [BACKEND, VENDOR, CUSTOM])
def test_name_service_of_openshift_listens_on_a_port_of_its_own(given):
    assert ways_out(on("openshift"), **given) - ways_out(**given) == {("UDP", 5353), ("TCP", 5353)}
    assert {("UDP", 53), ("TCP", 53)} <= ways_out(**given)
    assert ways_out(on("k3s"), **given) == ways_out(**given)


def test_without_a_backend_no_platform_lets_the_collector_out():
    assert "egress" not in objects(on("openshift"))["NetworkPolicy/nanoagent"]["spec"]


def test_the_backend_and_the_proxies_of_the_vendor_s_agent_are_reached_by_their_ports():
    usual = {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443)}
    assert ways_out(**VENDOR) == ways_out(**VENDOR, orc_url="https://backend.example") == usual
    assert ways_out(**VENDOR, **BACKEND) == usual | {("TCP", 8443)}
    proxies = {"http_proxy": "http://proxy.example:3128", "https_proxy": "https://proxy.example:3129"}
    for given in (VENDOR, CUSTOM):
        assert ways_out(**given, **proxies) == usual | {("TCP", 3128), ("TCP", 3129)}
    assert ways_out(**VENDOR, http_proxy="http://proxy.example") == usual | {("TCP", 80)}


def test_the_api_server_of_microk8s_is_reached_by_the_vendor_s_monitor():
    given = {**VENDOR, "monitor": {"enabled": True}}
    assert ways_out(on("microk8s"), **given) - ways_out(**given) == {("TCP", 16443)}
    pods = objects(**given)["Deployment/clustermonitor-deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects(**given)["NetworkPolicy/nanoagent"]["spec"]["podSelector"]["matchLabels"].items() <= pods.items()
    assert ways_out(on("microk8s"), **BACKEND) == ways_out(**BACKEND)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"ports": [{"protocol": "SCTP"}]},
        {"ports": [{"port": "https", "protocol": "TCP"}, {"port": 8000, "endPort": 9000, "protocol": "UDP"}]},
        {"to": [{"ipBlock": {"cidr": "198.18.0.0/15", "except": ["198.18.1.0/24"]}}, {"ipBlock": {"cidr": "2001:db8::/32"}}]},
        {"to": [{"podSelector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "proxies"}}}]},
        {"to": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}, {"key": "b", "operator": "Exists"}]}}]},
    ],
)
def test_a_rule_of_the_user_s_is_taken_as_it_is(rule):
    assert rules(rule) == [rule]


def test_a_rule_is_written_as_the_api_server_keeps_it():
    assert rules({"to": [], "ports": None}, {"to": None, "ports": [{"port": 9}]}) == [{}, {"ports": [{"protocol": "TCP", "port": 9}]}]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"ports": [8443]}, ".ports[0] is no mapping"),
        ({"ports": {"port": 1}}, ".ports is no list"),
        ({"ports": "8443"}, ".ports is no list"),
        ({"ports": [{"prot": 1}]}, ".ports[0].prot is not known"),
        ({"ports": [{1: 1}]}, ".ports[0].1 is not known"),
        ({"ports": [{"port": 0}]}, ".ports[0].port 0 is no port"),
        ({"ports": [{"port": 65536}]}, ".ports[0].port 65536 is no port"),
        ({"ports": [{"port": "8443"}]}, ".ports[0].port '8443' is no port"),
        ({"ports": [{"port": "Web"}]}, ".ports[0].port 'Web' is no port"),
        ({"ports": [{"port": "a-name-too-long-for-one"}]}, "is no port"),
        ({"ports": [{"port": True}]}, ".ports[0].port True is no port"),
        ({"ports": [{"port": None}]}, ".ports[0].port None is no port"),
        ({"ports": [{"port": [1]}]}, ".ports[0].port [1] is no port"),
        ({"ports": [{"port": 1, "protocol": "tcp"}]}, ".ports[0].protocol 'tcp' is no protocol"),
        ({"ports": [{"port": 1, "protocol": ["TCP"]}]}, ".ports[0].protocol ['TCP'] is no protocol"),
        ({"ports": [{"port": 9, "endPort": 8}]}, ".ports[0].endPort 8 does not follow"),
        ({"ports": [{"endPort": 8}]}, ".ports[0].endPort 8 does not follow"),
        ({"ports": [{"port": 9, "endPort": "10"}]}, ".ports[0].endPort '10' is no port"),
        ({"ports": [{"port": "web", "endPort": 10}]}, ".ports[0].endPort stands beside the name"),
        ({"to": {"podSelector": {}}}, ".to is no list"),
        ({"to": ["198.18.0.0/15"]}, ".to[0] is no mapping"),
        ({"to": [{}]}, ".to[0] names nothing"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}, "podSelector": {}}]}, ".to[0] names ipBlock and a selector"),
        ({"to": [{"cidr": "198.18.0.0/15"}]}, ".to[0].cidr is not known"),
        ({"to": [{"ipBlock": "198.18.0.0/15"}]}, ".to[0].ipBlock is no mapping"),
        ({"to": [{"ipBlock": {}}]}, ".to[0].ipBlock.cidr None is no network"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.1"}}]}, "is no network"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/255.254.0.0"}}]}, "is no network"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/33"}}]}, "is no network"),
        ({"to": [{"ipBlock": {"cidr": 5}}]}, "is no network"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/15", "except": ["10.0.0.0/8"]}}]}, ".except[0] 10.0.0.0/8 is no part of 198.18.0.0/15"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/15", "except": ["198.18.0.0/15"]}}]}, "is no part of"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/15", "except": ["2001:db8::/64"]}}]}, "is no part of"),
        ({"to": [{"ipBlock": {"cidr": "198.18.0.0/15", "except": "198.18.0.0/24"}}]}, ".except is no list"),
        ({"to": [{"podSelector": None}]}, ".to[0].podSelector is no mapping"),
        ({"to": [{"podSelector": {"app": "a"}}]}, ".to[0].podSelector.app is not known"),
        ({"to": [{"podSelector": {"matchLabels": {"a": 1}}}]}, ".matchLabels is no mapping of texts"),
        ({"to": [{"podSelector": {"matchLabels": ["a"]}}]}, ".matchLabels is no mapping of texts"),
        ({"to": [{"podSelector": {"matchLabels": {"a b": "c"}}}]}, "malformed key 'a b'"),
        ({"to": [{"podSelector": {"matchExpressions": {"key": "a"}}}]}, ".matchExpressions is no list"),
        ({"to": [{"podSelector": {"matchExpressions": [{"operator": "In", "values": ["a"]}]}}]}, "malformed key None"),
        ({"to": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "in", "values": ["a"]}]}}]}, ".operator 'in' is not known"),
        ({"to": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}, ".values do not fit In"),
        ({"to": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["a"]}]}}]}, ".values do not fit Exists"),
        ({"to": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]}}]}, ".values do not fit In"),
    ],
)
def test_a_rule_that_is_none_is_named(rule, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**CUSTOM, network_policy_egress=[{}, rule]))
    message = caught.value.message
    assert message.startswith("network_policy_egress[1].") and says in message and "Next: " in message and "\n" not in message
