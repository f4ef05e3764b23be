# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small certificate authority of its own, so that both ends of the proxy check each other."""

from __future__ import annotations

import datetime
import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=1)


class Authority:
    """Certificates for one server and one client, as PEM files in `folder`, which is for its owner only.

    hosts: addresses and names of the server. ca, client_cert, client_key: paths for the client.
    """

    def __init__(self, folder: Path, hosts: tuple[str, ...] = ("127.0.0.1",)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "faults")])
        own = _builder(self._name, self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        own = own.add_extension(identifier, critical=False).add_extension(_usage(signs=True), critical=True)
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        self.ca = folder / "ca.crt"
        self.ca.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self._server = self._issue(folder / "server", ExtendedKeyUsageOID.SERVER_AUTH, hosts)
        self.client_cert, self.client_key = self._issue(folder / "client", ExtendedKeyUsageOID.CLIENT_AUTH, hosts)

    def serving(self, anybody: bool = False) -> ssl.SSLContext:
        """TLS of a server that lets in only who holds the client's certificate, or anybody."""
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca))
        tls.verify_mode = ssl.CERT_NONE if anybody else ssl.CERT_REQUIRED
        tls.load_cert_chain(*self._server)
        return tls

    def _issue(self, stem: Path, usage, hosts) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, stem.name)])
        builder = _builder(subject, self._name, key).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        builder = builder.add_extension(self._identifier, critical=False).add_extension(_usage(signs=False), critical=True)
        certificate, private = stem.with_suffix(".crt"), stem.with_suffix(".key")
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, private


def _general_name(host):
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + _LIFETIME)


def _usage(signs: bool):
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only")
    return x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **dict.fromkeys(names, False))
