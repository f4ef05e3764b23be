# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profile spyderbat: the vendor's image with the names, variables and paths of its published chart. Pure.

What is kept for compatibility is what the image and its backend see: names, environment variables, mount paths, the host's
namespaces, privilege. What is better than in the chart: the registration code comes from a Secret, nothing is random, host
paths have a type, all values are text.
"""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import as_text, check_scalars, text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.outbound import check_https
from ansible_collections.nanoagent.k8s.plugins.module_utils.platform_rules import vendor_host_paths
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import names

CONTAINER = "spyderbat-nanoagent"
DEFAULTS = {
    "name": "spyderbat-nanoagent",
    "namespace": "spyderbat",
    "service_account": "spyderbat-serviceaccount",
    "image": "ghcr.io/spyderbat/nano-agent:latest",
    "max_unavailable": "1",
    "privileged": True,
    "host_network": True,
    "host_pid": True,
    "termination_grace_period": 30,
    "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6000m", "memory": "10240Mi"}},
    "orc_url": "https://orc.spyderbat.com",
    "omit_environment": "no",
}
OWN = ("orc_url", "omit_environment", "extra_args", "curl_args", "registration_code", "credentials", "cluster_name", "tags")

# (volume, path on the node, path in the container, read-only). The agent keeps its state and its programs under /opt, /var
# and /run, and reads home folders; the chart has these writable, so only those are.
_HOST_PATHS = (
    ("iproc", "/proc", "/iproc", True),
    ("hostopt", "/opt", "/hostopt", False),
    ("hostvar", "/var", "/hostvar", False),
    ("hosthome", "/home", "/hosthome", False),
    ("hostetc", "/etc", "/hostetc", True),
    ("hostrun", "/run", "/hostrun", False),
)
_FREE_TIER_NODES = 5
_SNAP = ("hostsnap", "/snap", "/hostsnap", False)


def check(options: dict) -> None:
    """Failure for what the agent or its backend could not read."""
    check_https("orc_url", options["orc_url"])
    for key in text_values(options.get("pod_labels")):
        if key in _own_labels(options):
            raise Failure(f"pod_labels.{key} is a label that the vendor's agent has", "choose another key")
    check_scalars("tags", options["tags"])
    for key, value in (options["tags"] or {}).items():
        if not re.fullmatch(r"[^:=\s]+", str(key)) or ":" in as_text(value):
            raise Failure(f"tags.{key} cannot be sent", "tags go out as KEY=value:KEY=value, so keys have neither ':' nor '=' nor spaces and values no ':'")
    if not options.get("registration_code") and not options.get("credentials"):
        raise Failure("the profile spyderbat has no registration code", "set registration_code, or credentials with one of its sources")


def part(options: dict, facts: dict) -> dict:
    """The agent's share of the pod, as profiles describes it."""
    add, leave_out = vendor_host_paths(names(facts.get("platforms") or []) | {options.get("platform")})
    paths = [path for path in (*_HOST_PATHS, *((_SNAP,) if _SNAP[1] in add else ())) if path[1] not in leave_out]
    return {
        "env": [*shared_env(options, facts), {"name": "SPYDERBAT_EPHEMERAL_NODE", "value": "true"}],
        "mounts": [{"name": name, "mountPath": inside, **({"readOnly": True} if read_only else {})} for name, _path, inside, read_only in paths],
        "volumes": [{"name": name, "hostPath": {"path": path, "type": "Directory"}} for name, path, _inside, _read_only in paths],
        "probes": {},
        "read_only_root": False,
        # The chart's selector, which is immutable: a release can be taken over without making the DaemonSet anew.
        "selector": {"name": options["name"]},
        "labels": _own_labels(options),
        "annotations": {},
        "objects": [],
    }


def _own_labels(options):
    return {"k8s-app": options["name"], "name": options["name"], "version": "v1"}


def shared_env(options: dict, facts: dict) -> list[dict]:
    """The variables that the vendor's node agent and its cluster monitor both read, but for the registration code."""
    values = {
        "ORC_URL": options["orc_url"],
        "SPYDERBAT_TAGS": ":".join(f"{key}={as_text(value)}" for key, value in sorted((options["tags"] or {}).items())),
        "SPYDERBAT_K8S_DEPLOYMENT": "yes",
        "CLUSTER_NAME": options["cluster_name"],
        "EXTRA_ARGS": options.get("extra_args"),
        "CURL_ARGS": options.get("curl_args"),
        # The cluster's own identity: the same at every run, another for another cluster.
        "SPYDERBAT_INSTALL_ID": facts.get("cluster_uid"),
        "OMITENVIRONMENT": options["omit_environment"],
    }
    return [{"name": name, "value": value} for name, value in values.items() if value]


def tier_notes(options: dict, eligible: int) -> list[str]:
    """A line for the plan where the vendor's free tier cannot register all eligible nodes; none for other profiles."""
    if options["profile"] != "spyderbat" or eligible <= _FREE_TIER_NODES:
        return []
    return [f"spyderbat: {eligible} nodes are eligible, the free tier registers at most {_FREE_TIER_NODES}; have a subscription that covers them all"]
