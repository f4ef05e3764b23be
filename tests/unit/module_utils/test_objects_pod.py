# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user adds to the pod: variables, paths, volumes, labels, probes, proxies, authorities; metrics; the network."""

from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options, container, daemon_set, objects, pod, pod_annotations

PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
MONITORS = {"PodMonitor.monitoring.coreos.com", "ServiceMonitor.monitoring.coreos.com"}


def env(**given):
    return {variable["name"]: variable.get("value") for variable in container(**given)["env"]}


def test_host_paths_are_read_only_and_typed():
    spec = pod(host_paths=[{"path": "/opt/x.y", "mount_path": "/h"}, {"path": "/s", "mount_path": "/s", "type": "Socket", "read_only": False, "name": "sock"}])
    assert spec["volumes"][-2:] == [
        {"name": "host-opt-x-y", "hostPath": {"path": "/opt/x.y", "type": "Directory"}},
        {"name": "sock", "hostPath": {"path": "/s", "type": "Socket"}},
    ]
    assert spec["containers"][0]["volumeMounts"][-2:] == [
        {"name": "host-opt-x-y", "mountPath": "/h", "readOnly": True},
        {"name": "sock", "mountPath": "/s"},
    ]


def test_values_become_text():
    found = env(extra_env=[{"name": "N", "value": 1}, {"name": "B", "value": True}, {"name": "R", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}])
    assert (found["N"], found["B"], found["R"]) == ("1", "true", None)
    labels = daemon_set(pod_labels={"n": 1})["spec"]["template"]["metadata"]["labels"]
    assert labels["n"] == "1" and "n" not in daemon_set(pod_labels={"n": 1})["spec"]["selector"]["matchLabels"]


