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
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.uninstall import absent
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

OPTIONS = {"name": "n", "namespace": "n", "wait": True, "wait_timeout": 30}
IDENTIFIER = applyset.set_id("n", "n")
UIDS = (f"uid-{number}" for number in itertools.count())


class Store:
    """Objects by path. refused: resources, or paths of lists, that may not be listed. made_again: paths of which a new object comes at once.

    A patch takes the label of the set away, which is all that an uninstall patches.
    """

    def __init__(self, *objects, refused=(), made_again=()):
        self.objects = {KINDS[obj["kind"]].path(obj["metadata"].get("namespace"), obj["metadata"]["name"]): obj for obj in objects}
        self.refused, self.made_again = {*refused}, made_again

    def answer(self, method, path, query):
        if method == "DELETE":
            obj = self.objects.pop(path)
            if path in self.made_again:
                self.objects[path] = {**obj, "metadata": {**obj["metadata"], "uid": next(UIDS), "managedFields": [{"manager": "argocd", "time": "t"}]}}
            return 200, {}
        if method == "PATCH":
            del self.objects[path]["metadata"]["labels"][applyset.MEMBER_LABEL]
        if path in self.objects:
            return 200, self.objects[path]
        if not self.refused.isdisjoint((path, path.rpartition("/")[2])):
            resource = path.rpartition("/")[2]
            message = f'{resource} is forbidden: User "u" cannot list resource "{resource}" in API group "" in the namespace "n"'
            return 403, {"kind": "Status", "reason": "Forbidden", "message": message}
        if not any(KINDS[kind].plural == path.rpartition("/")[2] for kind in KINDS):
            return 404, {"kind": "Status", "reason": "NotFound"}
        wanted = dict(term.split("=") for term in query.get("labelSelector", "").split(",") if term)
        below = [obj for place, obj in self.objects.items() if path in (place.rpartition("/")[0], KINDS[obj["kind"]].path())]
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


def connected(server):
    return Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url, "api_key": "a-token-of-this-test"})


def remove(store, check_mode=False, **options):
    with FakeApiServer(store.answer) as server:
        return absent(connected(server), {**OPTIONS, **options}, check_mode, False)


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


def workload(kind, name, spec, labels=None, **given):
    """A workload that makes pods of this spec and these labels."""
    return {**obj(kind, name, **given), "spec": {"selector": {"matchLabels": labels or {}}, "template": {"metadata": {"labels": labels or {}}, "spec": spec}}}


def pod(name, spec, controller=None, labels=None, **given):
    """A pod of nobody's, or of the controller (kind, name)."""
    found = {**obj("Pod", name, member=False, **given), "spec": spec, "status": {"phase": "Running"}}
    found["metadata"]["labels"] = labels or {}
    if controller:
        found["metadata"]["ownerReferences"] = [{"kind": controller[0], "name": controller[1], "uid": next(UIDS), "controller": True}]
    return found


def actions(result):
    return {each["object"]: each["action"] for each in result["actions"]}


@pytest.mark.parametrize("ours", [True, False])
def test_what_others_use_stays_without_our_label_and_is_said(ours):
    account, pull, loose = obj("ServiceAccount", "a"), obj("Secret", "a-registry"), obj("ConfigMap", "loose")
    home = obj("Namespace", "n", member=ours)
    spec = {"serviceAccountName": "a", "imagePullSecrets": [{"name": "a-registry"}]}
    mounted = {"volumes": [{"configMap": {"name": "loose"}}], "containers": []}
    own = workload("DaemonSet", "n", spec)
    others = [workload("DaemonSet", "b", spec, member=False), pod("b-1", spec, ("DaemonSet", "b")), pod("hand", mounted)]
    store = Store(account, pull, loose, own, parent(account, pull, loose, own), home, *others)
    predicted, result = remove(store, check_mode=True), remove(store)
    assert result["kept"][1:] == predicted["kept"][1:] and sorted(result["kept"][1:]) == [
        "ConfigMap n/loose: in use by Pod n/hand",
        "Secret n/a-registry: in use by DaemonSet n/b",
        "ServiceAccount n/a: in use by DaemonSet n/b",
    ]
    expected = {
        "DaemonSet n/n": "delete",
        "ConfigMap n/n": "delete",
        **dict.fromkeys(("ConfigMap n/loose", "Secret n/a-registry", "ServiceAccount n/a"), "release"),
    }
    assert actions(result) == actions(predicted) == expected and result["warnings"] == []
    assert not any(applyset.MEMBER_LABEL in each["metadata"]["labels"] for each in (account, pull, loose)) and len(store.objects) == 7
    assert not remove(store)["changed"]


