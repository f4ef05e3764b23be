# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs through a proxy that injects faults, on a real cluster: each ends well or with one message, and the next run completes it.

FAULT_SEEDS=first:count chooses the seeds (0:24 by default). A failure prints the seed and the faults that it met.
"""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import agent, applyset, collector_image, uninstall
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import daemon_set_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_view
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import is_ready
from ansible_collections.nanoagent.k8s.plugins.module_utils.verify import verify
from ansible_collections.nanoagent.k8s.plugins.modules import agent as agent_module
from ansible_collections.nanoagent.k8s.plugins.modules import agent_info as info_module
from ansible_collections.nanoagent.k8s.plugins.modules import collector_image as image_module
from ansible_collections.nanoagent.k8s.tests.faults import kubernetes_faults
from ansible_collections.nanoagent.k8s.tests.faults.authority import Authority
from ansible_collections.nanoagent.k8s.tests.faults.proxy import FaultProxy
from ansible_collections.nanoagent.k8s.tests.integration.agents import until
from checkout import CHECKOUT

FIRST, COUNT = (int(part) for part in os.environ.get("FAULT_SEEDS", "0:24").split(":"))
SEEDS = range(FIRST, FIRST + COUNT)
# Most of a seed is waiting for a kubelet or for a pause to end.
PARALLEL = 8
# Seconds; longer than the server is ever away, unless for good.
PATIENCE = 3.0
PROVEN = "faults-proof"
JOBS = {"present": agent.present, "absent": uninstall.absent}
# Labels that no pod of the module has.
ODD = {"app.kubernetes.io/name": "odd"}
# More than any node has: the pods stay Pending, which costs nothing.
NOWHERE = {"requests": {"cpu": "1000"}}
SOMEWHERE = {"requests": {"cpu": "10m", "memory": "32Mi"}}
RARE = {2: "refused", 7: "follow", 12: "ports", 17: "recreate"}
# Below the ports that Kubernetes gives to Services and Linux to connections; with a seed added.
FIRST_PORT = 28000


def scenario(seed: int) -> str:
    """What a seed does; what needs several real pods is rare."""
    if seed % 20 in RARE:
        return RARE[seed % 20]
    if seed % 10 == 3:
        return "proof"
    return random.Random(f"scenario {seed}").choice(["install", "install", "upgrade", "upgrade", "uninstall"])


def options_of(module, **given) -> dict:
    """A module's options with its defaults."""
    validated = ArgumentSpecValidator(module.argument_spec()).validate(given)
    assert not validated.error_messages, validated.error_messages
    return validated.validated_parameters


