# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import (
    configuration_secrets,
    connection_argument_spec,
    effective_options,
    environment_secrets,
    impersonation_headers,
    kubeconfig_secrets,
    load_configuration,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

NOTHING = dict.fromkeys(connection_argument_spec())


def configured(tmp_path, environ=None, **given):
    environ = {"HOME": str(tmp_path), **(environ or {})}
    return load_configuration(effective_options({**NOTHING, **given}, environ), environ, str(tmp_path))


def kubeconfig(server="https://k:6443", user=None):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def test_a_dictionary(tmp_path):
    configuration = configured(tmp_path, kubeconfig=kubeconfig())
    assert configuration.host == "https://k:6443"
    assert configuration.get_api_key_with_prefix("authorization") == "Bearer t" or configuration.get_api_key_with_prefix("BearerToken") == "Bearer t"


@pytest.mark.parametrize("given", ["host", "K8S_AUTH_HOST"])
def test_a_host_keeps_the_variables_of_a_kubeconfig_out(tmp_path, given):
    environ = {"K8S_AUTH_KUBECONFIG": "/nowhere", "K8S_AUTH_CONTEXT": "prod", "K8S_AUTH_API_KEY": "other", "K8S_AUTH_HOST": "api.example"}
    options = effective_options({**NOTHING, **({"host": "api.example"} if given == "host" else {})}, environ)
    configuration = load_configuration(options, environ, str(tmp_path))
    assert configuration.host == "https://api.example"
    assert configuration.get_api_key_with_prefix("BearerToken") == "Bearer other"


def test_a_kubeconfig_that_is_given_keeps_the_variables_of_a_host_out(tmp_path):
    environ = {
        "K8S_AUTH_HOST": "https://other",
        "K8S_AUTH_API_KEY": "other",
        "K8S_AUTH_USERNAME": "u",
        "K8S_AUTH_VERIFY_SSL": "no",
        "K8S_AUTH_SSL_CA_CERT": "/other",
    }
    options = effective_options({**NOTHING, "kubeconfig": kubeconfig()}, environ)
    configuration = load_configuration(options, environ, str(tmp_path))
    assert configuration.host == "https://k:6443" and "other" not in str(configuration.api_key)
    # How another host is trusted says nothing of this one; without such a host the variables are about the kubeconfig's.
    assert configuration.verify_ssl and options["ca_cert"] is None
    assert effective_options({**NOTHING, "kubeconfig": kubeconfig()}, {"K8S_AUTH_VERIFY_SSL": "no"})["validate_certs"] is False


def test_a_context_that_is_given_keeps_the_variables_of_a_host_out():
    environ = {"K8S_AUTH_HOST": "https://other", "K8S_AUTH_API_KEY": "other"}
    options = effective_options({**NOTHING, "kubeconfig": "", "context": "prod-eu"}, environ)
    assert (options["context"], options["host"], options["api_key"]) == ("prod-eu", None, None)


@pytest.mark.parametrize(("other", "named"), [({"context": "c"}, "context"), ({"kubeconfig": "/k", "context": "c"}, "kubeconfig and context")])
def test_a_host_and_a_kubeconfig_do_not_fit_together(other, named):
    with pytest.raises(Failure, match=f"both host and {named} were given\\. Next: give one"):
        effective_options({**NOTHING, "host": "h", **other}, {})


@pytest.mark.parametrize(("server", "shown"), [("", "nothing"), ("k:6443", "k:6443")])
def test_a_server_that_is_no_url_is_named(tmp_path, server, shown):
    with pytest.raises(Failure, match=f"no URL as its server, but {shown}"):
        configured(tmp_path, kubeconfig=kubeconfig(server))


def test_the_environment_fills_in_and_options_win():
    environ = {"K8S_AUTH_HOST": "https://env", "K8S_AUTH_VERIFY_SSL": "False", "K8S_AUTH_IMPERSONATE_GROUPS": "a, b"}
    options = effective_options({**NOTHING, "host": "https://given"}, environ)
    assert options["host"] == "https://given"
    assert options["validate_certs"] is False
    assert impersonation_headers(options) == [("Impersonate-Group", "a"), ("Impersonate-Group", "b")]


@pytest.mark.parametrize(
    ("given", "environ", "names"),
    [
        ({}, {}, "no cluster is named"),
        ({"kubeconfig": "/nowhere/config"}, {}, "/nowhere/config does not exist"),
        ({}, {"KUBECONFIG": "/nowhere/else"}, "/nowhere/else does not exist"),
        ({"api_key": "t"}, {}, "api_key was given without host"),
        ({"host": "h", "ca_cert": "/nowhere/ca"}, {}, "ca_cert /nowhere/ca does not exist"),
        ({"host": "h", "client_cert": "/nowhere/crt"}, {}, "client_cert /nowhere/crt does not exist"),
        ({"kubeconfig": {"apiVersion": "v1"}}, {}, "the kubeconfig cannot be used"),
        ({"kubeconfig": kubeconfig(), "context": "y"}, {}, "the kubeconfig cannot be used"),
    ],
)
def test_what_is_missing_is_named(given, environ, names, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(Failure) as caught:
        configured(tmp_path, environ, **given)
    assert names in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message


def test_a_broken_file_is_one_line(tmp_path):
    broken = tmp_path / "config"
    broken.write_text("clusters: [\n  nonsense")
    with pytest.raises(Failure) as caught:
        configured(tmp_path, kubeconfig=str(broken))
    assert str(broken) in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize("given", [kubeconfig(), json.dumps(kubeconfig())])
def test_the_content_may_be_a_dictionary_or_text(given, tmp_path):
    assert configured(tmp_path, kubeconfig=given).host == "https://k:6443"


def test_secrets_of_a_content_are_found():
    user = {"token": "t0", "client-key-data": "k0", "client-certificate-data": "public", "exec": {"command": "x", "env": [{"name": "A", "value": "e0"}]}}
    assert kubeconfig_secrets(kubeconfig(user=user)) == {"t0", "k0", "e0"}
    assert kubeconfig_secrets(json.dumps(kubeconfig(user={"password": "p0"}))) == {"p0"}
    assert kubeconfig_secrets("~/.kube/config") == kubeconfig_secrets(None) == set()


def test_text_that_is_no_kubeconfig_is_not_repeated():
    with pytest.raises(Failure) as caught:
        kubeconfig_secrets("{token: canary, [")
    assert "canary" not in caught.value.message


def test_secrets_of_the_environment_are_found():
    environ = {"K8S_AUTH_API_KEY": "a", "K8S_AUTH_PASSWORD": "b", "K8S_AUTH_PROXY": "http://u:c@p", "K8S_AUTH_HOST": "https://k", "K8S_AUTH_USERNAME": "u"}
    assert environment_secrets(environ) == {"a", "b", "c", "http://u:c@p"} and environment_secrets({}) == set()


def test_secrets_that_came_from_a_file_are_found(tmp_path):
    content = kubeconfig()
    content["clusters"][0]["cluster"]["proxy-url"] = "http://u:x@p"
    path = tmp_path / "config"
    path.write_text(json.dumps(content))
    assert configuration_secrets(configured(tmp_path, kubeconfig=str(path))) == {"t", "x", "http://u:x@p"}
