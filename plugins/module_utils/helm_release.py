# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over what a Helm release installed.

The knowledge is pure; `survey` reads and `hand_over` writes. Helm's fields become ours by rewriting managedFields, as kubectl
does when it moves from client-side to server-side apply: after that an ordinary apply without force changes what differs,
removes what only Helm wanted, and still meets a conflict where a third manager holds a field.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure, conflict
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER, KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import value_changes
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import wanted_by

try:
    import yaml
except ImportError:
    # render.YAML_IMPORT_ERROR holds the traceback that the module reports.
    pass

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_KEEP = "helm.sh/resource-policy"
_RECORD_TYPE = "helm.sh/release.v1"
# A record fits into a Secret (1 MiB); compressed text hardly ever shrinks more than this.
_LARGEST_RECORD = 64 << 20
_TRIES = 5

# What the API server fills in. Helm's client-side apply owns these too; once let go, they stay as they are.
_API_DEFAULTS = {
    "apiVersion": ("v1",),
    "defaultMode": (420,),
    "dnsPolicy": ("ClusterFirst",),
    "failureThreshold": (3,),
    "periodSeconds": (10,),
    "preemptionPolicy": ("PreemptLowerPriority",),
    "progressDeadlineSeconds": (600,),
    "protocol": ("TCP",),
    "replicas": (1,),
    "restartPolicy": ("Always",),
    "revisionHistoryLimit": (10,),
    "schedulerName": ("default-scheduler",),
    "securityContext": ({},),
    "successThreshold": (1,),
    "terminationGracePeriodSeconds": (30,),
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "timeoutSeconds": (1,),
    "type": ("", "RollingUpdate", "Opaque"),
}
_SERVERS_OWN = "deprecated.daemonset.template.generation"


def survey(
    cluster: Cluster, name: str, namespace: str, desired: list[dict], objects: dict[tuple, dict], force: bool = False, remove_left: bool = False
) -> dict:
    """The adoption plan for a release, from reads and dry runs only.

    desired, objects: the wanted objects, and the live ones among them by identity. force: whether fields of third managers
    are taken too. remove_left: as in adoption_plan. Returns what adoption_plan does; where nothing is Helm's any more its lists are empty.
    :raises Failure: Helm is at work on the release, its record cannot be read, objects belong to another release, or
        fields that have to change are held by a third manager
    """
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?", name):
        raise Failure(f"adopt_helm_release {name!r} is no name of a Helm release", "use a name that `helm list` shows")
    selectors = {"labelSelector": f"owner=helm,name={name}", "fieldSelector": f"type={_RECORD_TYPE}"}
    records, _version = cluster.list("Secret", namespace, **selectors)
    release = read_release(records, name, namespace)
    wanted = {identity(obj) for obj in desired}
    more = [ref for ref in release["objects"] if ref["kind"] in KINDS and identity(ref) not in wanted]
    found = cluster.parallel([partial(cluster.get, ref["kind"], ref["metadata"]["name"], ref["metadata"].get("namespace")) for ref in more])
    live = {**objects, **{identity(ref): obj for ref, obj in zip(more, found) if obj}}
    adoption = adoption_plan(release, live, desired, FIELD_MANAGER, remove_left)
    if not force:
        _check_third_managers(cluster, adoption, live)
    return adoption


def hand_over(cluster: Cluster, adoption: dict) -> None:
    """Makes our manager the owner of what Helm owned in each object of the plan; nothing else about the objects changes.

    To be followed by an apply of adoption["desired"], and then by adoption["steps"]. May be repeated at any point.
    """
    cluster.parallel([partial(_hand_over, cluster, entry["object"], entry["patch"]) for entry in adoption["patches"]])


