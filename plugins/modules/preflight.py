#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: What an installation of the agent would meet, before there is one
version_added: 0.1.0
description:
  - Takes the options of M(nanoagent.k8s.agent), makes the same plan from the same reads, and checks what it would meet, from
    the user's rights to the way out of the cluster. Each check says C(ok), C(warning) or C(error), what it saw, and what to do.
  - Nothing of the plan is carried out. What is asked with dry runs leaves nothing behind. One check, C(egress), makes a
    short Job where it has URLs to reach, and removes it.
  - What the installation needs no right to read, such as the pods of other namespaces, is read where the user may, and the
    check is skipped where not.
author:
  - The nanoagent.k8s maintainers (@nanoagent)
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.connection
  - nanoagent.k8s.agent_options
attributes:
  check_mode:
    support: full
    details:
      - Makes no Job, so that the check C(egress) is skipped; all else is the same.
  diff_mode:
    support: none
    details:
      - There is nothing to show a difference of.
  idempotent:
    support: full
options:
  skip:
    description:
      - Checks to leave out. The document C(docs/preflight.md) says what each does.
    type: list
    elements: str
    choices:
      - api_version
      - rights
      - plan
      - eligibility
      - kernel
      - runtime_classes
      - room
      - sizing
      - quota
      - pod_security
      - admission
      - image
      - egress
      - tier
    default: []
  strict:
    description:
      - Checks whose warnings count as errors.
    type: list
    elements: str
    choices:
      - api_version
      - rights
      - plan
      - eligibility
      - kernel
      - runtime_classes
      - room
      - sizing
      - quota
      - pod_security
      - admission
      - image
      - egress
      - tier
    default: []
  write:
    description:
      - Whether the short Job of the check C(egress) may be made. Without it that check is skipped.
    type: bool
    default: true
  limit_warning_percent:
    description:
      - The check C(sizing) warns where a limit of the agent is more than this share of the smallest eligible node. A limit of
        more than 100 percent bounds nothing there.
    type: float
    default: 100
  egress_urls:
    description:
      - URLs that pods of the agent have to reach, beside O(orc_url). Any HTTP answer is good.
    type: list
    elements: str
    default: []
  egress_image:
    description:
      - The collector's image as M(nanoagent.k8s.collector_image) returns it, which asks the URLs; O(image) with
        O(profile=bundled). Other profiles need it to have the way out tried.
    type: str
  egress_namespace:
    description:
      - Namespace of the Job, where O(namespace) does not exist yet; network policies differ by namespace.
    type: str
  egress_nodes:
    description:
      - Which nodes the way out is tried from. V(pools) is one of each node pool and zone, at most 10, since firewalls differ by these. A number, at most
        V(50), is as many nodes, of each pool and zone in turn. Each has a Job of its own.
    type: str
    default: pools
  egress_timeout:
    description:
      - Seconds for the Job, the start of its pod included; at least 10.
    type: int
    default: 60
seealso:
  - module: nanoagent.k8s.agent
  - module: nanoagent.k8s.agent_info
"""

EXAMPLES = r"""
- name: Look ahead
  nanoagent.k8s.preflight:
    image: "{{ collector_image_result.image }}"
  register: ahead

- name: Insist
  ansible.builtin.assert:
    that: ahead.ok
    fail_msg: "{{ ahead.errors | join('; ') }}"

- name: Look ahead at the vendor's agent, the way out through a proxy among it
  nanoagent.k8s.preflight:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: registry.example.com/security/nano-agent@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    registration_code: "{{ vault_registration_code }}"
    https_proxy: http://proxy.example.com:3128
    egress_image: "{{ collector_image_result.image }}"
    egress_namespace: default

- name: Read only, with an account that may not see other namespaces
  nanoagent.k8s.preflight:
    image: "{{ collector_image_result.image }}"
    write: false
    skip: [room, runtime_classes]
    strict: [image, kernel]
"""

RETURN = r"""
ok:
  description: Whether no check found an error.
  type: bool
  returned: always
headline:
  description: How many of each.
  type: str
  returned: always
  sample: errors 0, warnings 2, ok 11
checks:
  description: What the checks found; a check may find several things.
  type: list
  elements: dict
  returned: always
  contains:
    check:
      description: Name of the check, as in O(skip).
      type: str
    result:
      description: One of V(ok), V(warning), V(error), V(skipped).
      type: str
    object:
      description: The object that it is about; empty where it is about nodes, or the whole.
      type: str
    nodes:
      description: Names of the nodes that it is about.
      type: list
      elements: str
    evidence:
      description: What was seen.
      type: str
    fix:
      description: What to do.
      type: str
  sample:
    - check: room
      result: error
      object: ""
      nodes: [worker-2]
      evidence: "no room: cpu: 100m wanted, 40m of 2 free"
      fix: give the agent a higher priority class than priority 0, lower resources.requests, or free what is short
table:
  description: One line a finding, to be read.
  type: list
  elements: str
  returned: always
errors:
  description: One line an error.
  type: list
  elements: str
  returned: always
nodes:
  description: What is expected of each node.
  type: list
  elements: dict
  returned: always
  contains:
    node:
      description: The node's name.
      type: str
    eligible:
      description: Whether it would get an agent.
      type: bool
    blockers:
      description: Why not, each with C(kind) (nodeName, selector, affinity or taint) and C(detail).
      type: list
      elements: dict
    room:
      description: Whether the pod fits, whom it would displace, or what it would lack; empty where it was not asked.
      type: str
      sample: "starves (cpu: 100m wanted, 40m of 2 free)"
    kernel:
      description: The kernel's release.
      type: str
  sample:
    - {node: worker-1, os: linux, arch: amd64, kernel: 6.8.0-45-generic, os_image: Ubuntu 24.04.1 LTS, version: v1.36.3, up: true,
       cordoned: false, not_real: "", eligible: true, blockers: [], room: fits}
plan:
  description: What the installation would do, in numbers; empty where no plan could be made.
  type: str
  returned: always
  sample: create 9, keep 0
notes:
  description: What M(nanoagent.k8s.agent) would tell of options, platform and a Helm release that is taken over.
  type: list
  elements: str
  returned: always
requests:
  description: How many requests went to the API server; dry runs and questions about rights count as reads.
  type: dict
  returned: always
  sample: {read: 96, write: 0}
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils.agent_options import agent_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import CHECKS
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.preflight import work

RULES = {}


def argument_spec():
    return {
        **connection_argument_spec(),
        **agent_argument_spec(),
        "skip": {"type": "list", "elements": "str", "choices": list(CHECKS), "default": []},
        "strict": {"type": "list", "elements": "str", "choices": list(CHECKS), "default": []},
        "write": {"type": "bool", "default": True},
        "limit_warning_percent": {"type": "float", "default": 100},
        "egress_urls": {"type": "list", "elements": "str", "default": []},
        "egress_image": {"type": "str"},
        "egress_namespace": {"type": "str"},
        "egress_nodes": {"type": "str", "default": "pools"},
        "egress_timeout": {"type": "int", "default": 60},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
