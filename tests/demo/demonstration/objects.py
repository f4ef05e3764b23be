# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample workload as Kubernetes objects. Pure."""

from __future__ import annotations

import base64
import json

NAMESPACE = "nanoagent-demo"
OWNER = {"app.kubernetes.io/managed-by": "nanoagent.k8s-demo"}
PULL_SECRET = "registry"
PORT = 8080
ORDERS = (17, 13, 42)
ROLE_LABEL = "app.kubernetes.io/name"


def namespace() -> dict:
    """The namespace, which takes no pod that is not restricted."""
    labels = {**OWNER, "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def pull_secret(registry: str, username: str, password: str) -> dict:
    """The login with which the nodes pull the image."""
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    content = json.dumps({"auths": {registry: {"username": username, "password": password, "auth": token}}})
    metadata = {"name": PULL_SECRET, "namespace": NAMESPACE, "labels": OWNER}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": content}}


def shop(image: str) -> dict:
    """The server: it starts a worker for each order."""
    return _deployment("shop", image, ["serve", "--listen", f":{PORT}"])


def visitor(image: str, shop_address: str) -> dict:
    """The client: it starts a process for each order, which calls the shop."""
    return _deployment("visitor", image, ["visit", "--shop", shop_address, *map(str, ORDERS)])


def _deployment(role: str, image: str, arguments: list[str]) -> dict:
    labels = {**OWNER, ROLE_LABEL: role}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": role, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {ROLE_LABEL: role}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(role, image, arguments)},
        },
    }


def _pod(role: str, image: str, arguments: list[str]) -> dict:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "imagePullSecrets": [{"name": PULL_SECRET}],
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        # On different nodes where there are several, so that a connection crosses from one collector's view to another's.
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": OWNER},
            }
        ],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": role,
                "image": image,
                "args": arguments,
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            }
        ],
    }