def read_release(records: list[dict], name: str, namespace: str) -> dict:
    """The release as its record Secrets, one a revision, tell it.

    Returns {"name", "namespace", "revision": int | None, "chart": str, "hooks": int, "objects": [object's identity as a dict
    with apiVersion, kind and metadata], "records": [Secret]}; without a record that is in force, revision is None and the
    lists are empty. After a failed upgrade the objects are those of the revision in force and of the later ones.
    """
    ordered = sorted(records, key=_revision)
    release = {"name": name, "namespace": namespace, "revision": None, "chart": "", "hooks": 0, "objects": [], "records": []}
    if not ordered or _status(ordered[-1]) == "uninstalled":
        return release
    status = _status(ordered[-1])
    if status.startswith("pending-") or status == "uninstalling":
        raise Failure(
            f"the Helm release {namespace}/{name} is in status {status}: Helm is at work on it, or was interrupted",
            "wait for Helm's end, or end it with helm rollback, then run again",
        )
    first = max((index for index, record in enumerate(ordered) if _status(record) == "deployed"), default=len(ordered) - 1)
    decoded = [decode(record) for record in ordered[first:]]
    refs = {_reference(ref): ref for content in decoded for ref in manifest_objects(content.get("manifest") or "", namespace)}
    metadata = (decoded[0].get("chart") or {}).get("metadata") or {}
    return {
        **release,
        "revision": _revision(ordered[first]),
        "chart": f"{metadata.get('name')}-{metadata.get('version')}",
        "hooks": len(decoded[0].get("hooks") or []),
        "objects": list(refs.values()),
        "records": ordered,
    }


def decode(record: dict) -> dict:
    """The release in a record Secret of type helm.sh/release.v1: JSON, gzipped, in Base64, in the Secret's own Base64.

    :raises Failure: the Secret holds something else
    """
    try:
        packed = base64.b64decode(base64.b64decode(record["data"]["release"], validate=True), validate=True)
        stream = zlib.decompressobj(wbits=31)
        text = stream.decompress(packed, _LARGEST_RECORD)
        if not stream.eof:
            raise ValueError("cut off")
        release = json.loads(text)
        if not isinstance(release, dict):
            raise ValueError("no object")
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise Failure(f"{title(record)} does not hold the record of a Helm release", "look at it with helm get all, or restore it") from error
    return release


