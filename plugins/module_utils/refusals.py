# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod was not made, or found no place: messages of the API server and of the scheduler to reason codes. Pure."""

from __future__ import annotations

import re

# What the API server answers where it makes no pod: (pattern, reason code, does it stay so, what to do).
_CREATION = (
    (
        r"exceeded quota|failed quota|must specify .* for: .*quota",
        "QuotaExceeded",
        True,
        "raise the ResourceQuota that is named, or lower the agent's resources",
    ),
    (
        r"violates PodSecurity",
        "PodSecurity",
        True,
        "let the namespace admit the agent: label pod-security.kubernetes.io/enforce: privileged",
    ),
    (
        r"unable to validate against any security context constraint",
        "SecurityContextConstraints",
        True,
        "let the agent's service account use a SecurityContextConstraints that fits",
    ),
    (r"GKE Warden|warden-validating|autogke-", "AutopilotDenied", True, "GKE Autopilot admits no such pod: use a Standard cluster, or the vendor's allowlist"),
    (
        r"failed calling webhook|failed to call webhook|webhook .*(timeout|deadline exceeded|connection refused)",
        "WebhookUnreachable",
        False,
        "bring the admission webhook that is named back, or let it ignore the agent's namespace",
    ),
    (r"admission webhook .* denied", "WebhookDenied", True, "change the rule of the webhook that is named, or except the agent's namespace"),
    (
        r"serviceaccounts? .*not found|error looking up service account",
        "ServiceAccountMissing",
        True,
        "run the installation again: it makes the ServiceAccount; with create_service_account: false make it yourself",
    ),
    (r"no PriorityClass with name|priorityclass.* not found", "PriorityClassMissing", True, "make the PriorityClass, or correct priority_class"),
    (r"is being terminated|namespace .*terminating", "NamespaceTerminating", True, "wait for the namespace's end, then install again"),
    (
        r"(minimum|maximum) (cpu|memory|ephemeral-storage|[a-z]+) usage per|limit to request ratio",
        "LimitRange",
        True,
        "change the LimitRange, or the resources",
    ),
    (r"violates|ValidatingAdmissionPolicy", "PolicyDenied", True, "change the policy that is named, or except the agent's namespace"),
    # The server's own trouble of a moment, and two writers of one quota: the controller tries again at once.
    (
        r"etcdserver|leader changed|timed out|timeout|deadline exceeded|connection (refused|reset)|unexpected EOF|the object has been modified"
        r"|unable to handle the request|too many requests",
        "FailedCreate",
        False,
        "look at the API server and at etcd, if it stays",
    ),
)

# What the scheduler says of a node: (pattern, reason code, what to do).
_SCHEDULING = (
    (r"Insufficient cpu", "InsufficientCpu", "free CPU on the node, lower resources.requests.cpu, or give the agent a priority class"),
    (r"Insufficient memory", "InsufficientMemory", "free memory on the node, lower resources.requests.memory, or give the agent a priority class"),
    (r"Too many pods", "TooManyPods", "the node has as many pods as its kubelet allows: move one away, raise maxPods, or give the agent a priority class"),
    (r"Insufficient [-a-z0-9./]+", "InsufficientResource", "free what is named, lower the request, or give the agent a priority class"),
    (r"free ports", "HostPortTaken", "another pod holds the port of the node: stop it, choose another port, or use max_unavailable in place of max_surge"),
    (r"untolerated taint", "TaintedForScheduler", "tolerate the taint that is named, or remove it"),
    (r"pod (anti-)?affinity|anti-affinity rules", "PodAffinity", "change the pod affinity that is named"),
    (r"volume|persistentvolumeclaim|\bPVC?s?\b", "VolumeUnavailable", "bind the volume that is named to this node, or leave it out"),
    (r"unschedulable", "NodeUnschedulable", "uncordon the node, or tolerate node.kubernetes.io/unschedulable"),
)
# Parts of the scheduler's message that speak of the nodes that the pod is not for.
_OF_OTHERS = re.compile(r"didn't satisfy plugin|didn't match Pod's node affinity|node affinity/selector|is not helpful for scheduling")


def creation_cause(message: str) -> tuple[str, bool, str]:
    """(reason code, whether it stays so, what to do) for an event FailedCreate."""
    for pattern, code, final, fix in _CREATION:
        if re.search(pattern, message, re.IGNORECASE):
            return code, final, fix
    return "FailedCreate", True, "change what the message names"


def scheduling_cause(message: str) -> tuple[str, str, str]:
    """(reason code, the part of the message that is of this pod's node, what to do) for a condition PodScheduled that is False."""
    before = message.partition("preemption:")[0]
    parts = [part.strip(" .") for part in before.partition("available:")[2].split(", ")]
    own = "; ".join(part for part in parts if part and not _OF_OTHERS.search(part))
    for pattern, code, fix in _SCHEDULING:
        if re.search(pattern, own or before):
            return code, own or message, fix
    return "Unschedulable", own or message, "free what the scheduler's message names, or give the agent a priority class"
