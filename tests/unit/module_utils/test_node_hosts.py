# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_hosts import GROUP_BY, check_sources, first_of, found_hosts, groups_of, names_of


def node(name, **metadata):
    return {"metadata": {"name": name, "uid": f"uid-{name}", **metadata}, "spec": {}, "status": {}}


def facts(labels=None, annotations=None, addresses=None):
    return {"node": "n", "labels": labels or {}, "annotations": annotations or {}, "addresses": addresses or {}}


def row(name, state="ready", eligible=True):
    return {"node": name, "uid": f"uid-{name}", "arch": "", "state": state, "eligible": eligible}


def test_a_node_that_is_gone_or_made_anew_since_is_no_host():
    rows = [row("a"), {**row("b"), "uid": "another"}, row("d")]
    assert [(host["node"]["node"], host["verdict"]) for host in found_hosts([node("a"), node("b"), node("c")], rows)] == [
        ("a", {"state": "ready", "eligible": True})
    ]


def test_without_verdicts_every_node_is_a_host():
    assert [host["verdict"] for host in found_hosts([node("a"), node("b")], [])] == [None, None]


@pytest.mark.parametrize(
    "broken", [{}, {"metadata": {"name": "n", "labels": None, "annotations": 5}}, {"status": {"addresses": [None, {"type": 1}]}, "spec": None}]
)
def test_what_is_missing_or_absurd_is_empty(broken):
    [host] = found_hosts([broken], [])
    assert host["node"]["labels"] == {} and host["node"]["roles"] == []
    assert set(groups_of(host, list(GROUP_BY))) == {"nodes"}


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (["InternalIP", "ExternalIP"], "198.18.0.1"),
        (["InternalDNS", "ExternalIP"], "2001:db8::1"),
        (["annotation:a", "label:rack", "name"], "7"),
        (["label:none", "name"], "n"),
        (["label:none"], ""),
        (["annotation:option", "annotation:words", "annotation:template", "annotation:empty"], ""),
        ([], ""),
    ],
)
def test_the_first_source_that_gives_a_usable_value_counts(sources, found):
    odd = {"option": "-oProxyCommand=x", "words": "two words", "template": "{{ x }}", "empty": ""}
    given = facts({"rack": "7"}, odd, {"InternalIP": ["198.18.0.1", "198.18.0.9"], "ExternalIP": ["2001:db8::1"]})
    assert first_of(sources, given) == found


@pytest.mark.parametrize("source", ["internal ip", "label", "label:", "annotation:", "", "labels:x", "Name!"])
def test_a_source_that_is_none_is_refused(source):
    with pytest.raises(Failure, match="hostname has"):
        check_sources("hostname", ["name", source])


def test_names_are_the_node_s_own_where_no_source_gives_one_and_never_twice():
    hosts = found_hosts([node("a", labels={"rack": "7"}), node("b")], [])
    assert names_of(hosts, ["label:rack"], "p-") == ["p-7", "p-b"]
    with pytest.raises(Failure, match="the nodes a and c would both be the host 7"):
        names_of(found_hosts([node("a", labels={"rack": "7"}), node("c", labels={"rack": "7"})], []), ["label:rack"], "")


def test_groups():
    [host] = found_hosts([node("a", labels={"node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/infra": "x"})], [row("a", "node down")])
    assert groups_of(host, ["state", "role"]) == ["nodes", "eligible", "state_node down", "role_control-plane", "role_infra"]
    assert groups_of(host, []) == ["nodes"]