def test_what_only_our_own_pods_use_goes():
    account, pull, home = obj("ServiceAccount", "a"), obj("Secret", "s"), obj("Namespace", "n", member=False)
    own = workload("DaemonSet", "n", {"serviceAccountName": "a"})
    ended = {**pod("ended", {"imagePullSecrets": [{"name": "s"}]}), "status": {"phase": "Succeeded"}}
    store = Store(account, pull, own, parent(account, pull, own), home, pod("n-1", {"serviceAccountName": "a"}, ("DaemonSet", "n")), ended)
    assert set(actions(remove(store)).values()) == {"delete"} and len(store.objects) == 3


def test_a_priority_class_that_pods_anywhere_use_stays():
    urgent, home = obj("PriorityClass", "urgent"), obj("Namespace", "n")
    spec = {"priorityClassName": "urgent", "serviceAccountName": "a"}
    store = Store(urgent, parent(urgent, home), home, pod("x", spec, ("ReplicaSet", "r-5f"), {"pod-template-hash": "5f"}, namespace="elsewhere"))
    predicted, result = remove(store, check_mode=True), remove(store)
    assert result["kept"] == predicted["kept"] == ["PriorityClass urgent: in use by Deployment elsewhere/r"]
    assert actions(result) == {"PriorityClass urgent": "release", "ConfigMap n/n": "delete", "Namespace n": "delete"}


def test_where_pods_of_the_cluster_may_not_be_listed_a_priority_class_goes_with_a_word():
    urgent, home = obj("PriorityClass", "urgent"), obj("Namespace", "n", member=False)
    result = remove(Store(urgent, parent(urgent), home, refused=["/api/v1/pods"]))
    assert actions(result)["PriorityClass urgent"] == "delete"
    assert result["warnings"] == ["PriorityClass urgent goes, whoever else uses it: this user may not list pods in the whole cluster"]


def test_what_goes_with_the_namespace_uses_nothing():
    urgent, account, home = obj("PriorityClass", "urgent"), obj("ServiceAccount", "a"), obj("Namespace", "n")
    helper = pod("helper", {"priorityClassName": "urgent", "serviceAccountName": "a"})
    helper["metadata"]["ownerReferences"] = [{"kind": "ServiceAccount", "name": "a", "uid": account["metadata"]["uid"]}]
    result = remove(Store(urgent, account, parent(urgent, account, home), home, helper), check_mode=True)
    assert set(actions(result).values()) == {"delete"} and "Namespace n" in actions(result) and result["kept"] == []


def test_what_others_use_and_somebody_deletes_meanwhile_ends_no_run():
    class Hasty(Store):
        def answer(self, method, path, query):
            if method == "PATCH":
                del self.objects[path]
                return 404, {"kind": "Status", "reason": "NotFound"}
            return super().answer(method, path, query)

    account, home = obj("ServiceAccount", "a"), obj("Namespace", "n", member=False)
    store = Hasty(account, parent(account), home, workload("DaemonSet", "b", {"serviceAccountName": "a"}, member=False))
    assert actions(remove(store)) == {"ServiceAccount n/a": "release", "ConfigMap n/n": "delete"} and len(store.objects) == 2


def test_pods_of_the_cluster_are_listed_for_a_priority_class_alone():
    account = obj("ServiceAccount", "a")
    with FakeApiServer(Store(account, parent(account), obj("Namespace", "n", member=False)).answer) as server:
        absent(connected(server), OPTIONS, True, False)
        asked = [path for _method, path, _query in server.seen]
    assert asked.count("/api/v1/namespaces/n/pods") == 1 and "/api/v1/pods" not in asked


