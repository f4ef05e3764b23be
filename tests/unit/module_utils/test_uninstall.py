# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""What a real cluster shows on bad days only; the rest is in tests/integration/test_uninstall.py."""

import itertools

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.uninstall import absent
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

OPTIONS = {"name": "n", "namespace": "n", "wait": True, "wait_timeout": 30}
IDENTIFIER = applyset.set_id("n", "n")
UIDS = (f"uid-{number}" for number in itertools.count())


class Store:
    """Objects by path. refused: resources that may not be listed. made_again: paths of which a new object comes at once."""

    def __init__(self, *objects, refused=(), made_again=()):
        self.objects = {KINDS[obj["kind"]].path(obj["metadata"].get("namespace"), obj["metadata"]["name"]): obj for obj in objects}
        self.refused, self.made_again = refused, made_again

    def answer(self, method, path, query):
        if method == "DELETE":
            obj = self.objects.pop(path)
            if path in self.made_again:
                self.objects[path] = {**obj, "metadata": {**obj["metadata"], "uid": next(UIDS), "managedFields": [{"manager": "argocd", "time": "t"}]}}
            return 200, {}
        if path in self.objects:
            return 200, self.objects[path]
        if path.rpartition("/")[2] in self.refused:
            resource = path.rpartition("/")[2]
            message = f'{resource} is forbidden: User "u" cannot list resource "{resource}" in API group "" in the namespace "n"'
            return 403, {"kind": "Status", "reason": "Forbidden", "message": message}
        if not any(KINDS[kind].plural == path.rpartition("/")[2] for kind in KINDS):
            return 404, {"kind": "Status", "reason": "NotFound"}
        wanted = dict(term.split("=") for term in query.get("labelSelector", "").split(",") if term)
        below = [obj for place, obj in self.objects.items() if place.rpartition("/")[0] == path]
        return 200, {"items": [obj for obj in below if wanted.items() <= (obj["metadata"].get("labels") or {}).items()]}


class Discovered(Store):
    """A store whose server tells what it serves. answers: path of a list -> (status, metadata of what it holds). away: a version of a group."""

    def __init__(self, *objects, answers, away=None, **given):
        super().__init__(*objects, **given)
        self.answers = {path: (status, {"items": [{"metadata": each} for each in items]}) for path, (status, items) in answers.items()}
        self.groups = {path.split("/")[2]: path.split("/") for path in answers}
        self.away = away

    def answer(self, method, path, query):
        if path in ("/api", "/apis"):
            listed = [self._group(name, parts) for name, parts in self.groups.items()] if path == "/apis" else []
            away = [{"metadata": {"name": self.away}, "versions": [{"version": "v1", "freshness": "Stale"}]}] if self.away and path == "/apis" else []
            return 200, {"kind": "APIGroupDiscoveryList", "items": [*listed, *away]}
        return self.answers[path] if path in self.answers else super().answer(method, path, query)

    @staticmethod
    def _group(name, parts):
        resource = {"resource": parts[-1], "responseKind": {"kind": parts[-1].title()}, "scope": "Namespaced", "verbs": ["list", "delete"]}
        return {"metadata": {"name": name}, "versions": [{"version": parts[3], "resources": [resource]}]}


def obj(kind, name, namespace="n", member=True):
    metadata = {"name": name, "uid": next(UIDS), "labels": {applyset.MEMBER_LABEL: IDENTIFIER} if member else {}}
    if KINDS[kind].namespaced:
        metadata["namespace"] = namespace
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata}


def parent(*members):
    return {**applyset.parent("n", "n", list(members), {}), "metadata": {**applyset.parent("n", "n", list(members), {})["metadata"], "uid": next(UIDS)}}


def remove(store, check_mode=False):
    with FakeApiServer(store.answer) as server:
        cluster = Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url, "api_key": "a-token-of-this-test"})
        return absent(cluster, OPTIONS, check_mode, False)


def removed(result):
    return [action["object"] for action in result["actions"]]


def test_what_somebody_makes_again_ends_the_wait_and_is_named():
    account = obj("ServiceAccount", "a")
    store = Store(account, parent(account), obj("Namespace", "n", member=False), made_again=["/api/v1/namespaces/n/serviceaccounts/a"])
    with pytest.raises(Failure) as caught:
        remove(store)
    assert caught.value.facts["leftovers"] == [{"object": "ServiceAccount n/a", "node": "", "reason": "made again by argocd while it was being removed"}]
    assert caught.value.facts["changed"] and "made again by argocd" in caught.value.message


