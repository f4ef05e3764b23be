# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would stand readable in the pods' spec is told by its option, and not repeated."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.readable_secrets import readable_notes
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

CANARY = "canary-5b1e90d7"
NAMED = {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "token"}}}


@pytest.mark.parametrize(
    ("given", "begins", "ends"),
    [
        ({"extra_env": [{"name": "API_TOKEN", "value": CANARY}, NAMED]}, "extra_env API_TOKEN: ", "use valueFrom.secretKeyRef"),
        ({"extra_env": [{"name": "A", "value": f"http://u:{CANARY}@h"}, {"name": "B_KEY", "value": 1}]}, "extra_env A: ", "use valueFrom.secretKeyRef"),
        ({"profile": "spyderbat", "curl_args": f"-u user:{CANARY}"}, "curl_args: ", "the variable CURL_ARGS in extra_env, with valueFrom.secretKeyRef"),
        ({"profile": "spyderbat", "extra_args": f"--token {CANARY}"}, "extra_args: ", "the variable EXTRA_ARGS in extra_env, with valueFrom.secretKeyRef"),
        ({"orc_url": f"https://orc.example/?api_key={CANARY}"}, "orc_url: ", "credentials are a Secret's"),
        ({"orc_url": "https://orc.example", "https_proxy": f"http://p:3128/?token={CANARY}"}, "https_proxy: ", "knows the nodes by their address"),
        ({"profile": "custom", "args": ["--token", CANARY]}, "args: ", "write $(NAME) in its place"),
        ({"profile": "custom", "command": ["c", f"--token={CANARY}"]}, "command: ", "write $(NAME) in its place"),
    ],
)
def test_a_secret_in_an_option_is_told(given, begins, ends):
    [note] = readable_notes(agent_options(**given))
    assert note.startswith(begins) and note.endswith(ends) and CANARY not in note


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"extra_env": [NAMED, {"name": "LOG_LEVEL", "value": "info"}, {"name": "API_TOKEN", "value": ""}]},
        {"profile": "spyderbat", "curl_args": "--ipv4", "extra_args": "--verbose"},
        {"orc_url": "https://orc.example/?tenant=seventeen&token_type=bearer"},
        {"extra_env": [{"name": name, "value": "some-value"} for name in ("BYPASS", "AUTHOR", "KEYBOARD", "APP_KEYBOARD_LAYOUT_NAME", "ENCODING")]},
        {"profile": "custom", "args": ["--token", "$(API_TOKEN)"], "extra_env": [NAMED]},
    ],
)
def test_what_holds_none_is_not(given):
    assert readable_notes(agent_options(**given)) == []


@pytest.mark.parametrize(
    "name", ["DB_PASS", "PASS", "PASSCODE", "ENCRYPTION_KEY", "SIGNING_KEY", "LICENSE_KEY", "APP_KEY", "CREDS", "AWS_CREDS", "AUTH", "BASIC_AUTH", "REG_CODE"]
)
def test_a_variable_that_is_named_like_a_secret_is_told(name):
    assert readable_notes(agent_options(extra_env=[{"name": name, "value": CANARY}]))


def test_the_way_out_is_one():
    """The vendor's variables may come from extra_env where the options are left out."""
    variable = {"name": "CURL_ARGS", "valueFrom": {"secretKeyRef": {"name": "curl", "key": "arguments"}}}
    container = desired_objects(agent_options(profile="spyderbat", extra_env=[variable]))[-1]["spec"]["template"]["spec"]["containers"][0]
    assert variable in container["env"]


def test_the_result_has_it():
    assert any(
        note.startswith("extra_env A_TOKEN: ")
        for note in work(agent_options(state="rendered", extra_env=[{"name": "A_TOKEN", "value": CANARY}]), Run())["notes"]
    )
