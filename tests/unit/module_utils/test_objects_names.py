# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No two objects of an installation have one name, and no account of it stands for two."""

from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import outbound
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options, desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, objects

VENDOR_MONITOR = {"profile": "spyderbat", "monitor": {"enabled": True}}
OURS = {"enabled": True, "image": "registry.example/monitor@sha256:" + "ef" * 32}
LOGIN = {"registry": "r.example", "username": "u", "password": "canary"}
AWS = {"secret_id": "a/b", "role_arn": "arn:aws:iam::1:role/x"}
ROLE = "eks.amazonaws.com/role-arn"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({**VENDOR_MONITOR, "service_account": "nanoagent-monitor"}, ("service_account nanoagent-monitor", "monitor.enabled")),
        ({**VENDOR_MONITOR, "service_account": "nanoagent-monitor", "create_service_account": False}, ("service_account", "monitor.enabled")),
        ({"service_account": "nanoagent-verifier"}, ("service_account nanoagent-verifier", "(verifier)")),
        ({"monitor": {**OURS, "name": "nanoagent-verifier"}}, ("monitor.name nanoagent-verifier", "(verifier)")),
        (
            {"profile": "custom", "registration_code": "x", "registry_login": {**LOGIN, "secret_name": "nanoagent-credentials"}},
            ("registry_login.secret_name", "registration_code", "Secret nanoagent-credentials"),
        ),
        (
            {"profile": "custom", "credentials": {"existing_secret": {"name": "s"}}, "registry_login": {**LOGIN, "secret_name": "s"}},
            ("registry_login.secret_name", "credentials.existing_secret"),
        ),
        (
            {"profile": "custom", "credentials": {"aws_secrets_manager": {**AWS, "sync_secret": "s"}}, "registry_login": {**LOGIN, "secret_name": "s"}},
            ("registry_login.secret_name", "credentials.aws_secrets_manager"),
        ),
        (
            {
                "profile": "custom",
                "credentials": {"external_secret": {"store": "s", "remote_key": "k"}},
                "registry_login": {**LOGIN, "secret_name": "nanoagent-credentials"},
            },
            ("registry_login.secret_name", "credentials.external_secret"),
        ),
        (
            {"profile": "custom", "credentials": {"aws_secrets_manager": AWS}, "service_account_annotations": {ROLE: "another"}},
            (f"service_account_annotations.{ROLE}", "credentials.aws_secrets_manager.role_arn"),
        ),
    ],
)
def test_both_options_are_named(given, says):
    with pytest.raises(Failure) as caught:
        check_options(agent_options(**given))
    message = caught.value.message
    assert all(part in message for part in says) and "Next: " in message and "\n" not in message and "canary" not in message


@pytest.mark.parametrize(
    "given",
    [
        {"service_account": "nanoagent-monitor"},
        {"service_account": "nanoagent-verifier", "verifier": False},
        {**VENDOR_MONITOR, "monitor": {"enabled": True, "name": "nanoagent-verifier"}},
        {"profile": "custom", "registry_login": {**LOGIN, "secret_name": "nanoagent-credentials"}},
        # No Secret is made for the collector, which reads the driver's volume.
        {
            "orc_url": "https://orc.example",
            "credentials": {"aws_secrets_manager": AWS},
            "registry_login": {**LOGIN, "secret_name": "nanoagent-credentials"},
        },
        {"profile": "custom", "credentials": {"aws_secrets_manager": AWS}, "service_account_annotations": {ROLE: AWS["role_arn"]}},
    ],
)
def test_a_name_that_nobody_else_has_is_free(given):
    found = desired_objects(agent_options(**given))
    assert len({identity(obj) for obj in found}) == len(found)


def test_two_objects_of_one_identity_never_come_out(monkeypatch):
    options = with_profile_defaults(agent_options())
    twin = objects()["ConfigMap/nanoagent"]
    monkeypatch.setattr(outbound, "objects", lambda _options: [twin])
    with pytest.raises(Failure, match="two objects of this installation would be the ConfigMap nanoagent/nanoagent"):
        desired_objects(options)
