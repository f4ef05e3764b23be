# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation of the agent is: the options that the doc fragment `agent_options` documents, as an argument spec. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import OPTION as REWRITES_OPTION
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import CHOICES as PLATFORM_CHOICES


def agent_argument_spec() -> dict:
    """The argument spec of the options that say what is installed; how it is carried out is the module agent's own."""
    return {
        "profile": {"type": "str", "choices": ["bundled", "spyderbat", "custom"], "default": "bundled"},
        "command": {"type": "list", "elements": "str"},
        "args": {"type": "list", "elements": "str"},
        "name": {"type": "str"},
        "namespace": {"type": "str"},
        "create_namespace": {"type": "bool", "default": True},
        "namespace_annotations": {"type": "dict", "default": {}},
        "namespace_labels": {"type": "dict", "default": {}},
        "pod_security": {"type": "str", "choices": ["privileged", "baseline", "restricted", "unset"], "default": "privileged"},
        "image": {"type": "str"},
        "require_digest": {"type": "bool", "default": True},
        **REWRITES_OPTION,
        "lock_file": {"type": "path"},
        "image_signature_policy": {"type": "str", "choices": ["off", "warn", "require"], "default": "off"},
        "image_signature_keys": {"type": "list", "elements": "str", "default": [], "no_log": True},
        "registry_access": {
            "type": "dict",
            "options": {
                "docker_config": {"type": "path"},
                "ca_cert": {"type": "path"},
                "validate_certs": {"type": "bool", "default": True},
                "plain_http": {"type": "bool", "default": False},
            },
        },
        "image_pull_policy": {"type": "str", "choices": ["Always", "IfNotPresent", "Never"]},
        "registry_login": {
            "type": "dict",
            "options": {
                "registry": {"type": "str", "required": True},
                "username": {"type": "str", "required": True},
                "password": {"type": "str", "required": True, "no_log": True},
                "secret_name": {"type": "str", "no_log": False},
            },
        },
        "image_pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "service_account": {"type": "str"},
        "create_service_account": {"type": "bool", "default": True},
        "service_account_annotations": {"type": "dict", "default": {}},
        "service_account_token": {"type": "bool", "default": False, "no_log": False},
        "rbac": {"type": "str", "choices": ["read_only", "respond", "cluster_admin"], "default": "read_only"},
        "monitor": {
            "type": "dict",
            "options": {
                "enabled": {"type": "bool", "default": False},
                "name": {"type": "str"},
                "image": {"type": "str"},
                "replicas": {"type": "int", "default": 1},
                "resources": {"type": "dict"},
                "pod_disruption_budget": {"type": "bool"},
                "tolerations": {"type": "list", "elements": "dict"},
                "node_selector": {"type": "dict"},
            },
        },
        "verifier": {"type": "bool", "default": True},
        "cluster_name": {"type": "str", "default": ""},
        "tags": {"type": "dict", "default": {}},
        "events": {"type": "list", "elements": "str", "choices": ["exec", "fork", "exit", "connect", "accept"]},
        "ring_bytes": {"type": "int"},
        "orc_url": {"type": "str"},
        "registration_code": {"type": "str", "no_log": True},
        "credentials": _credentials(),
        "omit_environment": {"type": "str", "choices": ["no", "everything", "allbutredacted"]},
        "extra_args": {"type": "str"},
        "curl_args": {"type": "str"},
        "http_proxy": {"type": "str"},
        "https_proxy": {"type": "str"},
        "proxy_exceptions": {"type": "list", "elements": "str", "default": []},
        "ca_bundle": {"type": "str"},
        "ca_bundle_config_map": {
            "type": "dict",
            "options": {"name": {"type": "str", "required": True}, "key": {"type": "str", "default": "ca.crt", "no_log": False}},
        },
        "network_policy": {"type": "bool"},
        "network_policy_egress": {"type": "list", "elements": "dict", "default": []},
        "metrics": {
            "type": "dict",
            "options": {
                "scrape": {"type": "str", "choices": ["off", "annotations", "service_monitor", "pod_monitor", "auto"], "default": "off"},
                "port": {"type": "int", "default": 9464},
                "interval": {"type": "str"},
            },
        },
        "resources": {"type": "dict"},
        "limit_percent": {"type": "float"},
        "priority_class": {
            "type": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "create": {"type": "bool", "default": True},
                "value": {"type": "int", "default": 1000},
                "preemption_policy": {"type": "str", "choices": ["PreemptLowerPriority", "Never"]},
                "resource_quota": {"type": "bool"},
            },
        },
        "tolerations": {"type": "list", "elements": "dict", "default": [{"operator": "Exists"}]},
        "node_selector": {"type": "dict", "default": {}},
        "affinity": {"type": "dict", "default": {}},
        "architectures": {"type": "list", "elements": "str", "choices": ["amd64", "arm64"], "default": ["amd64", "arm64"]},
        "control_plane": {"type": "bool", "default": True},
        "real_nodes_only": {"type": "bool", "default": True},
        "max_unavailable": {"type": "str"},
        "max_surge": {"type": "str", "default": "0"},
        "update_strategy": {"type": "str", "choices": ["RollingUpdate", "OnDelete"], "default": "RollingUpdate"},
        "min_ready_seconds": {"type": "int"},
        "revision_history_limit": {"type": "int", "default": 10},
        "termination_grace_period": {"type": "int"},
        "probes": {"type": "dict", "options": {"startup": _probe(), "readiness": _probe(), "liveness": _probe()}},
        "privileged": {"type": "bool"},
        "capabilities": {"type": "list", "elements": "str", "default": []},
        "run_as_user": {"type": "int"},
        "seccomp": {
            "type": "dict",
            "options": {
                "type": {"type": "str", "choices": ["RuntimeDefault", "Localhost", "Unconfined"], "default": "RuntimeDefault"},
                "profile": {"type": "str"},
                "content": {"type": "raw"},
                "kubelet_root": {"type": "path", "default": "/var/lib/kubelet"},
            },
        },
        "apparmor": {
            "type": "dict",
            "options": {
                "type": {"type": "str", "choices": ["RuntimeDefault", "Localhost", "Unconfined"], "default": "RuntimeDefault"},
                "profile": {"type": "str"},
            },
        },
        "runtime_class": {"type": "str"},
        "host_network": {"type": "bool"},
        "host_pid": {"type": "bool"},
        "dns_policy": {"type": "str", "choices": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
        "dns_config": {
            "type": "dict",
            "options": {
                "nameservers": {"type": "list", "elements": "str"},
                "searches": {"type": "list", "elements": "str"},
                "options": {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}, "value": {"type": "str"}}},
            },
        },
        "host_paths": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "str", "required": True},
                "mount_path": {"type": "str", "required": True},
                "type": {
                    "type": "str",
                    "choices": ["Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice"],
                    "default": "Directory",
                },
                "read_only": {"type": "bool", "default": True},
                "name": {"type": "str"},
            },
        },
        "extra_env": {"type": "list", "elements": "dict", "default": []},
        "extra_volumes": {"type": "list", "elements": "dict", "default": []},
        "extra_volume_mounts": {"type": "list", "elements": "dict", "default": []},
        "labels": {"type": "dict", "default": {}},
        "annotations": {"type": "dict", "default": {}},
        "pod_labels": {"type": "dict", "default": {}},
        "pod_annotations": {"type": "dict", "default": {}},
        "canary": {
            "type": "dict",
            "options": {
                "nodes": {"type": "str"},
                "selector": {"type": "dict"},
                "verify": {"type": "bool", "default": True},
                "pause": {"type": "int", "default": 0},
            },
        },
        "platform": {"type": "str", "choices": list(PLATFORM_CHOICES), "default": "auto"},
        "selinux_type": {"type": "str"},
        "values_file": {"type": "path"},
        "adopt_helm_release": {"type": "str"},
        "adopt_helm_leftovers": {"type": "str", "choices": ["keep", "delete"], "default": "keep"},
        "rollback": {"type": "bool", "default": True},
        "force_conflicts": {"type": "bool", "default": False},
    }


