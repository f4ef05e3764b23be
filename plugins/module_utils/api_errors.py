# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server's refusal means, in one sentence with the next step. Pure."""

from __future__ import annotations

import json
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

_RIGHT = re.compile(r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]+)")?')
_USER = re.compile(r'User "(?P<user>[^"]*)"')
_TITLE = re.compile(r"<title>(?P<title>[^<]*)</title>", re.IGNORECASE)
# apimachinery, pkg/util/managedfields/internal (typeconverter.go), and pkg/runtime/converter.go.
_UNREADABLE = re.compile(r"failed to create typed (patch|live|new) object|unable to convert unstructured object|cannot unmarshal|field not declared in schema")
_CONFLICT = re.compile(r'conflicts? with "(?P<manager>[^"]+)"')


class ApiFailure(Failure):
    """The API server answered with an error status.

    status: HTTP status; reason: the Status object's reason, such as NotFound or Conflict.
    conflicts: (field, its manager) of each field that an apply must not take.
    """

    def __init__(self, what: str, next_step: str, status: int, reason: str, conflicts: tuple[tuple[str, str], ...] = ()):
        super().__init__(what, next_step)
        self.status = status
        self.reason = reason
        self.conflicts = conflicts


def explain(status: int, body: bytes, verb: str, target: str, server: str) -> ApiFailure:
    """The failure for an error answer.

    verb and target: what was asked for, as in "apply" and "DaemonSet nanoagent/nanoagent".
    body: the answer's body, normally a Status object.
    """
    message, reason, causes = _status_object(body)
    if status == 401:
        return ApiFailure(
            f"the API server {server} refused the credentials (401 Unauthorized)",
            "renew the token or certificate: it may have expired or belong to another cluster",
            status,
            reason or "Unauthorized",
        )
    if status == 403:
        return _forbidden(message, reason, verb, target)
    if status == 409 and causes and any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        return conflict(_conflicts(causes), target)
    if status == 500 and _UNREADABLE.search(message):
        # The server calls it an error of its own that it cannot make an object of what was sent.
        status, reason = 422, "Invalid"
    if status in (400, 422):
        return ApiFailure(f"the API server rejects {target}: {message}", "correct the option that sets this field", status, reason or "Invalid")
    if status == 404:
        return ApiFailure(
            f"cannot {verb} {target}: {message or 'not found'}",
            "check that the API server serves this kind and that the namespace exists",
            status,
            reason or "NotFound",
        )
    return ApiFailure(
        f"cannot {verb} {target}: {message or 'no message'} (HTTP {status})", "run again; if it stays, look at the API server's log", status, reason
    )


def _status_object(body):
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        text = body.decode("utf-8", "replace").strip()
        title = _TITLE.search(text)
        return (f"a page that is not the API server's: {title['title'].strip()}" if title else text[:300]), "", []
    causes = (document.get("details") or {}).get("causes") or []
    return str(document.get("message") or ""), str(document.get("reason") or ""), causes


def _forbidden(message, reason, verb, target):
    right = _RIGHT.search(message)
    if right:
        user = _USER.search(message)
        resource = right["resource"] + (f".{right['group']}" if right["group"] else "")
        where = f"in namespace {right['namespace']}" if right["namespace"] else "in the whole cluster"
        who = f"the user {user['user']}" if user else "the user"
        return ApiFailure(f"{who} may not {right['verb']} {resource} {where}", f"grant the verb {right['verb']} on {resource} {where}", 403, reason)
    return ApiFailure(f"denied: cannot {verb} {target}: {message}", "change what the admission rule names, or the rule", 403, reason)


def _conflicts(causes):
    held = []
    for cause in causes:
        manager = _CONFLICT.search(cause.get("message") or "")
        held.append(((cause.get("field") or "?").lstrip("."), manager["manager"] if manager else "another manager"))
    return tuple(held)


def conflict(held: tuple[tuple[str, str], ...], target: str) -> ApiFailure:
    """The failure of an apply of `target`, whose fields are held by others as in ApiFailure.conflicts."""
    return ApiFailure(
        f"fields of {target} belong to another manager: {', '.join(f'{field} (held by {manager})' for field, manager in held)}",
        "remove these fields from the other manager, or set force_conflicts to take them",
        409,
        "Conflict",
        held,
    )
