# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would the namespace's ResourceQuotas and LimitRanges let the agent's pods in? Pure.

Source: Kubernetes, pkg/quota/v1/evaluator/core/pods.go and plugin/pkg/admission/limitranger/admission.go, read at 1.36.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import amount
from ansible_collections.nanoagent.k8s.plugins.module_utils.room import pod_requests, shown, with_requests, with_resources

# Kinds that a quota may count by their bare plural, beside count/<plural>.<group>.
_BARE = ("configmaps", "secrets", "services", "persistentvolumeclaims", "resourcequotas", "replicationcontrollers")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def workload(spec: dict, number: int, live: Sequence[dict] = (), beside: int = 0, instead: str = "", admitted: bool = True) -> dict:
    """Pods that quota_findings is to judge.

    spec: of a pod, or of a template that stands for it. number: how many there will be. live: the specs of those that are there and
    that they take the place of. beside: how many of these stay at a time until their successor is ready. instead: what makes them go
    first, as text. admitted: whether `live` are of pods, and not of templates that stand for them.
    """
    return {"spec": spec, "number": number, "live": live, "beside": beside, "instead": instead, "admitted": admitted}


def quota_findings(quotas: list[dict], ranges: list[dict], workloads: list[dict], created: list[dict]) -> list[dict]:
    """The findings of the check quota.

    quotas, ranges: the namespace's ResourceQuota and LimitRange objects. workloads: each of workload(). created: objects that are to
    be made in the namespace.
    """
    workloads = [_filled_in(one, ranges) for one in workloads]
    found = [one for quota in quotas for one in _of_quota(quota, workloads, created)]
    found += [one for limits in ranges for each in workloads for one in _of_range(limits, each["spec"])]
    if not found:
        seen = ", ".join(title(obj) for obj in [*quotas, *ranges])
        found.append(finding("quota", "ok", f"{seen} let the pods in" if seen else "the namespace has no ResourceQuota and no LimitRange"))
    return found


def _filled_in(one, ranges):
    live = one["live"] if one["admitted"] else [_as_admitted(spec, ranges) for spec in one["live"]]
    return {**one, "spec": _as_admitted(one["spec"], ranges), "live": live}


def _as_admitted(spec, ranges):
    """The spec with what admission fills in where a container leaves it open; one that was admitted stays as it is."""
    spec = with_requests(spec)
    for limits in ranges:
        rules = [rule for rule in (limits.get("spec") or {}).get("limits") or [] if rule.get("type") == "Container"]
        spec = with_resources(spec, partial(_filled, _merged(rules, "defaultRequest"), _merged(rules, "default")))
    return spec


def _merged(rules, key):
    return {name: text for rule in rules for name, text in (rule.get(key) or {}).items()}


def _filled(requests, limits, given):
    return {**given, "requests": {**requests, **(given.get("requests") or {})}, "limits": {**limits, **(given.get("limits") or {})}}


def _of_quota(quota, workloads, created):
    spec, status = quota.get("spec") or {}, quota.get("status") or {}
    hard = status.get("hard") or spec.get("hard") or {}
    used = status.get("used") or {}
    needed: Counter[str] = Counter()
    # Of that, what is given back when the former pods are gone.
    passing: Counter[str] = Counter()
    missing: set[str] = set()
    for one in workloads:
        pod = one["spec"]
        if not _in_scope(spec, pod):
            continue
        live = [_pod_usage(each) for each in one["live"] if _in_scope(spec, each)]
        for resource, each in _pod_usage(pod).items():
            there = [usage.get(resource, Decimal(0)) for usage in live]
            lasting, most = (_more(each, one["number"], there, beside) for beside in (0, one["beside"]))
            needed[resource] += most
            passing[resource] += most - lasting
        missing |= {resource for resource in hard if _must_be_set(resource) and not _is_set(pod, resource)}
    if not (spec.get("scopes") or spec.get("scopeSelector")):
        needed.update(_object_counts(created))
    found = []
    for resource in sorted(missing):
        evidence = f"limits {resource}, and a container of the agent does not set it"
        found.append(finding("quota", "error", evidence, "set it in resources", title(quota)))
    for resource in sorted(set(needed) & set(hard)):
        limit, there = _number(hard[resource]), _number(used.get(resource, "0"))
        lacking = there + needed[resource] - limit
        if needed[resource] > 0 and lacking > 0:
            name = _unprefixed(resource)
            evidence = f"{resource}: {shown(name, needed[resource])} more wanted, {shown(name, max(limit - there, Decimal(0)))} of {shown(name, limit)} left"
            fix = "raise the quota, lower resources, or choose another namespace"
            if passing[resource] >= min(lacking, needed[resource]):
                evidence += ", while new pods run beside the former ones"
                fix = ", or ".join([f"raise the quota by {shown(name, lacking)}", *dict.fromkeys(one["instead"] for one in workloads if one["instead"])])
            found.append(finding("quota", "error", evidence, fix, title(quota)))
    return found


def _more(each, number, there, beside):
    """How much more of a resource is taken at most until `number` pods with `each` have taken the place of those that are there.

    there: what each of these takes. beside: how many of them stay at a time until their successor is ready. Where new pods take less, the
    most is taken before the first former one goes, otherwise before the last one does.
    """
    beside = min(beside, len(there))
    at_the_end = each * number + sum(sorted(there, reverse=True)[:beside]) - sum(there)
    return max(at_the_end, each * (number - len(there) + beside)) if beside else at_the_end


def _pod_usage(spec):
    """What a pod counts for in a quota."""
    requests, bounds = pod_requests(spec), _pod_limits(spec)
    usage = {"pods": Decimal(1), "count/pods": Decimal(1)}
    usage.update({f"requests.{name}": value for name, value in requests.items()})
    usage.update({name: value for name, value in requests.items() if name in _COMPUTE})
    usage.update({f"limits.{name}": value for name, value in bounds.items() if name in _COMPUTE})
    return usage


def _pod_limits(spec):
    return pod_requests(with_resources(spec, lambda given: {"requests": given.get("limits")}))


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


def _of_range(limits, spec):
    found = []
    for rule in (limits.get("spec") or {}).get("limits") or []:
        if rule.get("type") == "Container":
            for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
                resources = container["resources"]
                found += _bounds(rule, _numbers(resources["requests"]), _numbers(resources["limits"]), f"container {container['name']}", title(limits))
        elif rule.get("type") == "Pod":
            found += _bounds(rule, pod_requests(spec), _pod_limits(spec), "the pod", title(limits))
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
