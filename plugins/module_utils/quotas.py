# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would the namespace's ResourceQuotas and LimitRanges let the agent's pods in? Pure.

Source: Kubernetes, pkg/quota/v1/evaluator/core/pods.go and plugin/pkg/admission/limitranger, read at 1.36.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import amount
from ansible_collections.nanoagent.k8s.plugins.module_utils.room import pod_requests, shown

# Kinds that a quota may count by their bare plural, beside count/<plural>.<group>.
_BARE = ("configmaps", "secrets", "services", "persistentvolumeclaims", "resourcequotas", "replicationcontrollers")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def quota_findings(quotas: list[dict], ranges: list[dict], pods: list[tuple[dict, int, list[dict]]], created: list[dict]) -> list[dict]:
    """The findings of the check quota.

    quotas, ranges: the namespace's ResourceQuota and LimitRange objects. pods: for each workload its pod template, how many of
    its pods there will be, and the specs of those that are there. created: objects that are to be made in the namespace.
    """
    found = [one for quota in quotas for one in _of_quota(quota, pods, created)]
    found += [one for limits in ranges for template, _count, _live in pods for one in _of_range(limits, template)]
    if not found:
        seen = ", ".join(title(obj) for obj in [*quotas, *ranges])
        found.append(finding("quota", "ok", f"{seen} let the pods in" if seen else "the namespace has no ResourceQuota and no LimitRange"))
    return found


def _of_quota(quota, pods, created):
    spec, status = quota.get("spec") or {}, quota.get("status") or {}
    hard = status.get("hard") or spec.get("hard") or {}
    used = status.get("used") or {}
    needed: dict[str, Decimal] = {}
    missing: set[str] = set()
    for template, number, live in pods:
        pod = template.get("spec") or {}
        if not _in_scope(spec, pod):
            continue
        for resource, each in _pod_usage(pod).items():
            more = each * number - sum((_pod_usage(one).get(resource, Decimal(0)) for one in live), Decimal(0))
            needed[resource] = needed.get(resource, Decimal(0)) + more
        missing |= {resource for resource in hard if _must_be_set(resource) and not _is_set(pod, resource)}
    if not (spec.get("scopes") or spec.get("scopeSelector")):
        for resource, number in _object_counts(created).items():
            needed[resource] = needed.get(resource, Decimal(0)) + number
    found = []
    for resource in sorted(missing):
        evidence = f"limits {resource}, and a container of the agent does not set it"
        found.append(finding("quota", "error", evidence, "set it in resources", title(quota)))
    for resource in sorted(set(needed) & set(hard)):
        limit, there = _number(hard[resource]), _number(used.get(resource, "0"))
        if needed[resource] > 0 and there + needed[resource] > limit:
            name = _unprefixed(resource)
            evidence = f"{resource}: {shown(name, needed[resource])} more wanted, {shown(name, max(limit - there, Decimal(0)))} of {shown(name, limit)} left"
            found.append(finding("quota", "error", evidence, "raise the quota, lower resources, or choose another namespace", title(quota)))
    return found


def _pod_usage(spec):
    """What a pod counts for in a quota."""
    limits = {**spec, "containers": _by_limits(spec.get("containers")), "initContainers": _by_limits(spec.get("initContainers"))}
    requests, bounds = pod_requests(spec), pod_requests(limits)
    usage = {"pods": Decimal(1), "count/pods": Decimal(1)}
    usage.update({f"requests.{name}": value for name, value in requests.items()})
    usage.update({name: value for name, value in requests.items() if name in _COMPUTE})
    usage.update({f"limits.{name}": value for name, value in bounds.items() if name in _COMPUTE})
    return usage


def _by_limits(containers):
    return [{**one, "resources": {"requests": (one.get("resources") or {}).get("limits")}} for one in containers or []]


def _must_be_set(resource):
    return _unprefixed(resource) in ("cpu", "memory")


def _is_set(spec, resource):
    part = "limits" if resource.startswith("limits.") else "requests"
    name = _unprefixed(resource)
    return all(name in ((one.get("resources") or {}).get(part) or {}) for one in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])])


def _unprefixed(resource):
    return resource.removeprefix("requests.").removeprefix("limits.")


def _in_scope(spec, pod):
    """Whether a quota counts this pod."""
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or []]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    return all(_matches(one, pod) for one in wanted)


def _matches(scope, pod):
    name, operator, values = scope.get("scopeName"), scope.get("operator"), scope.get("values") or []
    if name == "PriorityClass":
        given = pod.get("priorityClassName") or ""
        return {"In": given in values, "NotIn": given not in values, "Exists": bool(given), "DoesNotExist": not given}.get(operator, False)
    terminating = pod.get("activeDeadlineSeconds") is not None
    best_effort = not any((one.get("resources") or {}).get(part) for one in pod.get("containers") or [] for part in ("requests", "limits"))
    return {"Terminating": terminating, "NotTerminating": not terminating, "BestEffort": best_effort, "NotBestEffort": not best_effort}.get(name, False)


def _object_counts(created):
    kinds = Counter(identity(obj)[0] for obj in created)
    counts = {f"count/{KINDS[kind].resource}": Decimal(number) for kind, number in kinds.items()}
    return {**counts, **{KINDS[kind].plural: Decimal(number) for kind, number in kinds.items() if KINDS[kind].plural in _BARE}}


def _of_range(limits, template):
    spec = template.get("spec") or {}
    found = []
    for rule in (limits.get("spec") or {}).get("limits") or []:
        if rule.get("type") == "Container":
            for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
                resources = container.get("resources") or {}
                # What a container leaves open, the LimitRange itself fills in.
                requests = {**(rule.get("defaultRequest") or {}), **(resources.get("requests") or {})}
                bounds = {**(rule.get("default") or {}), **(resources.get("limits") or {})}
                found += _bounds(rule, _numbers(requests), _numbers(bounds), f"container {container['name']}", title(limits))
        elif rule.get("type") == "Pod":
            by_limits = {**spec, "containers": _by_limits(spec.get("containers")), "initContainers": _by_limits(spec.get("initContainers"))}
            found += _bounds(rule, pod_requests(spec), pod_requests(by_limits), "the pod", title(limits))
    return found


def _bounds(rule, requests, limits, who, subject):
    broken = []
    for name, text in sorted((rule.get("max") or {}).items()):
        bound = limits.get(name)
        if bound is None or bound > _number(text):
            said = "no limit" if bound is None else f"a limit of {shown(name, bound)}"
            broken.append(f"{who} has {said} of {name}, at most {shown(name, _number(text))} is allowed")
    for name, text in sorted((rule.get("min") or {}).items()):
        wanted = requests.get(name)
        if wanted is None or wanted < _number(text):
            said = "no request" if wanted is None else f"a request of {shown(name, wanted)}"
            broken.append(f"{who} has {said} of {name}, at least {shown(name, _number(text))} is asked for")
    for name, text in sorted((rule.get("maxLimitRequestRatio") or {}).items()):
        if requests.get(name) and limits.get(name) and limits[name] / requests[name] > _number(text):
            ratio = (limits[name] / requests[name]).quantize(Decimal("0.1"))
            broken.append(f"{who} has a limit of {name} that is {ratio} times its request, at most {text} times is allowed")
    return [finding("quota", "error", text, "change resources or the LimitRange", subject) for text in broken]


def _numbers(amounts):
    return {name: _number(text) for name, text in amounts.items()}


def _number(text):
    return amount("a quantity", text) or Decimal(0)
