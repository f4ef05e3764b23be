# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profile custom: any image, with its own command, arguments, variables, paths and probes. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import profile_bundled
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import daemon_set_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import DEFAULT

CONTAINER = "agent"
OWN = ("command", "args", "registration_code", "credentials")
# Whom the agent has to reach is not known.
DEFAULTS = {option: value for option, value in profile_bundled.DEFAULTS.items() if option not in ("events", "ring_bytes")} | {
    "resources": DEFAULT,
    "network_policy": False,
}


def check(options: dict) -> None:
    """Nothing is known of the image that could be checked."""


def part(options: dict, facts: dict) -> dict:
    """The agent's share of the pod, as profiles describes it."""
    return {
        "command": options.get("command"),
        "args": options.get("args"),
        "env": [],
        "mounts": [],
        "volumes": [],
        "probes": {},
        "read_only_root": True,
        "selector": daemon_set_labels(options["name"]),
        "labels": {},
        "annotations": {},
        "objects": [],
    }