def test_where_nothing_of_ours_is_left_nobody_is_asked_who_uses_it():
    with FakeApiServer(Store(obj("Namespace", "n", member=False)).answer) as server:
        absent(connected(server), OPTIONS, True, False)
        assert "/apis/apps/v1/namespaces/n/statefulsets" not in {path for _method, path, _query in server.seen}


def test_pods_of_another_monitor_with_the_same_labels_are_not_awaited():
    labels, home = {"app": "clustermonitor"}, obj("Namespace", "n")
    own, theirs = workload("Deployment", "monitor", {}, labels), workload("Deployment", "theirs", {}, labels, member=False)
    other = pod("theirs-5f-1", {}, ("ReplicaSet", "theirs-5f"), {**labels, "pod-template-hash": "5f"})
    store = Store(own, parent(own, home), home, theirs, other)
    result = remove(store, wait_timeout=1)
    assert result["kept"] == ["Namespace n: it holds what is not ours: Pod n/theirs-5f-1, Deployment n/theirs"]
    assert removed(result) == ["Deployment n/monitor", "ConfigMap n/n"] and result["owed"] == []


def test_a_workload_s_pods_are_ours_also_where_it_is_gone_before_them():
    """As after an uninstall that was cut short, or a deletion that left the pods behind."""
    account, gone = obj("ServiceAccount", "n-monitor"), workload("Deployment", "n-monitor", {"serviceAccountName": "n-monitor"}, {"app": "m"})
    labels = {"app": "m", "pod-template-hash": "5f"}
    last = pod("n-monitor-5f-1", {"serviceAccountName": "n-monitor"}, ("ReplicaSet", "n-monitor-5f"), labels)
    result = remove(Store(account, parent(account, gone), obj("Namespace", "n", member=False), last))
    assert "ServiceAccount n/n-monitor" in removed(result) and not any("in use" in line for line in result["kept"])


def test_a_group_of_measurements_that_is_away_keeps_the_namespace():
    store = installed(answers={}, away="metrics.k8s.io")
    with pytest.raises(Failure, match="Namespace n: the API has no answer for metrics.k8s.io/v1"):
        remove(store)
    assert list(store.objects) == ["/api/v1/namespaces/n"]


def made_by(name):
    """The namespace as the installation of this name in it made it."""
    home = obj("Namespace", "n", member=False)
    home["metadata"]["labels"] = {**own_pod_labels(name), applyset.MEMBER_LABEL: applyset.set_id(name, "n")}
    return home


def test_the_last_installation_takes_the_namespace_that_another_has_made():
    account, home = obj("ServiceAccount", "a"), made_by("first")
    store = Store(account, parent(account), home)
    predicted, result = remove(store, check_mode=True), remove(store)
    assert removed(result) == removed(predicted) == ["ServiceAccount n/a", "ConfigMap n/n", "Namespace n"] and result["kept"] == [] and not store.objects


def test_a_namespace_of_an_installation_that_is_gone_stays_while_others_use_it():
    account, home = obj("ServiceAccount", "a"), made_by("first")
    result = remove(Store(account, parent(account), home, obj("Secret", "theirs", member=False)))
    assert result["kept"] == ["Namespace n: it holds what is not ours: Secret n/theirs"]


def test_a_namespace_goes_with_the_installation_that_made_it():
    account, home = obj("ServiceAccount", "a"), made_by("first")
    first = applyset.parent("first", "n", [], {})
    store = Store(account, parent(account), home, {**first, "metadata": {**first["metadata"], "uid": next(UIDS)}})
    assert remove(store)["kept"] == ["Namespace n: it goes with the installation first, which made it"] and len(store.objects) == 2


@pytest.mark.parametrize(("own_labels", "set_of"), [(own_pod_labels("first"), "another"), ({}, "first"), ({"app.kubernetes.io/instance": "first"}, "first")])
def test_a_namespace_in_a_set_of_another_tool_is_not_ours(own_labels, set_of):
    account, home = obj("ServiceAccount", "a"), obj("Namespace", "n", member=False)
    home["metadata"]["labels"] = {**own_labels, applyset.MEMBER_LABEL: applyset.set_id(set_of, "n")}
    assert remove(Store(account, parent(account), home))["kept"] == ["Namespace n: this collection did not make it"]
