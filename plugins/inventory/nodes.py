# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: nodes
short_description: A cluster's nodes as hosts, grouped by how their agent is
version_added: 0.1.0
description:
  - Each node of a Kubernetes cluster is a host, with what the API server says of it in the variable C(k8s_node) and, where
    the agent is installed, its verdict in C(k8s_agent), as RV(nanoagent.k8s.agent_info#module:nodes) has it.
  - All of them are in the group C(nodes); those on which the agent should run in C(eligible) too. The other groups are
    those of O(group_by).
  - The name of its file ends with C(nanoagent.yml), C(nanoagent.yaml), C(nodes.yml) or C(nodes.yaml).
  - Values that come from the cluster are never taken for templates.
author:
  - The nanoagent.k8s maintainers (@nanoagent)
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
  - nanoagent.k8s.connection
options:
  plugin:
    description:
      - Says that the file is for this plugin.
    type: str
    required: true
    choices: [nanoagent.k8s.nodes]
  verdicts:
    description:
      - Whether to ask how the agent is on each node. Needs the right to read the DaemonSet, and to list pods, events and
        controller revisions in O(namespace), beside that to list nodes.
      - Where the DaemonSet does not exist a warning says so, and no host has C(k8s_agent).
    type: bool
    default: true
  profile:
    description:
      - Whose agent it is, as in M(nanoagent.k8s.agent); the names by default depend on it.
    type: str
    choices: [bundled, spyderbat, custom]
    default: bundled
  name:
    description:
      - Name of the agent's DaemonSet; V(nanoagent) by default, V(spyderbat-nanoagent) with O(profile=spyderbat).
    type: str
  namespace:
    description:
      - Namespace of the agent; V(nanoagent) by default, V(spyderbat) with O(profile=spyderbat).
    type: str
  label_selector:
    description:
      - Only nodes with these labels, in the API server's syntax.
    type: str
  include:
    description:
      - A Jinja2 expression over a host's variables, without braces; only nodes for which it is true become hosts.
      - An expression that fails is an error, whatever O(strict) says, so that no node is missing in silence.
    type: str
  hostname:
    description:
      - Where a host's name in the inventory comes from. The first that the node has counts, else its name.
      - V(name), a type of the node's addresses such as V(InternalDNS), C(label:KEY) or C(annotation:KEY).
    type: list
    elements: str
    default: [name]
  host_prefix:
    description:
      - Text in front of every host's name, for clusters whose nodes have the same names.
    type: str
    default: ""
  address:
    description:
      - Where C(ansible_host) comes from, written as in O(hostname). The first that the node has counts; with an empty list,
        and where the node has none of them, C(ansible_host) is not set.
      - What could be taken for an option of the program that connects is no address.
    type: list
    elements: str
    default: [InternalIP, ExternalIP, Hostname]
  group_by:
    description:
      - What hosts are grouped by. The groups' names begin with it, as C(state_ready), C(arch_arm64) or
        C(role_control_plane).
    type: list
    elements: str
    choices: [state, pool, zone, arch, os, version, role]
    default: [state, pool, zone, arch, os, version, role]
  cluster_name:
    description:
      - The cluster's name. All its hosts are in a group of this name, and C(k8s_cluster) has it.
    type: str
seealso:
  - module: nanoagent.k8s.agent_info
"""

EXAMPLES = r"""
# production.nanoagent.yml: the nodes of the current context. In a play, `hosts: eligible:!state_ready` are those whose agent is not well.
plugin: nanoagent.k8s.nodes
---
# Two clusters in one inventory are two files in a folder; this one is edge.nanoagent.yml.
plugin: nanoagent.k8s.nodes
context: edge
cluster_name: edge
host_prefix: edge-
label_selector: "!node-role.kubernetes.io/control-plane"
include: not k8s_node.not_real
address: ["annotation:example.com/management-address", InternalIP]
compose:
  ansible_user: "'core' if 'Talos' not in k8s_node.os_image else 'root'"
groups:
  old_kernel: k8s_node.kernel is version('5.8', '<')
keyed_groups:
  - key: k8s_node.labels['example.com/rack'] | default('')
    prefix: rack
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: .cache
cache_timeout: 300
"""

import hashlib
import json
import os
import tempfile
from contextlib import closing

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.module_utils.common.json import AnsibleJSONEncoder
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import (
    connection_argument_spec,
    effective_options,
    environment_secrets,
    kubeconfig_secrets,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run, secret_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_hosts import check_sources, first_of, found_hosts, groups_of, names_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.verify import verify
from ansible_collections.nanoagent.k8s.plugins.modules import agent_info

_FILES = tuple(f"{name}.{extension}" for name in ("nanoagent", "nodes") for extension in ("yml", "yaml"))


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """A cluster's nodes."""

    NAME = "nanoagent.k8s.nodes"

    def verify_file(self, path):
        """Whether the file's name says that it is ours."""
        return super().verify_file(path) and path.endswith(_FILES)

    def parse(self, inventory, loader, path, cache=True):
        """Puts the nodes and their groups into the inventory."""
        super().parse(inventory, loader, path, cache)
        config = self._read_config_data(path)
        secrets = set()
        try:
            options = self._checked(config)
            secrets |= secret_values(connection_argument_spec(), options)
            found = self._found(path, cache, options, secrets)
            self._populate(found, options)
        except Failure as failure:
            # Without a cause: Ansible shows a cause with the lines of the file around it, and a token may stand there.
            raise AnsibleParserError(remove_values(failure.message, secrets)) from None

    def _checked(self, config):
        aliases = {alias for spec in connection_argument_spec().values() for alias in spec.get("aliases") or []}
        unknown = sorted(set(config) - set(self._options) - aliases)
        if unknown:
            raise Failure(f"the inventory's file has {', '.join(unknown)}, which is no option", "see ansible-doc -t inventory nanoagent.k8s.nodes")
        # Plain types: what a file gives carries marks that only Ansible understands, and vaulted values.
        options = json.loads(json.dumps({name: self.get_option(name) for name in self._options}, cls=AnsibleJSONEncoder, vault_to_text=True))
        for option in ("hostname", "address"):
            check_sources(option, options[option])
        return options

    def _found(self, path, cache, options, secrets):
        """{"cluster", "hosts", "warnings"} as the cluster says now, or said when the cache was filled."""
        if not options["cache"]:
            return _ask(options, secrets)
        key = f"{self.get_cache_key(path)}_{_digest(options, secrets)}"
        if cache:
            try:
                return self._cache[key]
            except KeyError:
                pass
        self._cache[key] = _ask(options, secrets)
        return self._cache[key]

    def _populate(self, found, options):
        for warning in found["warnings"]:
            self.display.warning(warning)
        cluster = {**found["cluster"], "name": options["cluster_name"] or ""}
        hosts = [host for host in found["hosts"] if self._is_included(host, cluster, options)]
        for name, host in zip(names_of(hosts, options["hostname"], options["host_prefix"]), hosts):
            self._add(name, host, cluster, options)

    def _is_included(self, host, cluster, options):
        if not options["include"]:
            return True
        try:
            return boolean(self._compose(self.get_option("include"), _variables(host, cluster)), strict=False)
        except Exception as error:
            raise Failure(f"include fails for the node {host['node']['node']}: {error}", "correct the expression, or what it asks for") from error

    def _add(self, name, host, cluster, options):
        self.inventory.add_host(name)
        for group in [*groups_of(host, options["group_by"]), *([options["cluster_name"]] if options["cluster_name"] else [])]:
            self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), name)
        variables = _variables(host, cluster)
        address = first_of(options["address"], host["node"])
        if address:
            variables["ansible_host"] = address
        for variable, value in variables.items():
            self.inventory.set_variable(name, variable, value)
        strict = options["strict"]
        self._set_composite_vars(self.get_option("compose"), variables, name, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict)


