# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import discovery
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, Kind
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

ALL = ("create", "delete", "get", "list")


def resource(plural, kind, verbs=ALL, scope="Namespaced"):
    return {"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind}, "scope": scope, "verbs": [*verbs]}


def aggregated(**groups):
    """Groups by name (a double underscore for a dot), each the versions that it prefers first: version -> resources, None for a server that is away."""
    items = []
    for group, versions in groups.items():
        listed = [
            {"version": version, "resources": resources or [], "freshness": "Stale" if resources is None else "Current"}
            for version, resources in versions.items()
        ]
        items.append({"metadata": {"name": group.replace("__", ".")} if group != "core" else {}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items}


def kind(name, api_version, plural):
    return Kind(name, api_version, plural, True)


def test_what_a_namespace_can_hold():
    bindings = {"resource": "bindings", "responseKind": {"kind": "Binding"}, "scope": "Namespaced", "verbs": ["create"]}
    document = aggregated(
        core={"v1": [resource("pods", "Pod"), bindings, resource("nodes", "Node", scope="Cluster")]},
        views__example={"v1": [resource("views", "View", verbs=["get", "list"])]},
    )
    assert discovery.versions_of(document) == [("v1", [kind("Pod", "v1", "pods")]), ("views.example/v1", [])]


def test_a_version_whose_server_is_away_is_not_known_even_if_it_has_shown_only_views():
    document = aggregated(away__example={"v1": None, "v1beta1": [resource("things", "Thing")]}, metrics__k8s__io={"v1beta1": None}, known__example={"v1": None})
    document["items"][2]["versions"][0]["resources"] = [resource("views", "View", verbs=["get", "list"])]
    things = [kind("Thing", "away.example/v1beta1", "things")]
    silent = [("metrics.k8s.io/v1beta1", None), ("known.example/v1", None)]
    assert discovery.versions_of(document) == [("away.example/v1", None), ("away.example/v1beta1", things), *silent]


def test_measurements_of_a_server_that_answers_need_no_listing():
    document = aggregated(metrics__k8s__io={"v1beta1": [resource("pods", "PodMetrics", verbs=["get", "list"])]})
    assert discovery.versions_of(document) == [("metrics.k8s.io/v1beta1", [])]


def test_a_server_that_only_names_its_groups():
    groups = {"kind": "APIGroupList", "groups": [
        {"name": "apps", "versions": [{"groupVersion": "apps/v1beta1"}, {"groupVersion": "apps/v1"}], "preferredVersion": {"groupVersion": "apps/v1"}},
        {"name": "metrics.k8s.io", "versions": [{"groupVersion": "metrics.k8s.io/v1"}], "preferredVersion": {"groupVersion": "metrics.k8s.io/v1"}},
    ]}  # fmt: skip
    assert discovery.versions_of(groups) is None and discovery.named_versions(groups) == ["apps/v1", "apps/v1beta1", "metrics.k8s.io/v1"]
    assert discovery.named_versions({"kind": "APIVersions", "versions": ["v1"]}) == ["v1"]
    scale = {"name": "things/scale", "kind": "Scale", "namespaced": True, "verbs": ALL}
    document = {"kind": "APIResourceList", "resources": [{"name": "things", "kind": "Thing", "namespaced": True, "verbs": ALL}, scale, {"name": "broken"}]}
    assert discovery.kinds_of("a/v1", document) == [kind("Thing", "a/v1", "things")]


def test_each_resource_of_a_group_once_in_the_version_that_is_preferred():
    document = aggregated(
        apps={"v1": [resource("deployments", "Deployment"), resource("things", "Thing")]},
        a={"v2": [resource("things", "Thing")], "v1": [resource("things", "Thing"), resource("old", "Old")]},
        known={"v2": [resource("claims", "Claim")], "v1": [resource("claims", "Claim")]},
    )
    found = discovery.not_among(discovery.versions_of(document), {("apps/v1", "deployments"), ("known/v1", "claims")})
    assert [(each.api_version, each.plural) for each in found] == [("apps/v1", "things"), ("a/v2", "things"), ("a/v1", "old")]
    assert discovery.not_among([("a/v1", None)], set()) == []


def connected(server):
    return Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url, "api_key": "a-token-of-this-test"}, patience=0)


def test_two_requests_where_the_server_has_all_groups_in_one_answer():
    answers = {"/api": aggregated(core={"v1": [resource("pods", "Pod")]}), "/apis": aggregated(apps={"v1": []})}
    with FakeApiServer(lambda _method, path, _query: (200, answers[path])) as server:
        cluster = connected(server)
        assert cluster.discover() == [("v1", [kind("Pod", "v1", "pods")]), ("apps/v1", [])] and cluster.requests == {"read": 2, "write": 0}


def test_one_request_a_version_where_it_has_not():
    def answer(_method, path, _query):
        if path == "/apis/down.example/v1":
            return 503, {"kind": "Status"}
        plural = {"/api/v1": "pods", "/apis/apps/v1": "deployments"}.get(path, "")
        listed = {"kind": "APIResourceList", "resources": [{"name": plural, "kind": "K", "namespaced": True, "verbs": ALL}]}
        named = [{"name": name, "versions": [{"groupVersion": f"{name}/v1"}]} for name in ("apps", "down.example")]
        return 200, {"/api": {"kind": "APIVersions", "versions": ["v1"]}, "/apis": {"kind": "APIGroupList", "groups": named}}.get(path, listed)

    with FakeApiServer(answer) as server:
        assert connected(server).discover() == [
            ("v1", [kind("K", "v1", "pods")]),
            ("apps/v1", [kind("K", "apps/v1", "deployments")]),
            ("down.example/v1", None),
        ]


def test_objects_of_whatever_kind_come_with_their_metadata_alone():
    part = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a", "managedFields": [{}]}}
    pages = [{"items": [part], "metadata": {"continue": "x"}}, {"items": [{"metadata": {"name": "b"}, "spec": {}}, {}]}]
    with FakeApiServer(lambda _method, _path, query: (200, pages["continue" in query])) as server:
        found = connected(server).list_metadata(kind("Thing", "a.example/v1", "things"), "n")
        assert found == [{"apiVersion": "a.example/v1", "kind": "Thing", "metadata": metadata} for metadata in ({"name": "a"}, {"name": "b"}, {})]
        assert {path for _method, path, _query in server.seen} == {"/apis/a.example/v1/namespaces/n/things"}


def test_what_the_table_has_is_found_in_the_answer():
    pods = KINDS["Pod"]
    assert discovery.not_among([("v1", [pods])], {(pods.api_version, pods.plural)}) == []
