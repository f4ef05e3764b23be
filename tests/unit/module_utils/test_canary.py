# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import changes_pods, check_canary, choose, trial
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure


def nodes_of(*arches, zone="z"):
    return [
        {"metadata": {"name": f"n{i}", "labels": {"kubernetes.io/arch": arch, "topology.kubernetes.io/zone": zone, "pool": f"p{i % 2}"}}}
        for i, arch in enumerate(arches)
    ]


def rows_of(nodes, down=(), outside=()):
    return [
        {"node": node["metadata"]["name"], "eligible": node["metadata"]["name"] not in outside, "up": node["metadata"]["name"] not in down} for node in nodes
    ]


@pytest.mark.parametrize(
    ("canary", "expected"),
    [
        ({"nodes": "1"}, ["n0"]),
        ({"nodes": "2"}, ["n0", "n3"]),
        ({"nodes": "3"}, ["n0", "n1", "n3"]),
        ({"nodes": "10%"}, ["n0"]),
        ({"nodes": "100%"}, ["n0", "n1", "n2", "n3"]),
        ({"nodes": "99"}, ["n0", "n1", "n2", "n3"]),
        ({"selector": {"pool": "p1"}}, ["n1", "n3"]),
    ],
)
def test_a_number_is_spread_over_architectures(canary, expected):
    nodes = nodes_of("amd64", "amd64", "amd64", "arm64")
    assert choose(canary, rows_of(nodes), nodes) == expected


def test_nodes_that_are_down_or_not_eligible_do_not_go_first():
    nodes = nodes_of("amd64", "amd64", "amd64")
    assert choose({"nodes": "1"}, rows_of(nodes, down=["n0"], outside=["n1"]), nodes) == ["n2"]
    with pytest.raises(Failure, match="pool=p1"):
        choose({"selector": {"pool": "p1"}}, rows_of(nodes, outside=["n1"]), nodes)


def daemon_set():
    terms = [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    return {"spec": {"updateStrategy": {"type": "RollingUpdate"}, "template": {"spec": {"affinity": affinity}}}}


def test_a_first_install_is_bound_to_the_chosen_nodes():
    wanted = daemon_set()
    changed = trial(wanted, ["n0", "n2"], exists=False)
    assert [decide(changed, node)["run"] for node in nodes_of("amd64", "amd64", "amd64", "arm64")] == [True, False, True, False]
    assert wanted == daemon_set()


def test_an_update_leaves_the_pods_of_other_nodes_alone():
    changed = trial(daemon_set(), ["n0"], exists=True)
    assert changed["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert changed["spec"]["template"] == daemon_set()["spec"]["template"]


@pytest.mark.parametrize("canary", [{}, {"nodes": "0"}, {"nodes": "many"}, {"nodes": "101%"}, {"nodes": "1", "selector": {"a": "b"}}])
def test_senseless_canaries_are_refused(canary):
    with pytest.raises(Failure):
        check_canary({"canary": canary, "wait": True, "update_strategy": "RollingUpdate"})


@pytest.mark.parametrize("other", [{"wait": False}, {"update_strategy": "OnDelete"}])
def test_a_canary_has_to_be_awaited(other):
    options = {"canary": {"nodes": "1"}, "wait": True, "update_strategy": "RollingUpdate"}
    check_canary(options)
    with pytest.raises(Failure, match="canary needs"):
        check_canary({**options, **other})


@pytest.mark.parametrize(
    ("action", "fields", "expected"),
    [
        ("create", [], True),
        ("keep", [], False),
        ("patch", ["spec.template.spec.containers[collector].image"], True),
        ("patch", ["spec.updateStrategy.type"], False),
    ],
)
def test_only_changes_of_pods_need_a_canary(action, fields, expected):
    assert changes_pods({"action": action, "fields": fields, "live": daemon_set(), "desired": daemon_set()}) is expected


def test_a_trial_that_was_cut_short_is_made_again():
    step = {"action": "patch", "fields": ["spec.updateStrategy.type"], "live": trial(daemon_set(), ["n0"], exists=True), "desired": daemon_set()}
    assert changes_pods(step)
