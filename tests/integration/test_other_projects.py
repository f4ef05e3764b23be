# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of other projects' kinds, on an API server that has them: PodMonitor, ServiceMonitor, SecretProviderClass, ExternalSecret.

Where the cluster has no such kind, it gets a definition of our own while these tests run: group, version, names, the fields that
we write with their types, patterns and defaults are those of the projects' definitions; what else they have is left open.
That proves what the API server makes of our objects: it takes them strictly, fills in its defaults, and a second run finds
nothing to do. It does not prove what Prometheus, the Secrets Store CSI driver or the External Secrets operator do with them:
none of them runs here. What the operator would make, a Secret, is made by the test.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.tests.integration.agents import AGENT, INFO, one_line, pods, until

SMALL = {"requests": {"cpu": "1m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
# For the collector's socket, where the collector is put in another agent's place.
WRITABLE = {"extra_volumes": [{"name": "run", "emptyDir": {}}], "extra_volume_mounts": [{"name": "run", "mountPath": "/run/nanoagent"}]}
TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}


def open_object(required=(), **properties) -> dict:
    """A schema of an object with these properties and any others."""
    return {"type": "object", "properties": properties, "x-kubernetes-preserve-unknown-fields": True, **({"required": list(required)} if required else {})}


def many(items: dict) -> dict:
    """A schema of a list; as in all of these definitions it has no keys, so whoever writes it owns it whole."""
    return {"type": "array", "items": items}


def choice(default: str, *others: str) -> dict:
    return {"type": "string", "enum": [default, *others], "default": default}


SELECTOR = {"type": "object", "properties": {"matchLabels": TEXTS}, "x-kubernetes-preserve-unknown-fields": True, "x-kubernetes-map-type": "atomic"}
DURATION = {"type": "string", "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"}
ENDPOINT = open_object(port=TEXT, path=TEXT, interval=DURATION)
STORE_KIND = {"type": "string", "enum": ["SecretStore", "ClusterSecretStore"]}
REMOTE = open_object(
    ["key"],
    key=TEXT,
    property=TEXT,
    conversionStrategy=choice("Default", "Unicode"),
    decodingStrategy=choice("None", "Auto", "Base64", "Base64URL"),
    metadataPolicy=choice("None", "Fetch"),
    nullBytePolicy=choice("Ignore", "Fail"),
)
SPECS = {
    "PodMonitor": open_object(["selector"], selector=SELECTOR, podMetricsEndpoints=many(ENDPOINT)),
    "ServiceMonitor": open_object(["selector", "endpoints"], selector=SELECTOR, endpoints=many(ENDPOINT)),
    "SecretProviderClass": open_object(
        provider=TEXT,
        parameters=TEXTS,
        secretObjects=many(open_object(secretName=TEXT, type=TEXT, data=many(open_object(objectName=TEXT, key=TEXT)))),
    ),
    "ExternalSecret": open_object(
        refreshInterval={"type": "string", "default": "1h0m0s"},
        secretStoreRef=open_object(kind=STORE_KIND, name=TEXT),
        target={
            **open_object(name=TEXT, creationPolicy=choice("Owner", "Orphan", "Merge", "None"), deletionPolicy=choice("Retain", "Delete", "Merge")),
            "default": {"creationPolicy": "Owner", "deletionPolicy": "Retain"},
        },
        data=many(open_object(["secretKey", "remoteRef"], secretKey=TEXT, remoteRef=REMOTE)),
    ),
}


def definition(kind: str) -> dict:
    """The CustomResourceDefinition of a kind."""
    entry = KINDS[kind]
    version = {"name": entry.api_version.rpartition("/")[2], "served": True, "storage": True, "schema": {"openAPIV3Schema": open_object(spec=SPECS[kind])}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": entry.plural, "singular": kind.lower()}
    spec = {"group": entry.group, "names": names, "scope": "Namespaced", "versions": [version]}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": entry.resource}, "spec": spec}


def lacking(kubectl) -> list[str]:
    """Those of the kinds that the cluster does not have."""
    present = kubectl("get", "crd", "-o", "name").split()
    return [kind for kind in SPECS if f"customresourcedefinition.apiextensions.k8s.io/{KINDS[kind].resource}" not in present]


@pytest.fixture(scope="module")
def kinds(kubectl):
    """All of the kinds are served; the cluster's own definitions are used where it has some."""
    made = [f"crd/{KINDS[kind].resource}" for kind in lacking(kubectl)]
    items = [definition(kind) for kind in lacking(kubectl)]
    if items:
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        kubectl("wait", "--for=condition=Established", *made, "--timeout=60s")
    until(lambda: {KINDS[kind].resource for kind in SPECS} <= set(kubectl("api-resources", "-o", "name").split()))
    yield
    if made:
        kubectl("delete", *made, "--timeout=60s")


def written(result: dict) -> list[str]:
    assert not result.get("failed"), result
    return [action["object"] for action in result["actions"] if action["action"] != "keep"]


def settle(run_tasks, given: dict) -> dict:
    """The first run's result; the second one finds nothing to do, and nothing is seen as changed by somebody."""
    options = {"resources": SMALL, **given}
    which = {key: given[key] for key in ("kubeconfig", "name", "namespace")}
    [first, second, info] = run_tasks([{AGENT: options}, {AGENT: options}, {INFO: which}])
    assert written(first)
    assert written(second) == [] and not second["changed"] and second["requests"]["write"] == 0
    assert (info["drift"], info["missing"], info["drift_unknown"]) == ([], [], "")
    return first


def spec_of(kubectl, kind: str, namespace: str, name: str) -> dict:
    return json.loads(kubectl("get", KINDS[kind].resource, "-n", namespace, name, "-o", "json"))["spec"]


def remove(run_tasks, kubectl, options: dict) -> None:
    """Uninstalls; nothing of the kinds is left, nor is the namespace."""
    [gone] = run_tasks([{AGENT: {**options, "state": "absent"}}])
    assert not gone.get("failed"), gone
    for kind in SPECS:
        assert not kubectl("get", KINDS[kind].resource, "-n", options["namespace"], "-o", "name")
    assert not kubectl("get", "namespace", options["namespace"], "--ignore-not-found")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"metrics": {"scrape": "pod_monitor"}}, "PodMonitor"),
        ({"profile": "custom", "credentials": {"external_secret": {"store": "s", "remote_key": "k"}}}, "ExternalSecret"),
    ],
)
def test_a_kind_that_the_server_does_not_have_is_named(run_tasks, options, kubectl, name, given, kind):
    if kind not in lacking(kubectl):
        pytest.skip(f"this cluster has {kind}s of its own")
    image = f"registry.example/c@sha256:{'0' * 64}"
    [predicted, refused] = run_tasks([{AGENT: {**options, "image": image, "wait": False, **given}, "check_mode": check} for check in (True, False)])
    assert kind in one_line(predicted) and kind in one_line(refused)
    assert not kubectl("get", "daemonset", "-n", name, "--ignore-not-found", "-o", "name")


