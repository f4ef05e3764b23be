# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No option does nothing: each, set to another value, changes an object; and none is forgotten here."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import objects

# Options of the work, not of the objects, each with tests of its own.
ABOUT_THE_WORK = {"state", "wait", "wait_timeout", "force_conflicts", "require_digest", "render_dir", "kubernetes_version", "canary", "rollback"}
ABOUT_THE_WORK |= {"values_file", "adopt_helm_release", "adopt_helm_leftovers", "platform"}
# By which name an image is used is settled before any object is made: test_image_pin.py.
ABOUT_THE_WORK |= {"rewrites", "lock_file"}
# Whether it is signed is asked before: test_image_trust.py.
ABOUT_THE_WORK |= {"image_signature_policy", "image_signature_keys", "registry_access"}
PEM = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
VENDOR, CUSTOM = {"profile": "spyderbat"}, {"profile": "custom"}
MONITOR = {"enabled": True}
# Option -> (another value, the other options it needs).
OTHER_VALUE = {
    "profile": ("custom", {}),
    "command": (["/agent"], CUSTOM),
    "args": (["run"], CUSTOM),
    "name": ("other", {}),
    "namespace": ("other", {}),
    "create_namespace": (False, {}),
    "namespace_annotations": ({"owner": "x"}, {}),
    "namespace_labels": ({"team": "x"}, {}),
    "pod_security": ("unset", {}),
    "selinux_type": ("spc_t", {}),
    "image": ("r.example/other@sha256:" + "cd" * 32, {}),
    "image_pull_policy": ("Always", {}),
    "registry_login": ({"registry": "r", "username": "u", "password": "p"}, {}),
    "image_pull_secrets": (["x"], {}),
    "service_account": ("other", {}),
    "create_service_account": (False, {}),
    "service_account_annotations": ({"eks.amazonaws.com/role-arn": "x"}, {}),
    "service_account_token": (True, {}),
    "rbac": ("respond", {**VENDOR, "monitor": MONITOR}),
    "monitor": (MONITOR, VENDOR),
    "verifier": (False, {}),
    "cluster_name": ("prod", {}),
    "tags": ({"a": "b"}, {}),
    "events": (["exec"], {}),
    "ring_bytes": (65536, {}),
    "orc_url": ("https://orc.example", VENDOR),
    "registration_code": ("other", VENDOR),
    "credentials": ({"existing_secret": {"name": "x"}}, CUSTOM),
    "omit_environment": ("everything", VENDOR),
    "extra_args": ("-x", VENDOR),
    "curl_args": ("-x", VENDOR),
    "http_proxy": ("http://proxy.example:3128", {}),
    "https_proxy": ("http://proxy.example:3128", {}),
    "proxy_exceptions": ([".svc"], {}),
    "ca_bundle": (PEM, {}),
    "ca_bundle_config_map": ({"name": "x"}, {}),
    "network_policy": (False, {}),
    "network_policy_egress": ([{"to": []}], {"network_policy": True}),
    "metrics": ({"scrape": "annotations"}, {}),
    "resources": ({"limits": {"memory": "1Gi"}}, {}),
    "limit_percent": (5, {}),
    "priority_class": ({"name": "x"}, {}),
    "tolerations": ([], {}),
    "node_selector": ({"a": "b"}, {}),
    "affinity": ({"podAffinity": {}}, {}),
    "architectures": (["amd64"], {}),
    "control_plane": (False, {}),
    "real_nodes_only": (False, {}),
    "max_unavailable": ("2", {}),
    "max_surge": ("1", {}),
    "update_strategy": ("OnDelete", {}),
    "min_ready_seconds": (5, {}),
    "revision_history_limit": (3, {}),
    "termination_grace_period": (60, {}),
    "probes": ({"liveness": {"enabled": False}}, {}),
    "privileged": (True, {}),
    "capabilities": (["SYS_PTRACE"], {}),
    "run_as_user": (1000, CUSTOM),
    "seccomp": ({"type": "Unconfined"}, {}),
    "apparmor": ({"type": "Unconfined"}, {}),
    "runtime_class": ("runc", {}),
    "host_network": (True, {}),
    "host_pid": (True, {}),
    "dns_policy": ("Default", {}),
    "host_paths": ([{"path": "/opt", "mount_path": "/host/opt"}], {}),
    "extra_env": ([{"name": "A", "value": 1}], {}),
    "extra_volumes": ([{"name": "tmp", "emptyDir": {}}], {}),
    "extra_volume_mounts": ([{"name": "run", "mountPath": "/tmp"}], {}),
    "labels": ({"team": "x"}, {}),
    "annotations": ({"team": "x"}, {}),
    "pod_labels": ({"team": "x"}, {}),
    "pod_annotations": ({"team": "x"}, {}),
}
FACTS = {"smallest_node": {"cpu": 4.0, "memory": 16 << 30}}


def test_none_is_forgotten():
    assert set(OTHER_VALUE) == set(argument_spec()) - set(connection_argument_spec()) - ABOUT_THE_WORK


@pytest.mark.parametrize("option", sorted(OTHER_VALUE))
def test_it_changes_an_object_and_only_what_it_should(option):
    value, needed = OTHER_VALUE[option]
    before, after = objects(FACTS, **needed), objects(FACTS, **{**needed, option: value})
    assert before != after
    assert objects(FACTS, **{**needed, option: value}) == after
