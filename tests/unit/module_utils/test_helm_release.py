# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a release as helm 4.3.1 left it, by server-side and by client-side apply (data/helm.json, less the status)."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import helm_release
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import differences, owned_fields, value_changes
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "helm.json").read_text())
MODES = ["server_side", "client_side"]
US = "nanoagent.k8s"
NAMESPACE, NAME = "helm-recorded", "vendor"
# What a server fills in or keeps to itself.
NOT_WANTED = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


@pytest.fixture(params=MODES)
def recorded(request):
    """{"record": release Secret, "live": [object]}."""
    return copy.deepcopy(RECORDED[request.param])


def by_identity(objects):
    return {identity(obj): obj for obj in objects}


def daemon_set(recorded):
    return next(obj for obj in recorded["live"] if obj["kind"] == "DaemonSet")


def wanted_like(live):
    """What one would have to want so that nothing changes: all that Helm owns, less Helm's marks."""
    after = helm_release.handed_over(live, US)
    picked = pick(after, owned_fields(after, US))
    identities = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], **picked, "metadata": {**(picked.get("metadata") or {}), **identities}}


def pick(value, tree):
    """The part of a value that a fieldsV1 tree names."""
    if not set(tree) - {"."}:
        return value
    if isinstance(value, dict):
        return {key: pick(item, tree[f"f:{key}"]) for key, item in value.items() if f"f:{key}" in tree}
    picked = []
    for item in value:
        for key, subtree in tree.items():
            if key.startswith("k:") and all(item.get(name) == one for name, one in json.loads(key[2:]).items()):
                picked.append(pick(item, subtree))
    return picked


