# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks themselves do on the cluster, with kubectl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from benchmark.process import BenchFailed

NAME = "nanoagent"


class Kubectl:
    """kubectl on one cluster."""

    def __init__(self, kubeconfig: str, kubectl: str | None):
        if not kubectl and not shutil.which("kubectl"):
            raise BenchFailed("kubectl is missing: install it, or set KUBECTL to it")
        self.command = [kubectl or "kubectl"]
        self.environment = {**os.environ, "KUBECONFIG": kubeconfig}

    def run(self, *arguments: str) -> str:
        """One command's standard output."""
        done = subprocess.run([*self.command, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchFailed(f"kubectl {' '.join(arguments[:3])}: {done.stderr.strip()}")
        return done.stdout

    def version(self) -> str:
        """The API server's version."""
        return json.loads(self.run("version", "-o", "json"))["serverVersion"]["gitVersion"]

    def pods(self, namespace: str) -> dict[str, int]:
        """The restarts of each pod, by its uid."""
        items = json.loads(self.run("get", "pods", "-n", namespace, "-o", "json"))["items"]
        return {pod["metadata"]["uid"]: sum(status["restartCount"] for status in pod["status"].get("containerStatuses") or []) for pod in items}

    def remove(self, namespace: str) -> None:
        """Take away an installation whatever made it, and wait for its end."""
        wide = [f"{namespace}.{NAME}-{part}" for part in ("verifier", "monitor")]
        self.run("delete", "clusterrolebinding,clusterrole", *wide, "--ignore-not-found")
        self.run("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")


def disturbances(before: dict[str, int], after: dict[str, int]) -> int:
    """How many pods were replaced or restarted between two answers of Kubectl.pods. Pure."""
    return sum(after.get(uid) != restarts for uid, restarts in before.items())
