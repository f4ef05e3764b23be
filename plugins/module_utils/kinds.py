# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes kinds that the collection works with, and where the API serves them.

A fixed table: only an uninstall, for what others have in its namespace, asks the API server for its discovery documents.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure


class Kind(NamedTuple):
    """One kind: its API version, its plural in paths, and whether it lives in a namespace."""

    kind: str
    api_version: str
    plural: str
    namespaced: bool

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def group_kind(self) -> str:
        """Kind.group as the ApplySet convention (KEP-3659) writes it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def resource(self) -> str:
        """plural.group, as RBAC rules and kubectl name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path below the API server's root; without a namespace a namespaced kind's path is the cluster-wide list."""
        base = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        parts = [base]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


_ALL = (
    Kind("Namespace", "v1", "namespaces", False),
    Kind("Node", "v1", "nodes", False),
    Kind("Pod", "v1", "pods", True),
    Kind("Event", "v1", "events", True),
    Kind("ConfigMap", "v1", "configmaps", True),
    Kind("Secret", "v1", "secrets", True),
    Kind("ServiceAccount", "v1", "serviceaccounts", True),
    Kind("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", False),
    Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", False),
    Kind("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles", True),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings", True),
    Kind("Lease", "coordination.k8s.io/v1", "leases", True),
    Kind("DaemonSet", "apps/v1", "daemonsets", True),
    Kind("ControllerRevision", "apps/v1", "controllerrevisions", True),
    Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims", True),
    Kind("StatefulSet", "apps/v1", "statefulsets", True),
    Kind("CronJob", "batch/v1", "cronjobs", True),
    Kind("Job", "batch/v1", "jobs", True),
    Kind("Deployment", "apps/v1", "deployments", True),
    Kind("ReplicaSet", "apps/v1", "replicasets", True),
    Kind("ResourceQuota", "v1", "resourcequotas", True),
    Kind("LimitRange", "v1", "limitranges", True),
    Kind("RuntimeClass", "node.k8s.io/v1", "runtimeclasses", False),
    Kind("Service", "v1", "services", True),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", True),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", True),
    Kind("SecretProviderClass", "secrets-store.csi.x-k8s.io/v1", "secretproviderclasses", True),
    Kind("ExternalSecret", "external-secrets.io/v1", "externalsecrets", True),
    Kind("ServiceMonitor", "monitoring.coreos.com/v1", "servicemonitors", True),
    Kind("PodMonitor", "monitoring.coreos.com/v1", "podmonitors", True),
    Kind("SecurityContextConstraints", "security.openshift.io/v1", "securitycontextconstraints", False),
)

KINDS = {kind.kind: kind for kind in _ALL}

# In the order in which they have to exist: what comes later may need what comes before.
INSTALL_ORDER = (
    "Namespace",
    "ResourceQuota",
    "ServiceAccount",
    "SecurityContextConstraints",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "PriorityClass",
    "Secret",
    "ConfigMap",
    "Lease",
    "SecretProviderClass",
    "ExternalSecret",
    "NetworkPolicy",
    "Service",
    "ServiceMonitor",
    "PodMonitor",
    "PodDisruptionBudget",
    "Deployment",
    "DaemonSet",
)

# Kinds of other projects, which an API server has only where these are installed.
OPTIONAL_KINDS = ("SecretProviderClass", "ExternalSecret", "ServiceMonitor", "PodMonitor", "SecurityContextConstraints")


def kind_of(obj: dict) -> Kind:
    """The Kind of a Kubernetes object; Failure when the collection does not know it."""
    try:
        return KINDS[obj["kind"]]
    except KeyError as error:
        raise Failure(f"the kind {obj.get('kind')!r} is not one that this collection manages") from error


def identity(obj: dict) -> tuple[str, str, str]:
    """(kind, namespace, name); the namespace is empty for cluster-scoped kinds."""
    kind = kind_of(obj)
    metadata = obj.get("metadata") or {}
    return kind.kind, (metadata.get("namespace") or "") if kind.namespaced else "", metadata.get("name") or ""


def title(obj: dict) -> str:
    """How messages name an object: `DaemonSet nanoagent/nanoagent`, `PriorityClass nanoagent`."""
    return titled(identity(obj))


def titled(which: tuple[str, str, str]) -> str:
    """title() of an object that only its identity is known of."""
    kind, namespace, name = which
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
