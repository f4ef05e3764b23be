# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenShift as its OAuth clients see it: an API server and an OAuth server, over TLS, each with its own authority.

Written from openshift/oauth-server: password_auth_handler.go (challenge only with an X-CSRF-Token), tokengen.go and
storage.go (form and names of tokens), and from RFC 6749, 4.2.2 (the token is in the redirect's fragment).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import json
import secrets
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_TOKENS = "/apis/oauth.openshift.io/v1/useroauthaccesstokens/"


class OpenShift:
    """Serves on loopback while it is entered.

    folder: where certificates go; api_ca and oauth_ca are the authorities' files. users: name -> password.
    says: what the OAuth server does with a right password: "token", "login page" or "denied".
    discovery: (status, body) in place of the right answer. tokens: object name -> user, as long as they are valid.
    clients: the client certificates' names that the OAuth server was shown. asked: (server, method, path), in order.
    """

    def __init__(self, folder: Path, users: dict[str, str]):
        self.users, self.says, self.discovery = users, "token", None
        self.tokens: dict[str, str] = {}
        self.clients: list[str] = []
        self.asked: list[tuple[str, str, str]] = []
        self.api_ca, self.oauth_ca = folder / "api.pem", folder / "oauth.pem"
        self._servers = {}
        for name, path, answer in (("api", self.api_ca, self._api), ("oauth", self.oauth_ca, self._oauth)):
            key = make_certificate(path, name)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(path, key)
            self._servers[name] = _serve(name, answer, context)
            self._servers[name].context = context
        self.url, self.oauth_url = (f"https://127.0.0.1:{server.server_address[1]}" for server in self._servers.values())

    def ask_for_client_certificate(self, authority: Path) -> None:
        """The OAuth server takes, but does not demand, client certificates of this authority."""
        context = self._servers["oauth"].context
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(authority)

    def __enter__(self) -> OpenShift:
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error):
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def _api(self, request):
        path = urlsplit(request.path).path
        self.asked.append(("api", request.command, path))
        if path == "/.well-known/oauth-authorization-server":
            found = {"issuer": self.oauth_url, "authorization_endpoint": f"{self.oauth_url}/oauth/authorize", "token_endpoint": f"{self.oauth_url}/oauth/token"}
            return self.discovery or (200, found)
        kind, _space, token = (request.headers.get("Authorization") or "").partition(" ")
        user = self.tokens.get(_object_name(token)) if kind == "Bearer" else None
        if not user:
            return 401, {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized", "code": 401}
        if request.command == "DELETE" and path.startswith(_TOKENS):
            name = path.removeprefix(_TOKENS)
            if self.tokens.get(name) != user:
                return 404, {"kind": "Status", "reason": "NotFound", "code": 404}
            del self.tokens[name]
            return 200, {"kind": "Status", "status": "Success"}
        return 200, {"major": "1", "minor": "29"}

    def _oauth(self, request):
        address = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        self.asked.append(("oauth", request.command, address.path))
        shown = request.connection.getpeercert()
        if shown:
            self.clients.append(shown["subject"][0][0][1])
        if (address.path, query.get("client_id"), query.get("response_type")) != ("/oauth/authorize", "openshift-challenging-client", "token"):
            return 400, {"error": "invalid_request"}
        if not request.headers.get("X-CSRF-Token"):
            return 401, {"error": "no challenge without X-CSRF-Token"}
        kind, _space, pair = (request.headers.get("Authorization") or "").partition(" ")
        user, _colon, password = base64.b64decode(pair).decode().partition(":") if kind == "Basic" else ("", "", "")
        if not password or self.users.get(user) != password:
            return 401, {"error": "access_denied"}, {"WWW-Authenticate": 'Basic realm="openshift"'}
        if self.says == "login page":
            return 302, {}, {"Location": f"{self.oauth_url}/login/github?then=%2Foauth%2Fauthorize"}
        if self.says == "denied":
            answer = {"error": "access_denied", "error_description": "scope denied"}
        else:
            token = "sha256~" + secrets.token_urlsafe(32)
            self.tokens[_object_name(token)] = user
            answer = {"access_token": token, "expires_in": "86400", "scope": "user:full", "token_type": "Bearer"}
        return 302, {}, {"Location": f"{self.oauth_url}/oauth/token/implicit#{urlencode(answer)}"}


def make_certificate(path: Path, name: str) -> Path:
    """A certificate for loopback that is its own authority, into path; the path of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"), False)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - datetime.timedelta(hours=1), now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path = path.with_suffix(".key")
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return key_path


def _object_name(token):
    digest = hashlib.sha256(token.partition("sha256~")[2].encode()).digest()
    return "sha256~" + base64.b64encode(digest, b"-_").decode().strip("=")


def _serve(name, answer, context):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer waits 40 ms for a delayed acknowledgement of its head.
        disable_nagle_algorithm = True

        def respond(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body, *more = answer(self)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for header, value in (more[0] if more else {}).items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_DELETE = do_POST = respond

        def log_message(self, *_arguments):
            """Nothing on standard error."""

    class Server(ThreadingHTTPServer):
        def get_request(self):
            connection, address = super().get_request()
            # The handshake waits for the thread that serves the connection.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request, client_address):
            """A client that does not trust the certificate hangs up: nothing to report."""

    return Server(("127.0.0.1", 0), Handler)