def packed(release, status="deployed", version=1):
    """A record Secret with this content."""
    data = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    labels = {"name": NAME, "owner": "helm", "status": status, "version": str(version)}
    metadata = {"name": f"sh.helm.release.v1.{NAME}.v{version}", "namespace": NAMESPACE, "labels": labels, "uid": str(version)}
    return {"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "metadata": metadata, "data": {"release": data}}


def manifest(*names):
    return "".join(f"---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n" for name in names)


def release(records):
    return helm_release.read_release(records, NAME, NAMESPACE)


def test_a_release_is_read_from_its_record(recorded):
    found = release([recorded["record"]])
    assert (found["revision"], found["chart"], found["hooks"]) == (1, "nanoagent-1.1.4", 0)
    assert sorted((ref["kind"], ref["metadata"].get("namespace")) for ref in found["objects"] if ref["kind"] != "Deployment") == [
        ("ClusterRole", None),
        ("ClusterRoleBinding", None),
        ("ConfigMap", NAMESPACE),
        ("DaemonSet", NAMESPACE),
        ("ServiceAccount", NAMESPACE),
    ]
    assert found["records"] == [recorded["record"]]


@pytest.mark.parametrize(
    ("statuses", "revision", "objects"),
    [
        ([], None, []),
        (["deployed"], 1, ["o1"]),
        (["superseded", "deployed"], 2, ["o2"]),
        (["superseded", "deployed", "failed"], 2, ["o2", "o3"]),
        (["deployed", "failed", "failed"], 1, ["o1", "o2", "o3"]),
        (["failed"], 1, ["o1"]),
        (["failed", "failed"], 2, ["o2"]),
        (["superseded", "uninstalled"], None, []),
    ],
)
def test_the_revision_in_force_and_what_failed_after_it_count(statuses, revision, objects):
    records = [packed({"manifest": manifest(f"o{version}")}, status, version) for version, status in enumerate(statuses, 1)]
    found = release(records[::-1])
    assert found["revision"] == revision and [ref["metadata"]["name"] for ref in found["objects"]] == objects
    assert found["records"] == (records if revision else [])


def test_the_tenth_revision_is_newer_than_the_ninth():
    assert release([packed({"manifest": ""}, version=10), packed({"manifest": ""}, "superseded", 9)])["revision"] == 10


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"])
def test_a_release_on_which_helm_is_at_work_is_refused(status):
    with pytest.raises(Failure, match=f"is in status {status}.*Next: wait"):
        release([packed({"manifest": ""}), packed({"manifest": ""}, status, 2)])


@pytest.mark.parametrize(
    "data",
    [
        {},
        None,
        {"release": None},
        {"release": "no base64"},
        {"release": base64.b64encode(b"no base64").decode()},
        {"release": base64.b64encode(base64.b64encode(b"{}")).decode()},
        {"release": base64.b64encode(base64.b64encode(gzip.compress(b"no json"))).decode()},
        {"release": base64.b64encode(base64.b64encode(gzip.compress(b"[]"))).decode()},
        {"release": base64.b64encode(base64.b64encode(gzip.compress(b"{}")[:-4])).decode()},
    ],
)
def test_a_record_that_is_none_is_one_line(data):
    with pytest.raises(Failure, match=f"Secret {NAMESPACE}/sh.helm.release.v1.{NAME}.v1 does not hold the record") as caught:
        release([{**packed({}), "data": data}])
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("---\n# nothing\n---\n", []),
        ("kind: ConfigMap\nmetadata: {name: 123, namespace: other}\n", [("ConfigMap", "other", "123")]),
        ("kind: ConfigMap\nmetadata:\n  name: a\t  \n\t \ndata:\n  b: \t\n", [("ConfigMap", NAMESPACE, "a")]),
        ("kind: ClusterRole\nmetadata: {name: a, namespace: ignored}\n", [("ClusterRole", None, "a")]),
        ("kind: Widget\nmetadata: {name: a}\n", [("Widget", NAMESPACE, "a")]),
        ("kind: List\nitems:\n- {kind: Secret, metadata: {name: a}}\n- {kind: Secret, metadata: {name: b}}\n", [("Secret", NAMESPACE, n) for n in "ab"]),
        ("kind: ConfigMap\nmetadata: {generateName: a}\n---\n- 1\n---\ntext\n", []),
    ],
)
def test_the_objects_of_a_manifest(text, expected):
    found = helm_release.manifest_objects(text, NAMESPACE)
    assert [(ref["kind"], ref["metadata"].get("namespace"), ref["metadata"]["name"]) for ref in found] == expected


def test_a_manifest_that_is_no_yaml_is_one_line():
    with pytest.raises(Failure, match="no valid YAML in line 2") as caught:
        helm_release.manifest_objects("a: 1\n  b: [\n", NAMESPACE)
    assert "\n" not in caught.value.message


def test_helms_manager_is_known_by_its_marks(recorded):
    live = daemon_set(recorded)
    assert helm_release.helm_managers(live, US) == {"helm"}
    for entry in live["metadata"]["managedFields"]:
        entry["manager"] = {"helm": "some-controller"}.get(entry["manager"], entry["manager"])
    assert helm_release.helm_managers(live, US) == {"some-controller"}
    assert helm_release.helm_managers(live, "some-controller") == set()
    live["metadata"]["managedFields"].append(
        {"manager": "kubectl-annotate", "operation": "Update", "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{helm_release.RELEASE_NAME}": {}}}}}
    )
    assert helm_release.helm_managers(live, US) == {"some-controller"}


def test_the_hand_over_leaves_everything_but_owner_and_marks(recorded):
    for live in recorded["live"]:
        before = copy.deepcopy(live)
        after = helm_release.handed_over(live, US)
        assert live == before
        assert helm_release.release_of(after) is None and helm_release.release_of(live) == (NAMESPACE, NAME)
        assert "app.kubernetes.io/managed-by" not in (after["metadata"].get("labels") or {})
        assert {entry["manager"] for entry in after["metadata"]["managedFields"] if not entry.get("subresource")} == {US}
        assert {key: value for key, value in after.items() if key != "metadata"} == {key: value for key, value in live.items() if key != "metadata"}
        assert helm_release.handed_over(after, US)["metadata"]["managedFields"] == after["metadata"]["managedFields"]