def _variables(host, cluster):
    """The host's variables. What a node says of itself must not be taken for a template: a template runs code here."""
    verdict = {} if host["verdict"] is None else {"k8s_agent": _inert(host["verdict"])}
    return {"k8s_node": _inert(host["node"]), "k8s_cluster": cluster, **verdict}


def _inert(value):
    """The value with every text marked that could be a template; all the others stay plain, for whoever reads ansible-inventory's output."""
    if isinstance(value, dict):
        return {key: _inert(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_inert(item) for item in value]
    return wrap_var(value) if isinstance(value, str) and "{" in value else value


def _ask(options, secrets):
    which = with_profile_defaults({**{name: spec.get("default") for name, spec in agent_info.argument_spec().items()}, **_common(options)})
    with tempfile.TemporaryDirectory(prefix="nanoagent-", dir=C.DEFAULT_LOCAL_TMP) as folder, closing(_connect(which, folder, secrets)) as cluster:
        selector = {"labelSelector": options["label_selector"]} if options["label_selector"] else {}
        nodes, _version = cluster.list("Node", **selector)
        rows, warnings = _verdicts(cluster, which) if options["verdicts"] else ([], [])
        return {"cluster": {"server": cluster.server}, "hosts": found_hosts(nodes, rows), "warnings": warnings}


def _connect(options, folder, secrets):
    return connect(options, Run(temp_dir=folder, secrets=secrets))


def _verdicts(cluster, options):
    """(rows, warnings); no rows where the agent is not installed."""
    report = verify(cluster, {**options, "drift": "ignore"})
    return report["nodes"], report["warnings"] + ([] if report["installed"] else report["causes"])


def _common(options):
    """Those of the options that agent_info has too."""
    return {name: options[name] for name in agent_info.argument_spec() if options.get(name) is not None}


def _digest(options, secrets):
    """Of what decides which cluster is asked for what, without secrets: the same file may lead elsewhere in another environment."""
    reached = effective_options({name: options[name] for name in connection_argument_spec()}, os.environ)
    held = kubeconfig_secrets(reached["kubeconfig"])
    secrets |= held | environment_secrets(os.environ)
    named = {name: value for name, value in reached.items() if name not in ("api_key", "password")}
    asked = [options[name] for name in ("verdicts", "profile", "name", "namespace", "label_selector")]
    where = [remove_values(named, held), None if reached["host"] or reached["kubeconfig"] else os.environ.get("KUBECONFIG")]
    return hashlib.sha256(json.dumps([where, asked], sort_keys=True).encode()).hexdigest()[:8]
