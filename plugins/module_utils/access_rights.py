# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rights an installation needs, from its plan and its waits; and what is missing of them. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import watched_secret
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, kind_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import selectors

# What the server asks for at each step: an apply that makes an object needs both of the first two.
_VERBS = {
    "create": ("create", "patch"),
    "patch": ("patch",),
    "recreate": ("get", "delete", "create", "patch"),
    "release": ("patch",),
    "delete": ("delete",),
    "keep": (),
}
_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_RBAC = "rbac.authorization.k8s.io"


def needed_rights(options: dict, steps: list[dict], seen: dict | None) -> list[dict]:
    """The rights as specs of SelfSubjectAccessReviews, each once.

    options: the agent module's. steps: of plan.plan; those of an installation from nothing, where nothing could be read.
    seen: of live.read, None where that was refused.
    """
    asked = [*_reads(options, steps, seen), *_waits(options, steps), *_writes(options, steps), *_handed_on(steps)]
    distinct = {repr(spec): spec for spec in asked}
    return list(distinct.values())


def escalation_rights() -> list[dict]:
    """The rights with which roles may be made that hold more than their maker: escalate, and bind for each kind of role."""
    return [_spec(verb, _RBAC, KINDS[kind].plural, "") for kind in _ROLES for verb in ("escalate", "bind")]


def is_handed_on(spec: dict) -> bool:
    """Whether a right is asked for only since a role that is made hands it on."""
    return bool(spec.get("_handed_on"))


def review_spec(spec: dict) -> dict:
    """The spec as the API server takes it."""
    return {key: value for key, value in spec.items() if not key.startswith("_")}


def judge_rights(asked: list[dict], allowed: list[bool], may_escalate: bool) -> list[dict]:
    """The findings of the check rights: one a resource and place of which verbs are missing, or one that all is well."""
    missing: dict[tuple, list[str]] = {}
    for spec, granted in zip(asked, allowed):
        if not granted and not (is_handed_on(spec) and may_escalate):
            verb, what, where = _words(spec)
            verbs = missing.setdefault((what, where, is_handed_on(spec)), [])
            if verb not in verbs:
                verbs.append(verb)
    if not missing:
        return [finding("rights", "ok", f"{count(len(asked), 'right')} asked for, all are there")]
    found = []
    for (what, where, handed), verbs in sorted(missing.items()):
        why = ", which a role that is made hands on" if handed else ""
        listed = ", ".join(verbs)
        found.append(finding("rights", "error", f"the user may not {listed} {what} {where}{why}", f"grant {listed} on {what} {where}"))
    return found


def _spec(verb, group, resource, namespace, name="", subresource="", handed_on=False):
    attributes = {"verb": verb, "group": group, "resource": resource}
    attributes.update({key: value for key, value in (("namespace", namespace), ("name", name), ("subresource", subresource)) if value})
    return {"resourceAttributes": attributes, **({"_handed_on": True} if handed_on else {})}


def _of_kind(verb, kind, namespace, name="", subresource=""):
    kind = KINDS[kind]
    return _spec(verb, kind.group, kind.plural, namespace if kind.namespaced else "", name, subresource)


def _reads(options, steps, seen):
    namespace = options["namespace"]
    home, parent = (seen or {}).get("namespace"), (seen or {}).get("parent")
    watched = watched_secret(options)
    wanted = [identity(step["desired"]) for step in steps if step["desired"]]
    # The run after this one looks for what this one makes.
    kinds = {*applyset.kinds_to_search(parent, home), *(kind for kind, _namespace, _name in wanted if kind != "Namespace")}
    return [
        _of_kind("get", "Namespace", "", namespace),
        *([_of_kind("get", "Namespace", "", "kube-system")] if options["profile"] == "spyderbat" else []),
        *([_of_kind("get", "Secret", namespace, watched)] if watched else []),
        *(_of_kind("list", kind, namespace) for kind in sorted({*kinds, "ConfigMap", "Pod", "Node"})),
        *(_of_kind("get", kind, namespace, name) for kind, _namespace, name in wanted),
    ]


def _waits(options, steps):
    namespace = options["namespace"]
    verbs = [_of_kind(verb, kind, namespace) for kind in (*selectors(options["name"]), "Node") for verb in ("list", "watch")]
    daemon_set = next((step for step in steps if step["desired"] and step["desired"]["kind"] == "DaemonSet"), None)
    # An update goes on where nodes are down, and a canary and a DaemonSet made anew go on at all, by deleting old pods.
    if daemon_set and daemon_set["action"] in ("patch", "recreate"):
        verbs.append(_of_kind("delete", "Pod", namespace))
    if options.get("canary") and options["canary"]["verify"] and options["profile"] == "bundled":
        verbs += [_of_kind(verb, "Pod", namespace, subresource="exec") for verb in ("get", "create")]
    return verbs


def _writes(options, steps):
    updates = any(step["desired"] and step["desired"]["kind"] == "DaemonSet" and step["action"] == "patch" for step in steps)
    found = []
    for step in steps:
        kind, namespace, name = identity(step["desired"] or step["live"])
        verbs = _VERBS[step["action"]]
        if step["action"] == "create" and updates and options.get("rollback") and kind != "Namespace":
            # The way back takes away what was made.
            verbs = (*verbs, "get", "delete")
        # Of pods that an earlier run left behind there may be one a node.
        found += [_of_kind(verb, kind, namespace, "" if kind == "Pod" else name) for verb in verbs]
    return found


def _handed_on(steps):
    """What the roles that are written hold, which whoever writes them has to hold too."""
    written = [step["desired"] for step in steps if step["desired"] and step["action"] in ("create", "patch", "recreate")]
    made = {identity(obj) for obj in written if obj["kind"] in _ROLES}
    found = []
    for obj in written:
        namespace = obj["metadata"].get("namespace") or ""
        if obj["kind"] in _ROLES:
            for rule in obj.get("rules") or []:
                found += _of_rule(rule, namespace)
        elif obj["kind"] in _BINDINGS:
            reference = obj["roleRef"]
            place = namespace if KINDS[reference["kind"]].namespaced else ""
            if (reference["kind"], place, reference["name"]) not in made:
                found.append(_spec("bind", _RBAC, kind_of(reference).plural, place, reference["name"]))
    return found


def _of_rule(rule, namespace):
    found = [
        {"nonResourceAttributes": {"verb": verb, "path": path}, "_handed_on": True} for path in rule.get("nonResourceURLs") or [] for verb in rule["verbs"]
    ]
    for group in rule.get("apiGroups") or []:
        for resource in rule.get("resources") or []:
            plural, _slash, subresource = resource.partition("/")
            for name in rule.get("resourceNames") or [""]:
                found += [_spec(verb, group, plural, namespace, name, subresource, handed_on=True) for verb in rule["verbs"]]
    return found


def _words(spec):
    """(verb, resource as RBAC names it, where) of a review's spec."""
    attributes = spec.get("resourceAttributes")
    if attributes is None:
        path = spec["nonResourceAttributes"]
        return path["verb"], path["path"], "of the API server"
    resource = attributes["resource"] + (f"/{attributes['subresource']}" if attributes.get("subresource") else "")
    resource += f".{attributes['group']}" if attributes["group"] else ""
    return attributes["verb"], resource, f"in namespace {attributes['namespace']}" if attributes.get("namespace") else "in the whole cluster"
