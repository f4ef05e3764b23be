# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what a cluster holds of one installation, with few requests however many objects and nodes there are."""

from __future__ import annotations

from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset, credentials, metrics_scrape, platforms
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import check_kubernetes
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.rollout import selectors


def read(cluster: Cluster, options: dict) -> dict:
    """What is there of the installation that options["name"] and options["namespace"] name.

    Returns {"namespace": object|None, "parent": object|None, "members": [object of the set], "objects": identity ->
    object, "nodes": [...], "node_version": the resourceVersion of their list, "pods": [...], "kubernetes": (major, minor)|None,
    "served": {"Kind.group"}, "cluster_uid": str|None, "secret": object|None}. kubernetes is asked for where nothing is
    installed yet or an option depends on it; cluster_uid and secret where an option needs them. served has those of the
    kinds of other projects that an option needs and the API serves in the version that is written.
    """
    name, namespace = options["name"], options["namespace"]
    identifier = applyset.set_id(name, namespace)
    own = f"app.kubernetes.io/instance={name},app.kubernetes.io/managed-by=nanoagent.k8s"
    asked = [KINDS[kind] for kind in (*credentials.asked_kinds(options), *metrics_scrape.asked_kinds(options), *platforms.asked_kinds(options))]
    home, (maps, _v1), (nodes, node_version), (pods, _v3), *served = cluster.parallel(
        [
            partial(cluster.get, "Namespace", namespace),
            partial(cluster.list, "ConfigMap", namespace, labelSelector=own),
            partial(cluster.list, "Node"),
            partial(cluster.list, "Pod", namespace, **selectors(name)["Pod"]),
            *[partial(cluster.served, kind.api_version) for kind in asked],
        ]
    )
    parent = next((obj for obj in maps if obj["metadata"]["name"] == name and applyset.is_parent(obj, identifier)), None)
    kinds = [kind for kind in applyset.kinds_to_search(parent, home) if kind != "ConfigMap"]
    selector = f"{applyset.MEMBER_LABEL}={identifier}"
    watched = credentials.watched_secret(options)
    version, system, secret, *lists = cluster.parallel(
        [
            _nothing if parent and not options.get("apparmor") else cluster.version,
            partial(cluster.get, "Namespace", "kube-system") if options.get("profile") == "spyderbat" else _nothing,
            partial(cluster.get, "Secret", watched, namespace) if watched else _nothing,
            *[partial(cluster.list, kind, namespace if KINDS[kind].namespaced else None, labelSelector=selector) for kind in kinds],
        ]
    )
    if version:
        check_kubernetes(version)
    members = [item for items, _version in lists for item in items] + [obj for obj in maps if applyset.is_member(obj, identifier)]
    members = [member for member in members if not applyset.is_copy(member)]
    return {
        "namespace": home,
        "parent": parent,
        "members": members,
        "objects": {identity(obj): obj for obj in [*members, home, parent] if obj},
        "nodes": nodes,
        "node_version": node_version,
        "pods": pods,
        "kubernetes": version,
        "served": {kind.group_kind for kind, kinds in zip(asked, served) if kind.kind in kinds},
        "cluster_uid": (system or {}).get("metadata", {}).get("uid"),
        "secret": secret,
    }


def strangers(cluster: Cluster, desired: list[dict], seen: dict) -> dict[tuple, dict]:
    """Objects that bear a wanted name without being in our set, by identity."""
    missing = [obj for obj in desired if identity(obj) not in seen["objects"] and (seen["namespace"] or not identity(obj)[1]) and obj["kind"] != "Namespace"]
    found = cluster.parallel([partial(cluster.get, obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")) for obj in missing])
    return {identity(obj): obj for obj in found if obj}


def outside(cluster: Cluster, options: dict, wanted: set[tuple], seen: dict) -> dict[tuple, dict | None]:
    """Objects that somebody else makes: identity -> object, None where there is none; what may not be read is left out.

    Of a namespace that is not there nothing is asked for.
    """
    absent = {which for which in wanted if which[1] and seen["namespace"] is None}
    watched = ("Secret", options["namespace"], credentials.watched_secret(options))
    asked = sorted(wanted - absent - {watched})
    answers = cluster.parallel([partial(_readable, cluster.get, kind, name, namespace) for kind, namespace, name in asked])
    found = dict.fromkeys(absent) | {which: answer[0] for which, answer in zip(asked, answers) if answer is not None}
    return {**found, watched: seen["secret"]} if watched in wanted else found


def external_secrets(cluster: Cluster, namespace: str) -> list[dict]:
    """The ExternalSecrets of the namespace; none where they may not be read."""
    answer = _readable(cluster.list, "ExternalSecret", namespace)
    return answer[0][0] if answer else []


def other_pods(cluster: Cluster, daemon_set: dict | None, pods: list[dict]) -> list[dict]:
    """The pods of a live DaemonSet whose selector is not ours, as a chart's; without those that are known."""
    if daemon_set is None:
        return []
    name, namespace = daemon_set["metadata"]["name"], daemon_set["metadata"]["namespace"]
    query = selectors(name, daemon_set)["Pod"]
    if query == selectors(name)["Pod"]:
        return []
    known = {pod["metadata"]["uid"] for pod in pods}
    found, _version = cluster.list("Pod", namespace, **query)
    return [pod for pod in found if pod["metadata"]["uid"] not in known]


def _readable(read, *which):
    """(what is there,), or None where the user may not read it."""
    try:
        return (read(*which),)
    except ApiFailure as failure:
        if failure.status != 403:
            raise
        return None


def _nothing():
    return None
