# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has no effect and may be meant for another cluster is told; what is given for this one is not."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.idle_options import idle_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options

PROXY = {"http_proxy": "http://p.example:3128", "proxy_exceptions": [".svc"]}


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ({"create_namespace": False, "namespace_labels": {"a": "b"}, "pod_security": "baseline"}, "namespace_labels, pod_security: without effect"),
        ({"create_namespace": False, "namespace_annotations": {"a": "b"}}, "namespace_annotations: without effect"),
        ({"create_namespace": False, "namespace_labels": {"pod-security.kubernetes.io/enforce": "baseline"}}, "namespace_labels: without effect"),
        (PROXY, "http_proxy, proxy_exceptions: without effect"),
        ({"ca_bundle_config_map": {"name": "x"}}, "ca_bundle_config_map: without effect"),
        ({"priority_class": {"name": "p", "create": False, "value": 5}}, "priority_class.value: without effect, since the class p is not made"),
        ({"priority_class": {"name": "system-node-critical", "value": 5}}, "priority_class.value: without effect"),
        ({"monitor": {"image": IMAGE, "replicas": 2}}, "monitor.image: without effect, since monitor.enabled is false"),
        ({"metrics": {"port": 1, "interval": "30s"}}, "metrics.port: without effect, since metrics.scrape is off"),
        ({"seccomp": {"type": "Localhost", "profile": "p", "kubelet_root": "/k"}}, "seccomp.kubelet_root: without effect"),
        ({"probes": {"liveness": {"enabled": False, "period_seconds": 5}}}, "probes.liveness: without effect but for enabled: false"),
        ({"profile": "custom", "proxy_exceptions": [".svc"]}, "proxy_exceptions: without effect, since there is no proxy"),
        ({"orc_url": "https://orc.example", "http_proxy": "http://p.example:1"}, "http_proxy: without effect, since orc_url is https"),
        ({"render_dir": "/tmp/x"}, "render_dir: without effect, since state is present"),
        ({"adopt_helm_leftovers": "delete"}, "adopt_helm_leftovers: without effect"),
        ({"profile": "spyderbat", "monitor": {"enabled": True}, "pod_labels": {"app": "x"}}, "pod_labels.app: not on the cluster monitor's pods"),
        ({"host_network": True, "dns_policy": "ClusterFirst"}, "dns_policy ClusterFirst: means Default"),
    ],
)
def test_what_has_no_effect_is_told(given, begins):
    [note] = idle_notes(with_profile_defaults(agent_options(**given)))
    assert note.startswith(begins)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"create_namespace": False},
        {"namespace_labels": {"a": "b"}, "pod_security": "baseline"},
        {"https_proxy": "http://p.example:3128", "proxy_exceptions": [".svc"], "orc_url": "https://orc.example"},
        {"monitor": {"enabled": True, "image": IMAGE, "replicas": 2}},
        {"monitor": {"enabled": False, "replicas": 1}},
        {"metrics": {"scrape": "annotations", "port": 1}},
        {"metrics": {"scrape": "off", "port": 9464}},
        {"seccomp": {"type": "Localhost", "content": {"defaultAction": "SCMP_ACT_ERRNO"}, "kubelet_root": "/k"}},
        {"probes": {"liveness": {"enabled": False}, "readiness": {"period_seconds": 5}}},
        {"state": "rendered", "render_dir": "/tmp/x"},
        {"adopt_helm_release": "x", "adopt_helm_leftovers": "delete"},
        {"profile": "custom", "pod_labels": {"app": "x"}},
        {"profile": "spyderbat", "pod_labels": {"app": "x"}},
        {**PROXY, "profile": "custom"},
        {**PROXY, "profile": "spyderbat"},
        {"priority_class": {"name": "p", "value": 5}},
        {"priority_class": {"name": "p", "create": False}},
        {"profile": "spyderbat"},
        {"dns_policy": "ClusterFirst"},
    ],
)
def test_what_has_an_effect_is_not(given):
    assert idle_notes(with_profile_defaults(agent_options(**given))) == []


def test_the_result_has_it():
    assert any("http_proxy" in note for note in work(agent_options(state="rendered", **PROXY), Run())["notes"])


def test_labels_of_a_namespace_that_is_not_made_contradict_nothing():
    desired_objects(agent_options(create_namespace=False, namespace_labels={"pod-security.kubernetes.io/enforce": "baseline"}))
