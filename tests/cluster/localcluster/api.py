# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the API server as the cluster's administrator."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from localcluster.errors import StepFailed

PORT = 6443
FAILURES = (OSError, http.client.HTTPException, StepFailed)
PATCH_TYPE = "application/strategic-merge-patch+json"


class Api:
    """One connection to the API server."""

    def __init__(self, host: str, pki: Path):
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._connection = http.client.HTTPSConnection(host, PORT, timeout=10, context=context)

    def request(self, method: str, path: str, body: Any = None, accepted: tuple[int, ...] = (200, 201)) -> Any:
        """Send a request and return the parsed answer; other statuses than the accepted ones are failures."""
        headers = {"Accept": "application/json", "User-Agent": "nanoagent-local-cluster"}
        if body is not None:
            headers["Content-Type"] = PATCH_TYPE if method == "PATCH" else "application/json"
        text = None if body is None else json.dumps(body)
        try:
            answer, content = self._exchange(method, path, text, headers)
        except ConnectionError:
            # The API server closes connections that were idle for a while.
            answer, content = self._exchange(method, path, text, headers)
        if answer.status not in accepted:
            raise StepFailed("API server", f"{method} {path} answered {answer.status}: {content.decode(errors='replace').strip()[:200]}")
        return json.loads(content) if content[:1] in (b"{", b"[") else content.decode()

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        return self._says_ok("/readyz")

    def exists(self, path: str) -> bool:
        """Whether an object is there."""
        return self.request("GET", path, accepted=(200, 404)).get("kind") != "Status"

    def kubelet_answers(self, node: str) -> bool:
        """Whether the API server reaches a node's kubelet and it says that it is well."""
        return self._says_ok(f"/api/v1/nodes/{node}/proxy/healthz")

    def ready_nodes(self) -> dict[str, bool]:
        """Each node with whether it is ready."""
        return {node["metadata"]["name"]: is_ready(node) for node in self.request("GET", "/api/v1/nodes")["items"]}

    def _says_ok(self, path: str) -> bool:
        try:
            return self.request("GET", path) == "ok"
        except FAILURES:
            return False

    def _exchange(self, method: str, path: str, text: str | None, headers: dict[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            self._connection.request(method, path, text, headers)
            answer = self._connection.getresponse()
            return answer, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise


def is_ready(node: dict[str, Any]) -> bool:
    """Whether a node object carries the condition Ready, and its taint for the time before is gone, so that pods get there."""
    conditions = node.get("status", {}).get("conditions", [])
    waiting = any(taint["key"] == "node.kubernetes.io/not-ready" for taint in node.get("spec", {}).get("taints", []))
    return not waiting and any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
