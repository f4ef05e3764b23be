# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever shape a value has, it is taken or refused in one line that says what to do; nothing else comes out."""

from __future__ import annotations

import copy
import json

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import check_canary
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decide
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.idle_options import idle_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import adjust
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_security import violations
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE

REQUIRED, PREFERRED = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
SPEC = argument_spec()
VENDOR, CUSTOM, BACKEND = {"profile": "spyderbat", "registration_code": "x"}, {"profile": "custom"}, {"orc_url": "https://orc.example"}
TERM = {
    "matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}],
    "matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}],
}
LABELS = {"a": "b", "c": 1}
PROBE = {"command": ["/x"], "period_seconds": 1}
SIZES = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": 2}}
TOLERATIONS = [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute", "tolerationSeconds": 5}]
MONITOR = {"enabled": True, "replicas": 2, "resources": SIZES, "tolerations": TOLERATIONS, "node_selector": LABELS}
VOLUMES = [
    {"name": "a", "emptyDir": {"sizeLimit": "1Mi"}},
    {"name": "b", "hostPath": {"path": "/var/log/x", "type": "Directory"}},
    {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "x", "items": []}}]}},
]
ENV = [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]
LOGIN = {"registry": "r.example", "username": "u", "password": "p", "secret_name": "s"}
# Option -> (a value that is taken, the other options it needs); a name stands before a dot where an option has several.
TAKEN = {
    "command": (["/agent"], CUSTOM),
    "args": (["run"], CUSTOM),
    "namespace_annotations": (LABELS, {}),
    "namespace_labels": (LABELS, {}),
    "registry_login": (LOGIN, {}),
    "image_pull_secrets": (["x"], {}),
    "service_account_annotations": (LABELS, {}),
    "monitor": (MONITOR, VENDOR),
    "monitor.ours": ({**MONITOR, "image": "r.example/m@sha256:" + "ef" * 32}, {"metrics": {"scrape": "auto"}}),
    "monitor.off": ({**MONITOR, "enabled": False}, {}),
    "tags": (LABELS, {}),
    "tags.vendor": (LABELS, VENDOR),
    "events": (["exec"], {}),
    "credentials.there": ({"existing_secret": {"name": "x", "key": "k"}}, BACKEND),
    "credentials.aws": ({"aws_secrets_manager": {"secret_id": "a/b", "key": "k", "role_arn": "arn:aws:iam::1:role/x"}}, CUSTOM),
    "credentials.external": ({"external_secret": {"store": "s", "remote_key": "k", "property": "p"}}, CUSTOM),
    "proxy_exceptions": ([".svc"], {}),
    "ca_bundle_config_map": ({"name": "x", "key": "y"}, {}),
    "network_policy_egress": ([{"to": [{"ipBlock": {"cidr": "198.18.0.0/15"}}], "ports": [{"port": 9, "protocol": "TCP"}]}], {"network_policy": True}),
    "metrics": ({"scrape": "pod_monitor", "port": 9, "interval": "5s"}, {}),
    "resources": (SIZES, {}),
    "priority_class": ({"name": "p", "value": 5, "preemption_policy": "Never", "resource_quota": True}, {}),
    "tolerations": (TOLERATIONS, {}),
    "node_selector": (LABELS, {}),
    "affinity": (
        {
            "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [TERM]}, PREFERRED: [{"weight": 1, "preference": TERM}]},
            "podAntiAffinity": {REQUIRED: [{"topologyKey": "zone", "labelSelector": {"matchLabels": LABELS}}]},
        },
        {},
    ),
    "architectures": (["amd64"], {}),
    "probes": ({"startup": PROBE, "readiness": {"http_path": "/z", "port": 80}, "liveness": PROBE}, CUSTOM),
    "capabilities": (["SYS_PTRACE"], {}),
    "seccomp": ({"type": "Localhost", "content": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["x"]}]}, "kubelet_root": "/k"}, {}),
    "apparmor": ({"type": "Localhost", "profile": "x"}, {}),
    "dns_config": ({"nameservers": ["192.0.2.1"], "searches": ["a.example"], "options": [{"name": "ndots", "value": "2"}]}, {"dns_policy": "None"}),
    "host_paths": ([{"path": "/opt", "mount_path": "/o", "name": "o", "type": "Directory"}], {}),
    "extra_env": (ENV, {}),
    "extra_env.monitor": (ENV, {**VENDOR, "monitor": MONITOR}),
    "extra_volumes": (VOLUMES, {}),
    "extra_volume_mounts": ([{"name": "run", "mountPath": "/x", "readOnly": True, "subPath": "s"}], {}),
    "labels": (LABELS, {}),
    "annotations": (LABELS, {}),
    "pod_labels": (LABELS, {}),
    "pod_labels.vendor": (LABELS, {**VENDOR, "monitor": MONITOR}),
    "pod_annotations": (LABELS, {"metrics": {"scrape": "annotations"}}),
    "canary": ({"selector": LABELS}, {}),
}
# How images are named and reached is settled before any object is made.
ELSEWHERE = {"rewrites", "image_signature_keys", "registry_access"}
WRONG = [None, True, 0, -1, 10**12, 0.5, "", " ", "x", "a b", "/../x", [], {}, [None], ["x"], [["x"]], [{}], {"x": None}, {"x": {"y": []}}, {"x": ["y"]}]
OPENSHIFT = {"platforms": [{"platform": "openshift", "nodes": ["n"], "evidence": "x"}]}
AUTOPILOT = {"platforms": [{"platform": name, "nodes": ["n"], "evidence": "x"} for name in ("gke", "gke-autopilot")]}
NODE = {"metadata": {"name": "n", "labels": {"kubernetes.io/os": "linux"}}, "spec": {"taints": [{"key": "a", "value": "b", "effect": "NoExecute"}]}}