def test_what_helm_wanted_and_we_want_too_is_no_difference(recorded):
    for live in recorded["live"]:
        assert differences(wanted_like(live), helm_release.handed_over(live, US), US) == []


def test_what_the_server_filled_in_is_let_go(recorded):
    owned = owned_fields(helm_release.handed_over(daemon_set(recorded), US), US)
    template = owned["f:spec"]["f:template"]["f:spec"]
    [container] = template["f:containers"].values()
    assert not {"f:dnsPolicy", "f:restartPolicy", "f:schedulerName", "f:serviceAccount", "f:terminationGracePeriodSeconds"} & set(template)
    assert {"f:hostPID", "f:hostNetwork", "f:serviceAccountName", "f:tolerations"} <= set(template)
    assert "f:terminationMessagePath" not in container and {"f:image", "f:env", "f:securityContext"} <= set(container)
    assert "f:annotations" not in owned["f:metadata"]


def test_what_only_helm_wanted_is_a_change_and_the_pods_are_replaced(recorded):
    live = daemon_set(recorded)
    wanted = wanted_like(live)
    del wanted["spec"]["template"]["metadata"]["annotations"]
    paths = value_changes(wanted, helm_release.handed_over(live, US), US)
    assert paths == ["spec.template.metadata.annotations"]
    found = helm_release.adoption_plan(release([recorded["record"]]), by_identity(recorded["live"]), [wanted], US)
    assert found["restarts"] and "its pods are replaced, for these fields change: metadata.annotations" in " | ".join(found["notes"])


def test_our_own_fields_and_those_of_others_stay_where_they_are(recorded):
    live = daemon_set(recorded)
    others = [
        {"manager": "colleague", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}},
        {"manager": US, "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:x": {}}},
        {"manager": "helm", "operation": "Update", "apiVersion": "apps/v1", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    ours = {"manager": US, "operation": "Apply", "apiVersion": "apps/v1", "time": "2036-01-01T00:00:00Z", "fieldsType": "FieldsV1"}
    live["metadata"]["managedFields"] += [*others, {**ours, "fieldsV1": {"f:spec": {"f:paused": {}, "f:template": {}}}}]
    entries = helm_release.handed_over(live, US)["metadata"]["managedFields"]
    assert [entry for entry in entries if entry in others] == others
    mine = owned_fields({"metadata": {"managedFields": entries}}, US)
    assert "f:paused" in mine["f:spec"] and {".", "f:spec"} <= set(mine["f:spec"]["f:template"])
    assert entries[-1]["time"] == ours["time"]


def test_the_patch_names_what_goes_and_holds_for_this_version_only(recorded):
    live = daemon_set(recorded)
    after = helm_release.handed_over(live, US)
    change = helm_release.hand_over_patch(live, US)["metadata"]
    assert change.pop("managedFields") == after["metadata"]["managedFields"]
    assert change == {
        "resourceVersion": live["metadata"]["resourceVersion"],
        "annotations": {helm_release.RELEASE_NAME: None, helm_release.RELEASE_NAMESPACE: None},
        "labels": {"app.kubernetes.io/managed-by": None},
    }


def test_a_label_that_somebody_else_gave_stays(recorded):
    live = daemon_set(recorded)
    live["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "somebody"
    assert "labels" not in helm_release.hand_over_patch(live, US)["metadata"]


def workload(kind="DaemonSet", labels=None, pod_labels=None, **selector):
    labels = labels or {"app": "ours"}
    template = {"metadata": {"labels": pod_labels or labels}, "spec": {}}
    return {"kind": kind, "metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": labels, **selector}, "template": template}}


