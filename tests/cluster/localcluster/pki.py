# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's certificate authorities, and the certificates and kubeconfigs that its parts show each other."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcluster.addresses import AddressPlan, node_names
from localcluster.state import write_atomically

LIFETIME = datetime.timedelta(days=365)
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Subject:
    """What one certificate says: who, in which group, under which names and addresses it may serve."""

    file: str
    authority: str
    common_name: str
    group: str = ""
    serves: Sequence[str] = field(default=())


def subjects(plan: AddressPlan, nodes: int) -> list[Subject]:
    """Every certificate of a cluster."""
    machine = str(plan.machine)
    api_names = (*SERVICE_NAMES, LOOPBACK, machine, str(plan.kubernetes_service))
    found = [
        Subject("etcd", "etcd-ca", "etcd", serves=("localhost", LOOPBACK, machine)),
        Subject("etcd-client", "etcd-ca", "kube-apiserver"),
        Subject("apiserver", "ca", "kube-apiserver", serves=api_names),
        Subject("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", "system:masters"),
        Subject("admin", "ca", "admin", "system:masters"),
        Subject("controller-manager", "ca", "system:kube-controller-manager", serves=("localhost", machine)),
        Subject("scheduler", "ca", "system:kube-scheduler", serves=("localhost", machine)),
        Subject("kube-proxy", "ca", "system:kube-proxy"),
        Subject("kwok", "ca", "kwok", "system:masters"),
        Subject("registry", "registry-ca", "registry", serves=("localhost", LOOPBACK, machine)),
    ]
    for index, node in enumerate(node_names(nodes)):
        found.append(Subject(f"kubelet-{node}", "ca", f"system:node:{node}", "system:nodes", (node, str(plan.node(index)))))
    return found


def create_all(folder: Path, cluster: str, plan: AddressPlan, nodes: int) -> None:
    """Write every key and certificate that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for authority in ("ca", "etcd-ca", "registry-ca"):
        if not (folder / f"{authority}.crt").exists():
            _write_pair(folder, authority, *_make_authority(f"{cluster} {authority}"))
    for subject in subjects(plan, nodes):
        if not (folder / f"{subject.file}.crt").exists():
            _write_pair(folder, subject.file, *_make_certificate(subject, *_read_pair(folder, subject.authority)))
    if not (folder / "service-accounts.key").exists():
        write_atomically(folder / "service-accounts.key", _key_text(ec.generate_private_key(ec.SECP256R1())), 0o600)


def kubeconfig(folder: Path, user: str, cluster: str, server: str) -> str:
    """A kubeconfig that carries its certificates inside, so that it works wherever it is copied to."""

    def content(name: str) -> bytes:
        return (folder / name).read_bytes()

    context = f"nanoagent-{cluster}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": {"server": server, "certificate-authority-data": _base64(content("ca.crt"))}}],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(content(f"{user}.crt")),
                        "client-key-data": _base64(content(f"{user}.key")),
                    },
                }
            ],
            "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
            "current-context": context,
        },
        sort_keys=False,
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _name(common_name: str, group: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _unsigned(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _make_authority(common_name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    builder = (
        _unsigned(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _make_certificate(
    subject: Subject, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _unsigned(_name(subject.common_name, subject.group), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if subject.serves:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in subject.serves]), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(authority_key, hashes.SHA256()), key


def _general_name(name: str) -> x509.GeneralName:
    try:
        address: IPv4Address = ip_address(name)
    except ValueError:
        return x509.DNSName(name)
    return x509.IPAddress(address)


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()).decode()


def _write_pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    # The key first: a certificate that is there means that both are.
    write_atomically(folder / f"{name}.key", _key_text(key), 0o600)
    write_atomically(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM).decode())


def _read_pair(folder: Path, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
    return certificate, serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), None)