def spoilt(value):
    """The value with each of its parts in turn, and itself, replaced by each wrong shape."""
    yield from WRONG
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for part in spoilt(value[key]):
            yield value | {key: part} if isinstance(value, dict) else [*value[:key], part, *value[key + 1 :]]
    if isinstance(value, dict):
        yield from ({**value, "unheard": part} for part in WRONG)
    if isinstance(value, list):
        yield from ([*value, part] for part in (*WRONG, *value))


def worked(given):
    """All that is made of the options without a cluster; None where the argument spec refuses them."""
    try:
        checked = ArgumentSpecValidator(SPEC).validate({"image": IMAGE, "name": "nanoagent", **json.loads(json.dumps(given))})
    except TypeError:
        # ansible-core's own, for a boolean where suboptions belong.
        return None
    if checked.error_messages:
        return None
    options = with_profile_defaults(checked.validated_parameters)
    idle_notes(options)
    check_canary(options)
    # Platforms look into what the pod mounts, and into nothing else.
    for facts in ({}, OPENSHIFT, AUTOPILOT) if {"extra_volumes", "host_paths", "extra_volume_mounts"} & set(given) else ({},):
        fitted, _notes = adjust(options, facts.get("platforms", []))
        try:
            found = desired_objects(fitted, facts)
        except Failure as failure:
            # What Autopilot does not admit has been built before.
            if "GKE Autopilot" not in failure.message:
                raise
    json.dumps(found)
    decided = decide(found[-1], copy.deepcopy(NODE))
    assert decided["run"] is not None, decided
    violations(found[-1]["spec"]["template"], "restricted")
    return found


@pytest.mark.parametrize("case", TAKEN)
def test_a_value_of_any_shape_is_taken_or_refused(case):
    option = case.partition(".")[0]
    value, needed = TAKEN[case]
    assert worked({**needed, option: value})
    refused = 0
    for wrong in spoilt(value):
        try:
            refused += worked({**needed, option: wrong}) is None
        except Failure as failure:
            assert "Next: " in failure.message and "\n" not in failure.message, (wrong, failure.message)
            refused += 1
        except Exception as error:
            raise AssertionError(f"{option}: {wrong!r} ends in {error!r}") from error
    assert refused


def test_none_is_forgotten():
    agents = {name: spec for name, spec in SPEC.items() if name not in connection_argument_spec()}
    shaped = {name for name, spec in agents.items() if spec["type"] in ("dict", "list", "raw", "jsonarg")}
    assert shaped - ELSEWHERE == {case.partition(".")[0] for case in TAKEN}
