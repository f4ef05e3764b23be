# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults as a Kubernetes API server has them, and the way to a real one."""

from __future__ import annotations

import json
import os
import random
import re
import ssl

from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec, effective_options, load_configuration
from ansible_collections.nanoagent.k8s.tests.faults.fault import Answer, Cut, Request, Reset
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan, breaks, stream_breaks

_JSON = {"Content-Type": "application/json"}
_PAGE = b"<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body>\n</html>\n"
_POD_PART = re.compile(r"/pods/[^/]+")


def plan(seed: int) -> Plan:
    """The faults of one seed for a client of an API server.

    Every other seed, more or less, spares plain reads, so that jobs get as far as their writes, watches and execs.
    """
    if random.Random(f"sparing {seed}").random() < 0.5:
        return Plan(seed, menu, likeness)
    return Plan(seed, _menu_without_reads, likeness, most=12)


def likeness(request: Request) -> str:
    """Method and path; a watch is another thing than a list, and the names of pods differ from run to run."""
    verb = "WATCH" if is_watch(request) else request.method
    return f"{verb} {_POD_PART.sub('/pods/*', request.path)}"


def is_watch(request: Request) -> bool:
    """Whether the answer is a stream of events."""
    return "watch=1" in request.query.split("&")


def menu(request: Request) -> list:
    """The faults that a request may meet, with their weights."""
    refusals = [(1.5, _too_many), (1.5, _internal), (1, _bad_gateway), (1, _unavailable)]
    if request.upgrade:
        return [*refusals, (2, lambda _draw: Reset()), (4, lambda draw: Cut(draw.randint(0, 1200), draw.random() < 0.5))]
    if is_watch(request):
        return [*refusals, *stream_breaks(request), (3, _expired_event)]
    if request.method in ("GET", "HEAD"):
        return [*refusals, *breaks(request)]
    return [*refusals, (2, _conflict), *breaks(request)]


def _menu_without_reads(request):
    spared = request.method in ("GET", "HEAD") and not request.upgrade and not is_watch(request)
    return [] if spared else menu(request)


def _status(code: int, reason: str, message: str, **headers: str) -> Answer:
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message}
    return Answer(code, json.dumps(body).encode(), {**_JSON, **headers})


def _too_many(draw: random.Random) -> Answer:
    wait = draw.choices(["0", "1", "3600"], [3, 5, 1])[0]
    return _status(429, "TooManyRequests", "too many requests, please try again later", **{"Retry-After": wait})


def _internal(draw: random.Random) -> Answer:
    return _status(500, "InternalError", draw.choice(["etcdserver: leader changed", "Internal error occurred:\nsee the log"]))


def _bad_gateway(_draw: random.Random) -> Answer:
    return Answer(502, _PAGE, {"Content-Type": "text/html"})


def _unavailable(draw: random.Random) -> Answer:
    headers = {"Retry-After": "1"} if draw.random() < 0.3 else {}
    return _status(503, "ServiceUnavailable", "apiserver not ready", **headers)


def _conflict(_draw: random.Random) -> Answer:
    return _status(
        409, "Conflict", "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again"
    )


def _expired_event(_draw: random.Random) -> Answer:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}
    return Answer(200, json.dumps({"type": "ERROR", "object": status}).encode() + b"\n", _JSON)


def way_to(kubeconfig: str, folder: str) -> tuple[str, ssl.SSLContext, dict]:
    """(URL, TLS, headers) that speak to a kubeconfig's cluster as its user; `folder` takes its certificates."""
    options = effective_options({**dict.fromkeys(connection_argument_spec()), "kubeconfig": kubeconfig}, {})
    configuration = load_configuration(options, os.environ, folder)
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    token = configuration.get_api_key_with_prefix("BearerToken") or configuration.get_api_key_with_prefix("authorization")
    return configuration.host, tls, {"Authorization": token} if token else {}
