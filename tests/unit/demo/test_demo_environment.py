# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose cluster and registry the demonstration uses, and what it tells the playbook about them."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from demonstration.environment import Environment, chosen_by_user, enter
from demonstration.playbook import open_variables, secret_variables

BOTH = {"KUBECONFIG": "/home/me/config", "REGISTRY": "registry.example.com/team/"}


@pytest.mark.parametrize("variables", [{}, {"KUBECONFIG": "/home/me/config"}, {"REGISTRY": "r.example.com"}, {**BOTH, "REGISTRY": ""}])
def test_without_both_names_it_is_the_local_cluster(variables):
    assert chosen_by_user(variables) is None


def test_with_both_it_is_the_users():
    chosen = chosen_by_user(BOTH)
    assert (chosen.kubeconfig, chosen.registry, chosen.local, chosen.plain_http) == ("/home/me/config", "registry.example.com/team", False, False)


@pytest.mark.parametrize(("text", "plain"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_plain_http_only_when_asked_for(text, plain):
    assert chosen_by_user({**BOTH, "REGISTRY_PLAIN_HTTP": text}).plain_http is plain


def test_a_user_without_a_password_is_refused():
    with pytest.raises(Failure, match="REGISTRY_PASSWORD"):
        chosen_by_user({**BOTH, "REGISTRY_USERNAME": "me"})


def test_the_password_is_in_no_open_variable_and_no_text():
    chosen = chosen_by_user({**BOTH, "REGISTRY_USERNAME": "me", "REGISTRY_PASSWORD": "hunter2"})
    assert "hunter2" not in json.dumps(open_variables(chosen)) + repr(chosen)
    assert secret_variables(chosen)["agent_registry_login"] == {"registry": "registry.example.com", "username": "me", "password": "hunter2"}


def test_variables_for_other_clusters_do_not_reach_the_local_one(monkeypatch):
    monkeypatch.setenv("K8S_AUTH_HOST", "https://production.example.com")
    monkeypatch.setenv("KUBECONFIG", "/home/me/config")
    enter(Environment("/local/kubeconfig", "10.0.0.1:5000", local=True))
    assert "K8S_AUTH_HOST" not in os.environ
    assert os.environ["KUBECONFIG"] == "/local/kubeconfig"
