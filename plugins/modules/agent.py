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
  - nanoagent.k8s.agent_options
attributes:
  check_mode:
    support: full
    details:
      - Predicts the same O(ignore:actions) that the real run takes, also where the namespace does not exist yet.
  diff_mode:
    support: full
    details:
      - Shows each object with the fields that are the collection's or are to be; values of Secrets, and what looks like a secret elsewhere, are hidden.
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
  kubernetes_version:
    description:
      - With O(state=rendered), the version of the API server that the manifests are for, such as V(1.29); the newest that is
        known without it. Other states ask the API server itself.
      - O(apparmor) becomes an annotation before 1.30.
    type: str
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

- name: Install the vendor's agent with its cluster monitor; the registration code becomes a Secret
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: ghcr.io/spyderbat/nano-agent:latest
    require_digest: false
    registration_code: "{{ vault_registration_code }}"
    cluster_name: production
    tags:
      team: platform
    https_proxy: http://proxy.example.com:3128
    proxy_exceptions: [.svc, .cluster.local]
    monitor:
      enabled: true
    rbac: respond

- name: Take the registration code from AWS Secrets Manager
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    credentials:
      aws_secrets_manager:
        secret_id: prod/spyderbat
        region: us-east-2
        role_arn: arn:aws:iam::111122223333:role/agent

- name: Take it from a Secret that is there, and replace the agents when it changes
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    credentials:
      existing_secret:
        name: spyderbat
        key: code
        restart_on_change: true

- name: Take it from a store of the External Secrets operator
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    credentials:
      external_secret:
        store: vault
        remote_key: security/spyderbat

- name: Run any other agent
  nanoagent.k8s.agent:
    profile: custom
    image: registry.example.com/security/agent@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    args: [--verbose]
    capabilities: [SYS_PTRACE]
    host_pid: true
    host_paths:
      - path: /etc
        mount_path: /host/etc
    extra_env:
      - name: LOG_LEVEL
        value: info
    extra_volumes:
      - name: scratch
        emptyDir: {}
    extra_volume_mounts:
      - name: scratch
        mountPath: /tmp
    probes:
      readiness:
        http_path: /healthz
        port: 8080

- name: Limit the agents to 5 percent of the smallest node, and let no workload displace them
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    limit_percent: 5
    priority_class:
      name: system-node-critical

- name: Place them on a pool of nodes, and update a quarter of them at a time
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
            - matchExpressions:
                - {key: pool, operator: In, values: [general, memory]}
    max_unavailable: 25%
    min_ready_seconds: 10

- name: Harden the agents
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    seccomp:
      type: Localhost
      content: "{{ lookup('ansible.builtin.file', 'seccomp.json') }}"
    apparmor:
      type: RuntimeDefault
    network_policy: true

- name: Let Prometheus scrape them
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    metrics:
      scrape: auto
    pod_labels:
      team: platform

- name: Trust a certificate authority of one's own
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    registration_code: "{{ vault_registration_code }}"
    orc_url: https://orc.example.com
    ca_bundle: "{{ lookup('ansible.builtin.file', 'ca.pem') }}"

- name: Use a namespace with labels, and a service account that is there
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    namespace: security
    namespace_labels:
      team: platform
    create_service_account: false
    service_account: existing

- name: Remove it
  nanoagent.k8s.agent:
    state: absent
"""

RETURN = r"""
actions:
  description:
    - What was done, or in check mode would be done, to each object. An C(action) is V(create), V(patch), V(recreate), V(keep), V(delete), or V(release)
      for an object that is to be no longer ours and that pods need, so that it stays.
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
owed:
  description:
    - Pods that only the kubelet of a node that is down can end, and the namespace that waits for them. They do not make
      the uninstall fail.
  type: list
  elements: dict
  returned: O(state=absent)
  contains:
    object:
      description: Kind, namespace and name.
      type: str
    node:
      description: The pod's node; empty for other kinds.
      type: str
    reason:
      description: What holds it, and how it ends.
      type: str
leftovers:
  description: What else was still there when the time was up, in the same shape.
  type: list
  elements: dict
  returned: O(state=absent) failed
image_signatures:
  description: For each image that is installed whether it is signed; V(verified by) and the fingerprint of the key, or what is wrong.
  type: list
  elements: dict
  returned: O(image_signature_policy) is V(warn) or V(require), and O(state) is not V(absent)
  sample:
    - image: registry.example.com/security/collector@sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      signature: verified by sha256:2f2bb1be0b5a8f4e5a2e8d3f9c5c4ad25f3b40f2bcd5e8e8f04cc4c7a4e70ac1
manifests:
  description: The objects in apply order.
  type: list
  elements: dict
  returned: O(state=rendered)
manifest:
  description: The same as one multi-document YAML text, the same bytes at every run.
  type: str
  returned: O(state=rendered)
left_out:
  description: One line for each Secret, which no manifest holds, with the command that makes it from files of yours.
  type: list
  elements: str
  returned: O(state=rendered)
files:
  description: What was done, or in check mode would be done, to each file.
  type: list
  elements: dict
  returned: O(render_dir) is set
  sample:
    - action: create
      path: /srv/manifests/001-namespace-nanoagent.yml
rolled_back:
  description: Whether the previous revision is back and verified.
  type: bool
  returned: the rollout failed
notes:
  description:
    - What is done differently on this platform, what a values file or a Helm release leaves open, which nodes are down and follow later, what becomes of
      the pods of a DaemonSet that had to be made anew; a line each.
  type: list
  elements: str
  returned: O(state) is V(present) or V(rendered)
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

from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent_options import agent_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish

RULES = {}


def argument_spec():
    return {
        **connection_argument_spec(),
        "state": {"type": "str", "choices": ["present", "absent", "rendered"], "default": "present"},
        "render_dir": {"type": "path"},
        "kubernetes_version": {"type": "str"},
        **agent_argument_spec(),
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
