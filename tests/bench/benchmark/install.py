# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`install`: how long it takes to put the agent on a cluster, and to find out that it is there already."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.audit import AuditLog, count_requests, rollout_parts
from benchmark.images import MONITOR_REPOSITORY, REPOSITORY, build_and_push
from benchmark.kubernetes import NAME, Kubectl, disturbances
from benchmark.manifests import chart, kubernetes_core_playbook, manifest_file, rendered
from benchmark.peers import ANSIBLE, HELM, go_command, kubernetes_core, say
from benchmark.process import BenchFailed, measured
from benchmark.quiet import wait_until_quiet
from benchmark.record import Ratio, Record
from benchmark.surroundings import ansible_environment, cluster, local_cluster, playbook_command

USER_AGENT = "nanoagent.k8s/"
SCALE = "scale"
OWN_UNITS = {"reads": "requests", "writes": "requests", "disturbed": "pods", "before": "s", "rollout": "s", "after": "s"}

EMPTY = "empty playbook"
OURS, AGAIN, CHANGED, REMOVED = "ours: install", "ours: second run", "ours: change", "ours: uninstall"
OURS_NO_WAIT = "ours: install, no wait"
MONITORED, MONITORED_AGAIN = "ours: install, with the monitor", "ours: second run, with the monitor"
HELM_MONITORED, CORE_MONITORED = "helm: install --wait, with the monitor", "kubernetes.core: install, with the monitor"
HELM_WAIT, HELM_WAIT_AGAIN, HELM_WAIT_CHANGED, HELM_REMOVED = "helm: install --wait", "helm: upgrade --wait", "helm: change --wait", "helm: uninstall --wait"
HELM_NO_WAIT, HELM_NO_WAIT_AGAIN = "helm: install", "helm: upgrade"
HELM_ROLLS = "helm: upgrade --wait, chart with a random annotation"
KUBECTL, KUBECTL_NO_WAIT, KUBECTL_AGAIN = "kubectl: apply, rollout status", "kubectl: apply", "kubectl: second apply"
CORE, CORE_NO_WAIT, CORE_AGAIN, CORE_CHANGED, CORE_REMOVED = (
    "kubernetes.core: install",
    "kubernetes.core: install, no wait",
    "kubernetes.core: second run",
    "kubernetes.core: change",
    "kubernetes.core: uninstall",
)

