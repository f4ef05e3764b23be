#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent
short_description: Install, render or remove the eBPF agent on a Kubernetes cluster
version_added: 0.1.0
description:
  - Puts the collector on every eligible node with one call. It makes the namespace, service accounts, rights of the
    verifier, priority class, pull secret, configuration and DaemonSet by server-side apply.
  - A second run with the same options reads only and writes nothing.
  - Waits by watching, and ends early with the cause where the rollout cannot succeed.
author:
  - The nanoagent.k8s maintainers (@nanoagent)
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.connection
  - nanoagent.k8s.wait
attributes:
  check_mode:
    support: full
    details:
      - Predicts the same O(ignore:actions) that the real run takes, also where the namespace does not exist yet.
  diff_mode:
    support: full
    details:
      - Shows only fields that the collection owns; values of Secrets are hidden.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) installs or repairs, V(absent) removes what this collection installed, V(rendered) returns the
        manifests and talks to no cluster; Secrets are left out of them.
    type: str
    choices: [present, absent, rendered]
    default: present
  render_dir:
    description:
      - Folder for the files of O(state=rendered), on the machine that the module runs on; it is made where its parent
        exists. It gets one numbered file an object in apply order, C(bundle.yaml) with all of them, and
        C(kustomization.yaml) that lists the numbered ones.
      - Files of an earlier rendering that no longer belong are removed; files of other origin are never touched.
    type: path
  name:
    description:
      - Name of the DaemonSet; other objects derive their names from it.
    type: str
    default: nanoagent
  namespace:
    description:
      - Namespace of the agent.
    type: str
    default: nanoagent
  create_namespace:
    description:
      - Whether to make the namespace where it does not exist. A namespace that somebody else made is used and left as
        it is, and V(absent) keeps it.
    type: bool
    default: true
  image:
    description:
      - Reference of the collector's image, as M(nanoagent.k8s.collector_image) returns it. Needed unless O(state=absent).
    type: str
  require_digest:
    description:
      - Whether to refuse an O(image) that is not pinned by a digest.
    type: bool
    default: true
  registry_login:
    description:
      - Login to the image's registry; it becomes a pull secret of the agent.
    type: dict
    suboptions:
      registry:
        description: The registry's host, with its port, as in O(image).
        type: str
        required: true
      username:
        description: User.
        type: str
        required: true
      password:
        description: Password or token.
        type: str
        required: true
      secret_name:
        description: Name of the Secret.
        type: str
        default: nanoagent-registry
  image_pull_secrets:
    description:
      - Names of existing pull secrets in the namespace.
    type: list
    elements: str
    default: []
  service_account:
    description:
      - Name of the agent's service account. It has no rights, and its token is not mounted.
    type: str
    default: nanoagent
  verifier:
    description:
      - Whether to make the service account C(<name>-verifier) with just the rights that
        M(nanoagent.k8s.agent_info) needs.
    type: bool
    default: true
  cluster_name:
    description:
      - Name of the cluster, in every event.
    type: str
    default: ""
  tags:
    description:
      - Tags in every event.
    type: dict
    default: {}
  events:
    description:
      - The kinds of events that the collector emits.
    type: list
    elements: str
    choices: [exec, fork, exit, connect, accept]
    default: [exec, fork, exit, connect, accept]
  ring_bytes:
    description:
      - Size of the buffer between the kernel and the collector, in bytes; a power of two.
    type: int
    default: 4194304
  resources:
    description:
      - Requests and limits of the collector's container.
    type: dict
    default:
      requests: {cpu: 100m, memory: 512Mi}
      limits: {cpu: 6000m, memory: 10240Mi}
  priority_class:
    description:
      - Priority class of the pods; none by default. Without one an agent may never get a place on a full node.
    type: dict
    suboptions:
      name:
        description: Name of the class.
        type: str
        required: true
      create:
        description: Whether to make the class; otherwise it has to exist.
        type: bool
        default: true
      value:
        description:
          - Value of the class that is made, up to 1,000,000,000. 100 to 1000 is low, 100,000 and more very high.
        type: int
        default: 1000
  tolerations:
    description:
      - Tolerations of the pods. By default every taint is tolerated, so that no node is left out.
    type: list
    elements: dict
    default:
      - operator: Exists
  node_selector:
    description:
      - Labels that a node must have, beside C(kubernetes.io/os=linux).
    type: dict
    default: {}
  architectures:
    description:
      - Architectures of the nodes that get an agent.
    type: list
    elements: str
    choices: [amd64, arm64]
    default: [amd64, arm64]
  control_plane:
    description:
      - Whether control-plane nodes get an agent.
    type: bool
    default: true
  real_nodes_only:
    description:
      - Whether to leave out nodes with no machine behind them, that is Fargate, virtual kubelet and kwok.
    type: bool
    default: true
  max_unavailable:
    description:
      - How many nodes may be without a ready agent during an update, as a number or a percentage.
    type: str
    default: 10%
  privileged:
    description:
      - Whether to run the collector privileged, for kernels before 5.8 that lack CAP_BPF. Otherwise it has
        CAP_BPF and CAP_PERFMON only.
    type: bool
    default: false
  force_conflicts:
    description:
      - Whether to take fields that another manager holds.
    type: bool
    default: false