@dataclass
class Lab:
    """The cluster, straight and through a proxy."""

    env: dict
    image: str
    monitor: str
    worker: str
    authority: Authority
    way: tuple
    straight: Cluster = field(init=False)

    def __post_init__(self):
        self.straight = self.connect({"kubeconfig": self.env["KUBECONFIG"]})

    def connect(self, options: dict, **more) -> Cluster:
        return Cluster(options_of(agent_module, **options), **more)

    def proxy(self, seed: int) -> FaultProxy:
        url, tls, headers = self.way
        return FaultProxy(url, kubernetes_faults.plan(seed), tls, self.authority.serving(), headers)

    def through(self, proxy: FaultProxy) -> Cluster:
        files = {"ca_cert": self.authority.ca, "client_cert": self.authority.client_cert, "client_key": self.authority.client_key}
        return self.connect({"host": proxy.url, **{name: str(path) for name, path in files.items()}}, patience=PATIENCE)

    def options(self, name: str, **given) -> dict:
        """Options of the module agent, for one worker and without waiting unless told otherwise."""
        given = {"image": self.image, "node_selector": {"kubernetes.io/hostname": self.worker}, "resources": SOMEWHERE, "wait": False, **given}
        return options_of(agent_module, name=name, namespace=name, max_unavailable="1", wait_timeout=120, **given)

    def run(self, options: dict, cluster: Cluster | None = None) -> dict:
        return JOBS[options["state"]](cluster or self.straight, options, False, True)

    def complete(self, options: dict, story: Story, upgraded: bool = False) -> None:
        """A run without faults ends well, and one more writes nothing; where the story ended well, not even the first.

        upgraded: whether the story did not wait for an upgrade: the first run that does takes away what the former pods mounted.
        """
        first = self.run(options)
        written = [each for each in first["actions"] if each["action"] != "keep"]
        unexpected = [each for each in written if not (upgraded and each["action"] == "delete" and each["object"].startswith("ConfigMap "))]
        assert story.failure or not unexpected, first["actions"]
        again = self.run(options, self.connect({"kubeconfig": self.env["KUBECONFIG"]}))
        assert not again["changed"] and again["requests"]["write"] == 0, again["actions"]

    def daemon_sets(self, name: str) -> list[str]:
        """The uids of every DaemonSet, anywhere, that bears this name or belongs to this set."""
        items, _version = self.straight.list("DaemonSet")
        label, identifier = applyset.MEMBER_LABEL, applyset.set_id(name, name)
        return [i["metadata"]["uid"] for i in items if i["metadata"]["name"] == name or (i["metadata"].get("labels") or {}).get(label) == identifier]

    def ready_nodes(self, name: str, labels: dict | None = None) -> set[str]:
        """The nodes on which a pod of this agent, or with these labels, is ready and not about to end."""
        text = ",".join(f"{key}={value}" for key, value in (labels or daemon_set_labels(name)).items())
        pods, _version = self.straight.list("Pod", name, labelSelector=text)
        return {pod["spec"]["nodeName"] for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")}

    def give_odd_selector(self, name: str, nodes: set[str]) -> None:
        """Makes the DaemonSet of these nodes anew, with other labels on its pods and a selector that the module never writes."""
        [daemon_set], _version = self.straight.list("DaemonSet", name)
        self.straight.delete(daemon_set, "Foreground")
        while self.straight.get("DaemonSet", name, name):
            time.sleep(0.2)
        wanted = {**owned_view(daemon_set, FIELD_MANAGER), "apiVersion": "apps/v1", "kind": "DaemonSet"}
        wanted["spec"]["selector"] = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]} for key, value in ODD.items()]}
        wanted["spec"]["template"]["metadata"]["labels"] = ODD
        self.straight.apply(wanted)
        until(lambda: self.ready_nodes(name, ODD) == nodes)

    def left(self, name: str, ending_too: bool = True) -> list[str]:
        """Whatever carries the label of this set, and its namespace."""
        home = self.straight.get("Namespace", name)
        lists = self.straight.parallel([lambda kind=kind: self._members(kind, name) for kind in INSTALL_ORDER if kind != "Namespace"])
        found = [item for items in lists for item in items] + ([{**home, "kind": "Namespace"}] if home else [])
        return [f"{item['kind']} {item['metadata']['name']}" for item in found if ending_too or not item["metadata"].get("deletionTimestamp")]

    def _members(self, kind, name):
        try:
            items, _version = self.straight.list(kind, labelSelector=f"{applyset.MEMBER_LABEL}={applyset.set_id(name, name)}")
        except ApiFailure as failure:
            # A kind that this cluster does not serve.
            assert failure.status == 404, failure
            return []
        return items

    def remove(self, name: str) -> None:
        self.run(self.options(name, state="absent", wait=True))

    def clear(self, name: str) -> None:
        """Removes what a test that was interrupted left; the namespace goes last."""
        if self.straight.get("Namespace", name):
            self.remove(name)


@dataclass
class Story:
    """One seed: what was asked, and how the run with faults ended (failure is empty where it ended well)."""

    seed: int
    proxy: FaultProxy
    failure: str = ""
    result: dict | None = None

    def meet(self, job) -> None:
        """Runs the job; any exception but a Failure of one line goes on its way."""
        try:
            self.result = job()
        except Failure as failure:
            self.failure = failure.message
            assert "\n" not in failure.message and "Next: " in failure.message, failure.message
            assert "Traceback" not in failure.message and "('" not in failure.message, failure.message
            assert self.proxy.plan.log and " rejects " not in failure.message, failure.message

    def __str__(self) -> str:
        how = f"failed: {self.failure}" if self.failure else "ended well"
        return f"{scenario(self.seed)} {how}\n{self.proxy.plan.describe()}"


@pytest.fixture(scope="session")
def lab(cluster_env, tmp_path_factory):
    """The cluster with an image in its registry."""
    folder = tmp_path_factory.mktemp("faults")
    images = []
    for program, where in (("collector", "ebpf"), ("monitor", "monitor")):
        binaries = {arch: str(CHECKOUT / f"files/{where}/bin/{program}-linux-{arch}") for arch in ("amd64", "arm64")}
        given = {"program": program, "name": f"{cluster_env['REGISTRY']}/tests/faults-{program}:1", "plain_http": True, "binaries": binaries}
        images.append(collector_image.work(options_of(image_module, **given), Run())["image"])
    authority = Authority(folder / "ca")
    way = kubernetes_faults.way_to(cluster_env["KUBECONFIG"], str(folder))
    lab = Lab(cluster_env, *images, "", authority, way)
    nodes, _version = lab.straight.list("Node")
    lab.worker = sorted(n["metadata"]["name"] for n in nodes if "node-role.kubernetes.io/control-plane" not in n["metadata"]["labels"])[-1]
    return lab


