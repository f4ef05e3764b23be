# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose agent it is: bundled (our collector), spyderbat (the vendor's image) or custom (any image). Pure.

A profile is a module with DEFAULTS (option -> value where the user gives none), OWN (options that only it takes),
CONTAINER (the agent container's name), check(options) and part(options, facts), the agent's own share of the pod:
{"command", "args", "env", "mounts", "volumes", "probes", "read_only_root", "selector", "labels", "annotations", "objects"}.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import profile_bundled, profile_custom, profile_spyderbat
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

PROFILES = {"bundled": profile_bundled, "spyderbat": profile_spyderbat, "custom": profile_custom}
_DEFAULT = "bundled"


def profile_of(options: dict):
    """The module of the options' profile."""
    return PROFILES[options.get("profile") or _DEFAULT]


def container_name(options: dict) -> str:
    """Name of the agent's container."""
    return profile_of(options).CONTAINER


def with_profile_defaults(options: dict) -> dict:
    """The options with everything that depends on the profile, or on another option, filled in; again, it changes nothing.

    | option | bundled | spyderbat | custom |
    |---|---|---|---|
    | name, namespace | nanoagent | spyderbat-nanoagent, spyderbat | nanoagent |
    | service_account | as name | spyderbat-serviceaccount | as name |
    | image | none | ghcr.io/spyderbat/nano-agent:latest | none |
    | max_unavailable | 10% | 1 | 10% |
    | privileged, host_pid, host_network | false | true | false |
    | run_as_user | 0 | the image's | 0 |
    | termination_grace_period | 10 | 30 | 10 |
    | network_policy | true | false | false |
    | events, ring_bytes | all, 4 MiB | none | none |
    | orc_url, omit_environment | none | https://orc.spyderbat.com, no | none |

    `resources` is filled in unless limit_percent is given, `max_unavailable` unless the strategy is OnDelete (and is 0
    beside a max_surge), `registry_login.secret_name` with `<name>-registry`, `dns_policy` where the pods are in the host's network.
    """
    filled = {**options, "profile": options.get("profile") or _DEFAULT}
    for option, value in profile_of(filled).DEFAULTS.items():
        if filled.get(option) is None:
            filled[option] = value
    # Named after the installation, since two in one namespace must not share what each of them writes and removes.
    if filled.get("service_account") is None:
        filled["service_account"] = filled["name"]
    if filled.get("registry_login") and filled["registry_login"].get("secret_name") is None:
        filled["registry_login"] = {**filled["registry_login"], "secret_name": f"{filled['name']}-registry"}
    if filled.get("update_strategy") == "OnDelete":
        filled["max_unavailable"] = options.get("max_unavailable")
    elif options.get("max_unavailable") is None and str(filled.get("max_surge") or "0") not in ("0", "0%"):
        filled["max_unavailable"] = "0"
    if options.get("network_policy") is None and filled["host_network"]:
        # A policy binds no pod in the node's network.
        filled["network_policy"] = False
    if filled.get("limit_percent") is not None:
        filled["resources"] = options.get("resources")
    if filled.get("dns_policy") is None and filled["host_network"]:
        filled["dns_policy"] = "ClusterFirstWithHostNet"
    return filled


def check_profile(options: dict) -> None:
    """Failure for options of another profile, and for what the profile itself refuses."""
    own = profile_of(options)
    for name, other in PROFILES.items():
        for option in other.OWN:
            if other is not own and option not in own.OWN and options.get(option) not in (None, "", [], {}):
                raise Failure(f"{option} means nothing to the profile {options['profile']}", f"leave it out, or set profile: {name}")
    own.check(options)
