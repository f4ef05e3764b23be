# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of every object that the collection makes: name, namespace, labels, annotations. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import text_values

# Keys whose values this collection needs, so that users may not set them.
RESERVED = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/component")
RESERVED += ("applyset.kubernetes.io/", "nanoagent.k8s/")


def own_pod_labels(name: str) -> dict:
    """The labels that every pod of an installation bears, the agent's and the monitor's."""
    return {"app.kubernetes.io/name": "nanoagent", "app.kubernetes.io/instance": name}


def daemon_set_labels(name: str) -> dict:
    """The labels that the agent's pods bear, and no other pod."""
    return {**own_pod_labels(name), "app.kubernetes.io/component": "node-agent"}


def object_labels(options: dict) -> dict:
    """The labels of every object."""
    return {**own_pod_labels(options["name"]), "app.kubernetes.io/managed-by": "nanoagent.k8s", **text_values(options.get("labels"))}


def made(options: dict, api_version: str, kind: str, name: str, namespaced: bool = True, annotations: dict | None = None, **body) -> dict:
    """One object with the installation's labels and annotations; body: its other top-level fields."""
    metadata = {"name": name, "labels": object_labels(options)}
    notes = {**text_values(options.get("annotations")), **(annotations or {})}
    if notes:
        metadata["annotations"] = notes
    if namespaced:
        metadata["namespace"] = options["namespace"]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}
