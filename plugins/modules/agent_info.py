#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_info
short_description: A verdict for every node, with live proof that its collector sees
version_added: 0.1.0
description:
  - Says for every node of the cluster whether it is eligible for the agent, whether the agent is ready there, and if
    not, why and what to do.
  - With O(live) a marker process is run on each node, and its event must come back from that node's collector.
author:
  - The nanoagent.k8s maintainers (@nanoagent)
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.connection
attributes:
  check_mode:
    support: full
    details:
      - The module changes nothing in the cluster. In check mode it does the same, the marker processes of O(live) among it, but
        writes none of the O(reports).
  diff_mode:
    support: none
    details:
      - There is nothing to show a difference of.
  idempotent:
    support: full
options:
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
  daemon_sets:
    description:
      - Names of several DaemonSets in O(namespace) that are one agent together, such as one for each pool or architecture; in place of O(name).
      - A node is eligible where one of them runs a pod there, and ready where that one's pod is. Where two of them do, that is a conflict.
    type: list
    elements: str
  selector:
    description:
      - The same by their labels, as C(kubectl) takes them.
    type: str
  live:
    description:
      - Whether to ask each node for a live proof. Needs the verbs C(get) and C(create) on C(pods/exec) in O(namespace).
    type: bool
    default: false
  live_timeout:
    description:
      - Seconds within which a marker's event has to come back.
    type: int
    default: 10
  live_parallel:
    description:
      - How many nodes are proven at a time.
    type: int
    default: 32
  expect_events_at:
    description:
      - A query API of the backend that the collectors send to, directly or by a log collector. The event of each node's marker
        has to be found there too; where it is not, the node's proof fails, and RV(nodes[].state) stays what it is. Needs O(live).
      - C({nonce}) stands for the first half of a random word that only this marker carries. The answer has to hold the whole
        word, so that no answer that repeats the question can pass.
    type: dict
    suboptions:
      url:
        description:
          - URL to ask. C({nonce}), C({nonce_sha256}), which is of the whole word, and C({node}) are filled in, quoted for a URL.
        type: str
        required: true
      body:
        description: Body to send by POST, as JSON, with the same placeholders; without it the URL is asked by GET.
        type: str
      jmespath:
        description:
          - JMESPath expression for the part of a JSON answer that has to hold the word, with the same placeholders; without it
            the whole answer. Needs the Python library jmespath.
        type: str
      headers:
        description: Headers of the request.
        type: dict
        default: {}
      secret_headers:
        description: Headers whose values nobody shall see, such as C(Authorization); over https only.
        type: dict
        default: {}
      ca_cert:
        description: File with the certificate authorities of the backend; without it those of this machine.
        type: path
      proxy:
        description: Proxy for the query, without user and password; without it that of the environment.
        type: str
      timeout:
        description: Seconds within which an event has to be there.
        type: int
        default: 30
  drift:
    description:
      - What it means that somebody changed or removed what M(nanoagent.k8s.agent) applied. V(report) lists it in
        RV(drift) and RV(missing), V(fail) makes RV(ok) false too, V(ignore) does not look.
      - Looking needs the right to read the kinds that were applied. Where the user may not, RV(drift_unknown) says so.
    type: str
    choices: [report, fail, ignore]
    default: report
  max_unready:
    description:
      - So many eligible nodes may be not ready, or with O(live) not proven, for RV(ok) to be true all the same. A number, or a
        share of the eligible nodes such as V(5%), rounded down.
      - Whatever is allowed, RV(ok) is false where no node is eligible or nothing is known of one.
    type: str
    default: "0"
  allow_not_ready_younger_than:
    description:
      - Nodes that joined the cluster less than this ago may be not ready beside those of O(max_unready). Such as V(10m) or
        V(1h30m), or a number of seconds. The times are the API server's.
    type: str
    default: "0"
  accept:
    description:
      - A JMESPath expression over the module's result, a rule of the house that has to hold beside the others. It has to give true
        or false. With O(max_unready=100%) it decides alone.
      - Needs the Python library jmespath.
    type: str
  reports:
    description:
      - Files to write the result to, on the host that the module runs on. Their folders have to be there.
      - In check mode nothing is written. As the files tell of the cluster and the time, they do not make the task C(changed).
    type: dict
    suboptions:
      json:
        description: Path of a file with all of the result's data, for programs.
        type: path
      markdown:
        description: Path of a short text for a comment or a chat.
        type: path
      junit:
        description: Path of a JUnit XML file, a test case for each node, for build servers.
        type: path
      html:
        description: Path of a page with a map of the cluster. It needs no network and no other file.
        type: path
  nodes_returned:
    description:
      - Which nodes RV(nodes) has, V(all) or those that are V(not_well). Ansible hands results on between its processes and keeps
        them, which takes seconds and much memory where there are thousands of nodes; O(reports) have all nodes in any case.
    type: str
    choices: [all, not_well]
    default: all
  watch:
    description:
      - Whether to go on until RV(ok) is true or O(watch_timeout) is over, and to say each change of a node's state as it happens.
      - Where the module runs in a process of its own, as by SSH, nothing can be said before its end. RV(changes) holds it all the same.
    type: bool
    default: false
  watch_timeout:
    description:
      - Seconds after which O(watch) ends.
    type: int
    default: 600
