# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No option and no suboption does nothing: each, set to another value, changes an object; and none is forgotten here."""

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
LOGIN = {"registry": "r", "username": "u", "password": "p"}
PATHS = [{"path": "/opt", "mount_path": "/host/opt"}]
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
    "registry_login": (LOGIN, {}),
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
    "dns_config": ({"searches": ["a.example"]}, {}),
    "host_paths": (PATHS, {}),
    "extra_env": ([{"name": "A", "value": 1}], {}),
    "extra_volumes": ([{"name": "tmp", "emptyDir": {}}], {}),
    "extra_volume_mounts": ([{"name": "run", "mountPath": "/tmp"}], {}),
    "labels": ({"team": "x"}, {}),
    "annotations": ({"team": "x"}, {}),
    "pod_labels": ({"team": "x"}, {}),
    "pod_annotations": ({"team": "x"}, {}),
}
SIZES = {"limits": {"memory": "1Gi"}}
PROFILE = {"defaultAction": "SCMP_ACT_ALLOW"}
AWS = {"aws_secrets_manager": {"secret_id": "a/b"}}
EXTERNAL = {"external_secret": {"store": "s", "remote_key": "k"}}
DELIVERED = {"type": "Localhost", "content": PROFILE}
PROBED = {"http_path": "/z", "port": 80}
# Suboption -> (another value, the option whole without it, the other options it needs).
OTHER_SUBVALUE = {
    "registry_login.registry": ("other", LOGIN, {}),
    "registry_login.username": ("other", LOGIN, {}),
    "registry_login.password": ("other", LOGIN, {}),
    "registry_login.secret_name": ("other", LOGIN, {}),
    "monitor.enabled": (True, {}, VENDOR),
    "monitor.name": ("other", MONITOR, VENDOR),
    "monitor.image": ("r.example/monitor@sha256:" + "ef" * 32, MONITOR, VENDOR),
    "monitor.replicas": (2, MONITOR, VENDOR),
    "monitor.resources": (SIZES, MONITOR, VENDOR),
    "monitor.pod_disruption_budget": (True, MONITOR, VENDOR),
    "monitor.tolerations": ([{"operator": "Exists"}], MONITOR, VENDOR),
    "monitor.node_selector": ({"a": "b"}, MONITOR, VENDOR),
    "credentials.existing_secret.name": ("other", {"existing_secret": {"name": "x"}}, CUSTOM),
    "credentials.existing_secret.key": ("other", {"existing_secret": {"name": "x"}}, CUSTOM),
    "credentials.existing_secret.restart_on_change": (True, {"existing_secret": {"name": "x"}}, CUSTOM),
    "credentials.aws_secrets_manager.secret_id": ("other", AWS, CUSTOM),
    "credentials.aws_secrets_manager.key": ("other", AWS, CUSTOM),
    "credentials.aws_secrets_manager.region": ("us-east-2", AWS, CUSTOM),
    "credentials.aws_secrets_manager.role_arn": ("arn:aws:iam::1:role/x", AWS, CUSTOM),
    "credentials.aws_secrets_manager.sync_secret": ("other", AWS, CUSTOM),
    "credentials.external_secret.store": ("other", EXTERNAL, CUSTOM),
    "credentials.external_secret.store_kind": ("SecretStore", EXTERNAL, CUSTOM),
    "credentials.external_secret.remote_key": ("other", EXTERNAL, CUSTOM),
    "credentials.external_secret.property": ("other", EXTERNAL, CUSTOM),
    "credentials.external_secret.refresh_interval": ("5m", EXTERNAL, CUSTOM),
    "ca_bundle_config_map.name": ("other", {"name": "x"}, {}),
    "ca_bundle_config_map.key": ("other", {"name": "x"}, {}),
    "metrics.scrape": ("pod_monitor", {}, {}),
    "metrics.port": (9999, {"scrape": "annotations"}, {}),
    "metrics.interval": ("5s", {"scrape": "pod_monitor"}, {}),
    "priority_class.name": ("other", {"name": "x"}, {}),
    "priority_class.create": (False, {"name": "x"}, {}),
    "priority_class.value": (5, {"name": "x"}, {}),
    "priority_class.preemption_policy": ("Never", {"name": "x"}, {}),
    "priority_class.resource_quota": (True, {"name": "x"}, {}),
    **{
        f"probes.{kind}.{option}": (value, {kind: probe}, CUSTOM)
        for kind in ("startup", "readiness", "liveness")
        for option, value, probe in (
            ("enabled", False, PROBED),
            ("command", ["/other"], {"command": ["/x"]}),
            ("http_path", "/other", PROBED),
            ("port", 81, PROBED),
            ("period_seconds", 7, PROBED),
            ("timeout_seconds", 7, PROBED),
            ("failure_threshold", 7, PROBED),
            ("initial_delay_seconds", 7, PROBED),
        )
    },
    "seccomp.type": ("Unconfined", {}, {}),
    "seccomp.profile": ("other.json", {"type": "Localhost", "profile": "x.json"}, {}),
    "seccomp.content": ({**PROFILE, "syscalls": []}, DELIVERED, {}),
    "seccomp.kubelet_root": ("/other", DELIVERED, {}),
    "apparmor.type": ("Unconfined", {}, {}),
    "apparmor.profile": ("other", {"type": "Localhost", "profile": "x"}, {}),
    "dns_config.nameservers": (["192.0.2.1"], {}, {}),
    "dns_config.searches": (["a.example"], {}, {}),
    "dns_config.options": ([{"name": "rotate"}], {}, {}),
    "dns_config.options[].name": ("other", {"options": [{"name": "x"}]}, {}),
    "dns_config.options[].value": ("2", {"options": [{"name": "x"}]}, {}),
    "host_paths[].path": ("/other", PATHS, {}),
    "host_paths[].mount_path": ("/other", PATHS, {}),
    "host_paths[].type": ("Socket", PATHS, {}),
    "host_paths[].read_only": (False, PATHS, {}),
    "host_paths[].name": ("other", PATHS, {}),
}
FACTS = {"secret_hashes": {"x": "0123"}, "smallest_node": {"cpu": 4.0, "memory": 16 << 30}}