def manifest_objects(manifest: str, namespace: str) -> list[dict]:
    """The objects of a release's manifest: apiVersion, kind and metadata of each, with the namespace where the kind has one.

    Tabs at the ends of lines, which Helm lets through and YAML readers refuse, do no harm.
    :raises Failure: the manifest is no YAML
    """
    text = re.sub(r"[ \t]+$", "", manifest, flags=re.MULTILINE)
    try:
        # Nothing but text is needed, and a name such as 123 has to stay one.
        documents = list(yaml.load_all(text, Loader=yaml.BaseLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise Failure(
            f"the manifest in the Helm release's record is no valid YAML{where}", "correct the chart, and upgrade the release once with Helm"
        ) from error
    found = []
    for document in documents:
        for obj in (document.get("items") or []) if isinstance(document, dict) and document.get("kind") == "List" else [document]:
            if isinstance(obj, dict) and isinstance(obj.get("metadata"), dict) and obj.get("kind") and obj["metadata"].get("name"):
                found.append(_placed(obj, namespace))
    return found


def release_of(live: dict | None) -> tuple[str, str] | None:
    """(namespace, name) of the Helm release that an object says it belongs to."""
    annotations = ((live or {}).get("metadata") or {}).get("annotations") or {}
    name = annotations.get(RELEASE_NAME)
    return (annotations.get(RELEASE_NAMESPACE) or "", name) if name else None


def helm_managers(live: dict, manager: str) -> set[str]:
    """The field managers by which Helm, or what embeds it, holds fields of a live object.

    That is `helm`, and whoever owns the label and the annotation that Helm gives to all its objects: other programs with
    Helm inside have names of their own. manager: ours, which is never among them.
    """
    found = set()
    for entry in _entries(live):
        metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        marks = f"f:{RELEASE_NAME}" in (metadata.get("f:annotations") or {}) and f"f:{_MANAGED_BY}" in (metadata.get("f:labels") or {})
        if entry["manager"] == "helm" or marks:
            found.add(entry["manager"])
    return found - {manager}


def handed_over(live: dict, manager: str) -> dict:
    """A copy of a live object as it is once `manager` has what Helm's managers have, and Helm's marks are gone.

    Of Helm's fields those are let go that hold what the API server would fill in.
    """
    metadata = dict(live["metadata"])
    for field, marks in (("annotations", {RELEASE_NAME: None, RELEASE_NAMESPACE: None}), ("labels", {_MANAGED_BY: "Helm"})):
        left = {key: value for key, value in (metadata.get(field) or {}).items() if key not in marks or marks[key] not in (None, value)}
        metadata.pop(field, None)
        if left:
            metadata[field] = left
    after = {**live, "metadata": metadata}
    theirs = helm_managers(live, manager)
    kept, ours, times, tree = [], None, [], {}
    for entry in metadata.get("managedFields") or []:
        mine = entry["manager"] == manager and entry["operation"] == "Apply"
        if entry.get("subresource") or not (mine or entry["manager"] in theirs):
            kept.append(entry)
            continue
        fields = entry.get("fieldsV1") or {}
        fields = fields if mine else _worth_taking(fields, after)
        tree = _union(tree, fields) if tree and fields else tree or fields
        times.append(entry.get("time") or "")
        ours = entry if mine else ours
    if tree:
        entry = {**(ours or {}), "manager": manager, "operation": "Apply", "apiVersion": live["apiVersion"], "fieldsType": "FieldsV1", "fieldsV1": tree}
        kept.append({**entry, **({"time": max(times)} if any(times) else {})})
    metadata["managedFields"] = kept
    return after


def hand_over_patch(live: dict, manager: str) -> dict:
    """The merge patch from `live` to handed_over(live, manager); the server refuses it (409) when the object has changed since."""
    after = handed_over(live, manager)["metadata"]
    change = {"managedFields": after["managedFields"], "resourceVersion": live["metadata"]["resourceVersion"]}
    for field in ("annotations", "labels"):
        gone = set(live["metadata"].get(field) or {}) - set(after.get(field) or {})
        if gone:
            change[field] = dict.fromkeys(sorted(gone))
    return {"metadata": change}


def with_live_selector(desired: dict, live: dict | None) -> dict:
    """The wanted workload with the selector of the live one, which is immutable; its labels go to the pods as well.

    Other objects, workloads that are not there, those with a selector of expressions, and those whose selector contradicts
    the labels by which other objects find our pods come back as they are: such a workload has to be made anew.
    """
    theirs = (((live or {}).get("spec") or {}).get("selector") or {}) if desired["kind"] in ("DaemonSet", "Deployment") else {}
    labels = theirs.get("matchLabels") or {}
    if not labels or theirs.get("matchExpressions") or labels == desired["spec"]["selector"].get("matchLabels"):
        return desired
    template = desired["spec"]["template"]
    ours = (template.get("metadata") or {}).get("labels") or {}
    if any(ours.get(key, value) != value for key, value in labels.items()):
        return desired
    metadata = {**(template.get("metadata") or {}), "labels": {**((template.get("metadata") or {}).get("labels") or {}), **labels}}
    return {**desired, "spec": {**desired["spec"], "selector": {"matchLabels": labels}, "template": {**template, "metadata": metadata}}}


def adoption_plan(release: dict, live: dict[tuple, dict], desired: list[dict], manager: str, remove_left: bool = False) -> dict:
    """What taking over a release means.

    release: as read_release gives it. live: identity -> object, for all objects of the release and of `desired` that exist.
    desired: the wanted objects. remove_left: whether objects of the release that are not wanted are deleted.
    Returns {
      "desired": the wanted objects with the selectors that cannot change,
      "objects": identity -> the taken objects as they are after the hand-over, to plan against,
      "take": [title], "patches": [{"object": live object, "patch": merge patch}],
      "left": [title of what is not wanted and stays],
      "steps": [delete steps as in plan.plan, to be taken last: unwanted objects, then the release's records],
      "restarts": whether pods are replaced, "notes": [line]}.
    :raises Failure: a wanted object belongs to another release, or the release's DaemonSet would stay beside a new one
    """
    mine = (release["namespace"], release["name"])
    taken = {}
    for obj in desired:
        owner = release_of(live.get(identity(obj)))
        if owner == mine:
            taken[identity(obj)] = live[identity(obj)]
        elif owner:
            raise Failure(
                f"{title(obj)} belongs to the Helm release {'/'.join(owner)}, not to {'/'.join(mine)}",
                "name that release in adopt_helm_release, or choose other names for the objects",
            )
    desired = [with_live_selector(obj, live.get(identity(obj))) for obj in desired]
    after = {key: handed_over(obj, manager) for key, obj in taken.items()}
    restarts = _restarts(desired, after, manager)
    unwanted = _unwanted(release, live, desired)
    needed = wanted_by(desired)
    removed = [ref for ref in _removable(unwanted, live) if identity(ref) not in needed] if remove_left else []
    left = [ref for ref in unwanted if ref not in removed]
    agents = [ref["metadata"]["name"] for ref in left if ref["kind"] == "DaemonSet"]
    if agents and any(obj["kind"] == "DaemonSet" and identity(obj) not in live for obj in desired):
        raise Failure(
            f"the Helm release {'/'.join(mine)} has the DaemonSet {agents[0]}, which would go on running beside a second one",
            f"set name: {agents[0]}, so that it is taken over",
        )
    steps = [{"action": "delete", "fields": [], "desired": None, "live": live[identity(ref)]} for ref in removed]
    steps += [{"action": "delete", "fields": [], "desired": None, "live": record} for record in release["records"]]
    return {
        "desired": desired,
        "objects": after,
        "take": [title(obj) for obj in taken.values()],
        "patches": [{"object": obj, "patch": hand_over_patch(obj, manager)} for obj in taken.values()],
        "left": [_name(ref) for ref in left],
        "steps": steps,
        "restarts": bool(restarts),
        "notes": _notes(release, taken, removed, left, restarts, needed),
    }


def _entries(live):
    return [entry for entry in live["metadata"].get("managedFields") or [] if not entry.get("subresource")]


def _revision(record):
    label = ((record.get("metadata") or {}).get("labels") or {}).get("version") or ""
    return int(label) if label.isdigit() else 0


def _status(record):
    return ((record.get("metadata") or {}).get("labels") or {}).get("status") or "unknown"


def _placed(obj, namespace):
    metadata = obj["metadata"]
    place = {"name": metadata["name"]}
    kind = KINDS.get(obj["kind"])
    if kind is None or kind.namespaced:
        place["namespace"] = metadata.get("namespace") or namespace
    return {"apiVersion": obj.get("apiVersion"), "kind": obj["kind"], "metadata": place}


def _reference(ref):
    return ref["kind"], ref["metadata"].get("namespace"), ref["metadata"]["name"]


def _name(ref):
    return title(ref) if ref["kind"] in KINDS else f"{ref['kind']} {ref['metadata']['name']}"


def _union(one, other):
    """The union of two fieldsV1 trees; a leaf is the field itself, which a tree with children spells `.`."""
    if bool(one) != bool(other):
        return {".": {}, **(one or other)}
    return {key: _union(one[key], other[key]) if key in one and key in other else {**one, **other}[key] for key in {**one, **other}}


def _worth_taking(tree, live):
    """A fieldsV1 tree without fields that are not there any more, and without those that the API server would fill in."""
    taken = {}
    for key, subtree in tree.items():
        if not key.startswith(("f:", "k:")):
            taken[key] = subtree
            continue
        value = live.get(key[2:]) if key.startswith("f:") and isinstance(live, dict) else _element(live, json.loads(key[2:])) if key.startswith("k:") else None
        if value is None or (key.startswith("f:") and _is_default(key[2:], value, live)):
            continue
        rest = _worth_taking(subtree, value)
        if key.startswith("k:") or not set(subtree) - {"."} or set(rest) - {"."}:
            taken[key] = rest
    return taken


def _element(items, keys):
    return next((item for item in items or [] if isinstance(item, dict) and all(item.get(key) == value for key, value in keys.items())), None)


def _is_default(field, value, parent):
    if field == "serviceAccount":
        return value == parent.get("serviceAccountName")
    return field == _SERVERS_OWN or value in _API_DEFAULTS.get(field, ())


def _restarts(desired, after, manager):
    """(title, paths) of each workload whose pod template gets another value."""
    found = []
    for obj in desired:
        live = after.get(identity(obj))
        paths = [path for path in value_changes(obj, live, manager) if path.startswith("spec.template")] if live else []
        if paths:
            found.append((title(obj), [path.removeprefix("spec.template.") for path in paths]))
    return found


def _unwanted(release, live, desired):
    """The objects of the release that are not wanted and, as far as can be known, still there as the release's."""
    wanted = {identity(obj) for obj in desired}
    mine = (release["namespace"], release["name"])
    known = [ref for ref in release["objects"] if ref["kind"] in KINDS and identity(ref) not in wanted and release_of(live.get(identity(ref))) == mine]
    return known + [ref for ref in release["objects"] if ref["kind"] not in KINDS]


def _removable(unwanted, live):
    """What may be deleted, in the order in which it goes; a namespace may hold more than the release, and `keep` is Helm's word for staying."""
    found = [ref for ref in unwanted if ref["kind"] in INSTALL_ORDER and ref["kind"] != "Namespace"]
    found = [ref for ref in found if (live[identity(ref)]["metadata"].get("annotations") or {}).get(_KEEP) != "keep"]
    return sorted(found, key=lambda ref: INSTALL_ORDER.index(ref["kind"]), reverse=True)


def _notes(release, taken, removed, left, restarts, needed):
    name = f"Helm release {release['namespace']}/{release['name']}"
    if release["revision"] is None and not taken:
        return [f"{name}: nothing to take over, it is not there or was taken over before"]
    what = f" (chart {release['chart']}, revision {release['revision']})" if release["revision"] is not None else ""
    notes = [f"{name}{what}: {len(taken)} objects are taken over"]
    notes += [
        f"{workload}: its pods are replaced, for these fields change: {', '.join(paths[:6])}{' ...' if len(paths) > 6 else ''}" for workload, paths in restarts
    ]
    notes += [f"{_name(ref)}: of the release, not wanted, deleted" for ref in removed]
    notes += [
        f"{_name(ref)}: of the release, {'needed by pods' if ref['kind'] in KINDS and identity(ref) in needed else 'not wanted'}, left as it is" for ref in left
    ]
    if taken:
        notes.append(f"{name}: what is taken over the API server judges only when it is written, after Helm's hold on it has ended")
    if release["hooks"]:
        notes.append(f"{name}: its {release['hooks']} hooks do not run any more")
    if release["revision"] is None:
        notes.append(f"{name}: no Secret has its record; where Helm keeps records elsewhere (HELM_DRIVER), remove it there, and not with helm uninstall")
    else:
        notes.append(f"{name}: its {len(release['records'])} records are deleted, so that no Helm command reaches these objects any more")
    return notes


def _check_third_managers(cluster, adoption, live):
    """ApiFailure where an apply would need fields of neither Helm nor us; asks the server, for objects that others hold too."""
    for obj in adoption["desired"]:
        before = live.get(identity(obj))
        if identity(obj) not in adoption["objects"]:
            continue
        known = helm_managers(before, FIELD_MANAGER) | {FIELD_MANAGER}
        if all(entry["manager"] in known for entry in _entries(before)):
            continue
        try:
            cluster.apply(obj, dry_run=True)
        except ApiFailure as failure:
            held = tuple(pair for pair in failure.conflicts if pair[1] not in known)
            if held:
                raise conflict(held, title(obj)) from failure
            # Other refusals may be of what Helm's fields and ours are together, which does not come about.
            if failure.status == 403:
                raise


def _hand_over(cluster, live, change):
    for _attempt in range(_TRIES):
        try:
            cluster.patch(live, change)
            return
        except ApiFailure as failure:
            if failure.status != 409:
                raise
        live = cluster.get(live["kind"], live["metadata"]["name"], live["metadata"].get("namespace"))
        if live is None or release_of(live) is None:
            return
        change = hand_over_patch(live, FIELD_MANAGER)
    raise Failure(f"{title(live)} changes all the time: it could not be taken over from Helm in {_TRIES} tries", "see who writes to it, then run again")