def test_what_is_null_is_left_out():
    [_node_name, plain, referring] = container(
        extra_env=[{"name": "A", "value": None}, {"name": "B", "value": None, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
    )["env"]
    assert plain == {"name": "A"} and referring.keys() == {"name", "valueFrom"}
    spec = pod(
        extra_volumes=[{"name": "v", "emptyDir": {"medium": None}, "hostPath": None}],
        extra_volume_mounts=[{"name": "v", "mountPath": "/v", "readOnly": None}],
    )
    assert spec["volumes"][-1] == {"name": "v", "emptyDir": {}} and spec["containers"][0]["volumeMounts"][-1] == {"name": "v", "mountPath": "/v"}
    assert daemon_set(pod_labels={"a": None})["spec"]["template"]["metadata"]["labels"]["a"] == pod_annotations(pod_annotations={"a": None})["a"] == ""
    [config] = [obj["data"]["collector.json"] for obj in objects(tags={"a": None}).values() if "collector.json" in (obj.get("data") or {})]
    assert json.loads(config)["tags"] == {"a": ""}


def test_name_servers_of_the_user_s():
    given = {"nameservers": ["192.0.2.1", "2001:db8::1"], "searches": ["a.example."], "options": [{"name": "ndots", "value": 2}, {"name": "rotate"}]}
    spec = pod(dns_policy="None", dns_config=given)
    assert spec["dnsPolicy"] == "None"
    assert spec["dnsConfig"] == {**given, "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}]}
    assert pod(dns_config={"searches": ["a.example"]})["dnsConfig"] == {"searches": ["a.example"]}
    assert "dnsConfig" not in pod() and "dnsConfig" not in pod(dns_config={"nameservers": []})


def test_the_annotations_of_every_object_are_the_parent_s_too():
    plain, noted = (objects(**given)["ConfigMap/nanoagent"]["metadata"]["annotations"] for given in ({}, {"annotations": {"team": "x"}}))
    assert noted == {**plain, "team": "x"}


def test_what_the_api_server_adds_inside_of_atomic_fields_is_there_from_the_start():
    cpu = {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}
    [_node_name, first, second] = container(extra_env=[{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}, cpu])["env"]
    assert first["valueFrom"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}} and second == cpu
    items = [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]
    volume = {"name": "p", "projected": {"sources": [{"downwardAPI": {"items": items}}, {"serviceAccountToken": {"path": "t"}}]}}
    [labels, token] = pod(extra_volumes=[volume])["volumes"][-1]["projected"]["sources"]
    assert labels["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1" and token["serviceAccountToken"]["expirationSeconds"] == 3600


def test_labels_and_annotations_reach_every_object():
    found = objects(labels={"team": "x"}, annotations={"note": "two words"}, network_policy=True, metrics={"scrape": "service_monitor"})
    parent = found.pop("ConfigMap/nanoagent")
    assert parent["metadata"]["labels"]["team"] == "x"
    assert all(obj["metadata"]["labels"]["team"] == "x" and obj["metadata"]["annotations"]["note"] == "two words" for obj in found.values())
    assert "team" not in found["DaemonSet/nanoagent"]["spec"]["template"]["metadata"]["labels"]


def test_the_namespace_gets_its_level_and_labels():
    found = objects(namespace_labels={"team": "x"}, pod_security="baseline")["Namespace/nanoagent"]["metadata"]["labels"]
    assert found["team"] == "x" and found["pod-security.kubernetes.io/enforce"] == "baseline"
    assert not [key for key in objects(pod_security="unset")["Namespace/nanoagent"]["metadata"]["labels"] if key.startswith("pod-security")]


def test_probes_of_ours_can_be_changed_and_left_out():
    found = container(probes={"readiness": {"period_seconds": 3, "failure_threshold": 7}, "liveness": {"enabled": False}})
    assert found["readinessProbe"]["periodSeconds"] == 3 and found["readinessProbe"]["failureThreshold"] == 7
    assert found["readinessProbe"]["exec"]["command"][:2] == ["/collector", "health"] and "livenessProbe" not in found


def test_probes_of_another_agent():
    given = {"startup": {"command": ["/up"], "initial_delay_seconds": 3}, "readiness": {"http_path": "/z", "port": 80, "timeout_seconds": 2}}
    found = container(profile="custom", probes=given)
    assert found["startupProbe"] == {"exec": {"command": ["/up"]}, "initialDelaySeconds": 3}
    assert found["readinessProbe"] == {"httpGet": {"path": "/z", "port": 80}, "timeoutSeconds": 2} and "livenessProbe" not in found


def test_proxies_in_both_cases():
    found = env(http_proxy="http://a.example:1", https_proxy="http://b.example:2", proxy_exceptions=[".svc", "198.18.0.0/15"])
    assert found["http_proxy"] == found["HTTP_PROXY"] == "http://a.example:1"
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://b.example:2" and found["no_proxy"] == found["NO_PROXY"] == ".svc,198.18.0.0/15"
    assert not {name for name in env() if "proxy" in name.lower()}


PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
FIELD = {"key": "metadata.name", "operator": "In", "values": ["n"]}
SPACED = {"key": "a", "operator": "In", "values": ["b c"]}


@pytest.mark.parametrize(("given", "made"), [({"ca_bundle": PEM}, True), ({"ca_bundle_config_map": {"name": "own", "key": "all.pem"}}, False)])
def test_authorities(given, made):
    spec = pod(**given)
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "ca-bundle"]
    [mount] = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "ca-bundle"]
    assert env(**given)["SSL_CERT_FILE"] == f"{mount['mountPath']}/{volume['configMap']['items'][0]['path']}"
    name = volume["configMap"]["name"]
    assert name.startswith("nanoagent-ca-") if made else name == "own"
    assert (f"ConfigMap/{name}" in objects(**given)) is made


def test_other_authorities_have_another_config_map_that_nobody_can_change():
    first, second = ({key: obj for key, obj in objects(ca_bundle=text).items() if key.startswith("ConfigMap/nanoagent-ca-")} for text in (PEM, PEM + PEM))
    assert len(first) == len(second) == 1 and first.keys().isdisjoint(second)
    assert all(obj["immutable"] is True for obj in [*first.values(), *second.values()])
    assert pod(ca_bundle=PEM) != pod(ca_bundle=PEM + PEM)


@pytest.mark.parametrize(
    ("scrape", "served", "kinds", "annotated"),
    [
        ("annotations", None, set(), True),
        ("pod_monitor", None, {"PodMonitor"}, False),
        ("service_monitor", MONITORS, {"Service", "ServiceMonitor"}, False),
        ("auto", None, set(), True),
        ("auto", set(), set(), True),
        ("auto", MONITORS, {"PodMonitor"}, False),
        ("off", MONITORS, set(), False),
    ],
)
def test_ways_to_the_metrics(scrape, served, kinds, annotated):
    given = {"metrics": {"scrape": scrape, "port": 9999, "interval": None if annotated else "5s"}}
    found = objects({"served": served}, **given)
    assert {obj["kind"] for obj in found.values()} & {"PodMonitor", "Service", "ServiceMonitor"} == kinds
    assert ("prometheus.io/port" in pod_annotations({"served": served}, **given)) is annotated
    [text] = [obj["data"]["collector.json"] for obj in found.values() if "collector.json" in (obj.get("data") or {})]
    config = json.loads(text)
    if scrape == "off":
        assert "listen" not in config and "ports" not in container(**given)
    else:
        assert config["listen"] == ":9999" and container(**given)["ports"] == [{"name": "metrics", "containerPort": 9999, "protocol": "TCP"}]


def test_a_service_monitor_finds_its_service_and_the_service_its_pods():
    found = objects(metrics={"scrape": "service_monitor", "interval": "5s"})
    monitor, service = found["ServiceMonitor/nanoagent-metrics"], found["Service/nanoagent-metrics"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    pods = found["DaemonSet/nanoagent"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= pods.items() and service["spec"]["clusterIP"] == "None"
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "path": "/metrics", "interval": "5s"}]


def test_the_network_policy_lets_through_what_is_needed_and_no_more():
    spec = objects(network_policy=True)["NetworkPolicy/nanoagent"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"] and not {"ingress", "egress"} & set(spec)
    pods = daemon_set()["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= pods.items()
    scraped = objects(network_policy=True, metrics={"scrape": "annotations"})["NetworkPolicy/nanoagent"]["spec"]
    assert scraped["ingress"] == [{"ports": [{"protocol": "TCP", "port": 9464}]}]
    rule = {"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}}]}
    given = {"profile": "custom", "network_policy": True, "network_policy_egress": [rule], "https_proxy": "http://p.example:3128"}
    [own, added] = objects(**given)["NetworkPolicy/nanoagent"]["spec"]["egress"]
    assert {(port["protocol"], port["port"]) for port in own["ports"]} == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443), ("TCP", 3128)}
    assert added == rule
    given["network_policy_egress"] = [{"ports": [{"port": 9}, {"port": 9, "protocol": "UDP"}]}]
    assert [port["protocol"] for port in objects(**given)["NetworkPolicy/nanoagent"]["spec"]["egress"][1]["ports"]] == ["TCP", "UDP"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "Nano"}, "name 'Nano'"),
        ({"name": "n" * 53}, "name 'nnn"),
        ({"namespace": "a.b"}, "namespace 'a.b'"),
        ({"service_account": "-a"}, "service_account '-a'"),
        ({"image": "R.example/C@sha256:" + "ab" * 32}, "capital letters"),
        ({"image_pull_secrets": ["A"]}, "the pull secret 'A'"),
        ({"create_service_account": False, "service_account_annotations": {"a": "b"}}, "service_account_annotations cannot be set"),
        ({"namespace_labels": {"applyset.kubernetes.io/id": "x"}}, "namespace_labels must not set"),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "labels must not set app.kubernetes.io/name"),
        ({"labels": {"a": "x" * 64}}, "labels.a has the malformed value"),
        ({"pod_labels": {"a/b/c": "x"}}, "pod_labels has the malformed key 'a/b/c'"),
        ({"pod_annotations": {"nanoagent.k8s/config-sha256": "x"}}, "pod_annotations must not set"),
        ({"annotations": {"a b": "x"}}, "annotations has the malformed key"),
        ({"host_paths": [{"path": "opt", "mount_path": "/o"}]}, "host_paths[0].path 'opt'"),
        ({"host_paths": [{"path": "/opt", "mount_path": "/../o"}]}, "host_paths[0].mount_path '/../o'"),
        ({"host_paths": [{"path": "/opt", "mount_path": "/o:o"}]}, "has a colon"),
        ({"host_paths": [{"path": "/opt", "mount_path": "/run/nanoagent"}]}, "the mount path /run/nanoagent is there twice"),
        ({"host_paths": [{"path": "/opt", "mount_path": "/o", "name": "run"}]}, "the volume run is there twice"),
        ({"extra_env": [{"value": "x"}]}, "extra_env[0] has the malformed name None"),
        ({"extra_env": [{"name": "1A"}]}, "extra_env[0] has the malformed name '1A'"),
        ({"extra_env": [{"name": "NODE_NAME", "value": "x"}]}, "the variable NODE_NAME is there twice"),
        ({"extra_env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {}}}]}, "has value and valueFrom"),
        ({"extra_env": [{"name": "A", "val": "x"}]}, "extra_env[0].val is not known"),
        ({"extra_volumes": [{"emptyDir": {}}]}, "extra_volumes[0].name None"),
        ({"extra_volume_mounts": [{"name": "nowhere", "mountPath": "/x"}]}, "names the volume nowhere"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "x"}]}, "no absolute mountPath"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "readonly": True}]}, "readonly is not known"),
        ({"extra_env": [{"name": "A", "value": {"x": 1}}]}, "extra_env[0].value is a mapping"),
        ({"extra_env": [{"name": "A", "valueFrom": "x"}]}, "extra_env[0].valueFrom is no mapping"),
        ({"extra_env": [{"name": "A", "valueFrom": {}}]}, "extra_env[0].valueFrom has no source"),
        ({"extra_env": [{"name": "A", "valueFrom": {"secretRef": {}}}]}, "extra_env[0].valueFrom.secretRef is not known"),
        ({"extra_volumes": [{"name": "a"}]}, "extra_volumes[0] has no source"),
        ({"extra_volumes": [{"name": "a", "emptyDir": None}]}, "extra_volumes[0] has no source"),
        ({"extra_volumes": [{"name": "a", "emptyDir": "x"}]}, "extra_volumes[0].emptyDir is no mapping"),
        ({"extra_volumes": [{"name": "a", "emptyDir": {}, "secret": {}}]}, "extra_volumes[0] has several sources"),
        ({"extra_volumes": [{"name": "a", "hostPath": {}}]}, "extra_volumes[0].hostPath.path None is no absolute path"),
        ({"extra_volume_mounts": [{"name": ["a"], "mountPath": "/x"}]}, "extra_volume_mounts[0].name ['a']"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": ["/x"]}]}, "extra_volume_mounts[0] has no name or no absolute mountPath"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x:y"}]}, "extra_volume_mounts[0].mountPath '/x:y' has a colon"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "readOnly": "yes"}]}, "extra_volume_mounts[0].readOnly 'yes'"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "subPath": 1}]}, "extra_volume_mounts[0].subPath is no text"),
        ({"pod_annotations": {"a": {"b": 1}}}, "pod_annotations.a is a mapping, text is wanted"),
        ({"annotations": {"a": ["b"]}}, "annotations.a is a list, text is wanted"),
        ({"namespace_annotations": {"a": []}}, "namespace_annotations.a is a list"),
        ({"service_account_annotations": {"a": {}}}, "service_account_annotations.a is a mapping"),
        ({"tags": {"a": {"b": 1}}}, "tags.a is a mapping"),
        ({"profile": "spyderbat", "tags": {"a": ["b"]}}, "tags.a is a list"),
        ({"pod_annotations": {"prometheus.io/port": "1"}, "metrics": {"scrape": "annotations"}}, "pod_annotations.prometheus.io/port is what metrics.scrape"),
        ({"pod_annotations": {"prometheus.io/scrape": False}, "metrics": {"scrape": "auto"}}, "pod_annotations.prometheus.io/scrape is what metrics.scrape"),
        ({"profile": "spyderbat", "pod_labels": {"version": "v2"}}, "pod_labels.version is a label that the vendor's agent has"),
        ({"dns_policy": "None"}, "dns_policy None leaves the pods without a name server"),
        ({"dns_policy": "None", "dns_config": {"searches": ["a.example"]}}, "dns_policy None leaves the pods without a name server"),
        ({"dns_config": {"nameservers": ["192.0.2.1"] * 4}}, "dns_config.nameservers has 4 entries"),
        ({"dns_config": {"nameservers": ["ns.example"]}}, "dns_config.nameservers has 'ns.example'"),
        ({"dns_config": {"nameservers": ["fe80::1%eth0"]}}, "dns_config.nameservers has 'fe80::1%eth0'"),
        ({"dns_config": {"searches": ["a b"]}}, "dns_config.searches 'a b'"),
        ({"dns_config": {"searches": ["a.example"] * 33}}, "dns_config.searches is too long"),
        ({"dns_config": {"options": [{"name": ""}]}}, "dns_config.options has an entry without a name"),
        ({"probes": {"readiness": {"period_seconds": 2**31}}}, "probes.readiness.period_seconds 2147483648 is more than the API takes"),
        ({"probes": {"readiness": {"period_seconds": 0}}}, "probes.readiness.period_seconds 0"),
        ({"probes": {"readiness": {"command": ["/x"]}}}, "command means nothing to the profile bundled"),
        ({"profile": "custom", "probes": {"readiness": {"period_seconds": 1}}}, "probes.readiness asks nothing"),
        ({"profile": "custom", "probes": {"readiness": {"http_path": "/z"}}}, "needs http_path and port together"),
        ({"profile": "custom", "probes": {"readiness": {"http_path": "z", "port": 1}}}, "does not begin with /"),
        ({"profile": "custom", "probes": {"readiness": {"http_path": "/z", "port": 1, "command": ["/x"]}}}, "a command and an http_path"),
        ({"profile": "custom", "probes": {"readiness": {"http_path": "/z", "port": 70000}}}, "port 70000"),
        ({"http_proxy": "proxy:3128"}, "http_proxy is no URL"),
        ({"https_proxy": "http://u:canary@p.example"}, "https_proxy carries a user or password"),
        ({"http_proxy": "http://p.example:x"}, "http_proxy is no URL"),
        ({"ca_bundle": "x"}, "ca_bundle is not a text of PEM certificates"),
        ({"ca_bundle": PEM + "-----BEGIN PRIVATE KEY-----"}, "ca_bundle is not a text of PEM certificates"),
        ({"ca_bundle": PEM, "ca_bundle_config_map": {"name": "x"}}, "exclude each other"),
        ({"metrics": {"scrape": "annotations", "interval": "5s"}}, "metrics.interval means nothing"),
        ({"metrics": {"scrape": "pod_monitor", "interval": "soon"}}, "metrics.interval 'soon'"),
        ({"metrics": {"scrape": "pod_monitor", "interval": "30s1m"}}, "metrics.interval '30s1m'"),
        ({"metrics": {"scrape": "pod_monitor", "port": 0}}, "metrics.port 0"),
        ({"profile": "spyderbat", "metrics": {"scrape": "auto"}}, "metrics are not served"),
        ({"network_policy": True, "host_network": True}, "binds no pod in the host's network"),
        ({"network_policy": False, "network_policy_egress": [{}]}, "without network_policy"),
        ({"network_policy": True, "network_policy_egress": [{"from": []}]}, "network_policy_egress[0].from"),
        ({"extra_env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]}, "extra_env[0].valueFrom.secretKeyRef has no text for name"),
        ({"extra_env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x"}}}]}, "configMapKeyRef has no text for key"),
        ({"extra_env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": 5, "key": 6}}}]}, "secretKeyRef has no text for name"),
        ({"extra_env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y", "optional": "yes"}}}]}, "secretKeyRef.optional 'yes'"),
        ({"extra_env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}, "fieldRef has no text for fieldPath"),
        ({"extra_volumes": [{"name": "a", "emptydir": {}}]}, "extra_volumes[0].emptydir is no kind of volume"),
        ({"extra_volumes": [{"name": "a", "hostPath": {"path": "/x", "type": "Foo"}}]}, "extra_volumes[0].hostPath.type 'Foo' is not known"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "mountPropagation": "foo"}]}, "mountPropagation 'foo' is not known"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "subPath": "../x"}]}, "subPath '../x' leads out of the volume"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "subPathExpr": "/x"}]}, "subPathExpr '/x' leads out of the volume"),
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "subPath": "a", "subPathExpr": "b"}]}, "has subPath and subPathExpr"),
        ({"affinity": {"nodeAffinity": {PREFERRED: [{"preference": {"matchFields": [FIELD]}}]}}}, "weight None is no number from 1 to 100"),
        ({"affinity": {"podAffinity": {PREFERRED: [{"weight": 0, "podAffinityTerm": {}}]}}}, "weight 0 is no number from 1 to 100"),
        ({"affinity": {"podAffinity": {PREFERRED: [{"weight": 1}]}}}, "podAffinityTerm is no mapping"),
        ({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{}]}}}, "has no topologyKey"),
        ({"affinity": {"podAffinity": {"foo": 1}}}, "affinity.podAffinity.foo is not known"),
        ({"resources": {"limits": {"memory": "9" * 31}}}, "is more than the API takes"),
        ({"resources": {"limits": {"memory": 1e30}}}, "is more than the API takes"),
        ({"resources": {"limits": {"cpu": "1e99999999"}}}, "is more than the API takes"),
        ({"resources": {"limits": {"memory": "1" * 5000}}}, "is no amount"),
        ({"max_surge": "9" * 5000}, "is no number and no percentage"),
        ({"seccomp": {"type": "Localhost", "content": "[" * 100_000}}, "seccomp.content is no JSON"),
        ({"namespace_labels": {"kubernetes.io/metadata.name": "x"}}, "namespace_labels must not set kubernetes.io/metadata.name"),
        ({"namespace_labels": {"pod-security.kubernetes.io/enforce": "restricted"}}, "is restricted, and pod_security is privileged"),
        ({"image": " " + IMAGE}, "begins or ends with white space"),
        ({"monitor": {"enabled": True, "image": IMAGE + "\n"}}, "begins or ends with white space"),
        ({"image": "user:canary-S3cret@reg.example.com/x:1"}, "after '@' that is no digest"),
        ({"image": "https://user:canary-S3cret@reg.example.com/x:1"}, "begins with a URL scheme"),
        ({"https_proxy": "http://p.example:3128\n"}, "https_proxy is no URL"),
        ({"orc_url": " https://orc.example"}, "orc_url is no https URL"),
        ({"orc_url": "https://orc.example/a b"}, "orc_url is no https URL"),
        ({"min_ready_seconds": 600}, "min_ready_seconds 600 is not below wait_timeout 300"),
        ({"network_policy": True, "network_policy_egress": [{"to": [{"ipBlock": {"cidr": "198.18.0.1/15"}}]}]}, "write 198.18.0.0/15"),
        ({"network_policy": True, "network_policy_egress": [{"to": [{"ipBlock": {"cidr": "198.18.0.0/015"}}]}]}, "is no network"),
        ({"network_policy": True, "network_policy_egress": [{"to": [{"ipBlock": {"cidr": "::ffff:192.0.2.0/120"}}]}]}, "is no network"),
        ({"network_policy": True, "network_policy_egress": [{"to": [{"ipBlock": {"cidr": "fe80::1%eth0/64"}}]}]}, "is no network"),
        ({"network_policy": True, "network_policy_egress": [{"to": [{"podSelector": {"matchExpressions": [SPACED]}}]}]}, "the malformed value 'b c'"),
    ],
)
def test_what_is_refused(given, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**given))
    message = caught.value.message
    assert says in message and "Next: " in message and "\n" not in message and "canary" not in message