def _probe():
    return {
        "type": "dict",
        "options": {
            "enabled": {"type": "bool", "default": True},
            "command": {"type": "list", "elements": "str"},
            "http_path": {"type": "str"},
            "port": {"type": "int"},
            "period_seconds": {"type": "int"},
            "timeout_seconds": {"type": "int"},
            "failure_threshold": {"type": "int"},
            "initial_delay_seconds": {"type": "int"},
        },
    }


def _credentials():
    return {
        "type": "dict",
        "options": {
            "existing_secret": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "name": {"type": "str", "required": True},
                    "key": {"type": "str", "default": "registration-code", "no_log": False},
                    "restart_on_change": {"type": "bool", "default": False},
                },
            },
            "aws_secrets_manager": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "secret_id": {"type": "str", "required": True, "no_log": False},
                    "key": {"type": "str", "default": "spyderbat-registration-key", "no_log": False},
                    "region": {"type": "str"},
                    "role_arn": {"type": "str"},
                    "sync_secret": {"type": "str", "no_log": False},
                },
            },
            "external_secret": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "store": {"type": "str", "required": True},
                    "store_kind": {"type": "str", "choices": ["ClusterSecretStore", "SecretStore"], "default": "ClusterSecretStore"},
                    "remote_key": {"type": "str", "required": True, "no_log": False},
                    "property": {"type": "str"},
                    "refresh_interval": {"type": "str", "default": "1h"},
                },
            },
        },
    }
