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

    Service account, priority class, pull secrets, and the ConfigMaps, Secrets and SecretProviderClasses of volumes and environment.
    """
    found = {
        ("ServiceAccount", namespace, text(spec.get("serviceAccountName"))),
        ("PriorityClass", "", text(spec.get("priorityClassName"))),
        *(("Secret", namespace, text(one.get("name"))) for one in records(spec.get("imagePullSecrets"))),
    }
    for volume in records(spec.get("volumes")):
        found |= {(kind, namespace, text(at(volume, field, key))) for field, key, kind in _VOLUMES}
        found.add(("SecretProviderClass", namespace, text(at(volume, "csi", "volumeAttributes", "secretProviderClass"))))
        for source in records(at(volume, "projected", "sources")):
            found |= {(kind, namespace, text(at(source, field, key))) for field, key, kind in _PROJECTED}
    for container in [*records(spec.get("initContainers")), *records(spec.get("containers"))]:
        for variable in records(container.get("env")):
            found |= {(kind, namespace, text(at(mapping(variable.get("valueFrom")), field, "name"))) for field, kind in _VALUES}
        for source in records(container.get("envFrom")):
            found |= {(kind, namespace, text(at(source, field, "name"))) for field, kind in _WHOLE}
    return {each for each in found if each[2]}


def wanted_by(objects: list[dict]) -> set[tuple[str, str, str]]:
    """references() of the pods of all workloads among these objects."""
    return {
        each
        for obj in objects
        if obj["kind"] in ("DaemonSet", "Deployment")
        for each in references(obj["spec"]["template"]["spec"], obj["metadata"]["namespace"])
    }
