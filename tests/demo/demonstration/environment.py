# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cluster and registry the demonstration uses: the user's, or those that it starts on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

from demonstration.checkout import CHECKOUT

YES = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Environment:
    """A cluster, by its kubeconfig, and a registry with how to reach it."""

    kubeconfig: str
    registry: str
    local: bool
    plain_http: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    ca_cert: str = ""
    kubectl: str = "kubectl"


def chosen_by_user(variables: dict) -> Environment | None:
    """The user's own cluster and registry; None where they are not both named.

    :raises Failure: a user without a password or the other way round
    """
    if not (variables.get("KUBECONFIG") and variables.get("REGISTRY")):
        return None
    username, password = variables.get("REGISTRY_USERNAME", ""), variables.get("REGISTRY_PASSWORD", "")
    if bool(username) != bool(password):
        raise Failure("only one of REGISTRY_USERNAME and REGISTRY_PASSWORD is set", "set both, or none for a registry without a login")
    return Environment(
        kubeconfig=variables["KUBECONFIG"],
        registry=variables["REGISTRY"].rstrip("/"),
        local=False,
        plain_http=variables.get("REGISTRY_PLAIN_HTTP", "").lower() in YES,
        username=username,
        password=password,
        ca_cert=variables.get("REGISTRY_CA_CERT", ""),
    )


def start_local() -> Environment:
    """The local cluster, started where it does not run.

    :raises Failure: it does not start
    """
    command = [sys.executable, str(CHECKOUT / "tests" / "cluster")]
    if subprocess.run([*command, "up"], check=False).returncode:
        raise Failure("the local cluster did not start", "see the line above; KUBECONFIG and REGISTRY set together use your own cluster instead")
    answer = subprocess.run([*command, "env"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Failure(f"the local cluster does not say where it is: {answer.stderr}", "run 'make cluster-down', then again")
    values = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    # The local cluster has a kubectl, so that none has to be installed.
    return Environment(values["KUBECONFIG"], values["REGISTRY"], local=True, plain_http=True, kubectl=values["KUBECTL"])


def enter(environment: Environment) -> None:
    """Point everything that this process starts or imports at the cluster.

    K8S_AUTH_* variables win over KUBECONFIG, and the shell that asks for a local cluster may have them for another one.
    """
    if environment.local:
        for name in [name for name in os.environ if name.startswith("K8S_AUTH_")]:
            del os.environ[name]
    os.environ["KUBECONFIG"] = environment.kubeconfig