seealso:
  - module: nanoagent.k8s.agent
"""

EXAMPLES = r"""
- name: Ask every node
  nanoagent.k8s.agent_info:
    live: true
  register: agent

- name: Agents of several pools as one
  nanoagent.k8s.agent_info:
    daemon_sets: [nanoagent-arm, nanoagent-amd]

- name: Two nodes of a hundred may be down, new ones have ten minutes, and every kubelet is of one version
  nanoagent.k8s.agent_info:
    max_unready: 2%
    allow_not_ready_younger_than: 10m
    accept: length(nodes[?version != 'v1.36.3']) == `0`

- name: Look until all is well, and leave a page to look at
  nanoagent.k8s.agent_info:
    live: true
    watch: true
    watch_timeout: 900
    reports:
      html: "{{ playbook_dir }}/{{ inventory_hostname }}.html"
      junit: "{{ playbook_dir }}/{{ inventory_hostname }}.xml"

- name: Have the events come through to a log store
  nanoagent.k8s.agent_info:
    live: true
    expect_events_at:
      url: https://loki.example.com/loki/api/v1/query_range?query={namespace="nanoagent"} |= "{nonce}"
      headers:
        X-Scope-OrgID: security
      secret_headers:
        Authorization: "Bearer {{ vault_loki_token }}"

- name: Insist
  ansible.builtin.assert:
    that: agent.ok
    fail_msg: "{{ agent.causes | join('; ') }}"
"""

RETURN = r"""
installed:
  description: Whether the DaemonSet exists.
  type: bool
  returned: always
ok:
  description:
    - Whether at least one node is eligible, and every eligible node is ready and, with O(live), proven, but for what
      O(max_unready) and O(allow_not_ready_younger_than) allow; and O(accept) holds.
    - With O(drift=fail) also whether nothing was changed. A cluster monitor that is not well makes it false too.
  type: bool
  returned: always
failures:
  description: Each rule that does not hold; empty where RV(ok) is true.
  type: list
  elements: str
  returned: always
  sample: [3 of 40 eligible nodes are not ready]
allowed:
  description: Eligible nodes that are not ready or not proven, and that the policy lets pass.
  type: list
  elements: str
  returned: always
reports:
  description: Format and absolute path of each file of O(reports) that was written; in check mode, that would have been.
  type: dict
  returned: always
  sample: {html: /srv/reports/cluster.html}
changes:
  description: What happened while O(watch) looked, the newest 1,000 changes. C(from) is empty for a node that came, C(to) for one that went.
  type: list
  elements: dict
  returned: O(watch) is true
  sample:
    - at: "2026-03-01T12:00:00Z"
      node: worker1
      from: rolling
      to: ready
      reason: Ready
      detail: ""
nodes:
  description: One verdict a node, of those that O(nodes_returned) names.
  type: list
  elements: dict
  returned: always
  contains:
    node:
      description:
        - The node's name. Beside it C(uid), C(os), C(arch), C(kernel), C(version) of the kubelet, C(runtime), C(pool), C(zone), C(created), C(cordoned),
          C(up) (its kubelet reports) and C(not_real) (what stands behind a node that is no machine).
      type: str
    state:
      description:
        - One of V(ready), V(rolling), V(blocked), V(not eligible), V(node down), V(joining), V(not a real node), V(unknown).
      type: str
    eligible:
      description: Whether the DaemonSet controller would run a pod there and the node is a real one.
      type: bool
    blockers:
      description: Each selector, affinity or taint that keeps the agent away, since when, and whether it goes by itself.
      type: list
      elements: dict
      sample:
        - {kind: taint, detail: "taint node.cilium.io/agent-not-ready:NoSchedule is not tolerated", since: "", passing: true}
    daemon_set:
      description: The DaemonSet whose pod counts, as namespace/name; empty where none has one there.
      type: str
    ready:
      description: Whether a ready pod is there.
      type: bool
    confidence:
      description:
        - V(proven) by a live proof, V(probed) where the pod is ready by a readiness probe, V(started) where it has none; empty where it is not ready.
      type: str
    pod:
      description: The pod's name.
      type: str
    pods:
      description: Names of all the agents' pods there, those that end among them.
      type: list
      elements: str
    container:
      description: Name of the container that ended, where the reason is that one did; empty otherwise.
      type: str
    container_id:
      description: The agent's container there, without the runtime's prefix.
      type: str
    revision:
      description: The pod's C(controller-revision-hash).
      type: str
    current:
      description: Whether the pod is of the newest revision; null where that cannot be told.
      type: bool
    image_ok:
      description: Whether the image that runs is the wanted one; null where that cannot be told.
      type: bool
    passing:
      description: Whether what is wrong passes by itself.
      type: bool
    final:
      description: Whether it cannot pass by itself.
      type: bool
    evidence:
      description: What the reason was read from, and when it was first and last seen.
      type: dict
      sample: {source: event, text: "FailedCreate: exceeded quota", first: "2026-03-01T12:00:00Z", last: "2026-03-01T12:03:00Z", count: 7}
    reason:
      description: A code such as V(ImageNotFound) or V(NodeDown).
      type: str
    detail:
      description: What is behind the code.
      type: str
    fix:
      description: What to do.
      type: str
    proof:
      description:
        - With O(live), whether the marker's event came back, and how fast.
        - With O(expect_events_at) C(backend_ms) is the time from the marker's start to the backend's answer, at most; the
          event may have been there before it was asked for.
      type: dict
      sample: {proven: true, latency_ms: 21.3, round_trip_ms: 140.2, backend_ms: 1210.4, reason: "", lost: {}}
