# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that are given and have no effect here, where that is no mistake: variables that several clusters share. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import cluster_monitor, priority
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent_options import agent_argument_spec

_NAMESPACE = ("namespace_labels", "namespace_annotations", "pod_security")
_OUTBOUND = ("http_proxy", "https_proxy", "proxy_exceptions", "ca_bundle", "ca_bundle_config_map")


def idle_notes(options: dict) -> list[str]:
    """A line for each reason. options: with their profile's defaults. An option that was given with its default value is not told."""
    spec = agent_argument_spec()

    def given(names):
        return [name for name in names if options.get(name) and options[name] != spec[name].get("default")]

    def changed(name):
        """Whether a suboption beside the one that switches it has a value of its own."""
        suboptions = spec[name]["options"]
        return [key for key, value in (options.get(name) or {}).items() if key in suboptions and value not in (None, suboptions[key].get("default"))]

    notes = []
    if changed("monitor") and not options["monitor"]["enabled"]:
        notes.append(f"monitor.{changed('monitor')[0]}: without effect, since monitor.enabled is false")
    if changed("metrics") and options["metrics"]["scrape"] == "off":
        notes.append(f"metrics.{changed('metrics')[0]}: without effect, since metrics.scrape is off")
    if "kubelet_root" in changed("seccomp") and not options["seccomp"].get("content"):
        notes.append("seccomp.kubelet_root: without effect, since no seccomp.content is brought to the nodes")
    for kind, probe in (options.get("probes") or {}).items():
        if probe and probe.get("enabled") is False and any(value is not None for key, value in probe.items() if key != "enabled"):
            notes.append(f"probes.{kind}: without effect but for enabled: false, which leaves the probe out")
    if options.get("proxy_exceptions") and not (options.get("http_proxy") or options.get("https_proxy")):
        notes.append("proxy_exceptions: without effect, since there is no proxy")
    if options["profile"] == "bundled" and options.get("orc_url") and options.get("http_proxy") and not options.get("https_proxy"):
        notes.append("http_proxy: without effect, since orc_url is https; set https_proxy")
    if options.get("render_dir") and options["state"] == "present":
        notes.append("render_dir: without effect, since state is present; use state: rendered")
    if options.get("adopt_helm_leftovers") == "delete" and not options.get("adopt_helm_release"):
        notes.append("adopt_helm_leftovers: without effect, since no adopt_helm_release is named")
    for label in cluster_monitor.labels_left_out(options):
        notes.append(f"pod_labels.{label}: not on the cluster monitor's pods, which are chosen by it")
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
