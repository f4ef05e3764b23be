# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server says of the very pod and the very objects, before there are any: dry runs."""

from __future__ import annotations

import copy
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.apply import judgeable
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.refusals import creation_cause

# What the DaemonSet controller adds to each of its pods.
_AUTOMATIC = [
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
    for name, effect in (("not-ready", "NoExecute"), ("unreachable", "NoExecute"), ("disk-pressure", "NoSchedule"), ("memory-pressure", "NoSchedule"))
]
_ACCOUNT = "service account"
_NO_DRY_RUN_FIX = "have the webhook say sideEffects: None, or look at its rules yourself"


def sample_pod(daemon_set: dict, node: str, missing: set[tuple]) -> tuple[dict, list[str]]:
    """(the pod that the DaemonSet controller would make for a node, what it is without, as texts). Pure.

    missing: identities of objects that the installation itself makes and that are not there yet. The pod does without
    those that admission would look for: a service account, and a priority class, or the quota that lets it in.
    """
    template, namespace = daemon_set["spec"]["template"], daemon_set["metadata"]["namespace"]
    spec, without = copy.deepcopy(template["spec"]), []
    account, priority = spec.get("serviceAccountName") or "default", spec.get("priorityClassName") or ""
    if ("ServiceAccount", namespace, account) in missing:
        spec["serviceAccountName"] = "default"
        without.append(f"{_ACCOUNT} {account}")
    if priority and (("PriorityClass", "", priority) in missing or any(kind == "ResourceQuota" for kind, _namespace, _name in missing)):
        del spec["priorityClassName"]
        without.append(f"priority class {priority}")
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [term]}
    spec["tolerations"] = [*(spec.get("tolerations") or []), *_AUTOMATIC]
    metadata = {**copy.deepcopy(template["metadata"]), "generateName": f"{daemon_set['metadata']['name']}-", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, without


def judge_pod(cluster: Cluster, pod: dict, without: list[str], leave: list[str], takes_over: bool) -> tuple[list[dict], dict | None]:
    """(findings of the check admission for the pod, the pod as the API server would make it; None where it would not).

    without: of sample_pod. leave: titles of objects, still to be made, that give the agent's service account leave to use security
    context constraints: without them, or with another account, such a refusal says nothing of the installation. takes_over: whether
    the agent has pods already, which give back what they take of a quota.
    """
    subject = f"a pod of the agent in namespace {pod['metadata']['namespace']}"
    try:
        made = cluster.try_create(pod)
    except ApiFailure as failure:
        if is_missing_right(failure):
            text = "not tried: who installs needs no right to make pods, but this dry run does"
            return [finding("admission", "skipped", text, "grant the verb create on pods in that namespace, to have it tried", subject)], None
        if _is_no_dry_run(failure):
            return [finding("admission", "skipped", f"cannot be tried: {failure.what}", _NO_DRY_RUN_FIX, subject)], None
        cause = creation_cause(failure.what)[0]
        if takes_over and cause == "QuotaExceeded":
            text = f"no pod more fits beside those that are there, which new ones may take the place of: {failure.what}"
            return [finding("admission", "skipped", text, "look at the check quota, which counts both", subject)], None
        first = leave + [one for one in without if one.startswith(_ACCOUNT)]
        if first and cause == "SecurityContextConstraints":
            text = f"cannot be judged yet: {', '.join(first)} {'is' if len(first) == 1 else 'are'} made first"
            return [finding("admission", "skipped", text, "install, and look at the pods: agent_info names what keeps them away", subject)], None
        fix = "change what the message names: quota, pod security level, admission webhook, limit range"
        return [finding("admission", "error", f"would be refused: {failure.what}", fix, subject)], None
    extra = f", without {' and '.join(without)}, which the installation makes first" if without else ""
    return [finding("admission", "ok", f"would be let in (dry run{extra})", subject=subject)], made


def judge_objects(cluster: Cluster, steps: list[dict], namespace_exists: bool, force: bool) -> list[dict]:
    """Findings of the check admission for the objects that a plan writes; steps: of plan.plan."""
    judged, left = judgeable(steps, namespace_exists)
    answers = cluster.parallel([partial(_apply, cluster, obj, force) for obj in judged])
    found, well = [], 0
    for obj, failure in zip(judged, answers):
        if failure is None:
            well += 1
        elif _is_no_dry_run(failure):
            found.append(finding("admission", "skipped", f"cannot be tried: {failure.what}", _NO_DRY_RUN_FIX, title(obj)))
        elif not is_missing_right(failure):
            found.append(finding("admission", "error", f"would be refused: {failure.what}", failure.next_step, title(obj)))
    if well or not judged + left:
        evidence = f"{count(well, 'object')} would be taken (dry run)" if well else "nothing is to be written"
        found.append(finding("admission", "ok", evidence))
    if left and not namespace_exists:
        text = f"{count(len(left), 'object')} and the pod cannot be judged: their namespace, or the role that they bind, does not exist yet"
        fix = "make the namespace first to have them judged, with the labels that the installation would give it"
        found.append(finding("admission", "skipped", text, fix))
    elif left:
        text = f"{', '.join(title(obj) for obj in left)} cannot be judged: the role that is bound is not there yet, or the object has to be made anew"
        found.append(finding("admission", "skipped", text))
    return found


def is_missing_right(failure: Failure) -> bool:
    """Whether the user lacks a right, not that an admission rule refuses the object. Pure."""
    return isinstance(failure, ApiFailure) and failure.status == 403 and not failure.what.startswith("denied:")


def _is_no_dry_run(failure):
    """Whether a webhook was not asked since it does not say that it has no side effects."""
    return "does not support dry run" in failure.what


def _apply(cluster, obj, force):
    try:
        cluster.apply(obj, force, True)
    except Failure as failure:
        return failure
    return None
