# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the agent: read what is ours, plan, delete, wait, and tell what is left and why."""

from __future__ import annotations

import time
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset, in_use, memory
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.discovery import not_among
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER, KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.leftovers import (
    KINDS_THAT_MATTER,
    first_of,
    foreign_objects,
    has_worth,
    is_orphan,
    is_owed,
    is_own_pod,
    leftover,
    made_again,
    only_pods_hold,
    own_selectors,
    own_workloads,
    resources_of,
    summary_of,
    waiting_namespace,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.orphans import left_behind
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import describe, plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan_diff import diff
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, text

_WORKLOADS = ("DaemonSet", "Deployment")
# Seconds between two looks at what is left; at least so many times what a look itself took, which costs the API server as much.
_POLL, _REST = 0.3, 5
# How old, in seconds, what is known of the nodes may be.
_NODES_AGE = 5.0
_SHOWN = 5
_INSTANCE = "app.kubernetes.io/instance"


def absent(cluster: Cluster, options: dict, check_mode: bool, want_diff: bool) -> dict:
    """Removes exactly what carries the set's label and nobody else's pods use, and the namespace where we made it; the module's result.

    {"changed", "actions", "kept": [line], "warnings": [line], "owed": [{"object", "node", "reason"}], "requests"}. kept: what
    stays on purpose. warnings: of a namespace that goes though this user cannot see all that it holds, and of a priority class
    that goes though he cannot see who uses it. owed: what only the kubelet of a node that is down can end; it does not make the
    uninstall fail. Failure with "leftovers", shaped like owed, where anything else is left after options["wait_timeout"]
    seconds, or the namespace is since the API has no answer for what it holds.
    """
    seen = _read(cluster, options)
    takes_namespace = _takes_namespace(seen, options["namespace"])
    users = _users(seen, takes_namespace)
    steps = _steps(seen, takes_namespace, users)
    result = {"changed": bool(steps), "actions": [describe(step) for step in steps], "kept": _kept(seen, options["namespace"], users)}
    result["warnings"] = [*(_unseen(seen, options["namespace"]) if takes_namespace else []), *_unasked(seen, steps)]
    if want_diff:
        result["diff"] = diff(steps, FIELD_MANAGER)
    ending = _Ending(cluster, options, seen, takes_namespace)
    # Thousands of pods are listed anew while they go: not several copies at a time.
    seen.update(found=[], pods=[], abroad=[])
    if not check_mode:
        _delete(cluster, steps, ending, options, result)
    result["owed"] = ending.owed()
    result["requests"] = dict(cluster.requests)
    unanswered = _unanswered(seen, options["namespace"])
    if unanswered in result["kept"] and not check_mode:
        row = {"object": title(seen["home"]), "node": "", "reason": "what it holds is not known"}
        raise Failure(unanswered, "bring the server of these kinds back, or take its APIService away for good, and run again", **result, leftovers=[row])
    return result


def _read(cluster, options):
    """What there is of one installation, and of others what matters beside it.

    {"home", "parent", "members", "unknown", "holder", "ours", "found", "refused", "unseen", "silent", "pods", "abroad", "selectors", "workloads",
    "identifier", "released"}. unknown: kinds of which this user may not see whether the set has any. holder: of _holder(); ours:
    whether that is this installation. found: every object that matters in a namespace of ours, in another those that may use
    what is ours, both as in_use.noted() has them; refused, unseen, silent: of _contents(). abroad: of _abroad().
    """
    name, namespace = options["name"], options["namespace"]
    identifier = applyset.set_id(name, namespace)
    parent, home = cluster.parallel([partial(cluster.get, "ConfigMap", name, namespace), partial(cluster.get, "Namespace", namespace)])
    if not applyset.is_parent(parent, identifier):
        parent = None
    members, unknown = _search(cluster, parent, namespace, identifier)
    remembered = (memory.recall(parent) if parent else None) or []
    # A workload may be gone before its pods are.
    selectors, workloads = own_selectors(name, members, left_behind([], parent)), own_workloads(name, namespace, [*members, *remembered])
    holder, usable = _holder(cluster, name, home, namespace), in_use.usable(members)
    contents = _contents(cluster, namespace, usable) if holder == name else _neighbours(cluster, namespace, usable)
    every_pod = (holder == name or usable) and "Pod" not in contents["refused"]
    pods = [obj for obj in contents["found"] if obj["kind"] == "Pod"] if every_pod else _pods(cluster, namespace, selectors)
    return {
        "home": home,
        "parent": parent,
        "members": members,
        "unknown": unknown,
        "holder": holder,
        "ours": holder == name,
        **contents,
        "pods": pods,
        "abroad": _abroad(cluster, namespace, usable),
        "selectors": selectors,
        "workloads": workloads,
        "identifier": identifier,
        "released": _released(cluster, [identity(obj) for obj in remembered], members),
    }


def _search(cluster, parent, namespace, identifier):
    """(members of the set, kinds that this user may not list): all kinds are searched, as the parent may be gone or edited.

    A kind that the parent does not list need not be listable where there is a parent; where it lists it, it has to be.
    """
    kinds = [kind for kind in INSTALL_ORDER if kind != "Namespace"]
    members, refusals = _list_each(cluster, kinds, namespace, labelSelector=f"{applyset.MEMBER_LABEL}={identifier}")
    for kind in applyset.kinds_to_search(parent, None) if parent else []:
        if kind in refusals:
            raise refusals[kind]
    return members, [] if parent else list(refusals)


def _released(cluster, remembered, members):
    """Objects that the parent remembers as applied, and that no longer carry the set's label."""
    known = {identity(member) for member in members}
    missing = [each for each in remembered if each not in known and each[0] != "Namespace"]
    found = cluster.parallel([partial(_get_if_allowed, cluster, *each) for each in missing])
    return [obj for obj in found if obj]


def _get_if_allowed(cluster, kind, namespace, name):
    try:
        return cluster.get(kind, name, namespace or None)
    except ApiFailure as failure:
        if failure.status == 403:
            return None
        raise


def _holder(cluster, name, home, namespace):
    """Name of the installation that the namespace goes with: the one that made it, this one where that is gone; empty where none made it."""
    if applyset.is_member(home, applyset.set_id(name, namespace)):
        return name
    labels = mapping(at(home, "metadata", "labels"))
    maker = text(labels.get(_INSTANCE))
    identifier = applyset.set_id(maker, namespace)
    # Sets of other tools have the same label.
    if not own_pod_labels(maker).items() <= labels.items() or not applyset.is_member(home, identifier):
        return ""
    return maker if applyset.is_parent(_get_if_allowed(cluster, "ConfigMap", namespace, maker), identifier) else name


def _abroad(cluster, namespace, usable):
    """Pods of other namespaces that use what is ours, as in_use.outline() has them; None where this user may not list them."""
    if not any(kind == "PriorityClass" for kind, _namespace, _name in usable):
        return []
    try:
        pods, _version = cluster.list("Pod", keep=partial(in_use.outline, wanted=usable, namespace=namespace))
    except ApiFailure as failure:
        if failure.status == 403:
            return None
        raise
    return [pod for pod in pods if pod]


def _neighbours(cluster, namespace, usable):
    """What of a namespace that is not ours may use what is ours, as _contents() has it."""
    found, refusals = _list_each(cluster, in_use.USERS if usable else (), namespace, keep=partial(in_use.noted, wanted=usable))
    return {"found": found, "refused": list(refusals), "unseen": [], "silent": []}


def _contents(cluster, namespace, usable):
    """{"found", "refused", "unseen", "silent"}: what the namespace holds, and what of it is not known.

    found: its objects, those of KINDS_THAT_MATTER whole and first, of the others the metadata. refused: those of
    KINDS_THAT_MATTER that this user may not list. unseen: the other kinds (Kind) that he may not list, None where he may not
    know which there are. silent: names of kinds and of versions of groups whose server does not answer.
    """
    whole = partial(_list_each, cluster, KINDS_THAT_MATTER, namespace, keep=partial(in_use.noted, wanted=usable))
    versions, (found, refusals) = cluster.parallel([partial(_served, cluster), whole])
    known = {(KINDS[kind].api_version, KINDS[kind].plural) for kind in KINDS_THAT_MATTER}
    others = [kind for kind in not_among(versions or [], known) if has_worth(kind)]
    answers = cluster.parallel([partial(_metadata_or_failure, cluster, kind, namespace) for kind in others])
    failed = [(kind, answer) for kind, answer in zip(others, answers) if isinstance(answer, ApiFailure)]
    unseen = [kind for kind, failure in failed if failure.status == 403]
    silent = [api_version for api_version, kinds in versions or [] if kinds is None]
    return {
        "found": [*found, *(obj for answer in answers if not isinstance(answer, ApiFailure) for obj in answer)],
        "refused": list(refusals),
        "unseen": None if versions is None else unseen,
        "silent": [*silent, *(kind.resource for kind, failure in failed if failure.status != 403)],
    }


def _served(cluster):
    """What the API serves; None where this user may not know."""
    try:
        return cluster.discover()
    except ApiFailure as failure:
        if failure.status in (403, 404):
            return None
        raise


def _metadata_or_failure(cluster, kind, namespace):
    try:
        return cluster.list_metadata(kind, namespace)
    except ApiFailure as failure:
        return failure


def _list_each(cluster, kinds, namespace, **given):
    """(objects of all kinds, kind -> ApiFailure of those that this user may not list). given: of Cluster.list()."""

    def look(kind):
        try:
            return cluster.list(kind, namespace if KINDS[kind].namespaced else None, **given)[0]
        except ApiFailure as failure:
            if failure.status == 403:
                return failure
            raise

    answers = dict(zip(kinds, cluster.parallel([partial(look, kind) for kind in kinds])))
    refusals = {kind: answer for kind, answer in answers.items() if isinstance(answer, ApiFailure)}
    return [item for kind, answer in answers.items() if kind not in refusals for item in answer], refusals


def _pods(cluster, namespace, selectors):
    texts = [",".join(f"{key}={value}" for key, value in sorted(selector.items())) for selector in selectors]
    lists = cluster.parallel([partial(cluster.list, "Pod", namespace, labelSelector=text) for text in texts])
    return list({pod["metadata"]["uid"]: pod for items, _version in lists for pod in items}.values())


def _users(seen, takes_namespace):
    """Identity of a member -> titles of what uses it and stays."""
    beside = [] if takes_namespace else in_use.of_others(seen["found"], seen["members"], seen["selectors"], seen["workloads"])
    return in_use.users([*beside, *(seen["abroad"] or [])])


def _unasked(seen, steps):
    """A line about each priority class that goes though nobody could look who uses it."""
    going = [step["live"] for step in steps if step["action"] == "delete" and step["live"]["kind"] == "PriorityClass"]
    return [f"{title(obj)} goes, whoever else uses it: this user may not list pods in the whole cluster" for obj in going if seen["abroad"] is None]


def _kept(seen, namespace, users):
    lines = _kept_namespace(seen, namespace)
    lines += [f"{title(obj)}: in use by {first_of(users[identity(obj)])}" for obj in seen["members"] if identity(obj) in users]
    lines += [f"{title(obj)}: it no longer carries this installation's label" for obj in seen["released"]]
    if seen["unknown"]:
        lines.append(f"what there may be of {_resources(seen['unknown'])}: this user may not list them, and the set's parent is gone")
    return lines


def _kept_namespace(seen, namespace):
    if seen["home"] is None or seen["home"]["metadata"].get("deletionTimestamp"):
        return []
    if not seen["holder"]:
        return [f"Namespace {namespace}: this collection did not make it"]
    if not seen["ours"]:
        return [f"Namespace {namespace}: it goes with the installation {seen['holder']}, which made it"]
    own = [*seen["members"], *([seen["parent"]] if seen["parent"] else [])]
    foreign = foreign_objects(seen["found"], own, seen["selectors"], seen["workloads"])
    if foreign:
        return [f"Namespace {namespace}: it holds what is not ours: {summary_of(foreign)}"]
    if seen["refused"]:
        return [f"Namespace {namespace}: this user may not list {_resources(seen['refused'])} there, so what else it holds is not known"]
    return [_unanswered(seen, namespace)] if seen["silent"] else []


def _unanswered(seen, namespace):
    # Nor could Kubernetes end the namespace before it can look there.
    return f"Namespace {namespace}: the API has no answer for {', '.join(seen['silent'])}, so what else it holds is not known"


def _unseen(seen, namespace):
    """A line about the kinds of which objects may go with the namespace that nobody saw."""
    if seen["home"]["metadata"].get("deletionTimestamp") or seen["unseen"] == []:
        return []
    if seen["unseen"] is None:
        return [f"Namespace {namespace} goes with whatever it holds beside workloads and their data: this user may not read which kinds the API serves"]
    return [f"Namespace {namespace} goes with whatever it holds of {resources_of(seen['unseen'])}: this user may not list them there"]


def _resources(kinds):
    return ", ".join(KINDS[kind].resource for kind in kinds)


def _takes_namespace(seen, namespace):
    """Whether the namespace is ours and goes, or is on its way already."""
    return seen["ours"] and not _kept_namespace(seen, namespace)


def _steps(seen, takes_namespace, users):
    """What is to be deleted, workloads first, the set's parent and the namespace last; what is ending already is left alone.

    users: of _users(); what they use is released.
    """
    orphans = [pod for pod in seen["pods"] if is_orphan(pod, seen["selectors"])]
    last = [obj for obj in (seen["parent"], seen["home"] if takes_namespace else None) if obj]
    steps = [_as_release(step) if identity(step["live"]) in users else step for step in plan([], {}, seen["members"], FIELD_MANAGER)]
    steps += [{"action": "delete", "fields": [], "desired": None, "live": obj} for obj in [*orphans, *last]]
    steps.sort(key=lambda step: step["live"]["kind"] not in _WORKLOADS)
    return [step for step in steps if not step["live"]["metadata"].get("deletionTimestamp")]


def _as_release(step):
    return {**step, "action": "release", "fields": [f"metadata.labels.{applyset.MEMBER_LABEL}"]}


def _release(cluster, obj):
    try:
        cluster.patch(obj, {"metadata": {"labels": {applyset.MEMBER_LABEL: None}}})
    except ApiFailure as failure:
        # Somebody else has deleted it meanwhile.
        if failure.status != 404:
            raise


def _delete(cluster, steps, ending, options, result):
    if not steps and not ending.anything_left():
        return
    deadline = time.monotonic() + options["wait_timeout"]
    cluster.parallel([partial(_release, cluster, step["live"]) for step in steps if step["action"] == "release"])
    objects = [step["live"] for step in steps if step["action"] == "delete"]
    workloads = [obj for obj in objects if obj["kind"] in (*_WORKLOADS, "Pod")]
    last = [obj for obj in objects if obj["kind"] == "Namespace" or applyset.is_parent(obj, ending.identifier)]
    # Not in the foreground: a DaemonSet would stay as long as one pod on a node that is down.
    cluster.parallel([partial(cluster.delete, obj) for obj in workloads])
    if options["wait"]:
        # Also where pods are left after that: the rest goes, and the pods are told at the end.
        ending.wait(deadline, only_pods=True)
    cluster.parallel([partial(cluster.delete, obj) for obj in objects if obj not in workloads and obj not in last])
    for obj in last:
        cluster.delete(obj)
    if options["wait"]:
        leftovers = ending.wait(deadline)
        if leftovers:
            shown = "; ".join(f"{row['object']}{' on ' + row['node'] if row['node'] else ''}: {row['reason']}" for row in leftovers[:_SHOWN])
            more = f" and {len(leftovers) - _SHOWN} more" if len(leftovers) > _SHOWN else ""
            raise Failure(
                f"still there after {options['wait_timeout']} s: {shown}{more}",
                "mend what is named and run again: it goes on from there",
                **result,
                leftovers=leftovers,
                owed=ending.owed(),
                requests=dict(cluster.requests),
            )


class _Ending:
    """What is still there of an installation that is being removed.

    identifier: the set's.
    """

    def __init__(self, cluster: Cluster, options: dict, seen: dict, takes_namespace: bool):
        self.identifier = seen["identifier"]
        self._cluster, self._namespace = cluster, options["namespace"]
        self._selectors, self._workloads, self._has_parent = seen["selectors"], seen["workloads"], bool(seen["parent"])
        self._all_pods = takes_namespace and "Pod" not in seen["refused"]
        self._kinds = sorted({member["kind"] for member in seen["members"]})
        self._parent_name = options["name"]
        self._uids = {obj["metadata"]["uid"] for obj in [*seen["members"], seen["parent"], seen["home"]] if obj}
        self._pods = seen["pods"] if self._all_pods else self._own(seen["pods"])
        self._home = seen["home"] if takes_namespace else None
        self._objects = list(seen["members"])
        self._nodes: dict[str, dict] = {}
        self._nodes_read = None

    def owed(self) -> list[dict]:
        """The pods that only the kubelet of a node that is down can end, and the namespace that waits for them."""
        nodes = self._known_nodes()
        owed = [leftover(pod, nodes, self._uids) for pod in sorted(self._pods, key=lambda pod: pod["metadata"]["name"]) if is_owed(pod, nodes)]
        return [*owed, waiting_namespace(self._home)] if owed and self._home else owed

    def anything_left(self) -> bool:
        """Whether anything of it was there when it was last looked at."""
        return bool(self._pods or self._objects or self._home)

    def wait(self, deadline: float, only_pods: bool = False) -> list[dict]:
        """Waits until all is gone but what is owed; what else is left, shaped like owed().

        Ends at the deadline, and where somebody makes again what is removed. only_pods: what is no pod may still be there.
        """
        kinds = every = [kind for kind in self._kinds if kind in _WORKLOADS or not only_pods]
        while True:
            began = time.monotonic()
            self._look(kinds)
            left = self._left(only_pods)
            if not left and kinds != every:
                self._look(every)
                left = self._left(only_pods)
            now = time.monotonic()
            hopeless = any(made_again(obj, self._uids) for obj in self._objects)
            if not left or hopeless or now > deadline:
                return [leftover(obj, self._known_nodes(), self._uids) for obj in left]
            kinds = sorted({obj["kind"] for obj in self._objects})
            # Else the pods would be kept while they are listed anew.
            del left
            time.sleep(min(max(_POLL, _REST * (now - began)), max(_POLL, deadline - now)))

    def _look(self, kinds):
        self._pods = []
        self._pods = self._cluster.list("Pod", self._namespace)[0] if self._all_pods else self._own(_pods(self._cluster, self._namespace, self._selectors))
        self._objects, _refusals = _list_each(self._cluster, kinds, self._namespace, labelSelector=f"{applyset.MEMBER_LABEL}={self.identifier}")
        if self._has_parent:
            parent = self._cluster.get("ConfigMap", self._parent_name, self._namespace)
            self._objects += [{**parent, "kind": "ConfigMap"}] if applyset.is_parent(parent, self.identifier) else []
        if self._home:
            home = self._cluster.get("Namespace", self._namespace)
            self._home = home if home and home["metadata"]["uid"] in self._uids else None

    def _own(self, pods):
        return [pod for pod in pods if is_own_pod(pod, self._selectors, self._workloads)]

    def _left(self, only_pods):
        nodes = self._known_nodes()
        left = [pod for pod in self._pods if not is_owed(pod, nodes)]
        if only_pods:
            return left
        left += self._objects
        if self._home and (left or not self._pods or not only_pods_hold(self._home)):
            left.append(self._home)
        return left

    def _known_nodes(self):
        """name -> Node; not asked for where no pod is left."""
        if self._pods and (self._nodes_read is None or time.monotonic() - self._nodes_read > _NODES_AGE):
            nodes, _version = self._cluster.list("Node")
            self._nodes = {node["metadata"]["name"]: node for node in nodes}
            self._nodes_read = time.monotonic()
        return self._nodes
