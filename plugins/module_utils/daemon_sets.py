# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a DaemonSet, and what belongs to it, says of itself. Pure."""

from __future__ import annotations

import math

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, number, records, text


def agent_container(daemon_set: dict) -> str:
    """Name of the agent's own container: the first of the template."""
    return text(mapping(next(iter(records(at(daemon_set, "spec", "template", "spec", "containers"))), {})).get("name"))


def full_name(obj: dict) -> str:
    """namespace/name."""
    return f"{text(at(obj, 'metadata', 'namespace'))}/{text(at(obj, 'metadata', 'name'))}"


def newest_revision(revisions: list[dict], daemon_set: dict) -> str:
    """The controller-revision-hash of the DaemonSet's newest ControllerRevision; empty where there is none."""
    own = [revision for revision in revisions if owned_by(revision, daemon_set)]
    if not own:
        return ""
    newest_one = max(own, key=lambda revision: number(revision.get("revision")))
    return text(at(newest_one, "metadata", "labels", "controller-revision-hash"))


def revision_of_all(daemon_set: dict, pods: list[dict]) -> str:
    """The newest revision's hash where the controller says that all pods have it and they agree; otherwise empty."""
    status = mapping(daemon_set.get("status"))
    own = [pod for pod in pods if owned_by(pod, daemon_set)]
    hashes = {text(at(pod, "metadata", "labels", "controller-revision-hash")) for pod in own}
    wanted = number(status.get("desiredNumberScheduled"))
    if is_behind(daemon_set) or len(hashes) != 1 or not number(status.get("updatedNumberScheduled")) == wanted == len(own):
        return ""
    return hashes.pop()


def is_behind(daemon_set: dict) -> bool:
    """Whether the controller has not seen the newest change yet."""
    return number(at(daemon_set, "status", "observedGeneration")) < number(at(daemon_set, "metadata", "generation"))


def share(value: int | str, count: int) -> int:
    """maxUnavailable or maxSurge of `count` nodes; a percentage is rounded up, as the controller does."""
    if isinstance(value, int):
        return value
    return math.ceil(count * int(value.rstrip("%")) / 100)


def owned_by(obj: dict, owner: dict) -> bool:
    """Whether `owner` is one of the object's owners, by uid."""
    return text(at(owner, "metadata", "uid")) in owners(obj)


def owners(obj: dict) -> list[str]:
    """The uids of an object's owners; an owner without one is nobody's."""
    return [reference["uid"] for reference in records(at(obj, "metadata", "ownerReferences")) if text(reference.get("uid"))]
