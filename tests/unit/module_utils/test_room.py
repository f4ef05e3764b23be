# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.room import (
    bare_pod,
    describe_room,
    host_ports,
    judge_room,
    pod_requests,
    room_findings,
    share_a_port,
    shown,
    surge,
    with_requests,
)

GIBIBYTE = 1 << 30


def container(name="c", cpu=None, memory=None, **more):
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": name, "resources": {"requests": requests}, **more}


def numbers(requests):
    return {name: float(value) for name, value in requests.items()}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [container(cpu="100m"), container(cpu="1", memory="1Gi")]}, {"cpu": 1.1, "memory": GIBIBYTE}),
        ({"containers": [container()]}, {}),
        # An init container runs alone: the larger of both counts.
        ({"initContainers": [container(cpu="2")], "containers": [container(cpu="500m", memory="1Gi")]}, {"cpu": 2, "memory": GIBIBYTE}),
        # A sidecar stays: it counts with the containers, and with each init container after it.
        (
            {"initContainers": [container("s", cpu="1", restartPolicy="Always"), container("i", cpu="3")], "containers": [container(cpu="1")]},
            {"cpu": 4},
        ),
        (
            {"initContainers": [container("i", cpu="3"), container("s", cpu="1", restartPolicy="Always")], "containers": [container(cpu="1")]},
            {"cpu": 3},
        ),
        ({"containers": [container(cpu="1")], "overhead": {"cpu": "250m", "memory": "128Mi"}}, {"cpu": 1.25, "memory": 128 << 20}),
        # Requests of the pod stand for those of its containers; the rest is summed up as ever.
        (
            {"containers": [container(cpu="1", memory="1Gi")], "resources": {"requests": {"cpu": "300m"}}},
            {"cpu": 0.3, "memory": GIBIBYTE},
        ),
    ],
)
def test_what_a_pod_takes(spec, expected):
    assert numbers(pod_requests(spec)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"limits": {"cpu": "2", "memory": "4Gi"}}, {"cpu": 2, "memory": 4 * GIBIBYTE}),
        ({"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "100m"}}, {"cpu": 0.1, "memory": 4 * GIBIBYTE}),
        ({"requests": {"cpu": "100m"}}, {"cpu": 0.1}),
        (None, {}),
    ],
)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_what_a_container_limits_it_requests(kind, resources, expected):
    spec = {"containers": [], "hostNetwork": True, kind: [{"name": "c", "resources": resources}]}
    made = with_requests(spec)
    assert numbers(pod_requests(made)) == pytest.approx(expected) and with_requests(made) == made
    assert made["hostNetwork"] and spec[kind] == [{"name": "c", "resources": resources}]


@pytest.mark.parametrize(
    ("strategy", "nodes", "expected"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}, 10, 0),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 2}}, 10, 2),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "10%"}}, 11, 2),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%"}}, 11, 0),
        ({"type": "OnDelete"}, 10, 0),
        (None, 10, 0),
    ],
)
def test_how_many_new_pods_stand_beside_old_ones(strategy, nodes, expected):
    assert surge({"spec": {"updateStrategy": strategy}}, nodes) == expected


def test_a_resize_that_is_not_taken_back_yet_counts():
    spec = {"containers": [container("c", cpu="100m")]}
    held = {"containerStatuses": [{"name": "c", "resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "200m"}}]}
    assert numbers(pod_requests(spec, held)) == {"cpu": 1}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{"ports": [{"containerPort": 80}]}]}, set()),
        ({"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080}]}]}, {("0.0.0.0", "TCP", 8080)}),
        ({"hostNetwork": True, "containers": [{"ports": [{"containerPort": 53, "protocol": "UDP"}]}]}, {("0.0.0.0", "UDP", 53)}),
        ({"containers": [{"ports": [{"hostPort": 1, "hostIP": "10.0.0.1"}]}]}, {("10.0.0.1", "TCP", 1)}),
    ],
)
def test_the_ports_of_the_node(spec, expected):
    assert host_ports(spec) == expected


def node(cpu="2", memory="4Gi", pods="10"):
    return {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}}}


def pod(name, cpu="0", priority=0, started="", ports=()):
    return {"name": name, "priority": priority, "requests": {"cpu": Decimal(cpu)}, "ports": set(ports), "started": started, "created": started}


def wanted(cpu="0.5", ports=()):
    return {"requests": {"cpu": Decimal(cpu), "memory": Decimal(GIBIBYTE)}, "ports": set(ports)}


ANY = ("0.0.0.0", "TCP", 9464)


