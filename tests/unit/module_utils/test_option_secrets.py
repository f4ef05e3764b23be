# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.option_secrets import kubeconfig_credentials, secrets_in


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("http://user:pass@proxy.example:3128", {"pass"}),
        ("http://user:p%40ss@proxy.example", {"p%40ss", "p@ss"}),
        ("http://user:p@ss@proxy.example", {"p@ss"}),
        ("http://token@proxy.example", {"token"}),
        ("user:pass@proxy.example", {"pass"}),
        # Nobody can say what is the password here.
        ("http://user:pa/ss@proxy.example", set()),
    ],
)
@pytest.mark.parametrize("option", ["proxy", "http_proxy", "orc_url", "url", "host"])
def test_an_address_with_a_login_is_secret_and_so_is_the_password_alone(option, address, found):
    assert secrets_in(option, address) == {address, *found}
    assert secrets_in("egress_urls", ["https://orc.example", address]) == {address, *found}
    assert secrets_in("image", address) == set()


@pytest.mark.parametrize("value", ["https://proxy.example:3128", "", None, 7, True, [], {}, [None, 7, {}]])
def test_other_addresses_are_not(value):
    assert secrets_in("proxy", value) == set()


def test_a_private_key_is_secret_in_any_option():
    key = "-----BEGIN RSA PRIVATE KEY-----"
    assert secrets_in("ca_bundle", key) == {key} and secrets_in("ca_bundle", "-----BEGIN CERTIFICATE-----") == set()


@pytest.mark.parametrize(
    ("user", "found"),
    [
        ({"token": "x"}, {"x"}),
        ({"token": 7}, {"7"}),
        ({"username": "u", "password": "x"}, {"x"}),
        ({"client-key-data": "x", "client-certificate-data": "public"}, {"x"}),
        ({"client_key_data": "x", "clientKeyData": "y"}, {"x", "y"}),
        ({"tokenFile": "/path", "client-key": "/path"}, set()),
        ({"auth-provider": {"name": "oidc", "config": {"id-token": "x", "refresh-token": "y", "client-secret": "z", "client-id": "i"}}}, {"x", "y", "z"}),
        ({"exec": {"command": "c", "env": [{"name": "A", "value": "x"}, {"name": "B"}, None]}}, {"x"}),
        ({"exec": {"args": ["get-token", "--oidc-client-secret=x", "--token", "y", "--cache=z", "--password"]}}, {"x", "y"}),
        ({"exec": {"args": "no list", "env": 7}}, set()),
        ({"token": None, "password": ""}, set()),
    ],
)
def test_the_credentials_of_a_kubeconfig_are_found(user, found):
    assert kubeconfig_credentials({"users": [{"name": "u", "user": user}], "current-context": "c"}) == found
    # Also where they are not looked for.
    assert kubeconfig_credentials(user) == kubeconfig_credentials({"users": {"user": user}}) == found


def test_a_kubeconfigs_addresses_may_hold_logins():
    content = {"clusters": [{"cluster": {"server": "https://u:x@k", "proxy-url": "http://u:y@p"}}]}
    assert secrets_in("kubeconfig", content) == {"https://u:x@k", "x", "http://u:y@p", "y"}


@pytest.mark.parametrize(
    ("kubeconfig", "found"),
    [
        ("~/.kube/config", set()),
        ('{"users": []}', {'{"users": []}'}),
        ("users:\n- no: yaml: at all", {"users:\n- no: yaml: at all"}),
        (None, set()),
        (7, set()),
    ],
)
def test_a_kubeconfigs_text_is_secret_as_a_whole(kubeconfig, found):
    assert secrets_in("kubeconfig", kubeconfig) == found