seealso:
  - module: nanoagent.k8s.collector_image
  - module: nanoagent.k8s.agent_info
"""

EXAMPLES = r"""
- name: Install the agent
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    cluster_name: production

- name: Install with a priority class, from a registry with a login
  nanoagent.k8s.agent:
    image: registry.example.com/security/collector@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    registry_login:
      registry: registry.example.com
      username: puller
      password: "{{ vault_registry_password }}"
    priority_class:
      name: nanoagent
      value: 100000

- name: Remove it
  nanoagent.k8s.agent:
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, to each object.
  type: list
  elements: dict
  returned: O(state) is V(present) or V(absent)
  sample:
    - action: create
      object: DaemonSet nanoagent/nanoagent
      fields: []
kept:
  description: What was left in place on purpose, and why.
  type: list
  elements: str
  returned: O(state=absent)
manifests:
  description: The objects in apply order.
  type: list
  elements: dict
  returned: O(state=rendered)
manifest:
  description: The same as one multi-document YAML text, the same bytes at every run.
  type: str
  returned: O(state=rendered)
summary:
  description: Number of nodes, of eligible and of ready ones, and of nodes in each state.
  type: dict
  returned: O(state=present) and O(wait=true)
  sample: {nodes: 3, eligible: 3, ready: 3, states: {ready: 3}}
table:
  description: One line a node, to be read.
  type: list
  elements: str
  returned: O(state=present) and O(wait=true)
requests:
  description: How many requests went to the API server.
  type: dict
  returned: O(state) is V(present) or V(absent)
  sample: {read: 14, write: 0}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import finish

RULES = {"required_if": [("state", "present", ["image"]), ("state", "rendered", ["image"])]}


def argument_spec():
    return {
        **connection_argument_spec(),
        "state": {"type": "str", "choices": ["present", "absent", "rendered"], "default": "present"},
        "render_dir": {"type": "path"},
        "name": {"type": "str", "default": "nanoagent"},
        "namespace": {"type": "str", "default": "nanoagent"},
        "create_namespace": {"type": "bool", "default": True},
        "image": {"type": "str"},
        "require_digest": {"type": "bool", "default": True},
        "registry_login": {
            "type": "dict",
            "options": {
                "registry": {"type": "str", "required": True},
                "username": {"type": "str", "required": True},
                "password": {"type": "str", "required": True, "no_log": True},
                "secret_name": {"type": "str", "default": "nanoagent-registry", "no_log": False},
            },
        },
        "image_pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "service_account": {"type": "str", "default": "nanoagent"},
        "verifier": {"type": "bool", "default": True},
        "cluster_name": {"type": "str", "default": ""},
        "tags": {"type": "dict", "default": {}},
        "events": {
            "type": "list",
            "elements": "str",
            "choices": ["exec", "fork", "exit", "connect", "accept"],
            "default": ["exec", "fork", "exit", "connect", "accept"],
        },
        "ring_bytes": {"type": "int", "default": 4194304},
        "resources": {
            "type": "dict",
            "default": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6000m", "memory": "10240Mi"}},
        },
        "priority_class": {
            "type": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "create": {"type": "bool", "default": True},
                "value": {"type": "int", "default": 1000},
            },
        },
        "tolerations": {"type": "list", "elements": "dict", "default": [{"operator": "Exists"}]},
        "node_selector": {"type": "dict", "default": {}},
        "architectures": {"type": "list", "elements": "str", "choices": ["amd64", "arm64"], "default": ["amd64", "arm64"]},
        "control_plane": {"type": "bool", "default": True},
        "real_nodes_only": {"type": "bool", "default": True},
        "max_unavailable": {"type": "str", "default": "10%"},
        "privileged": {"type": "bool", "default": False},
        "force_conflicts": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
    }


def main():
    finish(AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