def test_a_live_selector_is_kept_and_its_labels_go_to_the_pods():
    wanted = workload(pod_labels={"app": "ours", "more": "1"})
    before = copy.deepcopy(wanted)
    kept = helm_release.with_live_selector(wanted, workload(labels={"name": "theirs"}))
    assert kept["spec"]["selector"] == {"matchLabels": {"name": "theirs"}}
    assert kept["spec"]["template"]["metadata"]["labels"] == {"app": "ours", "more": "1", "name": "theirs"}
    assert wanted == before and helm_release.with_live_selector(kept, workload(labels={"name": "theirs"})) == kept


@pytest.mark.parametrize("live", [None, workload(), workload(labels={"a": "b"}, matchExpressions=[{"key": "a", "operator": "Exists"}])])
def test_other_workloads_stay_as_they_are(live):
    assert helm_release.with_live_selector(workload(), live) == workload()


def test_other_objects_have_no_selector():
    service = {"kind": "ConfigMap", "metadata": {"name": "x"}}
    assert helm_release.with_live_selector(service, {**service, "spec": {"selector": {"matchLabels": {"a": "b"}}}}) is service


def test_a_plan_that_changes_nothing(recorded):
    desired = [wanted_like(obj) for obj in recorded["live"]]
    live = by_identity(recorded["live"])
    found = helm_release.adoption_plan(release([recorded["record"]]), live, desired, US)
    assert not found["restarts"] and len(found["take"]) == 4 == len(found["patches"]) and found["desired"] == desired
    assert {step["action"] for step in plan(found["desired"], {**live, **found["objects"]}, [], US)} == {"keep"}
    assert found["steps"] == [{"action": "delete", "fields": [], "desired": None, "live": recorded["record"]}]
    assert found["notes"][0] == f"Helm release {NAMESPACE}/{NAME} (chart nanoagent-1.1.4, revision 1): 4 objects are taken over"
    assert found["notes"][-1].endswith("its 1 records are deleted, so that no Helm command reaches these objects any more")


@pytest.mark.parametrize("remove", [False, True])
def test_what_is_not_wanted_stays_unless_asked(recorded, remove):
    live = by_identity(recorded["live"])
    wanted = wanted_like(daemon_set(recorded))
    wanted["spec"]["template"]["spec"] = {"containers": [{"name": "agent", "image": "i"}]}
    found = helm_release.adoption_plan(release([recorded["record"]]), live, [wanted], US, remove_left=remove)
    # The binding is not among the live ones, and what is gone is nobody's.
    names = [f"ConfigMap {NAMESPACE}/spyderbat-install-config", f"ClusterRole {NAMESPACE}", f"ServiceAccount {NAMESPACE}/spyderbat-serviceaccount"]
    gone = [step["live"]["kind"] for step in found["steps"]]
    assert gone == (["ConfigMap", "ClusterRole", "ServiceAccount", "Secret"] if remove else ["Secret"])
    assert (set(found["left"]) & set(names) == set()) if remove else (set(names) <= set(found["left"]))
    assert sum("of the release, not wanted, deleted" in note for note in found["notes"]) == (3 if remove else 0)


def test_what_the_pods_need_stays_even_where_asked(recorded):
    found = helm_release.adoption_plan(release([recorded["record"]]), by_identity(recorded["live"]), [wanted_like(daemon_set(recorded))], US, remove_left=True)
    needed = [f"ConfigMap {NAMESPACE}/spyderbat-install-config", f"ServiceAccount {NAMESPACE}/spyderbat-serviceaccount"]
    assert [step["live"]["kind"] for step in found["steps"]] == ["ClusterRole", "Secret"] and set(needed) <= set(found["left"])
    assert all(f"{name}: of the release, needed by pods, left as it is" in found["notes"] for name in needed)


def test_what_the_chart_says_to_keep_is_kept(recorded):
    live = by_identity(recorded["live"])
    live[("ConfigMap", NAMESPACE, "spyderbat-install-config")]["metadata"]["annotations"]["helm.sh/resource-policy"] = "keep"
    found = helm_release.adoption_plan(release([recorded["record"]]), live, [], US, remove_left=True)
    assert f"ConfigMap {NAMESPACE}/spyderbat-install-config" in found["left"]


