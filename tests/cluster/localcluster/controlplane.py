# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd, API server, controller manager and scheduler: processes on the machine, listening on the cluster's own address."""

from __future__ import annotations

from pathlib import Path

import yaml

from localcluster.parts import Parts
from localcluster.pki import kubeconfig
from localcluster.process import accepts
from localcluster.state import write_atomically

ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259
ISSUER = "https://kubernetes.default.svc"
CLIENTS = ("admin", "controller-manager", "scheduler", "kube-proxy", "kwok")
API_SECONDS = 60


def audit_policy() -> dict:
    """Everything is recorded, except what the cluster's own parts read and who asks for health."""
    reads = ["get", "list", "watch"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*", "/metrics"]},
            {"level": "None", "verbs": reads, "userGroups": ["system:nodes"]},
            {"level": "None", "verbs": reads, "userGroups": ["system:serviceaccounts:kube-system"]},
            {
                "level": "None",
                "verbs": reads,
                "users": ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy", "kwok"],
            },
            {"level": "Metadata"},
        ],
    }


def write_configuration(parts: Parts) -> None:
    """Write the kubeconfigs and the audit policy."""
    pki = parts.folder.pki
    for client in CLIENTS:
        write_atomically(pki / f"{client}.kubeconfig", kubeconfig(pki, client, parts.facts.name, parts.server), 0o600)
    write_atomically(parts.folder.kubeconfig, kubeconfig(pki, "admin", parts.facts.name, parts.server), 0o600)
    write_atomically(parts.folder.path / "audit-policy.yaml", yaml.safe_dump(audit_policy(), sort_keys=False))
    parts.folder.audit_log.parent.mkdir(exist_ok=True)


def etcd_command(parts: Parts) -> list[str]:
    """The etcd that holds the cluster's objects; a test's objects need not survive a power cut."""
    pki, client = parts.folder.pki, f"https://{parts.plan.machine}:{ETCD_PORT}"
    peer = f"https://{parts.plan.machine}:{ETCD_PEER_PORT}"
    return [
        parts.kube,
        "etcd",
        "--name=etcd",
        f"--data-dir={parts.folder.path / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=etcd={peer}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--client-cert-auth",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--peer-client-cert-auth",
    ]


def apiserver_command(parts: Parts) -> list[str]:
    """The API server, with the usual authorisation and admission, and everything audited."""
    pki = parts.folder.pki
    return [
        parts.kube,
        "kube-apiserver",
        f"--bind-address={parts.plan.machine}",
        f"--advertise-address={parts.plan.machine}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--etcd-servers=https://{parts.plan.machine}:{ETCD_PORT}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki / 'service-accounts.key'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--service-cluster-ip-range={parts.plan.services}",
        # The machine has no kube-proxy of its own: webhooks are called at their pods' addresses.
        "--enable-aggregator-routing",
        f"--audit-policy-file={parts.folder.path / 'audit-policy.yaml'}",
        f"--audit-log-path={parts.folder.audit_log}",
        "--audit-log-maxsize=1000",
    ]


def controller_manager_command(parts: Parts) -> list[str]:
    """All usual controllers, with limits high enough for simulated nodes."""
    pki = parts.folder.pki
    return [
        parts.kube,
        "kube-controller-manager",
        *_client_flags(pki, "controller-manager"),
        f"--bind-address={parts.plan.machine}",
        f"--secure-port={CONTROLLER_MANAGER_PORT}",
        "--leader-elect=false",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        "--use-service-account-credentials",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        f"--flex-volume-plugin-dir={parts.folder.path / 'volume-plugins'}",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    ]


def scheduler_command(parts: Parts) -> list[str]:
    """The usual scheduler, with limits high enough for simulated nodes."""
    return [
        parts.kube,
        "kube-scheduler",
        *_client_flags(parts.folder.pki, "scheduler"),
        f"--bind-address={parts.plan.machine}",
        f"--secure-port={SCHEDULER_PORT}",
        "--leader-elect=false",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    ]


def start_api(parts: Parts) -> None:
    """Start etcd and the API server, each once what it needs is there, and wait until the API server is ready."""
    parts.start("etcd", *etcd_command(parts))
    parts.processes.wait("etcd", lambda: accepts(str(parts.plan.machine), ETCD_PORT), API_SECONDS, "etcd")
    parts.start("kube-apiserver", *apiserver_command(parts))
    api = parts.api()
    parts.processes.wait("kube-apiserver", api.ready, API_SECONDS, "API server")


def start_controllers(parts: Parts) -> None:
    """Start the controller manager and the scheduler."""
    parts.start("kube-controller-manager", *controller_manager_command(parts))
    parts.start("kube-scheduler", *scheduler_command(parts))


def dns_service(address: str) -> dict:
    """The service that pods ask for names. Nothing is behind it, so that questions are refused at once; a test may put a server there."""
    label = {"k8s-app": "kube-dns"}
    ports = [{"name": f"dns-{protocol.lower()}", "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": label},
        "spec": {"clusterIP": address, "selector": label, "ports": ports},
    }


def create_dns_service(parts: Parts) -> None:
    """Make the service that pods ask for names, unless it is there."""
    path = "/api/v1/namespaces/kube-system/services"
    api = parts.api()
    if not api.exists(f"{path}/kube-dns"):
        api.request("POST", path, dns_service(str(parts.plan.dns_service)), accepted=(201, 409))


def wait_for_controllers(parts: Parts) -> None:
    """Wait until the controllers do their work: pods can be made once the default service account is there."""
    api = parts.api()
    parts.processes.wait("kube-controller-manager", lambda: api.exists("/api/v1/namespaces/default/serviceaccounts/default"), API_SECONDS, "controllers")
    if not parts.processes.running("kube-scheduler"):
        parts.processes.wait("kube-scheduler", lambda: False, 0, "scheduler")


def _client_flags(pki: Path, client: str) -> list[str]:
    config = pki / f"{client}.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / f'{client}.crt'}",
        f"--tls-private-key-file={pki / f'{client}.key'}",
    ]