at:
  description: When this was true, by the API server's clock.
  type: str
  returned: always
cluster:
  description: The API server's address, and its version where there are O(reports) to show it in.
  type: dict
  returned: always
  sample: {server: "https://192.0.2.1:6443", version: v1.36.3}
daemon_sets:
  description: The DaemonSets that were judged, as namespace/name.
  type: list
  elements: str
  returned: always
groups:
  description: Nodes that are not well, by cause, most nodes first.
  type: list
  elements: dict
  returned: always
  sample:
    - {state: blocked, reason: ImageNotFound, nodes: [worker1, worker2], detail: not found, fix: push the image first, passing: false}
monitors:
  description: The cluster monitors of O(namespace); one that is not ready or that nobody leads, and a second one, make RV(ok) false.
  type: list
  elements: dict
  returned: always
  sample: [{name: spyderbat/clustermonitor-deployment, replicas: 1, ready: 1, leader: "", ok: true, detail: ""}]
warnings:
  description:
    - What makes no node's verdict worse, and should be known, shown as warnings; events that could not be read, pods of others with the agent's
      labels, collectors that have lost events.
  type: list
  elements: str
  returned: where there are some
latency_ms:
  description: Percentiles of the latencies of all proofs, in milliseconds; null where nothing is proven.
  type: dict
  returned: with O(live)
  sample: {p50: 18.2, p99: 44.9}
summary:
  description: Number of nodes, of real, eligible, ready and, with O(live), proven ones, and of nodes in each state.
  type: dict
  returned: always
headline:
  description: The summary as one line.
  type: str
  returned: always
table:
  description: One line a node, to be read. Of more than 50 nodes only those that are not well have one, and at most 100.
  type: list
  elements: str
  returned: always
causes:
  description: RV(failures), and then the nodes that fail, grouped by cause.
  type: list
  elements: str
  returned: always
drift:
  description:
    - Fields that M(nanoagent.k8s.agent) applied and that somebody changed since. Its next run mends them; those that another
      manager took need O(nanoagent.k8s.agent#module:force_conflicts).
  type: list
  elements: dict
  returned: O(drift) is not V(ignore)
  contains:
    object:
      description: Kind, namespace and name.
      type: str
    field:
      description: Path of the field; V(*) where somebody made the object anew.
      type: str
    manager:
      description: The field manager that holds it now; empty where the field was removed, as that leaves no trace.
      type: str
    operation:
      description: V(Update) or V(Apply).
      type: str
    at:
      description: When that manager last changed the object, by the server's clock.
      type: str
  sample:
    - object: DaemonSet nanoagent/nanoagent
      field: spec.template.spec.containers[collector].image
      manager: kubectl-edit
      operation: Update
      at: "2026-03-01T12:00:00Z"
missing:
  description: Objects that M(nanoagent.k8s.agent) applied and that are not there.
  type: list
  elements: str
  returned: O(drift) is not V(ignore)
  sample: [Role nanoagent/nanoagent-verifier]
drift_unknown:
  description: Why nothing is known of a drift; empty where it is known.
  type: str
  returned: O(drift) is not V(ignore)
requests:
  description: How many requests went to the API server.
  type: dict
  returned: always
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils.backend_query import argument_spec as expected_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.verify import work

RULES = {"mutually_exclusive": [("daemon_sets", "selector")]}


def argument_spec():
    return {
        **connection_argument_spec(),
        "profile": {"type": "str", "choices": ["bundled", "spyderbat", "custom"], "default": "bundled"},
        "name": {"type": "str"},
        "namespace": {"type": "str"},
        "daemon_sets": {"type": "list", "elements": "str"},
        "selector": {"type": "str"},
        "live": {"type": "bool", "default": False},
        "live_timeout": {"type": "int", "default": 10},
        "live_parallel": {"type": "int", "default": 32},
        "expect_events_at": expected_spec(),
        "drift": {"type": "str", "choices": ["report", "fail", "ignore"], "default": "report"},
        "max_unready": {"type": "str", "default": "0"},
        "allow_not_ready_younger_than": {"type": "str", "default": "0"},
        "accept": {"type": "str"},
        "reports": {"type": "dict", "options": {name: {"type": "path"} for name in ("json", "markdown", "junit", "html")}},
        "nodes_returned": {"type": "str", "choices": ["all", "not_well"], "default": "all"},
        "watch": {"type": "bool", "default": False},
        "watch_timeout": {"type": "int", "default": 600},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
