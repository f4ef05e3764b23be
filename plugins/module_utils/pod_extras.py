# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user adds to the pod beside the agent's own: host paths, variables, volumes, labels, annotations. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import as_text, check_annotations, check_dns_label, check_env_name, check_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import RESERVED

# Defaults of the API server in parts of a pod that are atomic in server-side apply.
_ADDED = {"fieldRef": {"apiVersion": "v1"}, "resourceFieldRef": {"divisor": "0"}, "serviceAccountToken": {"expirationSeconds": 3600}}


def check(options: dict) -> None:
    """Failure for additions that the API server would refuse on their own; pod_template sees to what clashes."""
    for option in ("labels", "pod_labels"):
        check_labels(option, options.get(option), RESERVED)
    for option in ("annotations", "pod_annotations"):
        check_annotations(option, options.get(option), RESERVED)
    for number, entry in enumerate(options.get("host_paths") or []):
        where = f"host_paths[{number}]"
        for key in ("path", "mount_path"):
            if not entry[key].startswith("/") or ".." in entry[key].split("/"):
                raise Failure(f"{where}.{key} {entry[key]!r} is no absolute path", "begin it with / and leave out '..'")
        if ":" in entry["mount_path"]:
            raise Failure(f"{where}.mount_path {entry['mount_path']!r} has a colon", "choose a path without")
        check_dns_label(f"{where}.name", _volume_name(entry))
    for number, entry in enumerate(options.get("extra_env") or []):
        where = f"extra_env[{number}]"
        check_env_name(where, entry.get("name"))
        _check_keys(where, entry, ("name", "value", "valueFrom"))
        if entry.get("value") is not None and entry.get("valueFrom"):
            raise Failure(f"{where} ({entry['name']}) has value and valueFrom", "leave one of them out")
    for number, entry in enumerate(options.get("extra_volumes") or []):
        check_dns_label(f"extra_volumes[{number}].name", entry.get("name"))
    for number, entry in enumerate(options.get("extra_volume_mounts") or []):
        where = f"extra_volume_mounts[{number}]"
        if not entry.get("name") or not str(entry.get("mountPath", "")).startswith("/"):
            raise Failure(f"{where} has no name or no absolute mountPath", "give both, as in a container's volumeMounts")
        _check_keys(where, entry, ("name", "mountPath", "readOnly", "recursiveReadOnly", "subPath", "subPathExpr", "mountPropagation"))


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
    """The user's variables, values as text."""
    given = options.get("extra_env") or []
    return [{**entry, "value": as_text(entry["value"])} if entry.get("value") is not None else _as_stored(entry) for entry in given]


def extra_volumes(options: dict) -> list[dict]:
    """The user's volumes."""
    return _as_stored(options.get("extra_volumes") or [])


def check_unique(what: str, key: str, entries: list[dict]) -> None:
    """Failure where two entries of a pod's list have the same key, which server-side apply refuses."""
    seen = set()
    for entry in entries:
        if entry[key] in seen:
            raise Failure(f"{what} {entry[key]} is there twice", "choose another name or path, or leave out what the collection sets itself")
        seen.add(entry[key])


def _as_stored(value):
    """With what the API server adds inside of fields that it treats as one, where a run would else see a difference for ever."""
    if isinstance(value, list):
        return [_as_stored(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: {**_ADDED.get(key, {}), **_as_stored(item)} if isinstance(item, dict) else _as_stored(item) for key, item in value.items()}


def _volume_name(entry):
    return entry.get("name") or ("host-" + re.sub(r"[^a-z0-9]+", "-", entry["path"].lower()).strip("-"))[:63].rstrip("-")


def _check_keys(where, entry, known):
    unknown = set(entry) - set(known)
    if unknown:
        raise Failure(f"{where}.{min(unknown)} is not known", f"use {', '.join(known)}")