RATIOS = [
    Ratio("ours: install / empty playbook", OURS, EMPTY),
    Ratio("ours: second run / empty playbook", AGAIN, EMPTY),
    Ratio("ours: second run / empty playbook", AGAIN, EMPTY, "cpu"),
    # Until every node is ready, and then until the last write.
    Ratio("ours: install / helm: install --wait", OURS, HELM_WAIT),
    Ratio("ours: install / kubectl: apply, rollout status", OURS, KUBECTL),
    Ratio("kubernetes.core: install / ours: install", CORE, OURS),
    Ratio("ours: install / helm: install --wait, both with the monitor", MONITORED, HELM_MONITORED),
    Ratio("kubernetes.core: install / ours: install, both with the monitor", CORE_MONITORED, MONITORED),
    Ratio("ours: install, no wait / helm: install", OURS_NO_WAIT, HELM_NO_WAIT),
    Ratio("ours: install, no wait / kubectl: apply", OURS_NO_WAIT, KUBECTL_NO_WAIT),
    Ratio("kubernetes.core: install, no wait / ours: install, no wait", CORE_NO_WAIT, OURS_NO_WAIT),
    # With the agent there already.
    Ratio("ours: second run / helm: upgrade --wait", AGAIN, HELM_WAIT_AGAIN),
    Ratio("ours: second run / helm: upgrade --wait, chart with a random annotation", AGAIN, HELM_ROLLS),
    Ratio("ours: change / helm: change --wait", CHANGED, HELM_WAIT_CHANGED),
    Ratio("ours: uninstall / helm: uninstall --wait", REMOVED, HELM_REMOVED),
    Ratio("ours: second run / kubectl: second apply", AGAIN, KUBECTL_AGAIN),
    Ratio("kubernetes.core: second run / ours: second run", CORE_AGAIN, AGAIN),
    Ratio("kubernetes.core: change / ours: change", CORE_CHANGED, CHANGED),
    Ratio("kubernetes.core: uninstall / ours: uninstall", CORE_REMOVED, REMOVED),
    Ratio("kubernetes.core: second run / ours: second run", CORE_AGAIN, AGAIN, "cpu"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="on a cluster of its own with one real and N simulated nodes")
    parser.add_argument("--only", action="append", metavar="ARM", help="this arm and no other; may be given more than once")
    parser.add_argument("--with-kubernetes-core", action="store_true", help="also measure kubernetes.core, which takes 770 MB in the cache folder")


def run(arguments: argparse.Namespace, folder: Path) -> tuple[Record, list[Ratio]]:
    """Measure all arms one after the other, round by round."""
    with _surroundings(arguments.simulated) as surroundings:
        lab = Lab(folder, surroundings, arguments.simulated)
        arms: dict[str, Callable[[], None]] = {"empty": lab.empty, "ours": lab.ours, "ours-no-wait": lab.ours_no_wait, "ours-monitor": lab.ours_with_monitor}
        arms |= _helm_arms(lab) | _kubectl_arms(lab)
        if arguments.with_kubernetes_core:
            arms |= _kubernetes_core_arms(lab)
        unknown = set(arguments.only or []) - set(arms)
        if unknown:
            raise BenchFailed(f"no arm is called {min(unknown)}: use {', '.join(arms)}")
        if arguments.only:
            arms = {name: arm for name, arm in arms.items() if name in arguments.only}
        lab.warm_up()
        for number in range(arguments.rounds):
            for name, arm in arms.items():
                say(f"round {number + 1} of {arguments.rounds}: {name}")
                arm()
        return lab.record, RATIOS


@contextmanager
def _surroundings(simulated: int) -> Iterator[dict[str, str]]:
    """The cluster to measure on; one with simulated nodes is started for it, and taken away again."""
    if not simulated:
        yield cluster()
        return
    say(f"starting a cluster with {simulated} simulated nodes")
    try:
        local_cluster("up", "--name", SCALE, "--nodes", "1", "--simulated", str(simulated))
        answer = local_cluster("env", "--name", SCALE)
        yield dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    finally:
        local_cluster("down", "--name", SCALE)


class Lab:
    """The cluster, the image, and the arms that run the collection itself; every arm has a namespace of its own."""

    def __init__(self, folder: Path, surroundings: dict[str, str], simulated: int):
        self.record = Record(OWN_UNITS)
        self.folder = folder
        # The same for every arm; a request of local storage would depend on the cluster.
        self.options = {"resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6", "memory": "10Gi"}}}
        self.options |= {"real_nodes_only": False} if simulated else {}
        self.kubectl = Kubectl(surroundings["KUBECONFIG"], surroundings.get("KUBECTL"))
        self.environment = ansible_environment(folder, surroundings["KUBECONFIG"])
        self.image = build_and_push(name=f"{surroundings['REGISTRY']}/{REPOSITORY}:bench")["image"]
        monitor_image = build_and_push(program="monitor", name=f"{surroundings['REGISTRY']}/{MONITOR_REPOSITORY}:bench")["image"]
        # The kinds of objects that the vendor's chart has, and more: a Deployment, its account and its rights.
        small = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
        self.with_monitor = {"monitor": {"enabled": True, "image": monitor_image, "resources": small, "tolerations": [{"operator": "Exists"}]}}
        self._audit_log = surroundings.get("AUDIT_LOG")
        self._empty_playbook = folder / "empty.json"
        self._empty_playbook.write_text(json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": []}]))
        self.record.facts.append(f"Kubernetes {self.kubectl.version()}, {len(self.kubectl.run('get', 'nodes', '-o', 'name').split())} nodes")
        self.record.facts.append("memory is the peak of the largest process of a run")
        if not self._audit_log:
            self.record.facts.append("no audit log is known (AUDIT_LOG), so requests are not counted")

    @contextmanager
    def namespace(self, arm: str) -> Iterator[str]:
        """The name of a namespace that does not exist yet, and is gone afterwards."""
        name = f"bench-{os.getpid()}-{arm}"
        try:
            yield name
        finally:
            self.kubectl.remove(name)

    def timed(self, arm: str, command: list[str], environment: dict[str, str] | None = None, awaited: str | None = None) -> None:
        """Measure a command as one round of an arm, once the cluster has done with what the one before left it to do.

        awaited: the namespace of the DaemonSet whose first rollout the command waits for; its time is told apart from the command's own.
        """
        wait_until_quiet()
        log = AuditLog(Path(self._audit_log)) if awaited and self._audit_log else None
        usage = measured(command, environment or self.environment, str(self.folder))
        self.record.add(arm, usage.figures())
        if log:
            self.record.add(arm, rollout_parts(log.lines(), awaited, usage.began, usage.began + usage.wall))

    def warm_up(self) -> None:
        """What only the first run on a machine does, filling caches and pulling the image, is no one's time."""
        say("warming up")
        with self.namespace("warm-up") as namespace:
            measured(self._install(namespace, **self.with_monitor), self.environment, str(self.folder))

    def empty(self) -> None:
        """Ansible itself: a play without tasks."""
        self.timed(EMPTY, playbook_command(str(self._empty_playbook)))

    def ours(self) -> None:
        """The playbook install on a cluster without and then with the agent, with one value changed, and the playbook uninstall."""
        with self.namespace("ours") as namespace:
            self.timed(OURS, self._install(namespace), awaited=namespace)
            before = self.kubectl.pods(namespace)
            self.timed(AGAIN, self._install(namespace))
            self._count(namespace)
            self.record.add(AGAIN, {"disturbed": disturbances(before, self.kubectl.pods(namespace))})
            self.timed(CHANGED, self._install(namespace, change="two"))
            variables = {"uninstall_namespace": namespace, "uninstall_name": NAME}
            self.timed(REMOVED, playbook_command("nanoagent.k8s.uninstall", "-e", json.dumps(variables)))

    def ours_no_wait(self) -> None:
        """The playbook install, that ends with the last write."""
        with self.namespace("ours-no-wait") as namespace:
            self.timed(OURS_NO_WAIT, self._install(namespace, "-e", "agent_wait=false"))

    def ours_with_monitor(self) -> None:
        """The playbook install with the cluster monitor, on a cluster without and then with it."""
        with self.namespace("ours-monitor") as namespace:
            self.timed(MONITORED, self._install(namespace, **self.with_monitor), awaited=namespace)
            self.timed(MONITORED_AGAIN, self._install(namespace, **self.with_monitor))

    def objects(self, namespace: str, create_namespace: bool, **options) -> list[dict]:
        """What the playbook install would apply."""
        return rendered(namespace, self.image, create_namespace, **self.options, **options)

    def _install(self, namespace: str, *arguments: str, change: str = "one", **options) -> list[str]:
        variables = {"agent_image": self.image, "agent_namespace": namespace, "agent_name": NAME, "agent_pod_labels": {"change": change}}
        variables |= {f"agent_{name}": value for name, value in (self.options | options).items()} | {"agent_wait_timeout": 900}
        return playbook_command("nanoagent.k8s.install", "-e", json.dumps(variables), *arguments)

    def _count(self, namespace: str) -> None:
        """One more run, not timed, whose requests bear a name of their own: others may use the collection on this cluster too."""
        if not self._audit_log:
            return
        log = AuditLog(Path(self._audit_log))
        mark = {"K8S_AUTH_IMPERSONATE_USER": namespace, "K8S_AUTH_IMPERSONATE_GROUPS": "system:masters"}
        measured(self._install(namespace), self.environment | mark, str(self.folder))
        requests = count_requests(log.lines(), USER_AGENT, namespace)
        self.record.add(AGAIN, {"reads": requests["read"], "writes": requests["write"]})


def _helm_arms(lab: Lab) -> dict[str, Callable[[], None]]:
    helm = str(go_command(HELM))
    lab.record.facts.append(f"helm {HELM.rpartition('@')[2]} with a chart made of the collection's own manifests")

    def chart_of(namespace: str, options: dict | None = None, **how) -> str:
        return str(chart(lab.folder / namespace, lab.objects(namespace, create_namespace=False, **(options or {})), **how))

    def waiting() -> None:
        with lab.namespace("helm-wait") as namespace:
            path, where = chart_of(namespace), ["--namespace", namespace, "--wait", "--timeout", "15m"]
            lab.timed(HELM_WAIT, [helm, "install", NAME, path, "--create-namespace", *where], awaited=namespace)
            lab.timed(HELM_WAIT_AGAIN, [helm, "upgrade", NAME, path, *where])
            lab.timed(HELM_WAIT_CHANGED, [helm, "upgrade", NAME, path, "--set", "change=two", *where])
            lab.timed(HELM_REMOVED, [helm, "uninstall", NAME, *where])

    def not_waiting() -> None:
        with lab.namespace("helm") as namespace:
            path, where = chart_of(namespace), ["--namespace", namespace]
            lab.timed(HELM_NO_WAIT, [helm, "install", NAME, path, "--create-namespace", *where])
            lab.timed(HELM_NO_WAIT_AGAIN, [helm, "upgrade", NAME, path, *where])

    def rolling() -> None:
        with lab.namespace("helm-rolls") as namespace:
            path, where = chart_of(namespace, rolls=True), ["--namespace", namespace, "--wait", "--timeout", "15m"]
            measured([helm, "install", NAME, path, "--create-namespace", *where], lab.environment, str(lab.folder))
            lab.timed(HELM_ROLLS, [helm, "upgrade", NAME, path, *where])

    def with_monitor() -> None:
        with lab.namespace("helm-monitor") as namespace:
            path, where = chart_of(namespace, lab.with_monitor), ["--namespace", namespace, "--wait", "--timeout", "15m"]
            lab.timed(HELM_MONITORED, [helm, "install", NAME, path, "--create-namespace", *where], awaited=namespace)

    return {"helm-wait": waiting, "helm": not_waiting, "helm-rolls": rolling, "helm-monitor": with_monitor}


def _kubectl_arms(lab: Lab) -> dict[str, Callable[[], None]]:
    def command(namespace: str, wait: bool) -> list[str]:
        path = manifest_file(lab.folder, lab.objects(namespace, create_namespace=True))
        apply = shlex.join([*lab.kubectl.command, "apply", "--server-side", "-f", str(path)])
        status = shlex.join([*lab.kubectl.command, "rollout", "status", f"daemonset/{NAME}", "-n", namespace])
        return ["sh", "-c", f"{apply} && {status}" if wait else apply]

    def waiting() -> None:
        with lab.namespace("kubectl-wait") as namespace:
            lab.timed(KUBECTL, command(namespace, wait=True), awaited=namespace)
            lab.timed(KUBECTL_AGAIN, command(namespace, wait=False))

    def not_waiting() -> None:
        with lab.namespace("kubectl") as namespace:
            lab.timed(KUBECTL_NO_WAIT, command(namespace, wait=False))

    return {"kubectl-wait": waiting, "kubectl": not_waiting}


def _kubernetes_core_arms(lab: Lab) -> dict[str, Callable[[], None]]:
    python = str(kubernetes_core())
    lab.record.facts.append(f"kubernetes.core of {ANSIBLE.replace('==', ' ')}, one task for each object")
    # Its own collection stands in its own site-packages.
    environment = {name: value for name, value in lab.environment.items() if name != "ANSIBLE_COLLECTIONS_PATH"}

    def timed(row: str, objects: list[dict], state: str, wait: bool = True) -> None:
        path = str(kubernetes_core_playbook(lab.folder, objects, state, wait))
        lab.timed(row, playbook_command(path, python=python), environment)

    def waiting() -> None:
        with lab.namespace("core-wait") as namespace:
            one, two = (lab.objects(namespace, create_namespace=True, change=change) for change in ("one", "two"))
            timed(CORE, one, "present")
            timed(CORE_AGAIN, one, "present")
            timed(CORE_CHANGED, two, "present")
            timed(CORE_REMOVED, two[::-1], "absent")

    def not_waiting() -> None:
        with lab.namespace("core") as namespace:
            timed(CORE_NO_WAIT, lab.objects(namespace, create_namespace=True, change="one"), "present", wait=False)

    def with_monitor() -> None:
        with lab.namespace("core-monitor") as namespace:
            timed(CORE_MONITORED, lab.objects(namespace, create_namespace=True, change="one", **lab.with_monitor), "present")

    return {"kubernetes-core-wait": waiting, "kubernetes-core": not_waiting, "kubernetes-core-monitor": with_monitor}
