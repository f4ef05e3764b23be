# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of variables that belong to another role: their templates, which use nothing that is Ansible's own."""

from __future__ import annotations

import pytest
import yaml
from checkout import CHECKOUT
from jinja2 import ChainableUndefined
from jinja2.nativetypes import NativeEnvironment

BUILT = {"collector_image_result": {"image": "registry.example/collector@sha256:0"}}


def default(role, variable, **variables):
    """The value of a role's default, with these variables."""
    return value(yaml.safe_load((CHECKOUT / "roles" / role / "defaults" / "main.yml").read_text())[variable], variables)


def value(template, variables):
    """As Ansible with its native types has it; of an empty text jinja2 makes nothing."""
    found = NativeEnvironment(undefined=ChainableUndefined).from_string(template).render(variables)
    return "" if found is None else found


@pytest.mark.parametrize(
    ("given", "profile"),
    [
        ({}, "bundled"),
        ({"agent_profile": "custom"}, "custom"),
        ({"agent_values_file": "values.yaml"}, "spyderbat"),
        ({"agent_values_file": ""}, "bundled"),
        # As the role agent has it by default: the file wins.
        ({"agent_values_file": "values.yaml", "agent_profile": "bundled"}, "spyderbat"),
        ({"agent_values_file": "values.yaml", "agent_profile": "custom"}, "custom"),
    ],
)
@pytest.mark.parametrize("role", ["uninstall", "verify"])
def test_what_was_installed_from_a_values_file_is_found_again(role, given, profile):
    assert default(role, f"{role}_profile", **given) == profile


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [({}, True), ({"agent_profile": "bundled"}, True), ({"agent_profile": "spyderbat"}, False), ({"agent_values_file": "values.yaml"}, False)],
)
def test_the_image_of_our_collector_is_no_image_of_the_vendors_agent(given, is_taken):
    assert default("agent", "agent_image", **BUILT, **given) == (BUILT["collector_image_result"]["image"] if is_taken else "")
    assert default("agent", "agent_image", **given) == ""


def argument(option, **variables):
    """What the role agent gives the module for an option; `omitted` where it leaves it out."""
    tasks = yaml.safe_load((CHECKOUT / "roles" / "agent" / "tasks" / "main.yml").read_text())
    return value(tasks[0]["nanoagent.k8s.agent"][option], {"omit": "omitted", **variables})


@pytest.mark.parametrize(("given", "expected"), [({}, "omitted"), ({"agent_max_unavailable": ""}, "omitted"), ({"agent_max_unavailable": 0}, 0)])
def test_a_number_0_is_an_answer(given, expected):
    assert str(argument("max_unavailable", **given)) == str(expected)


@pytest.mark.parametrize(("given", "expected"), [({}, "omitted"), ({"agent_omit_environment": ""}, "omitted"), ({"agent_omit_environment": False}, False)])
def test_no_without_quotes_is_an_answer(given, expected):
    assert str(argument("omit_environment", **given)) == str(expected)
