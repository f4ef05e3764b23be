# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user adds to the pod beside the agent's own: host paths, variables, volumes, labels, annotations. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import (
    as_stored,
    as_text,
    canonical_quantity,
    check_absolute_path,
    check_annotations,
    check_dns_label,
    check_env_name,
    check_labels,
    check_mapping,
    check_scalars,
    entries_of,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import RESERVED

# Defaults of the API server in parts of a pod that are atomic in server-side apply.
_ADDED = {"fieldRef": {"apiVersion": "v1"}, "resourceFieldRef": {"divisor": "0"}, "serviceAccountToken": {"expirationSeconds": 3600}}

_ENV = ("name", "value", "valueFrom")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_NEEDED = {
    "fieldRef": ("fieldPath",),
    "resourceFieldRef": ("resource",),
    "configMapKeyRef": ("name", "key"),
    "secretKeyRef": ("name", "key"),
    "fileKeyRef": ("volumeName", "path", "key"),
}
_PROPAGATIONS = ("None", "HostToContainer", "Bidirectional")
_HOST_PATH_TYPES = ("", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice")
# Kinds of volumes that the API knows (core/v1 VolumeSource), those that are long gone from the kubelet among them.
_VOLUMES = (
    *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "configMap", "csi"),
    *("downwardAPI", "emptyDir", "ephemeral", "fc", "flexVolume", "flocker", "gcePersistentDisk"),
    *("gitRepo", "glusterfs", "hostPath", "image", "iscsi", "nfs", "persistentVolumeClaim"),
    *("photonPersistentDisk", "portworxVolume", "projected", "quobyte", "rbd", "scaleIO", "secret"),
    *("storageos", "vsphereVolume"),
)
_MOUNT = ("name", "mountPath", "readOnly", "recursiveReadOnly", "subPath", "subPathExpr", "mountPropagation")


def check(options: dict) -> None:
    """Failure for additions that the API server would refuse on their own; pod_template sees to what clashes."""
    for option in ("labels", "pod_labels"):
        check_labels(option, options.get(option), RESERVED)
    for option in ("annotations", "pod_annotations"):
        check_annotations(option, options.get(option), RESERVED)
    for number, entry in enumerate(options.get("host_paths") or []):
        where = f"host_paths[{number}]"
        for key in ("path", "mount_path"):
            check_absolute_path(f"{where}.{key}", entry[key])
        _check_no_colon(f"{where}.mount_path", entry["mount_path"])
        check_dns_label(f"{where}.name", _volume_name(entry))
    for where, entry in entries_of("extra_env", options.get("extra_env"), _ENV):
        _check_variable(where, entry)
    for where, entry in entries_of("extra_volumes", options.get("extra_volumes")):
        _check_volume(where, entry)
    for where, entry in entries_of("extra_volume_mounts", options.get("extra_volume_mounts"), _MOUNT):
        _check_mount(where, entry)


def host_path_part(options: dict) -> dict:
    """{"mounts", "volumes"} of host_paths."""
    entries = options.get("host_paths") or []
    return {
        "mounts": [
            {"name": _volume_name(entry), "mountPath": entry["mount_path"], **({"readOnly": True} if entry.get("read_only", True) else {})} for entry in entries
        ],
        "volumes": [{"name": _volume_name(entry), "hostPath": {"path": entry["path"], "type": entry.get("type") or "Directory"}} for entry in entries],
    }


def extra_env(options: dict) -> list[dict]:
    """The user's variables, values as text; a null is left out, as the API server does."""
    given = [as_stored(entry) for entry in options.get("extra_env") or []]
    return [{**entry, "value": as_text(entry["value"])} if "value" in entry else _with_defaults(entry) for entry in given]


def extra_volumes(options: dict) -> list[dict]:
    """The user's volumes."""
    return _with_defaults(_without_unset(as_stored(options.get("extra_volumes") or [])))


def extra_volume_mounts(options: dict) -> list[dict]:
    """The user's mounts."""
    return _without_unset(as_stored(options.get("extra_volume_mounts") or []))


def check_unique(what: str, key: str, entries: list[dict]) -> None:
    """Failure where two entries of a pod's list have the same key, which server-side apply refuses."""
    seen = set()
    for entry in entries:
        if entry[key] in seen:
            raise Failure(f"{what} {entry[key]} is there twice", "choose another name or path, or leave out what the collection sets itself")
        seen.add(entry[key])


