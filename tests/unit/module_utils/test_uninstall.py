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