def test_a_monitor_kind_that_is_known_to_be_absent_is_refused():
    with pytest.raises(Failure, match="the API server has no PodMonitor"):
        desired_objects(agent_options(metrics={"scrape": "pod_monitor"}), {"served": set()})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"extra_volume_mounts": [{"name": "run", "mountPath": "/x", "readOnly": False, "subPath": "", "mountPropagation": "None"}]}, "volumeMounts"),
        ({"probes": {"liveness": {"initial_delay_seconds": 0}}}, "livenessProbe"),
        ({"resources": {"limits": {"memory": "1Gi"}, "requests": {}}}, "resources"),
        ({"extra_env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}}}]}, "env"),
    ],
)
def test_what_the_api_server_does_not_keep_is_not_sent(given, kept):
    """It would be a difference at every run; and text stays text."""
    found = json.dumps(container(**given)[kept])
    assert all(word not in found for word in ('"readOnly": false', '"subPath"', "initialDelaySeconds", '"requests"', '"divisor": 1'))
    assert kept != "volumeMounts" or '"mountPropagation": "None"' in found
    assert kept != "env" or '"divisor": "1"' in found


def test_an_empty_medium_and_empty_labels_are_not_sent():
    found = json.dumps(
        pod(extra_volumes=[{"name": "s", "emptyDir": {"medium": "", "sizeLimit": "1Gi"}}], extra_volume_mounts=[{"name": "s", "mountPath": "/s"}])
    )
    assert '"emptyDir": {"sizeLimit": "1Gi"}' in found
    policy = objects(network_policy=True, network_policy_egress=[{"to": [{"podSelector": {"matchLabels": {}}}]}])["NetworkPolicy/nanoagent"]
    assert {"to": [{"podSelector": {}}]} in policy["spec"]["egress"]


@pytest.mark.parametrize("given", [{"state": "rendered"}, {"wait": False}, {"wait_timeout": 601}])
def test_who_does_not_wait_may_have_any_time_of_being_ready(given):
    assert daemon_set(min_ready_seconds=600, **given)["spec"]["minReadySeconds"] == 600


def test_the_monitors_pods_keep_the_labels_by_which_they_are_chosen():
    found = objects(profile="spyderbat", pod_labels={"app": "x", "team": "y"}, monitor={"enabled": True})
    labels = found["Deployment/clustermonitor-deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "y" and labels.items() >= found["Deployment/clustermonitor-deployment"]["spec"]["selector"]["matchLabels"].items()
    assert found["DaemonSet/nanoagent"]["spec"]["template"]["metadata"]["labels"]["app"] == "x"