@pytest.fixture(scope="session")
def stories(lab):
    """Seed -> future of its Story, all under way."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        proven = pool.submit(install_for_proof, lab)
        futures = {}
        for seed in SEEDS:
            more = [proven] if scenario(seed) == "proof" else []
            futures[seed] = pool.submit(tell, lab, seed, SCENARIOS[scenario(seed)], *more)
        yield futures
        for future in [proven, *futures.values()]:
            future.cancel()
    lab.remove(PROVEN)


def tell(lab, seed, play, *more) -> Story:
    """Plays one seed; whatever goes wrong says which seed it was and what happened on the way."""
    with lab.proxy(seed) as proxy:
        story = Story(seed, proxy)
        try:
            play(lab, story, *more)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n{story}") from error
        return story


def install_for_proof(lab):
    lab.clear(PROVEN)
    lab.run(lab.options(PROVEN, node_selector={}, wait=True))


def install(lab, story):
    """From nothing; the agent's pods are real for a part of the seeds."""
    name = f"faults-{story.seed}"
    lab.clear(name)
    draw = random.Random(f"install {story.seed}")
    given = {"priority_class": {"name": name}} if draw.random() < 0.5 else {}
    options = lab.options(name, resources=SOMEWHERE if draw.random() < 0.2 else NOWHERE, **given)
    story.meet(lambda: lab.run(options, lab.through(story.proxy)))
    assert len(lab.daemon_sets(name)) == 1 or story.failure
    lab.complete(options, story)
    assert len(lab.daemon_sets(name)) == 1
    lab.remove(name)
    assert lab.left(name) == []


def upgrade(lab, story):
    """One value changes; nodes keep their agents, and the DaemonSet is never another."""
    name = f"faults-{story.seed}"
    lab.clear(name)
    draw = random.Random(f"upgrade {story.seed}")
    changed = draw.choice(
        [
            {"cluster_name": "changed"},
            {"verifier": False},
            {"priority_class": {"name": name, "value": 2000}},
            {"registry_login": {"registry": "registry.example", "username": "u", "password": "canary", "secret_name": f"{name}-login"}},
        ]
    )
    lab.run(lab.options(name, wait=True, priority_class={"name": name}))
    before, uids = lab.ready_nodes(name), lab.daemon_sets(name)
    assert before and len(uids) == 1
    options = lab.options(name, **{"priority_class": {"name": name}, **changed})
    story.meet(lambda: lab.run(options, lab.through(story.proxy)))
    assert lab.daemon_sets(name) == uids
    lab.complete({**options, "wait": True}, story, upgraded=True)
    assert lab.daemon_sets(name) == uids and lab.ready_nodes(name) == before
    lab.remove(name)
    assert lab.left(name) == []


def remove(lab, story):
    """Everything goes, and nothing of it is left."""
    name = f"faults-{story.seed}"
    lab.clear(name)
    draw = random.Random(f"remove {story.seed}")
    lab.run(lab.options(name, resources=SOMEWHERE if draw.random() < 0.3 else NOWHERE, priority_class={"name": name}))
    options = lab.options(name, state="absent", wait=draw.random() < 0.5)
    story.meet(lambda: lab.run(options, lab.through(story.proxy)))
    assert story.failure or lab.left(name, ending_too=options["wait"]) == []
    lab.complete({**options, "wait": True}, story)
    assert lab.left(name) == []


def follow(lab, story):
    """Waits for a rollout on every node; what it says of its end is so."""
    name = f"faults-{story.seed}"
    lab.clear(name)
    options = lab.options(name, node_selector={}, wait=True)
    story.meet(lambda: lab.run(options, lab.through(story.proxy)))
    if not story.failure:
        assert verify(lab.straight, options_of(info_module, name=name, namespace=name))["ok"]
        assert story.result["summary"]["ready"] == story.result["summary"]["eligible"] > 1
    lab.complete(options, story)
    assert len(lab.daemon_sets(name)) == 1
    lab.remove(name)
    assert lab.left(name) == []