@pytest.mark.parametrize(
    ("pods", "priority", "ports", "expected"),
    [
        ([], 0, (), ("fits", [])),
        ([pod("a", "1.5")], 0, (), ("fits", [])),
        ([pod("a", "1.6")], 0, (), ("starves", [])),
        # Equal priority displaces nobody.
        ([pod("a", "1.6", priority=100)], 100, (), ("starves", [])),
        ([pod("a", "1.6", priority=99)], 100, (), ("preempts", ["a"])),
        # The least important ones go, as few as do.
        ([pod("a", "0.6", 5), pod("b", "0.6", 1), pod("c", "0.6", 3)], 100, (), ("preempts", ["b"])),
        # Among equals the one that has run longest stays.
        ([pod("a", "0.8", 1, "2026-01-02"), pod("b", "0.8", 1, "2026-01-01")], 100, (), ("preempts", ["a"])),
        # Those that stay leave no room even so.
        ([pod("a", "1.6", 100), pod("b", "0.4", 0)], 100, (), ("starves", [])),
        ([pod(f"p{i}") for i in range(10)], 0, (), ("starves", [])),
        ([pod(f"p{i}", priority=-1) for i in range(10)], 0, (), ("preempts", ["p9"])),
        ([pod("a", ports=[ANY])], 0, [ANY], ("starves", [])),
        ([pod("a", ports=[("10.0.0.1", "TCP", 9464)])], 0, [ANY], ("starves", [])),
        ([pod("a", ports=[("0.0.0.0", "UDP", 9464)])], 0, [ANY], ("fits", [])),
        ([pod("a", ports=[("10.0.0.1", "TCP", 1)])], 0, [("10.0.0.2", "TCP", 1)], ("fits", [])),
    ],
)
def test_where_a_pod_would_stand(pods, priority, ports, expected):
    judged = judge_room(wanted(ports=ports), node(), pods, priority, True)
    assert (judged["room"], judged["victims"]) == expected
    assert bool(judged["short"]) is (expected[0] != "fits")


def test_a_class_that_displaces_nobody_starves():
    assert judge_room(wanted(), node(), [pod("a", "2")], 100, False)["room"] == "starves"


@pytest.mark.parametrize(
    ("others", "former", "expected"),
    [
        ([], [pod("old", "1.5")], ("fits", False)),
        ([], [pod("old", "1.6")], ("starves", True)),
        ([pod("a", "1")], [pod("old", "1")], ("starves", True)),
        # There would be none without them either.
        ([pod("a", "2")], [pod("old", "1")], ("starves", False)),
        ([], [pod("old", ports=[ANY])], ("starves", True)),
        ([pod("a", "1", priority=-1)], [pod("old", "1")], ("preempts", True)),
    ],
)
def test_a_former_pod_that_stays_until_the_new_one_is_ready_is_in_the_way(others, former, expected):
    judged = judge_room(wanted(ports=[ANY]), node(), others, 0, True, former)
    assert (judged["room"], judged["beside"]) == expected


def test_findings_tell_nodes_where_only_the_former_pod_is_in_the_way_apart():
    judged = {"n1": judge_room(wanted(), node(), [], 0, True, [pod("old", "2")]), "n2": judge_room(wanted(), node(), [pod("a", "2")], 0, True)}
    other, former = room_findings(judged, "priority 0", "use max_unavailable")
    assert former["nodes"] == ["n1"] and former["evidence"] == "no room: cpu: 500m wanted, 0 of 2 free beside the former pod"
    assert former["fix"].startswith("use max_unavailable, give the agent a higher priority class than priority 0")
    assert other["nodes"] == ["n2"] and "former" not in other["evidence"] and other["fix"].startswith("give the agent")


def test_ports_that_two_pods_cannot_both_have():
    assert share_a_port({ANY}, {("10.0.0.1", "TCP", 9464)}) and not share_a_port({ANY}, {("0.0.0.0", "UDP", 9464)}) and not share_a_port(set(), {ANY})


def test_findings_say_what_is_short_and_who_would_go():
    judged = {
        "n1": judge_room(wanted(), node(), [pod("a", "2", 100)], 0, True),
        "n2": judge_room(wanted(), node(), [pod("b", "2", -5)], 0, True),
        "n3": judge_room(wanted(), node(), [], 0, True),
    }
    found = {one["result"]: one for one in room_findings(judged, "priority 0")}
    assert (
        found["error"]["nodes"] == ["n1"]
        and found["error"]["evidence"] == "no room: cpu: 500m wanted, 0 of 2 free"
        and "priority class" in found["error"]["fix"]
    )
    assert found["warning"]["nodes"] == ["n2"] and "would end b" in found["warning"]["evidence"]
    assert "n3 has the least memory left, 3072Mi and 1500m cpu" in found["ok"]["evidence"]
    assert [describe_room(one) for one in judged.values()] == ["starves (cpu: 500m wanted, 0 of 2 free)", "preempts (b)", "fits"]


def test_what_is_kept_of_a_pod():
    spec = {"nodeName": "n", "priority": 7, "runtimeClassName": "gvisor", "containers": [container(cpu="1")]}
    kept = bare_pod({"metadata": {"namespace": "a", "name": "b", "uid": "u"}, "spec": spec, "status": {"startTime": "t"}})
    assert (kept["name"], kept["node"], kept["priority"], kept["runtime_class"], kept["started"]) == ("a/b", "n", 7, "gvisor", "t")
    assert bare_pod({})["node"] == ""


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [("cpu", "2", "2"), ("cpu", "0.25", "250m"), ("memory", str(512 << 20), "512Mi"), ("memory", str(20 * GIBIBYTE), "20.0Gi"), ("pods", "110", "110")],
)
def test_amounts_as_people_write_them(resource, value, text):
    assert shown(resource, Decimal(value)) == text
