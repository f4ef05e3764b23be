# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent module's options as its argument spec leaves them, and its objects in an easy shape."""

from __future__ import annotations

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

IMAGE = "registry.example/collector@sha256:" + "ab" * 32
# What a profile cannot do without.
NEEDED = {"spyderbat": {"registration_code": "code"}}


def agent_options(**given) -> dict:
    """The options with every default, types turned as Ansible turns them; named nanoagent whatever the profile."""
    if "credentials" not in given:
        given = {**NEEDED.get(given.get("profile"), {}), **given}
    result = ArgumentSpecValidator(argument_spec()).validate({"image": IMAGE, "name": "nanoagent", "namespace": "nanoagent", **given})
    assert not result.error_messages, result.error_messages
    return result.validated_parameters


def objects(facts=None, **given) -> dict:
    """{"Kind/name": object} for the given options."""
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj for obj in desired_objects(agent_options(**given), facts)}


def daemon_set(facts=None, **given) -> dict:
    """The DaemonSet for the given options."""
    return next(obj for obj in objects(facts, **given).values() if obj["kind"] == "DaemonSet")


def pod(facts=None, **given) -> dict:
    """The spec of the agent's pods."""
    return daemon_set(facts, **given)["spec"]["template"]["spec"]


def container(facts=None, **given) -> dict:
    """The agent's container."""
    return pod(facts, **given)["containers"][0]


def pod_annotations(facts=None, **given) -> dict:
    """The annotations of the agent's pods."""
    return daemon_set(facts, **given)["spec"]["template"]["metadata"].get("annotations") or {}