def test_an_object_of_another_release_is_refused(recorded):
    other = {"name": "other", "namespace": NAMESPACE, "revision": None, "chart": "", "hooks": 0, "objects": [], "records": []}
    with pytest.raises(Failure, match=f"belongs to the Helm release {NAMESPACE}/{NAME}, not to {NAMESPACE}/other"):
        helm_release.adoption_plan(other, by_identity(recorded["live"]), [wanted_like(daemon_set(recorded))], US)


@pytest.mark.parametrize("remove", [False, True])
def test_a_second_daemon_set_beside_the_releases_is_refused_unless_that_goes(recorded, remove):
    other = workload() | {"apiVersion": "apps/v1", "metadata": {"name": "other", "namespace": NAMESPACE}}
    run = partial(helm_release.adoption_plan, release([recorded["record"]]), by_identity(recorded["live"]), [other], US, remove)
    if remove:
        assert "DaemonSet" in [step["live"]["kind"] for step in run()["steps"]]
        return
    with pytest.raises(Failure, match="has the DaemonSet spyderbat-nanoagent, which would go on running.*Next: set name: spyderbat-nanoagent"):
        run()


def test_without_a_release_there_is_nothing_to_do():
    found = helm_release.adoption_plan(release([]), {}, [workload() | {"metadata": {"name": "x", "namespace": NAMESPACE}}], US)
    assert (found["take"], found["patches"], found["left"], found["steps"], found["objects"]) == ([], [], [], [], {})
    assert len(found["notes"]) == 1 and "nothing to take over" in found["notes"][0]


def test_objects_whose_record_is_elsewhere_are_taken_over(recorded):
    found = helm_release.adoption_plan(release([]), by_identity(recorded["live"]), [wanted_like(daemon_set(recorded))], US)
    assert len(found["take"]) == 1 and found["steps"] == [] and "no Secret has its record" in found["notes"][-1]


def test_hooks_are_named():
    found = helm_release.adoption_plan(release([packed({"manifest": "", "hooks": [{}, {}]})]), {}, [], US)
    assert any("its 2 hooks do not run any more" in note for note in found["notes"])


def connect(server):
    return Cluster({**dict.fromkeys(connection_argument_spec()), "host": server.url})


CONFLICT = (409, {"kind": "Status", "code": 409, "reason": "Conflict", "message": "the object has been modified"})


def test_an_object_that_changed_meanwhile_is_read_and_tried_again(recorded):
    live = daemon_set(recorded)
    patches = iter([CONFLICT, (200, live)])
    with FakeApiServer(lambda method, _path, _query: (200, live) if method == "GET" else next(patches)) as server:
        helm_release.hand_over(connect(server), {"patches": [{"object": live, "patch": helm_release.hand_over_patch(live, US)}]})
    assert [method for method, _path, _query in server.seen] == ["PATCH", "GET", "PATCH"]


def test_an_object_that_changes_for_ever_ends_in_a_failure(recorded):
    live = daemon_set(recorded)
    with (
        FakeApiServer(lambda method, _path, _query: (200, live) if method == "GET" else CONFLICT) as server,
        pytest.raises(Failure, match="changes all the time"),
    ):
        helm_release.hand_over(connect(server), {"patches": [{"object": live, "patch": helm_release.hand_over_patch(live, US)}]})


@pytest.mark.parametrize("name", ["", "A", "a,b", "a=b", "-a", "a" * 54])
def test_a_name_that_no_release_has_is_refused_before_anything_is_asked(name):
    with FakeApiServer(lambda *_: (500, {})) as server, pytest.raises(Failure, match="is no name of a Helm release"):
        helm_release.survey(connect(server), name, NAMESPACE, [], {})
    assert server.seen == []
