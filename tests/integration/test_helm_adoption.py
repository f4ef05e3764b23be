# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over a release that the real helm installed, by server-side apply as helm 4 does and by client-side apply as helm 3 did.

HELM=path runs them with another helm; one of version 3 knows client-side apply only.
The wanted objects are this file's own, equal to what vendor_chart renders but for what a test changes.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from functools import partial

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils import helm_release
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.tests.integration.agents import pods, until
from checkout import CHECKOUT

sys.path[:0] = [str(CHECKOUT / "tests" / folder) for folder in ("bench", "cluster", "judges")]

from benchmark.peers import HELM, go_command  # noqa: E402 (the path comes first)

CHART = CHECKOUT / "tests" / "integration" / "vendor_chart"
RELEASE = "vendor"
AGENT = "spyderbat-nanoagent"
OWNER = "test.nanoagent.k8s.example/owner"
MODULE = "nanoagent.k8s.agent"
OURS = {"app.kubernetes.io/managed-by": FIELD_MANAGER}


@pytest.fixture(scope="session")
def helm(cluster_env):
    """helm(*arguments) -> the ended process."""
    binary = os.environ.get("HELM") or str(go_command(HELM))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([binary, *arguments], env={**os.environ, "KUBECONFIG": cluster_env["KUBECONFIG"]}, capture_output=True, text=True, check=False)

    return run