def test_a_namespace_into_which_the_user_cannot_look_is_kept():
    account, home = obj("ServiceAccount", "a"), obj("Namespace", "n")
    store = Store(account, parent(account, home), home, refused=["services", "cronjobs"])
    predicted, result = remove(store, check_mode=True), remove(store)
    assert result["kept"] == ["Namespace n: this user may not list services, cronjobs.batch there, so what else it holds is not known"] == predicted["kept"]
    assert removed(result) == removed(predicted) == ["ServiceAccount n/a", "ConfigMap n/n"] and list(store.objects) == ["/api/v1/namespaces/n"]


def test_a_kind_that_the_set_does_not_hold_need_not_be_listable():
    account = obj("ServiceAccount", "a")
    result = remove(Store(account, parent(account), obj("Namespace", "n", member=False), refused=["podmonitors"]))
    assert removed(result) == ["ServiceAccount n/a", "ConfigMap n/n"] and result["kept"] == ["Namespace n: this collection did not make it"]


def test_a_kind_that_the_set_holds_has_to_be_listable():
    account = obj("ServiceAccount", "a")
    store = Store(account, parent(account), obj("Namespace", "n", member=False), refused=["serviceaccounts"])
    with pytest.raises(Failure, match="u may not list serviceaccounts"):
        remove(store)
    assert len(store.objects) == 3


def test_without_a_parent_what_cannot_be_listed_is_said():
    store = Store(obj("ServiceAccount", "a"), obj("Namespace", "n", member=False), refused=["podmonitors"])
    result = remove(store)
    assert removed(result) == ["ServiceAccount n/a"]
    assert result["kept"][1] == "what there may be of podmonitors.monitoring.coreos.com: this user may not list them, and the set's parent is gone"


def test_a_config_map_of_somebody_else_with_the_parents_name_stays():
    store = Store(obj("ConfigMap", "n", member=False), obj("Namespace", "n", member=False))
    assert not remove(store)["changed"] and len(store.objects) == 2


GADGETS, EVENTS = "/apis/example.com/v2/namespaces/n/gadgets", "/apis/events.k8s.io/v1/namespaces/n/events"


def installed(**given):
    account, home = obj("ServiceAccount", "a"), obj("Namespace", "n")
    return Discovered(account, parent(account, home), home, **given)


def test_an_object_of_a_kind_that_nobody_knew_before_keeps_the_namespace():
    store = installed(answers={GADGETS: (200, [{"name": "theirs", "namespace": "n", "uid": "u"}])})
    predicted, result = remove(store, check_mode=True), remove(store)
    assert result["kept"] == ["Namespace n: it holds what is not ours: Gadgets n/theirs"] == predicted["kept"] and result["warnings"] == []
    assert removed(result) == ["ServiceAccount n/a", "ConfigMap n/n"]


def test_what_is_made_by_itself_keeps_nothing():
    account, home = obj("ServiceAccount", "a"), obj("Namespace", "n")
    own = {"name": "x", "namespace": "n", "uid": "v", "ownerReferences": [{"uid": account["metadata"]["uid"]}]}
    answers = {GADGETS: (200, [own]), EVENTS: (200, [{"name": "x", "namespace": "n", "uid": "u"}])}
    result = remove(Discovered(account, parent(account, home), home, answers=answers))
    assert "Namespace n" in removed(result) and result["kept"] == [] == result["warnings"]


def test_a_kind_that_need_not_be_listable_is_named_and_the_namespace_goes():
    store = installed(answers={GADGETS: (403, [])})
    predicted, result = remove(store, check_mode=True), remove(store)
    assert "Namespace n" in removed(result) and result["kept"] == []
    told = ["Namespace n goes with whatever it holds of gadgets.example.com: this user may not list them there"]
    assert result["warnings"] == told == predicted["warnings"]


def test_where_the_user_may_not_read_what_is_served_that_is_said():
    account, home = obj("ServiceAccount", "a"), obj("Namespace", "n")
    result = remove(Store(account, parent(account, home), home, refused=["apis"]))
    [line] = result["warnings"]
    assert "Namespace n" in removed(result) and line.endswith("this user may not read which kinds the API serves")


@pytest.mark.parametrize(
    ("given", "what"),
    [({"answers": {}, "away": "away.example"}, "away.example/v1"), ({"answers": {GADGETS: (405, [])}}, "gadgets.example.com")],
)
def test_a_server_that_is_away_keeps_the_namespace_and_the_run_does_not_end_well(given, what):
    store = installed(**given)
    line = f"Namespace n: the API has no answer for {what}, so what else it holds is not known"
    predicted = remove(store, check_mode=True)
    with pytest.raises(Failure) as caught:
        remove(store)
    assert caught.value.facts["kept"] == [line] == predicted["kept"] and caught.value.what == line
    assert removed(caught.value.facts) == ["ServiceAccount n/a", "ConfigMap n/n"] == removed(predicted) and list(store.objects) == ["/api/v1/namespaces/n"]
    assert caught.value.facts["leftovers"] == [{"object": "Namespace n", "node": "", "reason": "what it holds is not known"}]