def test_monitors_of_prometheus(run_tasks, options, push, shipped, kubectl, kinds, name):
    image = push(shipped)
    settle(run_tasks, {**options, "image": image, "metrics": {"scrape": "auto", "interval": "1m30s"}})
    agent = {"app.kubernetes.io/name": "nanoagent", "app.kubernetes.io/instance": name, "app.kubernetes.io/component": "node-agent"}
    endpoint = {"port": "metrics", "path": "/metrics", "interval": "1m30s"}
    assert spec_of(kubectl, "PodMonitor", name, f"{name}-metrics") == {"selector": {"matchLabels": agent}, "podMetricsEndpoints": [endpoint]}

    before = pods(kubectl, name)
    changed = settle(run_tasks, {**options, "image": image, "metrics": {"scrape": "service_monitor", "interval": "15s"}})
    assert set(written(changed)) == {
        f"ConfigMap {name}/{name}",
        f"Service {name}/{name}-metrics",
        f"ServiceMonitor {name}/{name}-metrics",
        f"PodMonitor {name}/{name}-metrics",
    }
    assert pods(kubectl, name) == before and not kubectl("get", "podmonitors", "-n", name, "-o", "name")
    found = spec_of(kubectl, "ServiceMonitor", name, f"{name}-metrics")
    assert found["endpoints"] == [{**endpoint, "interval": "15s"}]
    selector = ",".join(f"{key}={value}" for key, value in found["selector"]["matchLabels"].items())
    assert kubectl("get", "service", "-n", name, "-l", selector, "-o", "name").split() == [f"service/{name}-metrics"]

    kubectl("patch", "servicemonitor", "-n", name, f"{name}-metrics", "--type=merge", "-p", json.dumps({"spec": {"endpoints": [{"port": "other"}]}}))
    [info] = run_tasks([{INFO: options}])
    assert [entry["object"] for entry in info["drift"]] == [f"ServiceMonitor {name}/{name}-metrics"]
    remove(run_tasks, kubectl, options)


