# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import secret_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.option_secrets import kubeconfig_credentials, secrets_in
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec


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


def test_a_parameter_of_an_address_that_is_named_like_a_secret_is_one():
    assert secrets_in("orc_url", "https://orc.example/?a=1&api_key=s3cret-s3cret#x") == {"s3cret-s3cret"}


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


@pytest.mark.parametrize("option", ["extra_args", "curl_args"])
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("-u user:pass-word", {"user:pass-word", "pass-word"}),
        ("-sSku user:pass-word -v", {"user:pass-word", "pass-word"}),
        ("-uuser:pass-word", {"user:pass-word", "pass-word"}),
        ("--user user:pass:word", {"user:pass:word", "pass:word"}),
        ("--user=user:pass-word", {"user:pass-word", "pass-word"}),
        ("-U user:pass-word", {"user:pass-word", "pass-word"}),
        ("--proxy-user 'user:two words'", {"user:two words", "two words", "user:two"}),
        ("-u ghp_abcdefgh:", {"ghp_abcdefgh:", "ghp_abcdefgh"}),
        ("-E /etc/client.pem:pass-word", {"pass-word"}),
        ("-H 'Authorization: Bearer abcdef'", {"Bearer abcdef", "abcdef"}),
        ("-H Authorization:abcdef", {"abcdef"}),
        ('--header "Proxy-Authorization: Basic abcdef"', {"Basic abcdef", "abcdef"}),
        ("--header='X-Vault-Token: abcdef'", {"abcdef"}),
        ("--proxy-header X-Api-Key:abcdef", {"abcdef"}),
        ("-HX-Auth-Token:abcdef", {"abcdef"}),
        ("-b session=abcdef", {"session=abcdef"}),
        ("--oauth2-bearer abcdef", {"abcdef"}),
        ("--registration-code abcdef --verbose", {"abcdef"}),
        ("--api-key=abcdef", {"abcdef"}),
        ("API_TOKEN=abcdef", {"abcdef"}),
        ("-x http://user:pass-word@proxy.example:3128", {"http://user:pass-word@proxy.example:3128", "pass-word"}),
        ("--proxy=http://user:pa%40ss@p.example", {"http://user:pa%40ss@p.example", "pa%40ss", "pa@ss"}),
        ("-x user:pass-word@proxy.example", {"user:pass-word@proxy.example", "pass-word"}),
        ("https://x.example/?v=1&api_key=abcdef", {"abcdef"}),
        ("--what eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"}),
    ],
)
def test_what_arguments_say_to_be_secret_is_found(option, arguments, found):
    # A split at spaces keeps no quoted text together, so that it finds a part of one beside the whole.
    assert found <= secrets_in(option, arguments) and all(any(value in whole for whole in found) for value in secrets_in(option, arguments))
    assert secrets_in("image", arguments) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        *("--verbose", "-k --ipv4", "-u 1000:1000", "-u user", "--user user", "--retry 5", "--cert /etc/client.pem", "--key /etc/key.pem"),
        *(
            "--token-file /run/token",
            "--secret-name=agent",
            "--no-token --verbose",
            "--token --verbose",
            "-u user:$(PASSWORD)",
            "--token $(TOKEN)",
            "-H 'Authorization: Bearer $(TOKEN)'",
        ),
        *("-H 'Accept: text/plain'", "-H @file", "--password abc", "--auth-key true", "https://x.example:443/path", "registry:5000/x@sha256:abcdef"),
        *("'unfinished", "-verbose", "-number", "-subject", "--max-tokens 4096", "ssh://admin@host.example", "", None, 7, {}, []),
    ],
)
def test_other_arguments_are_not(arguments):
    assert secrets_in("extra_args", arguments) == set()


def test_arguments_may_be_a_list_of_words_and_a_shells_script_one_of_them():
    assert secrets_in("args", ["--token", "abcdef", "-u", "user:pass-word"]) == {"abcdef", "user:pass-word", "pass-word"}
    assert "abcdef" in secrets_in("command", ["/bin/sh", "-c", "curl -H 'Authorization: Bearer abcdef' https://x.example"])
    assert secrets_in("args", [7, None, "run"]) == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "abcdef"),
        ("dbPassword", "abcdef"),
        ("PASSWD", "abcdef"),
        ("API_TOKEN", "abcdef"),
        ("TOKEN_2", "abcdef"),
        ("CLIENT_SECRET", "abcdef"),
        ("APIKEY", "abcdef"),
        ("API_KEY", "abcdef"),
        ("AWS_SECRET_ACCESS_KEY", "/aB+c/dEf"),
        ("PRIVATE_KEY", "abcdef"),
        ("GOOGLE_CREDENTIALS", "abcdef"),
        ("AGENT_REGISTRATION_CODE", "abcdef"),
        ("PASSWORD", 1234567),
    ],
)
def test_a_variable_that_is_named_like_a_secret_is_one(name, value):
    assert secrets_in("extra_env", [{"name": name, "value": value}, {"name": "LOG_LEVEL", "value": "info"}]) == {str(value)}


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "LOG_LEVEL", "value": "information"},
        {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "token"}}},
        *({"name": "API_TOKEN", "value": value} for value in ("", "abc", "true", "False", True, None, 7, 4096, {}, ["x"], "$(OTHER_TOKEN)", "/var/run/token")),
        *({"name": name, "value": "abcdef"} for name in ("TOKEN_FILE", "PASSWORD_PATH", "SECRET_NAME", "AWS_ACCESS_KEY_ID", "TOKEN_TTL", "PATH", "KEYBOARD")),
        {"name": "TOKEN_SERVICE", "value": "https://sts.example"},
        *({}, {"name": 7, "value": "abcdef"}, 7, None),
    ],
)
def test_other_variables_are_not(variable):
    assert secrets_in("extra_env", [variable]) == set()


def test_a_login_in_the_value_of_any_variable_is_found_and_one_as_it_is_quoted():
    assert secrets_in("extra_env", [{"name": "DATABASE", "value": "postgres://u:pass-word@db"}]) == {"postgres://u:pass-word@db", "pass-word"}
    assert secrets_in("extra_env", [{"name": "CURL_ARGS", "value": "-H 'X-Api-Token: abcdef'"}]) == {"abcdef"}
    assert secrets_in("extra_env", [{"name": "PASSWORD", "value": "a\"b'cd"}]) == {"a\"b'cd", "a\\\"b'cd", "a\"b''cd"}
    assert secrets_in("extra_env", "no list") == set()


def test_the_lines_of_a_long_secret_are_secret_since_some_output_indents_them():
    key = "-----BEGIN PRIVATE KEY-----\nabcdefgh\n-----END PRIVATE KEY-----\n"
    for name in ("KEY", "PRIVATE_KEY"):
        assert {key, "abcdefgh", json.dumps(key)[1:-1]} <= secrets_in("extra_env", [{"name": name, "value": key}])


def test_the_modules_own_options_are_looked_through():
    given = {"extra_args": "--token abcdef", "extra_env": [{"name": "A_TOKEN", "value": "ghijkl"}], "probes": {"startup": {"command": ["c", "--token=mnopqr"]}}}
    assert secret_values(argument_spec(), given) == {"abcdef", "ghijkl", "mnopqr"}
