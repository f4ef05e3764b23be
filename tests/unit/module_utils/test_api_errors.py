# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import explain


def status(code, message, reason="", causes=None):
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "code": code, "details": {"causes": causes or []}}).encode()


FORBIDDEN = 'pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "nanoagent"'
CLUSTER = 'daemonsets.apps is forbidden: User "eve" cannot patch resource "daemonsets" in API group "apps" at the cluster scope'
CONFLICT = [{"reason": "FieldManagerConflict", "message": 'conflict with "kubectl" using apps/v1', "field": ".spec.template.spec.priorityClassName"}]


@pytest.mark.parametrize(
    ("code", "body", "parts"),
    [
        (401, status(401, "Unauthorized"), ["refused the credentials", "renew the token"]),
        (403, status(403, FORBIDDEN), ["eve may not list pods in namespace nanoagent", "grant the verb list on pods"]),
        (403, status(403, CLUSTER), ["eve may not patch daemonsets.apps in the whole cluster"]),
        (403, status(403, 'pods "x" is forbidden: exceeded quota: q'), ["denied: cannot apply DaemonSet a/b", "exceeded quota: q"]),
        (409, status(409, "conflict", "Conflict", CONFLICT), ["spec.template.spec.priorityClassName (held by kubectl)", "force_conflicts"]),
        (422, status(422, "DaemonSet is invalid: spec.selector: immutable"), ["rejects DaemonSet a/b", "spec.selector"]),
        (404, status(404, ""), ["cannot apply DaemonSet a/b: not found"]),
        (500, b"<html>upstream\n error</html>", ["HTTP 500", "upstream error"]),
        (502, b"<html>\n<head><title>502 Bad Gateway</title></head>", ["a page that is not the API server's: 502 Bad Gateway (HTTP 502)"]),
        (503, b"", ["HTTP 503", "no message"]),
    ],
)
def test_each_refusal_is_one_line_with_its_cause(code, body, parts):
    failure = explain(code, body, "apply", "DaemonSet a/b", "https://k")
    assert failure.status == code
    assert "\n" not in failure.message and "Next: " in failure.message
    for part in parts:
        assert part in failure.message


def test_what_the_server_cannot_read_is_the_sender_s_fault():
    typo = "failed to create typed patch object (a/b; apps/v1, Kind=DaemonSet): .spec.template.spec.affinity.matchExpresions: field not declared in schema"
    failure = explain(500, status(500, typo), "apply", "DaemonSet a/b", "https://k")
    assert failure.status == 422 and "rejects DaemonSet a/b" in failure.message and "matchExpresions" in failure.message
    assert "correct the option that sets this field" in failure.message
