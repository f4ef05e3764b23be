# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from importlib import import_module

import pytest
from ansible.module_utils import basic
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish, secret_values

SECRET = {"no_log": True}


@pytest.mark.parametrize(
    ("spec", "options", "found"),
    [
        ({"a": SECRET, "b": {}}, {"a": "x", "b": "y"}, {"x"}),
        ({"a": SECRET}, {"a": ""}, set()),
        ({"a": SECRET}, {"a": None}, set()),
        ({"a": SECRET}, {"a": {"Authorization": "Bearer x", "n": 7, "none": ""}}, {"Bearer x", "7"}),
        ({"a": SECRET}, {"a": ["x", {"b": ["y"]}]}, {"x", "y"}),
        ({"a": {"options": {"b": SECRET}}}, {"a": {"b": {"c": "x"}}}, {"x"}),
        ({"a": {"options": {"b": SECRET}}}, {"a": [{"b": "x"}, {"b": "y"}]}, {"x", "y"}),
        ({"a": {"options": {"b": SECRET}}}, {"a": "b=x"}, set()),
        ({"kubeconfig": {}}, {"kubeconfig": {"users": [{"user": {"token": "x"}}]}}, {"x"}),
        ({"a": {"options": {"proxy": {}}}}, {"a": {"proxy": "http://u:x@p"}}, {"http://u:x@p", "x"}),
    ],
)
def test_each_value_of_a_secret_option_is_one(spec, options, found):
    assert secret_values(spec, options) == found


CANARY = "canary-3f9a17c2"
KUBECONFIG = {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}], "users": [{"name": "u", "user": {"token": CANARY}}]}
PROXY = f"http://user:{CANARY}@proxy.example"


@pytest.mark.parametrize("module", ["agent", "agent_info", "image_presence_info", "preflight"])
@pytest.mark.parametrize("kubeconfig", [KUBECONFIG, json.dumps(KUBECONFIG), f"users:\n- name: u\n  user: {{token: {CANARY}, ["])
@pytest.mark.parametrize("given", [{}, {"no_such_option": 1}, {"validate_certs": "perhaps"}, {"proxy": PROXY}])
def test_an_inline_kubeconfig_is_not_shown_however_the_module_ends(run_module, monkeypatch, module, kubeconfig, given):
    logged = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, message, log_args=None: logged.append([message, log_args]))
    main = import_module(f"ansible_collections.nanoagent.k8s.plugins.modules.{module}").main
    result = run_module(main, {"kubeconfig": kubeconfig, "context": "nowhere", **given})
    assert result["failed"] and result["invocation"]["module_args"]["context"] == "nowhere"
    assert CANARY not in json.dumps([result, logged])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"http_proxy": PROXY}, "http_proxy carries a user or password"),
        ({"https_proxy": f"user:{CANARY}@proxy.example:3128"}, "https_proxy is no URL of a proxy"),
        ({"http_proxy": f"http://user:pa/{CANARY}@proxy.example"}, "http_proxy is no URL of a proxy"),
        ({"profile": "spyderbat", "registration_code": CANARY, "orc_url": f"https://{CANARY}@orc.example"}, "orc_url carries a user or password"),
        ({"ca_bundle": f"-----BEGIN PRIVATE KEY-----\n{CANARY}"}, "ca_bundle is not a text of PEM certificates only"),
        ({"values_file": "/nowhere/values.yaml", "kubeconfig": KUBECONFIG}, "values_file /nowhere/values.yaml cannot be read"),
        ({"lock_file": "/nowhere/lock.json", "kubeconfig": KUBECONFIG}, "the lock file /nowhere/lock.json does not exist"),
    ],
)
def test_what_is_refused_is_not_shown(run_module, given, said):
    agent = import_module("ansible_collections.nanoagent.k8s.plugins.modules.agent")
    result = run_module(agent.main, {"state": "rendered", "image": f"registry.example/c@sha256:{'1' * 64}", **given})
    assert result["failed"] and said in result["msg"] and CANARY not in json.dumps(result)


def test_a_kubeconfig_that_is_not_needed_is_not_shown_either(run_module):
    agent = import_module("ansible_collections.nanoagent.k8s.plugins.modules.agent")
    options = {"state": "rendered", "image": f"registry.example/c@sha256:{'1' * 64}", "kubeconfig": KUBECONFIG, "proxy": PROXY}
    result = run_module(agent.main, options)
    assert result["manifests"] and CANARY not in json.dumps(result)


def test_a_path_and_an_address_are_shown(run_module):
    def work(options, run):
        raise Failure(f"{options['kubeconfig']} and {options['proxy']} do not fit", "see")

    def main():
        finish(Module(argument_spec={"kubeconfig": {"type": "raw"}, "proxy": {"type": "str"}}), work)

    result = run_module(main, {"kubeconfig": "/home/u/.kube/config", "proxy": "http://proxy.example:3128"})
    assert "/home/u/.kube/config and http://proxy.example:3128 do not fit" in result["msg"]