def suboptions(spec, prefix=""):
    """The dotted names of all suboptions that have none themselves, and of lists of such."""
    for name, option in spec.items():
        nested = option.get("options")
        if prefix and (not nested or option["type"] == "list"):
            yield prefix + name
        yield from suboptions(nested or {}, f"{prefix}{name}{'[]' if option['type'] == 'list' else ''}.")


def changed(whole, path, value):
    """A copy of an option's value with another value at the path of a suboption."""
    if not path:
        return value
    step, *rest = path
    if step.endswith("[]"):
        return {**whole, step[:-2]: [changed(whole[step[:-2]][0], rest, value)]}
    return {**whole, step: changed(whole.get(step) or {}, rest, value)}


def test_none_is_forgotten():
    assert set(OTHER_VALUE) == set(argument_spec()) - set(connection_argument_spec()) - ABOUT_THE_WORK


@pytest.mark.parametrize("option", sorted(OTHER_VALUE))
def test_it_changes_an_object_and_only_what_it_should(option):
    value, needed = OTHER_VALUE[option]
    before, after = objects(FACTS, **needed), objects(FACTS, **{**needed, option: value})
    assert before != after
    assert objects(FACTS, **{**needed, option: value}) == after


def test_no_suboption_is_forgotten():
    described = {name: option for name, option in argument_spec().items() if name in OTHER_VALUE}
    assert set(OTHER_SUBVALUE) == set(suboptions(described))


@pytest.mark.parametrize("suboption", sorted(OTHER_SUBVALUE))
def test_a_suboption_changes_an_object(suboption):
    value, whole, needed = OTHER_SUBVALUE[suboption]
    option = suboption.partition(".")[0].removesuffix("[]")
    other = changed({option: whole}, suboption.split("."), value)
    assert objects(FACTS, **needed, **{option: whole}) != objects(FACTS, **needed, **other)