def _check_variable(where, entry):
    check_env_name(where, entry.get("name"))
    check_scalars(where, {"value": entry.get("value")})
    source = entry.get("valueFrom")
    if source is None:
        return
    if entry.get("value") is not None:
        raise Failure(f"{where} ({entry['name']}) has value and valueFrom", "leave one of them out")
    check_mapping(f"{where}.valueFrom", source, _ENV_SOURCES)
    given = _one_source(f"{where}.valueFrom", source, f"use one of {', '.join(_ENV_SOURCES)}")
    kind = next(kind for kind in source if source[kind] is not None)
    for field in _NEEDED[kind]:
        if not isinstance(given.get(field), str) or not given[field]:
            raise Failure(f"{where}.valueFrom.{kind} has no text for {field}", f"name {' and '.join(_NEEDED[kind])}, in quotes where it is a number")
    if not isinstance(given.get("optional"), (bool, type(None))):
        raise Failure(f"{where}.valueFrom.{kind}.optional {given['optional']!r} is neither true nor false", "use true or false, without quotes")


def _check_volume(where, entry):
    check_dns_label(f"{where}.name", entry.get("name"))
    source = _one_source(where, {key: value for key, value in entry.items() if key != "name"}, "name one, for example emptyDir: {}")
    kind = next(key for key, value in entry.items() if key != "name" and value is not None)
    if kind not in _VOLUMES:
        raise Failure(f"{where}.{kind} is no kind of volume", "write it as in a manifest, for example emptyDir or configMap")
    if kind == "hostPath":
        check_absolute_path(f"{where}.hostPath.path", source.get("path"))
        if source.get("type") not in (None, *_HOST_PATH_TYPES):
            raise Failure(f"{where}.hostPath.type {source['type']!r} is not known", f"use {', '.join(_HOST_PATH_TYPES[1:])}")


def _one_source(where, sources, fix):
    given = [(kind, source) for kind, source in sources.items() if source is not None]
    if len(given) != 1:
        raise Failure(f"{where} has {'several sources' if given else 'no source'}", fix)
    [(kind, source)] = given
    check_mapping(f"{where}.{kind}", source)
    return source


def _check_mount(where, entry):
    path = entry.get("mountPath")
    if not entry.get("name") or not isinstance(path, str) or not path.startswith("/"):
        raise Failure(f"{where} has no name or no absolute mountPath", "give both, as in a container's volumeMounts")
    check_dns_label(f"{where}.name", entry["name"])
    _check_no_colon(f"{where}.mountPath", path)
    for key in ("recursiveReadOnly", "subPath", "subPathExpr", "mountPropagation"):
        if not isinstance(entry.get(key), (str, type(None))):
            raise Failure(f"{where}.{key} is no text", "put it in quotes")
    if entry.get("mountPropagation") not in (None, *_PROPAGATIONS):
        raise Failure(f"{where}.mountPropagation {entry['mountPropagation']!r} is not known", f"use {', '.join(_PROPAGATIONS)}")
    if entry.get("subPath") and entry.get("subPathExpr"):
        raise Failure(f"{where} has subPath and subPathExpr", "leave one of them out")
    for key in ("subPath", "subPathExpr"):
        if (entry.get(key) or "").startswith("/") or ".." in (entry.get(key) or "").split("/"):
            raise Failure(f"{where}.{key} {entry[key]!r} leads out of the volume", "give a path within it, without / at the beginning and without '..'")
    if not isinstance(entry.get("readOnly"), (bool, type(None))):
        raise Failure(f"{where}.readOnly {entry['readOnly']!r} is neither true nor false", "use true or false, without quotes")


def _check_no_colon(where, path):
    if ":" in path:
        raise Failure(f"{where} {path!r} has a colon", "choose a path without")


def _with_defaults(value):
    """With what the API server adds inside of fields that it treats as one, where a run would else see a difference for ever."""
    if isinstance(value, list):
        return [_with_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: {**_ADDED.get(key, {}), **_with_defaults(item)} if isinstance(item, dict) else _with_defaults(item) for key, item in value.items()}
    source = found.get("resourceFieldRef")
    if isinstance(source, dict):
        found["resourceFieldRef"] = {**source, "divisor": canonical_quantity(source["divisor"])}
    return found


def _without_unset(value):
    """Without empty texts and readOnly: false, which the API server does not keep: they would be a difference for ever."""
    if isinstance(value, list):
        return [_without_unset(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_unset(item) for key, item in value.items() if item != "" and (key, item) != ("readOnly", False)}


def _volume_name(entry):
    return entry.get("name") or ("host-" + re.sub(r"[^a-z0-9]+", "-", entry["path"].lower()).strip("-"))[:63].rstrip("-")
