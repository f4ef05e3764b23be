# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's client with what only the demonstration needs: Deployments, and logs by time."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, Kind

DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments", True)
LOG_LIMIT = 64 << 20


class DemoCluster(Cluster):
    """The API server of the demonstration's cluster."""

    def apply_deployment(self, deployment: dict) -> None:
        """Server-side apply of a Deployment."""
        metadata = deployment["metadata"]
        path = DEPLOYMENT.path(metadata["namespace"], metadata["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        self._json("PATCH", path, "apply", f"Deployment {metadata['name']}", query, body=deployment, content_type="application/apply-patch+yaml")

    def recent_log(self, namespace: str, pod: str, container: str, seconds: int) -> str:
        """What a container wrote in the last seconds, by its node's clock.

        :raises Failure: the log cannot be read
        """
        query = {"container": container, "sinceSeconds": seconds, "limitBytes": LOG_LIMIT}
        response = self._send("GET", KINDS["Pod"].path(namespace, pod, "log"), "read the log of", f"Pod {namespace}/{pod}", query)
        return response.data.decode("utf-8", "replace")
