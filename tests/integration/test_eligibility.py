# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about nodes against the DaemonSet controller: its function on generated cases, and itself on a cluster."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import target_node

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "cluster"), str(TESTS / "oracle")]

from differential.cases import LABEL_KEYS, WISHES, Draw  # noqa: E402 (the path comes first)
from differential.cli import judges_of  # noqa: E402 (the path comes first)
from differential.comparison import CLASSES, compare  # noqa: E402 (the path comes first)
from localcluster.api import Api  # noqa: E402 (the path comes first)
from localcluster.cluster import DEFAULT_MINOR  # noqa: E402 (the path comes first)
from localcluster.parts import Parts  # noqa: E402 (the path comes first)
from localcluster.process import wait_for  # noqa: E402 (the path comes first)
from localcluster.progress import Progress  # noqa: E402 (the path comes first)
from localcluster.simulated import name_of  # noqa: E402 (the path comes first)
from localcluster.state import Folder  # noqa: E402 (the path comes first)

SEED, CASES, SMALLEST_SHARE = 1, 5000, 0.02
NAME, NODES, DAEMON_SETS, SECONDS = "eligibility", 60, 50, 120
DAEMON_SETS_PATH = "/apis/apps/v1/namespaces/default/daemonsets"


def test_no_decision_differs_from_the_controllers():
    """Every class of decisions is among the cases, and both sides decide alike, with comparing tolerations and without."""
    tallies = compare(judges_of([DEFAULT_MINOR], Progress()), SEED, range(CASES))
    assert [judge.comparison_operators for judge in tallies] == [False, True]
    for tally in tallies.values():
        assert tally.classes.total() == CASES
        assert all(tally.classes[name] > SMALLEST_SHARE * CASES for name in CLASSES.values()), tally.classes
        assert tally.differing == [], f"look at them with `tests/oracle --seed {SEED} --case NUMBER`"


@pytest.fixture
def api():
    """The API of a cluster of our own, with simulated nodes."""
    command = [sys.executable, str(TESTS / "cluster")]
    subprocess.run([*command, "up", "--name", NAME, "--nodes", "1", "--kubernetes", DEFAULT_MINOR, "--simulated", str(NODES)], check=True)
    yield Parts.of(Folder(NAME).facts()).api()
    subprocess.run([*command, "down", "--name", NAME], check=True)


def redraw(api: Api, draw: Draw) -> None:
    """Give every simulated node other labels and taints."""
    for number in range(NODES):
        drawn = draw.node(name_of(number))
        labels = {**dict.fromkeys(LABEL_KEYS), **drawn["metadata"]["labels"]}
        api.request("PATCH", f"/api/v1/nodes/{name_of(number)}", {"metadata": {"labels": labels}, "spec": {"taints": drawn["spec"]["taints"]}})


def nodes_of(api: Api) -> list[dict]:
    """The nodes with what decisions are made of."""
    nodes = api.request("GET", "/api/v1/nodes")["items"]
    return [
        {"metadata": {"name": node["metadata"]["name"], "labels": node["metadata"]["labels"]}, "spec": {"taints": node["spec"].get("taints", [])}}
        for node in nodes
    ]


def create(api: Api, name: str, drawn: dict) -> None:
    """Create a DaemonSet whose pods are made and then wait for ever: no scheduler takes them."""
    selector = {"app": name}
    container = {"name": "absent", "image": "nanoagent.invalid/absent:1", "imagePullPolicy": "Never"}
    spec = {"containers": [container], "schedulerName": "nobody", "terminationGracePeriodSeconds": 0}
    template = {"metadata": {"labels": selector}, "spec": {**spec, **drawn["spec"]["template"]["spec"]}}
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": selector}, "template": template},
    }
    api.request("POST", DAEMON_SETS_PATH, daemon_set)


def decisions(api: Api) -> dict[str, dict[str, tuple[bool, bool]]]:
    """For every DaemonSet and node: run and keep."""
    nodes = nodes_of(api)
    return {
        daemon_set["metadata"]["name"]: {
            node["metadata"]["name"]: (decision["run"], decision["keep"]) for node in nodes for decision in [decide(daemon_set, node)]
        }
        for daemon_set in api.request("GET", DAEMON_SETS_PATH)["items"]
    }


def counts(api: Api) -> dict[str, tuple[int, int, int]]:
    """For every DaemonSet by its controller: desired, with a pod where one is desired, and with a pod where none is."""
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled")
    return {item["metadata"]["name"]: tuple(item["status"][field] for field in fields) for item in api.request("GET", DAEMON_SETS_PATH)["items"]}


def placements(api: Api) -> dict[str, set[str]]:
    """For every DaemonSet the nodes that have a pod of it."""
    placed: dict[str, set[str]] = {f"drawn-{number}": set() for number in range(DAEMON_SETS)}
    for pod in api.request("GET", "/api/v1/namespaces/default/pods")["items"]:
        placed[pod["metadata"]["labels"]["app"]].add(target_node(pod))
    return placed


def settled(api: Api, had: dict[str, set[str]]) -> tuple[dict, dict]:
    """The controller's counts and ours, as soon as they are equal, else the last; had: the nodes with a pod before the nodes changed.

    The node controller takes back some of the taints that were drawn, so decisions are made anew each time. A DaemonSet that differs is
    touched: from 1.33 on the controller does not look again by itself when a node changes under a pod that waits for a scheduler, nor when a
    taint is added that only keeps new pods away.
    """

    def ours() -> dict[str, tuple[int, int, int]]:
        expected = {}
        for name, each in decisions(api).items():
            run = sum(run for run, _keep in each.values())
            expected[name] = (run, run, sum(keep and not run and node in had[name] for node, (run, keep) in each.items()))
        return expected

    seen = [({}, {})]
    touches = itertools.count()

    def equal() -> bool:
        theirs, mine = seen[0] = counts(api), ours()
        for name in (name for name in mine if theirs[name] != mine[name]):
            api.request("PATCH", f"{DAEMON_SETS_PATH}/{name}", {"metadata": {"annotations": {"touched": str(next(touches))}}})
        return theirs == mine

    wait_for(equal, SECONDS, pause=0.5)
    return seen[0]


@pytest.mark.own_cluster
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_controller_counts_the_nodes_that_we_count(api):
    """desiredNumberScheduled is the number of our run; after a change of all nodes, numberMisscheduled is the number of pods that we keep."""
    rng = random.Random(SEED)
    draw = Draw(rng, oddity=0)
    redraw(api, draw)
    nodes = nodes_of(api)
    for number in range(DAEMON_SETS):
        create(api, f"drawn-{number}", draw.daemon_set(rng.choice(nodes), rng.choice(WISHES)))

    nowhere = {f"drawn-{number}": set() for number in range(DAEMON_SETS)}
    theirs, ours = settled(api, nowhere)
    assert theirs == ours
    assert len({desired for desired, _current, _misscheduled in theirs.values()}) > DAEMON_SETS / 4

    had = placements(api)
    redraw(api, draw)
    theirs, ours = settled(api, had)
    assert theirs == ours
    assert sum(misscheduled for _desired, _current, misscheduled in theirs.values()) > DAEMON_SETS
