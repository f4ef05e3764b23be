# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token of OpenShift's own OAuth server for a user and a password, and its end.

The flow is OAuth's implicit grant (RFC 6749, 4.2) with a Basic challenge, for the client that every OpenShift has for it; source:
openshift/oauth-server (tokenrequest.go, password_auth_handler.go, registrystorage/storage.go), and OpenShift's documentation
of OAuth clients and of user-owned access tokens.

The Python package `openshift` (0.13.2, the last one) cannot be used: its configuration class fails with current versions of the
package kubernetes (unexpected argument discard_unknown_keys), its login needs requests_oauthlib, which it does not declare, and
knows neither proxy nor timeout; its logout names a token that does not exist.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from urllib.parse import parse_qs, urlencode, urlsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

try:
    import urllib3
    from kubernetes.client.rest import RESTClientObject
except ImportError:
    # connection.KUBERNETES_IMPORT_ERROR holds the traceback that the module reports.
    pass

_DISCOVERY = "/.well-known/oauth-authorization-server"
_CLIENT = "openshift-challenging-client"
_PREFIX = "sha256~"
_ONLY_OPENSHIFT = "username and password work on OpenShift only; use api_key, a client certificate or a kubeconfig"
_TIMEOUT = 30.0


def log_in(configuration, username: str, password: str) -> str:
    """A bearer token for the user; Failure where this is no OpenShift, or the user is refused.

    configuration: kubernetes.client.Configuration of the API server, whose authority, proxy and timeouts count here too.
    Neither password nor token is ever part of a message.
    """
    endpoint = _authorization_endpoint(configuration)
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    url = f"{endpoint}?{urlencode({'response_type': 'token', 'client_id': _CLIENT})}"
    # The server challenges only those who show by this header that they are no tricked browser.
    response = _ask_oauth_server(configuration, url, {"X-CSRF-Token": "1", "Authorization": f"Basic {pair}"})
    answer = _redirected(response)
    if answer.get("access_token"):
        return answer["access_token"]
    server = _origin(endpoint)
    if response.status == 401:
        raise Failure(f"the OAuth server {server} refused user {username} (401)", "check username and password")
    if answer.get("error"):
        raise Failure(
            f"the OAuth server {server} refused user {username}: {answer.get('error_description') or answer['error']}", "ask the cluster's administrator"
        )
    raise Failure(
        f"the OAuth server {server} gave no token for user {username} (HTTP {response.status}): its identity provider may want a browser",
        "copy a token from the web console (Copy login command) and set api_key",
    )


def log_out(configuration, token: str) -> bool:
    """Ends the token; False where the server did not do so, and then the token ends by itself when its time is up (a day by default)."""
    url = f"{configuration.host}/apis/oauth.openshift.io/v1/useroauthaccesstokens/{token_name(token)}"
    try:
        response = _request(configuration, "DELETE", url, {"Authorization": f"Bearer {token}"})
    except urllib3.exceptions.HTTPError:
        return False
    return response.status < 300


def token_name(token: str) -> str:
    """The name of the object that stands for a token; it is no secret."""
    digest = hashlib.sha256(token.removeprefix(_PREFIX).encode()).digest()
    return _PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _authorization_endpoint(configuration):
    host = configuration.host
    try:
        response = _request(configuration, "GET", host + _DISCOVERY, {})
    except urllib3.exceptions.HTTPError as error:
        raise Failure(f"the API server {host} cannot be reached: {_cause(error)}", "check host, ca_cert, the network and proxies") from error
    try:
        endpoint = json.loads(response.data)["authorization_endpoint"] if response.status == 200 else None
    except (ValueError, KeyError, TypeError):
        endpoint = None
    if not isinstance(endpoint, str):
        raise Failure(f"the API server {host} offers no OpenShift login (HTTP {response.status} for {_DISCOVERY})", _ONLY_OPENSHIFT)
    if urlsplit(endpoint).scheme != "https":
        raise Failure(f"the API server {host} names an OAuth server without TLS, {endpoint}", "no password is sent there; use api_key")
    return endpoint


def _ask_oauth_server(configuration, url, headers):
    """The OAuth server is another host than the API server, and often has its certificate from another authority."""
    elsewhere = copy.copy(configuration)
    elsewhere.host = _origin(url)
    # What identifies us to the API server is not for other hosts.
    elsewhere.cert_file = elsewhere.key_file = elsewhere.tls_server_name = None
    try:
        try:
            return _request(elsewhere, "GET", url, headers)
        except urllib3.exceptions.SSLError:
            if not elsewhere.ssl_ca_cert:
                raise
            # The API server has named this host, so a certificate that the system trusts will do.
            elsewhere.ssl_ca_cert = None
            return _request(elsewhere, "GET", url, headers)
    except urllib3.exceptions.HTTPError as error:
        raise Failure(
            f"the OAuth server {_origin(url)} cannot be reached: {_cause(error)}",
            "let ca_cert hold the authority of the cluster's ingress too, and check the network and proxies",
        ) from error


def _request(configuration, method, url, headers):
    pool = RESTClientObject(configuration).pool_manager
    return pool.request(method, url, headers={"Accept": "application/json", **headers}, redirect=False, retries=False, timeout=_TIMEOUT)


def _redirected(response):
    """What the redirect says, in its fragment or, for some errors, in its query."""
    if response.status != 302:
        return {}
    location = urlsplit(response.headers.get("Location") or "")
    return {name: values[0] for name, values in {**parse_qs(location.query), **parse_qs(location.fragment)}.items()}


def _origin(url):
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc}"


def _cause(error):
    text = str(error)
    if "certificate verify failed: " in text:
        return "its certificate is not trusted: " + text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
    return text.rpartition(": ")[2]
