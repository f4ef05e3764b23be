# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Options, defaults, specs and documents say the same."""

from pathlib import Path

import pytest
import yaml
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent_options import agent_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION
from ansible_collections.nanoagent.k8s.plugins.modules import (
    agent,
    agent_info,
    bundle,
    bundle_load,
    collector_image,
    image_mirror,
    preflight,
    registry_configuration,
)

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
WHOLE = [
    ("agent", agent),
    ("verify", agent_info),
    ("collector_image", collector_image),
    ("mirror", image_mirror),
    ("bundle", bundle),
    ("bundle_load", bundle_load),
    ("registry_configuration", registry_configuration),
]
# What a role decides itself.
FIXED = {"collector_image": {"program"}}
# Where a role has another default than its module, by intention.
OTHER_DEFAULTS = {("verify", "live"), ("verify", "nodes_returned")}
# Options of the connection that a role leaves to module_defaults and the K8S_AUTH_* variables.
ONLY_BY_ENVIRONMENT = set(connection_argument_spec()) - {"kubeconfig", "context"}


def load(path):
    return yaml.safe_load((ROOT / path).read_text())


def role_options(role):
    return load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def secrets(spec, prefix=""):
    """The dotted names of the options that are kept out of logs."""
    found = {prefix + name for name, option in spec.items() if option.get("no_log")}
    return found.union(*(secrets(option["options"], f"{prefix}{name}.") for name, option in spec.items() if "options" in option))


def test_one_version():
    assert load("galaxy.yml")["version"] == VERSION


def test_the_action_group_holds_every_module():
    modules = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
    assert load("meta/runtime.yml")["action_groups"]["all"] == modules


@pytest.mark.parametrize("role", ROLES)
def test_role_defaults_and_argument_specs_agree(role):
    options = role_options(role)
    assert {name: spec["default"] for name, spec in options.items() if "default" in spec} == load(f"roles/{role}/defaults/main.yml")
    assert all(name.startswith(f"{role}_") for name in options)


@pytest.mark.parametrize(("role", "module"), WHOLE)
def test_a_role_passes_on_every_option_of_its_module(role, module):
    [task] = [task[key] for task in load(f"roles/{role}/tasks/main.yml") for key in task if key.startswith("nanoagent.k8s.")]
    spec = module.argument_spec()
    assert set(task) == set(spec) - (ONLY_BY_ENVIRONMENT if "kubeconfig" in spec else set())
    given = {option: argument for option, argument in task.items() if "{{" in argument}
    assert all(f"{role}_{option}" in argument for option, argument in given.items())
    assert {f"{role}_{name}" for name in given} <= set(role_options(role))
    assert set(task) - set(given) == FIXED.get(role, set())


def test_the_role_preflight_takes_the_variables_of_the_role_agent():
    [task] = [task[key] for task in load("roles/preflight/tasks/main.yml") for key in task if key.startswith("nanoagent.k8s.")]
    own, shared = set(preflight.argument_spec()) - set(agent.argument_spec()), set(agent_argument_spec()) | {"kubeconfig", "context"}
    assert set(task) == own | shared and shared <= set(agent.argument_spec())
    assert {option for option, argument in task.items() if f"agent_{option}" in argument} == shared
    assert {f"preflight_{option}" for option in own} | {"preflight_fail"} == set(role_options("preflight"))


@pytest.mark.parametrize(("role", "module"), WHOLE)
def test_role_defaults_are_the_module_s(role, module):
    defaults = load(f"roles/{role}/defaults/main.yml")
    for name, spec in module.argument_spec().items():
        given = defaults.get(f"{role}_{name}")
        if given is not None and "{{" not in str(given) and (role, name) not in OTHER_DEFAULTS:
            assert given == spec.get("default"), name


@pytest.mark.parametrize(("role", "module"), WHOLE)
def test_a_role_hides_the_secrets_that_its_module_hides(role, module):
    spec = module.argument_spec()
    hidden = secrets(spec) - (ONLY_BY_ENVIRONMENT if "kubeconfig" in spec else set())
    assert secrets(role_options(role)) == {f"{role}_{name}" for name in hidden}
    assert hidden or role in ("verify", "registry_configuration")
