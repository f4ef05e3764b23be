# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that are given and have no effect here, where that is no mistake: variables that several clusters share. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import priority
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent_options import agent_argument_spec

_NAMESPACE = ("namespace_labels", "namespace_annotations", "pod_security")
_OUTBOUND = ("http_proxy", "https_proxy", "proxy_exceptions", "ca_bundle", "ca_bundle_config_map")


def idle_notes(options: dict) -> list[str]:
    """A line for each reason. options: with their profile's defaults. An option that was given with its default value is not told."""
    spec = agent_argument_spec()

    def given(names):
        return [name for name in names if options.get(name) and options[name] != spec[name].get("default")]

    notes = []
    if not options["create_namespace"] and given(_NAMESPACE):
        notes.append(f"{', '.join(given(_NAMESPACE))}: without effect, since with create_namespace: false the namespace is used as it is")
    if options["profile"] == "bundled" and not options.get("orc_url") and given(_OUTBOUND):
        notes.append(f"{', '.join(given(_OUTBOUND))}: without effect, since the collector asks nobody without orc_url")
    chosen = options.get("priority_class")
    if chosen and chosen["value"] != spec["priority_class"]["options"]["value"]["default"] and not _makes_class(options):
        notes.append(f"priority_class.value: without effect, since the class {chosen['name']} is not made here")
    if options.get("dns_policy") == "ClusterFirst" and options["host_network"]:
        notes.append("dns_policy ClusterFirst: means Default in the node's network; ClusterFirstWithHostNet asks the cluster's name service there")
    return notes


def _makes_class(options):
    return any(obj["kind"] == "PriorityClass" for obj in priority.objects(options))