def recreate(lab, story):
    """The DaemonSet has a selector that cannot stay: it is made anew, and meanwhile no node is without a ready agent."""
    make_anew(lab, story, lab.options(f"faults-{story.seed}", wait=True), 0)


def ports(lab, story):
    """Likewise where both pods need one port of the node: one node at a time is without an agent."""
    metrics = {"scrape": "annotations", "port": FIRST_PORT + story.seed}
    make_anew(lab, story, lab.options(f"faults-{story.seed}", wait=True, node_selector={}, host_network=True, metrics=metrics), 1)


def make_anew(lab, story, options, most):
    """most: how many nodes may be without a ready agent at once."""
    name = options["name"]
    lab.clear(name)
    lab.run(options)
    before = lab.ready_nodes(name)
    lab.give_odd_selector(name, before)
    bare, others, done = [set()], [], threading.Event()

    def look():
        while not done.wait(0.3):
            # The old pods first: one that ends after this look ends because a new one was ready before it, or is to have its port.
            ready = lab.ready_nodes(name, ODD)
            bare.append(before - ready - lab.ready_nodes(name))
            others.extend(lab.daemon_sets(name)[1:])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        story.meet(lambda: lab.run(options, lab.through(story.proxy)))
        lab.complete(options, story)
    finally:
        done.set()
        watcher.join()
    assert max(map(len, bare)) <= most and not others and lab.ready_nodes(name) == before and len(lab.daemon_sets(name)) == 1
    assert lab.ready_nodes(name, ODD) == set()
    lab.remove(name)
    assert lab.left(name) == []


def refused(lab, story):
    """The monitor's pod was refused for a quota that is gone: what was refused before ends no run."""
    name = f"faults-{story.seed}"
    lab.clear(name)
    lab.run(lab.options(name))
    hard = {"spec": {"hard": {"requests.cpu": "100m"}}}
    quota = lab.straight.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": name}, **hard})
    monitor = {"enabled": True, "image": lab.monitor, "resources": {"requests": {"cpu": "200m", "memory": "32Mi"}}}
    options = lab.options(name, wait=True, rollback=False, monitor=monitor)
    with pytest.raises(Failure, match="exceeded quota: small"):
        lab.run(options)
    lab.straight.delete(quota)
    story.meet(lambda: lab.run(options, lab.through(story.proxy)))
    assert "quota" not in story.failure
    lab.complete(options, story)
    assert len(lab.daemon_sets(name)) == 1
    lab.remove(name)
    assert lab.left(name) == []


def proof(lab, story, proven):
    """Asks every node for a proof; all well is said only where it is, and each failed proof says why."""
    proven.result()
    options = options_of(info_module, name=PROVEN, namespace=PROVEN, live=True)
    story.meet(lambda: verify(lab.through(story.proxy), options))
    if not story.failure:
        rows = [row for row in story.result["nodes"] if row["eligible"]]
        assert len(rows) > 1 and story.result["ok"] == all(row["proof"]["proven"] for row in rows)
        for row in rows:
            proof_of_row = row["proof"]
            assert proof_of_row["proven"] == (not proof_of_row["reason"]) and "\n" not in proof_of_row["reason"] and "('" not in proof_of_row["reason"]
            assert proof_of_row["proven"] or any(row["node"] in cause for cause in story.result["causes"])


SCENARIOS = {
    "install": install,
    "upgrade": upgrade,
    "uninstall": remove,
    "follow": follow,
    "recreate": recreate,
    "ports": ports,
    "refused": refused,
    "proof": proof,
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_job_ends_well_or_with_one_message_and_the_next_completes_it(stories, seed):
    story = stories[seed].result()
    if scenario(seed) == "proof" and not story.proxy.plan.log:
        assert story.result["ok"], story


@pytest.mark.skipif(COUNT < 40, reason="a few seeds need not hold every outcome")
def test_faults_were_met_and_jobs_ended_both_ways(stories):
    """The test would prove little if no fault, or every fault, ended a job; with pytest -s it tells every story."""
    told = [stories[seed].result() for seed in SEEDS]
    print(*told, sep="\n")
    print(f"{len(told)} seeds, {sum(len(story.proxy.plan.log) for story in told)} faults, {sum(bool(story.failure) for story in told)} ended with a message")
    assert [story for story in told if story.failure] and [story for story in told if not story.failure and story.proxy.plan.log]
