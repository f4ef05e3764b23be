# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that a pod cannot start without. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, records, text

# Field of a volume, the key of the name in it, and the kind that it names.
_VOLUMES = (("configMap", "name", "ConfigMap"), ("secret", "secretName", "Secret"))
_PROJECTED = (("configMap", "name", "ConfigMap"), ("secret", "name", "Secret"))
_VALUES = (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret"))
_WHOLE = (("configMapRef", "ConfigMap"), ("secretRef", "Secret"))


def references(spec: dict, namespace: str) -> set[tuple[str, str, str]]:
    """Identities, as kinds.identity, of what a pod spec of this namespace names.

    Service account, priority and runtime class, pull secrets, and the ConfigMaps, Secrets and SecretProviderClasses of volumes and environment.
    """
    return {need["object"] for need in needs(spec, namespace)}


def needs(spec: dict, namespace: str) -> list[dict]:
    """What a pod spec of this namespace names, each time that it does.

    {"object": identity, "field": serviceAccountName|priorityClassName|runtimeClassName|imagePullSecrets|volumes|env, "keys": [those that are named],
    "optional": whether pods start without it}. Without a pull secret they do, where the registry or the node lets them.
    """
    found = [
        _need("serviceAccountName", "ServiceAccount", namespace, spec.get("serviceAccountName")),
        _need("priorityClassName", "PriorityClass", "", spec.get("priorityClassName")),
        _need("runtimeClassName", "RuntimeClass", "", spec.get("runtimeClassName")),
        *(_need("imagePullSecrets", "Secret", namespace, one.get("name"), {"optional": True}) for one in records(spec.get("imagePullSecrets"))),
    ]
    for volume in records(spec.get("volumes")):
        found += [_need("volumes", kind, namespace, at(volume, field, key), volume.get(field)) for field, key, kind in _VOLUMES]
        found.append(_need("volumes", "SecretProviderClass", namespace, at(volume, "csi", "volumeAttributes", "secretProviderClass")))
        for source in records(at(volume, "projected", "sources")):
            found += [_need("volumes", kind, namespace, at(source, field, key), source.get(field)) for field, key, kind in _PROJECTED]
    for container in [*records(spec.get("initContainers")), *records(spec.get("containers"))]:
        for variable in records(container.get("env")):
            source = mapping(variable.get("valueFrom"))
            found += [_need("env", kind, namespace, at(source, field, "name"), source.get(field)) for field, kind in _VALUES]
        for source in records(container.get("envFrom")):
            found += [_need("env", kind, namespace, at(source, field, "name"), source.get(field)) for field, kind in _WHOLE]
    return [need for need in found if need["object"][2]]


def _need(field, kind, namespace, name, source=None):
    source = mapping(source)
    keys = [text(item.get("key")) for item in [*records(source.get("items")), source] if text(item.get("key"))]
    return {"object": (kind, namespace, text(name)), "field": field, "keys": keys, "optional": bool(source.get("optional"))}


def wanted_by(objects: list[dict]) -> set[tuple[str, str, str]]:
    """references() of the pods of all workloads among these objects."""
    return {
        each
        for obj in objects
        if obj["kind"] in ("DaemonSet", "Deployment")
        for each in references(obj["spec"]["template"]["spec"], obj["metadata"]["namespace"])
    }
