# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""The login with user and password, against an OAuth server of our own that keeps its own books on tokens."""

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster, connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.openshift_login import token_name
from ansible_collections.nanoagent.k8s.tests.unit.fakes.openshift import OpenShift, make_certificate

USERS = {"developer": "s3cret:with colon", "jörg": "pässwörd"}


@pytest.fixture
def openshift(tmp_path):
    with OpenShift(tmp_path, USERS) as server:
        yield server


@pytest.fixture
def both(openshift, tmp_path):
    """A file with both authorities, as an OpenShift's own kubeconfig has them."""
    path = tmp_path / "both.pem"
    path.write_bytes(openshift.api_ca.read_bytes() + openshift.oauth_ca.read_bytes())
    return str(path)


def options(openshift, ca, user="developer", **more):
    given = {"host": openshift.url, "ca_cert": str(ca), "username": user, "password": USERS.get(user, "wrong"), **more}
    return {**dict.fromkeys(connection_argument_spec()), **given}


@pytest.mark.parametrize("user", USERS)
def test_the_token_is_good_until_the_end(openshift, both, user):
    cluster = Cluster(options(openshift, both, user))
    assert cluster.version() == (1, 29)
    assert list(openshift.tokens.values()) == [user]
    cluster.close()
    assert openshift.tokens == {}
    with pytest.raises(ApiFailure) as caught:
        cluster.version()
    assert caught.value.status == 401


def test_the_end_comes_once_and_never_fails(openshift, both):
    cluster = Cluster(options(openshift, both))
    openshift.tokens.clear()
    cluster.close()
    cluster.close()
    assert [method for _server, method, _path in openshift.asked] == ["GET", "GET", "DELETE"]


def test_a_connection_without_login_asks_for_no_token_and_ends_none(openshift, both):
    Cluster(options(openshift, both, username=None, password=None, api_key="given")).close()
    assert openshift.asked == []


def test_token_and_password_become_secrets_of_the_run(openshift, both, monkeypatch):
    monkeypatch.setenv("K8S_AUTH_USERNAME", "developer")
    monkeypatch.setenv("K8S_AUTH_PASSWORD", USERS["developer"])
    run = Run(secrets=set())
    cluster = connect(options(openshift, both, username=None, password=None), run)
    assert USERS["developer"] in run.secrets
    assert [token_name(secret) for secret in run.secrets - {USERS["developer"]}] == list(openshift.tokens)
    cluster.close()


def test_a_certificate_that_the_system_trusts_will_do_for_the_oauth_server(openshift, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(openshift.oauth_ca))
    assert Cluster(options(openshift, openshift.api_ca)).version() == (1, 29)


def test_our_client_certificate_is_not_shown_to_the_oauth_server(openshift, both, tmp_path):
    key = make_certificate(tmp_path / "client.pem", "client")
    openshift.ask_for_client_certificate(tmp_path / "client.pem")
    Cluster(options(openshift, both, client_cert=str(tmp_path / "client.pem"), client_key=str(key)))
    assert ("oauth", "GET", "/oauth/authorize") in openshift.asked and openshift.clients == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"discovery": (404, {"kind": "Status", "code": 404})}, "offers no OpenShift login (HTTP 404"),
        ({"discovery": (403, {"kind": "Status", "code": 403})}, "username and password work on OpenShift only"),
        ({"discovery": (200, b"<html>")}, "offers no OpenShift login"),
        ({"discovery": (200, {"issuer": "x"})}, "offers no OpenShift login"),
        ({"discovery": (200, {"authorization_endpoint": "http://127.0.0.1/oauth"})}, "without TLS"),
        ({"discovery": (200, {"authorization_endpoint": "https://127.0.0.1:1/oauth"})}, "https://127.0.0.1:1 cannot be reached"),
        ({"users": {}}, "refused user developer (401). Next: check username and password"),
        ({"says": "login page"}, "may want a browser"),
        ({"says": "denied"}, "refused user developer: scope denied"),
    ],
)
def test_what_goes_wrong_is_one_line_without_the_password(openshift, both, change, says):
    for name, value in change.items():
        setattr(openshift, name, value)
    with pytest.raises(Failure) as caught:
        Cluster(options(openshift, both))
    message = caught.value.message
    assert says in message and "Next: " in message and "\n" not in message
    assert USERS["developer"] not in message


def test_an_oauth_server_that_nobody_vouches_for_gets_no_password(openshift):
    with pytest.raises(Failure) as caught:
        Cluster(options(openshift, openshift.api_ca))
    assert f"the OAuth server {openshift.oauth_url} cannot be reached: its certificate is not trusted" in caught.value.message
    assert [server for server, _method, _path in openshift.asked] == ["api"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"password": None}, "username was given without password"),
        ({"username": None}, "password was given without username"),
        ({"api_key": "t"}, "both api_key and username were given"),
        ({"host": None}, "username, password was given without host"),
    ],
)
def test_options_that_do_not_go_together(openshift, both, given, says):
    with pytest.raises(Failure) as caught:
        Cluster(options(openshift, both, **given))
    assert says in caught.value.message and openshift.asked == []
