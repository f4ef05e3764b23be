# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service account with which the module agent_info can look, and prove. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import cluster_monitor, monitor_bundled
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made

_RBAC = "rbac.authorization.k8s.io"


def objects(options: dict) -> list[dict]:
    """Just what agent_info needs: read nodes; in the agent's namespace read the agent and run its prove command.

    The right to exec comes with the profile bundled only, whose image holds the collector and nothing else: in another
    image it may be a shell on the node.
    """
    if not options["verifier"]:
        return []
    name = f"{options['name']}-verifier"
    # Two installations in one cluster must not share a cluster-scoped object; neither a namespace nor a name has a dot.
    cluster_name = f"{options['namespace']}.{name}"
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": options["namespace"]}]

    def role_ref(kind, name):
        return {"apiGroup": _RBAC, "kind": kind, "name": name}

    reads = [
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
        {"apiGroups": ["apps"], "resources": ["daemonsets", "controllerrevisions", "deployments"], "verbs": ["get", "list", "watch"]},
    ]
    if cluster_monitor.enabled(options) and options["profile"] == "bundled":
        lease = options["monitor"].get("name") or monitor_bundled.default_name(options)
        reads.append({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [lease], "verbs": ["get"]})
    if options["profile"] != "bundled":
        reads = [rule for rule in reads if rule["resources"] != ["pods/exec"]]
    nodes = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]
    return [
        made(options, "v1", "ServiceAccount", name, automountServiceAccountToken=False),
        made(options, f"{_RBAC}/v1", "ClusterRole", cluster_name, namespaced=False, rules=nodes),
        made(options, f"{_RBAC}/v1", "ClusterRoleBinding", cluster_name, namespaced=False, roleRef=role_ref("ClusterRole", cluster_name), subjects=subjects),
        made(options, f"{_RBAC}/v1", "Role", name, rules=reads),
        made(options, f"{_RBAC}/v1", "RoleBinding", name, roleRef=role_ref("Role", name), subjects=subjects),
    ]
