# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that there are thousands of, without what is large and never looked at. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping, records

# Of these a node or pod is judged by nothing.
_UNREAD_OF_POD = ("volumes", "tolerations")
_UNREAD_OF_CONTAINER = ("args", "command", "env", "envFrom", "lifecycle", "livenessProbe", "startupProbe", "volumeMounts")


def trimmed(obj: dict) -> dict:
    """The same object, changed in place where it is a Node, a Pod or an Event: a pod that has its node loses the affinity as well.

    Such an object is for judging only: it must not be sent back to the server.
    """
    if obj.get("kind") not in ("Node", "Pod", "Event"):
        return obj
    metadata, spec, status = (mapping(obj.get(key)) for key in ("metadata", "spec", "status"))
    metadata.pop("managedFields", None)
    status.pop("images", None)
    if obj["kind"] == "Pod":
        _drop(spec, (*_UNREAD_OF_POD, "affinity") if spec.get("nodeName") else _UNREAD_OF_POD)
        for container in records(spec.get("initContainers")) + records(spec.get("containers")):
            _drop(container, _UNREAD_OF_CONTAINER)
    return obj


def _drop(holder, keys):
    for key in keys:
        holder.pop(key, None)
