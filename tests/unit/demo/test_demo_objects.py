# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample workload's objects."""

from __future__ import annotations

import json

from demonstration import objects
from demonstration.objects import pull_secret

IMAGE = "registry.example.com/nanoagent/demo-shop@sha256:" + "0" * 64


def pods() -> list:
    """The pod of each Deployment."""
    return [deployment["spec"]["template"]["spec"] for deployment in (objects.shop(IMAGE), objects.visitor(IMAGE, "10.0.0.1:8080"))]


def test_pods_are_restricted():
    for pod in pods():
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert pod["automountServiceAccountToken"] is False
        assert container["image"] == IMAGE


def test_the_pull_secret_is_what_a_kubelet_reads():
    secret = pull_secret("registry.example.com", "me", "hunter2")
    login = json.loads(secret["stringData"][".dockerconfigjson"])["auths"]["registry.example.com"]
    assert login == {"username": "me", "password": "hunter2", "auth": "bWU6aHVudGVyMg=="}