@dataclass
class Site:
    """One namespace with a Helm release in it."""

    namespace: str
    image: str
    cluster: Cluster
    helm: object
    kubectl: object

    def install(self, server_side: bool, monitor: bool = False, **values: str) -> None:
        """helm install with these values too, and one running pod on every node."""
        registry, _slash, rest = self.image.partition("/")
        repository, _at, digest = rest.partition("@")
        settings = {
            "image.registry": registry,
            "image.repository": repository,
            "image.tag": f"1@{digest}",
            "clusterMonitor.create": json.dumps(monitor),
            "serviceAccount.writerolename": self.namespace,
            "CLUSTER_NAME": "first",
            **values,
        }
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        flags = ["--namespace", self.namespace, "--create-namespace", "--wait=false"]
        if not self.helm("version", "--short").stdout.startswith("v3"):
            flags.append(f"--server-side={str(server_side).lower()}")
        done = self.helm("install", RELEASE, str(CHART), *flags, *sets)
        assert done.returncode == 0, done.stderr
        self.kubectl("rollout", "status", f"daemonset/{AGENT}", "-n", self.namespace, "--timeout=120s")

    def live(self, kind: str, name: str) -> dict | None:
        """The live object, without what belongs to nobody."""
        return self.cluster.get(kind, name, None if kind.startswith("Cluster") else self.namespace)

    def desired(self) -> list[dict]:
        """What the chart renders, with our mark in place of Helm's, less the ConfigMap and the monitor."""
        rendered = yaml.safe_load_all(self.helm("get", "manifest", RELEASE, "--namespace", self.namespace).stdout.replace("\t", ""))
        wanted = [obj for obj in rendered if obj["kind"] not in ("ConfigMap", "Deployment")]
        for obj in wanted:
            if obj["kind"] == "DaemonSet":
                [container] = obj["spec"]["template"]["spec"]["containers"]
                container["env"] = [{key: value for key, value in entry.items() if value is not None} for entry in container["env"]]
            obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), **OURS}
        return sorted(wanted, key=lambda obj: obj["kind"] == "DaemonSet")

    def objects(self, desired: list[dict]) -> dict:
        """identity -> live object, for those of the wanted ones that exist."""
        found = [self.cluster.get(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in desired]
        return {identity(obj): obj for obj in found if obj}

    def adopt(self, desired: list[dict], check_mode: bool = False, force: bool = False) -> tuple[dict, list[dict]]:
        """(adoption, steps): the whole job, as a module does it."""
        objects = self.objects(desired)
        adoption = helm_release.survey(self.cluster, RELEASE, self.namespace, desired, objects, force)
        steps = plan(adoption["desired"], {**objects, **adoption["objects"]}, [], FIELD_MANAGER) + adoption["steps"]
        if not check_mode:
            helm_release.hand_over(self.cluster, adoption)
            for step in steps:
                if step["action"] == "delete":
                    self.cluster.delete(step["live"])
                elif step["action"] != "keep":
                    self.cluster.apply(step["desired"], force)
        return adoption, steps

    def managers(self) -> set[str]:
        """Who owns fields of the DaemonSet, its controller aside."""
        return {entry["manager"] for entry in self.live("DaemonSet", AGENT)["metadata"]["managedFields"] if not entry.get("subresource")}

    def pods(self) -> dict:
        """Node -> (uid, restarts) of the agent's pods."""
        return pods(self.kubectl, self.namespace)


@pytest.fixture(scope="module")
def pushed():
    """What was pushed once: {"image": reference}."""
    return {}


@pytest.fixture
def site(cluster_env, pushed, push, shipped, kubectl, helm):
    if not pushed:
        pushed["image"] = push(shipped)
    namespace = f"test-adopt-{uuid.uuid4().hex[:8]}"
    cluster = Cluster({**dict.fromkeys(connection_argument_spec()), "kubeconfig": cluster_env["KUBECONFIG"]})
    yield Site(namespace, pushed["image"], cluster, helm, kubectl)
    helm("uninstall", RELEASE, "--namespace", namespace)
    for kind in ("clusterrole", "clusterrolebinding"):
        kubectl("delete", kind, "-l", f"{OWNER}={namespace}")
    kubectl("delete", "clusterrole", namespace, "--ignore-not-found")
    kubectl("delete", "clusterrolebinding", f"spyderbat-rolebinding-cluster-{namespace}", "--ignore-not-found")
    kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("server_side", [True, False], ids=["server-side", "client-side"])
def test_what_is_equal_is_taken_over_without_a_restart_and_helm_lets_go(site, server_side):
    site.install(server_side)
    desired, before = site.desired(), site.pods()
    assert before and "helm" in site.managers()

    predicted, foreseen = site.adopt(desired, check_mode=True)
    assert site.managers() == {"helm"} and not predicted["restarts"], predicted["notes"]
    adoption, steps = site.adopt(desired)
    assert adoption["notes"] == predicted["notes"]
    assert [(step["action"], step["fields"]) for step in steps] == [(step["action"], step["fields"]) for step in foreseen]
    assert len(adoption["take"]) == 4 and adoption["left"] == [f"ConfigMap {site.namespace}/spyderbat-install-config"]

    assert site.pods() == before
    assert site.managers() == {FIELD_MANAGER}
    for obj in desired:
        metadata = site.live(obj["kind"], obj["metadata"]["name"])["metadata"]
        assert helm_release.release_of({"metadata": metadata}) is None and metadata["labels"]["app.kubernetes.io/managed-by"] == FIELD_MANAGER

    again, steps = site.adopt(desired)
    assert [step for step in steps if step["action"] != "keep"] == [] and again["patches"] == []
    assert again["notes"] == [f"Helm release {site.namespace}/{RELEASE}: nothing to take over, it is not there or was taken over before"]

    gone = site.helm("uninstall", RELEASE, "--namespace", site.namespace)
    assert gone.returncode != 0 and "not found" in gone.stderr
    anew = site.helm("upgrade", "--install", RELEASE, str(CHART), "--namespace", site.namespace)
    assert anew.returncode != 0 and "invalid ownership metadata" in anew.stderr
    assert site.pods() == before


@pytest.mark.parametrize("server_side", [True, False], ids=["server-side", "client-side"])
def test_what_differs_is_changed_and_what_only_helm_wanted_goes(site, server_side):
    site.install(server_side)
    desired, before = site.desired(), site.pods()
    spec = desired[-1]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    container["env"] = [{**entry, "value": "second"} if entry["name"] == "CLUSTER_NAME" else entry for entry in container["env"] if entry["name"] != "ORC_URL"]
    del desired[-1]["spec"]["template"]["metadata"]["annotations"]
    # The chart's selector cannot change: other labels are added to it.
    desired[-1]["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    desired[-1]["spec"]["template"]["metadata"]["labels"] = {"app": "other"}

    adoption, _steps = site.adopt(desired)
    assert adoption["restarts"]
    [line] = [note for note in adoption["notes"] if "its pods are replaced" in note]
    assert "CLUSTER_NAME" in line and "ORC_URL" in line
    site.kubectl("rollout", "status", f"daemonset/{AGENT}", "-n", site.namespace, "--timeout=120s")
    live = site.live("DaemonSet", AGENT)["spec"]
    values = {entry["name"]: entry.get("value") for entry in live["template"]["spec"]["containers"][0]["env"]}
    assert values["CLUSTER_NAME"] == "second" and "ORC_URL" not in values
    assert live["selector"] == {"matchLabels": {"name": AGENT}}
    assert live["template"]["metadata"]["labels"] == {"app": "other", "name": AGENT} and "annotations" not in live["template"]["metadata"]
    old = {uid for uid, _restarts in before.values()}
    # rollout status may answer from counters that the controller has not renewed yet.
    assert until(lambda: site.pods().keys() == before.keys() and not {uid for uid, _restarts in site.pods().values()} & old)
    _again, steps = site.adopt(desired)
    assert {step["action"] for step in steps} == {"keep"}


def test_fields_of_a_third_manager_are_a_conflict_before_anything_is_written(site):
    site.install(server_side=True)
    site.kubectl("set", "env", f"daemonset/{AGENT}", "CLUSTER_NAME=theirs", "-n", site.namespace, "--field-manager=colleague")
    site.kubectl("rollout", "status", f"daemonset/{AGENT}", "-n", site.namespace, "--timeout=120s")
    desired = site.desired()
    before = {key: obj["metadata"]["resourceVersion"] for key, obj in site.objects(desired[:-1]).items()}

    with pytest.raises(Failure, match=r"CLUSTER_NAME.*held by colleague.*force_conflicts") as caught:
        site.adopt(desired)
    assert "held by helm" not in caught.value.message and "\n" not in caught.value.message
    assert {key: obj["metadata"]["resourceVersion"] for key, obj in site.objects(desired[:-1]).items()} == before
    assert site.helm("status", RELEASE, "--namespace", site.namespace).returncode == 0

    site.adopt(desired, force=True)
    env = site.live("DaemonSet", AGENT)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry["value"] for entry in env if entry["name"] == "CLUSTER_NAME"] == ["first"]


def test_a_run_that_was_cut_short_is_completed_by_the_next(site):
    site.install(server_side=False)
    desired, before = site.desired(), site.pods()
    adoption = helm_release.survey(site.cluster, RELEASE, site.namespace, desired, site.objects(desired))
    helm_release.hand_over(site.cluster, {**adoption, "patches": adoption["patches"][1:]})
    helm_release.hand_over(site.cluster, {**adoption, "patches": adoption["patches"][2:]})

    rest, _steps = site.adopt(desired)
    assert len(rest["take"]) == 1 and site.pods() == before and site.managers() == {FIELD_MANAGER}
    assert {step["action"] for step in site.adopt(desired)[1]} == {"keep"}


def test_what_is_not_wanted_stays_or_goes(site):
    site.install(server_side=True, monitor=True)
    desired = site.desired()
    objects = site.objects(desired)
    adoption = helm_release.survey(site.cluster, RELEASE, site.namespace, desired, objects)
    assert [name.rpartition("/")[2].rpartition(" ")[2] for name in sorted(adoption["left"])] == ["spyderbat-install-config", "clustermonitor-deployment"]
    assert [step["live"]["kind"] for step in adoption["steps"]] == ["Secret"]

    site.adopt(desired)
    assert site.live("ConfigMap", "spyderbat-install-config")
    assert site.kubectl("get", "deployment", "clustermonitor-deployment", "-n", site.namespace, "-o", "name").strip()


def test_a_wrong_release_is_refused(site):
    site.install(server_side=True)
    desired = site.desired()
    survey = partial(helm_release.survey, site.cluster, namespace=site.namespace, desired=desired, objects=site.objects(desired))
    with pytest.raises(Failure, match=f"belongs to the Helm release {site.namespace}/{RELEASE}, not to {site.namespace}/other"):
        survey("other")
    with pytest.raises(Failure, match="no name of a Helm release"):
        survey("name=x,owner")
    record = json.loads(site.kubectl("get", "secret", f"sh.helm.release.v1.{RELEASE}.v1", "-n", site.namespace, "-o", "json"))
    pending = copy.deepcopy(record)
    pending["metadata"]["labels"]["status"] = "pending-upgrade"
    with pytest.raises(Failure, match="Helm is at work on it"):
        helm_release.read_release([pending], RELEASE, site.namespace)


def test_the_module_takes_over_with_the_releases_values(site, run_tasks, cluster_env, tmp_path):
    old = "canary-0b77e4"
    site.install(server_side=False, **{"nanoagent.agentRegistrationCode": old, "nanoagent.orcurl": f"https://user:{old}@orc.example"})
    before = site.pods()
    values = tmp_path / "values.yaml"
    values.write_text(site.helm("get", "values", RELEASE, "--namespace", site.namespace, "--all", "--output", "yaml").stdout)
    code = "canary-5d20c1"
    options = {
        "kubeconfig": cluster_env["KUBECONFIG"],
        "namespace": site.namespace,
        "values_file": str(values),
        "registration_code": code,
        "orc_url": "https://orc.example",
        "adopt_helm_release": RELEASE,
        # The collector takes the place of the vendor's agent here, and wants a folder for its socket.
        "extra_volumes": [{"name": "socket", "emptyDir": {}}],
        "extra_volume_mounts": [{"name": "socket", "mountPath": "/run/nanoagent"}],
        "labels": {OWNER: site.namespace},
    }
    [predicted] = run_tasks([{MODULE: options}], "--check", "--diff", "-vvvv")
    assert predicted["changed"], predicted
    before_it = "".join(part["before"] for part in predicted["diff"])
    assert "https://(hidden)@orc.example" in before_it and "AGENT_REGISTRATION_CODE" in before_it
    assert old not in run_tasks.process.stdout + run_tasks.process.stderr + json.dumps(predicted)
    assert site.pods() == before and "helm" in site.managers()

    [first] = run_tasks([{MODULE: options}], "--diff", "-vvvv")
    assert first["changed"] and first["actions"] == predicted["actions"] and first["notes"] == predicted["notes"], first
    shown = run_tasks.process.stdout + run_tasks.process.stderr + json.dumps(first)
    assert code not in shown and old not in shown
    assert first["summary"]["ready"] == first["summary"]["nodes"] == len(before)
    assert {"action": "delete", "object": f"Secret {site.namespace}/sh.helm.release.v1.{RELEASE}.v1", "fields": []} in first["actions"]
    assert any(note.startswith(f"DaemonSet {site.namespace}/{AGENT}: its pods are replaced") for note in first["notes"]), first["notes"]
    live = site.live("DaemonSet", AGENT)["spec"]
    assert live["selector"] == {"matchLabels": {"name": AGENT}} and site.managers() == {FIELD_MANAGER}
    after = site.pods()

    [second] = run_tasks([{MODULE: options}])
    assert not second["changed"] and second["requests"]["write"] == 0 and site.pods() == after
    assert site.helm("uninstall", RELEASE, "--namespace", site.namespace).returncode != 0 and site.pods() == after
