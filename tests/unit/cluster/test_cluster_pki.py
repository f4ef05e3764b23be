# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates say who their owner is, and nothing but their own authority is trusted."""

import base64

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from localcluster import pki
from localcluster.addresses import AddressPlan

PLAN = AddressPlan(1)


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    """All certificates of a cluster with three nodes."""
    folder = tmp_path_factory.mktemp("pki")
    pki.create_all(folder, "test", PLAN, 3)
    return folder


def certificate(folder, name):
    """A certificate, read back."""
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def value(certificate_, kind):
    """The values of one kind in a certificate's subject."""
    return [attribute.value for attribute in certificate_.subject.get_attributes_for_oid(kind)]


def served(certificate_):
    """The names and addresses that a certificate serves."""
    names = certificate_.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_a_kubelet_is_its_node(folder):
    """The node authorizer goes by this name and group; the API server by the address."""
    kubelet = certificate(folder, "kubelet-worker1")
    assert value(kubelet, NameOID.COMMON_NAME) == ["system:node:worker1"]
    assert value(kubelet, NameOID.ORGANIZATION_NAME) == ["system:nodes"]
    assert served(kubelet) == {"worker1", str(PLAN.node(1))}


def test_the_api_server_serves_all_its_names(folder):
    """Clients reach it at its own address, at the service's and, in tests of errors, at localhost."""
    assert served(certificate(folder, "apiserver")) >= {str(PLAN.machine), str(PLAN.kubernetes_service), "127.0.0.1", "localhost", "kubernetes.default.svc"}


def test_only_the_administrators_are_masters(folder):
    """No other certificate opens every door."""
    masters = {subject.file for subject in pki.subjects(PLAN, 3) if subject.group == "system:masters"}
    assert masters == {"admin", "apiserver-kubelet-client", "kwok"}


def test_a_client_cannot_serve(folder):
    """A certificate without names is good for clients only."""
    usages = certificate(folder, "admin").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_authorities_are_apart(folder):
    """A client of the cluster is nobody to etcd."""
    certificate(folder, "etcd-client").verify_directly_issued_by(certificate(folder, "etcd-ca"))
    with pytest.raises((ValueError, InvalidSignature)):
        certificate(folder, "admin").verify_directly_issued_by(certificate(folder, "etcd-ca"))


def test_keys_are_private(folder):
    """Only their owner may read keys."""
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.key")} == {0o600}


def test_what_exists_is_kept(folder):
    """A second run adds the new node's certificate and changes no other."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    pki.create_all(folder, "test", PLAN, 4)
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in folder.iterdir()} - {path.name for path in before} == {"kubelet-worker3.crt", "kubelet-worker3.key"}


def test_a_kubeconfig_stands_alone(folder):
    """It carries what it needs, and verifies the server."""
    config = yaml.safe_load(pki.kubeconfig(folder, "admin", "test", "https://server:6443"))
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == "https://server:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == (folder / "ca.crt").read_bytes()
    assert base64.b64decode(config["users"][0]["user"]["client-key-data"]) == (folder / "admin.key").read_bytes()
    assert config["current-context"] == config["contexts"][0]["name"] == "nanoagent-test"