@contextmanager
def operator(kubectl, namespace: str, seconds: float):
    """Does what the External Secrets operator would do in this namespace: makes the Secret of an ExternalSecret, some seconds after it came."""
    ended, failed = threading.Event(), []

    def work():
        try:
            while not ended.wait(0.2):
                for made in json.loads(kubectl("get", "externalsecrets", "-n", namespace, "-o", "json"))["items"]:
                    if ended.wait(seconds):
                        return
                    owner = {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": made["metadata"]["name"], "uid": made["metadata"]["uid"]}
                    metadata = {"name": made["spec"]["target"]["name"], "namespace": namespace, "ownerReferences": [owner]}
                    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"registration-code": "c"}}
                    kubectl("create", "-f", "-", stdin=json.dumps(secret))
                    return
        except AssertionError as error:
            failed.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.join()
    assert not failed, failed


def test_an_external_secret_is_waited_for_and_a_new_code_replaces_the_pods_once(run_tasks, options, push, shipped, kubectl, kinds, name):
    external = {"store": "vault", "remote_key": "agents/code", "property": "value", "refresh_interval": "30m"}
    given = {**options, **WRITABLE, "image": push(shipped), "profile": "custom", "args": ["run"], "credentials": {"external_secret": external}}
    given["max_unavailable"] = "100%"
    with operator(kubectl, name, 5):
        first = settle(run_tasks, given)
    assert first["summary"]["ready"] == first["summary"]["eligible"] > 0
    assert spec_of(kubectl, "ExternalSecret", name, f"{name}-credentials")["data"][0]["remoteRef"]["nullBytePolicy"] == "Ignore"

    less = {key: value for key, value in external.items() if key != "property"}
    changed = settle(run_tasks, {**given, "credentials": {"external_secret": less}})
    assert set(written(changed)) == {f"ConfigMap {name}/{name}", f"ExternalSecret {name}/{name}-credentials"}
    assert "property" not in spec_of(kubectl, "ExternalSecret", name, f"{name}-credentials")["data"][0]["remoteRef"]

    before = pods(kubectl, name)
    kubectl("patch", "secret", "-n", name, f"{name}-credentials", "--type=merge", "-p", json.dumps({"stringData": {"registration-code": "rotated"}}))
    rotated = settle(run_tasks, {**given, "credentials": {"external_secret": less}})
    assert set(written(rotated)) == {f"ConfigMap {name}/{name}", f"DaemonSet {name}/{name}"}
    after = pods(kubectl, name)
    assert before.keys() == after.keys() and all(after[node][0] != uid for node, (uid, _restarts) in before.items())
    remove(run_tasks, kubectl, options)


def test_a_secret_of_aws(run_tasks, options, push, shipped, kubectl, kinds, name):
    aws = {"secret_id": "agents/code", "key": "code-1", "region": "eu-central-1", "role_arn": "arn:aws:iam::1:role/x"}
    # No driver mounts the volume here: the pods wait for it.
    given = {**options, "image": push(shipped), "profile": "custom", "wait": False, "credentials": {"aws_secrets_manager": aws}}
    settle(run_tasks, given)
    found = spec_of(kubectl, "SecretProviderClass", name, f"{name}-credentials")
    [entry] = json.loads(found["parameters"]["objects"])
    assert (found["provider"], found["parameters"]["region"], entry["objectName"]) == ("aws", "eu-central-1", "agents/code")
    [pod, *_others] = until(lambda: json.loads(kubectl("get", "pods", "-n", name, "-o", "json"))["items"])
    [volume] = [volume["csi"] for volume in pod["spec"]["volumes"] if "csi" in volume]
    assert volume["volumeAttributes"] == {"secretProviderClass": f"{name}-credentials"}
    remove(run_tasks, kubectl, options)
