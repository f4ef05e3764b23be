# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that talks to the API server: raw JSON over the kubernetes package's HTTP pool."""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlencode

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import discovery
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure, explain
from ansible_collections.nanoagent.k8s.plugins.module_utils.background import begin
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import (
    KUBERNETES_IMPORT_ERROR,
    configuration_secrets,
    effective_options,
    environment_secrets,
    impersonation_headers,
    kubeconfig_secrets,
    load_configuration,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.garbage import uncollected
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, Kind, kind_of, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.masking import masked_text
from ansible_collections.nanoagent.k8s.plugins.module_utils.openshift_login import log_in, log_out
from ansible_collections.nanoagent.k8s.plugins.module_utils.patience import pause
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, records, text
from ansible_collections.nanoagent.k8s.plugins.module_utils.trimming import trimmed
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION

try:
    import urllib3
    import websocket
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.stream.ws_client import websocket_proxycare
except ImportError:
    # connection.KUBERNETES_IMPORT_ERROR holds the traceback that the module reports.
    pass

FIELD_MANAGER = "nanoagent.k8s"
# A page is held twice for a moment, as text and as objects: larger ones cost memory, smaller ones requests.
PAGE = 250
PARALLEL = 6
_READS = ("GET", "HEAD")
_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_METADATA = f"{_JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,{_JSON}"
# A list's metadata come before its items where the server knows the kind, and its tokens are Base64.
_BEFORE_ITEMS = 4096
_CONTINUE = re.compile(rb'"continue":\s*"([\w+/=-]+)"')
# What a kubelet sends, after it has said 200, for a container that it has thrown away.
_NO_LOG = "unable to retrieve container logs for "
# A server that has answered before is waited for longer than one that perhaps was never there.
_PATIENCE_AT_FIRST = 2.0
_POLL = 0.1


def connect(options: dict, run: Run) -> Cluster:
    """The cluster that a job's options name; what is secret in the connection becomes a secret of the run."""
    if KUBERNETES_IMPORT_ERROR:
        raise Failure(missing_required_lib("kubernetes"), "install it for that Python", exception=KUBERNETES_IMPORT_ERROR)
    run.secrets.update(kubeconfig_secrets(options["kubeconfig"]), environment_secrets(os.environ))
    cluster = Cluster(options, run.temp_dir)
    run.secrets.update(configuration_secrets(cluster.configuration))
    return cluster


class Cluster:
    """One cluster's API server.

    Objects go in and out as plain dicts. Every error answer becomes an ApiFailure, everything else that keeps an
    answer from coming a Failure. requests counts what was sent: {"read": int, "write": int}. patience: for how many
    seconds a request is sent again while the server, once it has answered, is busy or away.
    """

    def __init__(self, params: dict, temp_dir: str | None = None, request_timeout: float = 30.0, patience: float = 30.0):
        options = effective_options(params, os.environ)
        self.configuration = load_configuration(options, os.environ, temp_dir)
        self.server = self.configuration.host
        self.request_timeout = request_timeout
        self.patience = patience
        self.requests = {"read": 0, "write": 0}
        self._lock = threading.Lock()
        self._answered = False
        self._clock: tuple[float, float] | None = None
        self._impersonation = impersonation_headers(options)
        self._login_token = ""
        if options["username"]:
            self._login_token = log_in(self.configuration, options["username"], options["password"])
            self.configuration.api_key["BearerToken"] = f"Bearer {self._login_token}"
        self.configuration.connection_pool_maxsize = PARALLEL + 4
        self._pool = RESTClientObject(self.configuration).pool_manager

    def close(self) -> None:
        """Ends the token of a login with user and password; other connections leave nothing behind."""
        if self._login_token:
            log_out(self.configuration, self._login_token)
            self._login_token = ""

    def now(self) -> float | None:
        """The server's clock in seconds since 1970, to the second; None before its first answer."""
        return None if self._clock is None else self._clock[0] + time.monotonic() - self._clock[1]

    def version(self) -> tuple[int, int]:
        """(major, minor) of the API server."""
        answer = self._version()
        try:
            return int(answer["major"]), int("".join(c for c in answer["minor"] if c.isdigit()))
        except (KeyError, ValueError) as error:
            raise Failure(f"{self.server} does not answer like a Kubernetes API server", "check host or the kubeconfig's server") from error

    def release(self) -> str:
        """What the API server calls its version, such as v1.36.3; empty where it may not be read or is not said."""
        try:
            return text(self._version().get("gitVersion"))
        except ApiFailure as failure:
            if failure.status not in (403, 404):
                raise
            return ""

    def _version(self):
        return self._json("GET", "/version", "read", "the version")

    def served(self, api_version: str) -> set[str]:
        """The kinds that the server serves at this version of a group; none where it has not got that."""
        try:
            answer = self._json("GET", f"/apis/{api_version}", "read", f"the kinds of {api_version}")
        except ApiFailure as failure:
            if failure.status == 404:
                return set()
            raise
        return {text(resource.get("kind")) for resource in records(answer.get("resources"))}

    def discover(self) -> list[tuple[str, list[Kind] | None]]:
        """Every version of every group that the server serves, as module discovery has them."""
        answers = self.parallel([partial(self._json, "GET", root, "read", "what the API serves", accept=discovery.ACCEPT) for root in discovery.ROOTS])
        found = []
        for answer in answers:
            versions = discovery.versions_of(answer)
            if versions is None:
                names = discovery.named_versions(answer)
                versions = list(zip(names, self.parallel([partial(self._kinds_of, name) for name in names])))
            found += versions
        return found

    def _kinds_of(self, api_version):
        """The kinds of one version of a group; None where the server behind it does not answer."""
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            return discovery.kinds_of(api_version, self._json("GET", path, "read", f"the kinds of {api_version}"))
        except ApiFailure:
            return None

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict | None:
        """The object, or None where it does not exist."""
        try:
            return self._json("GET", KINDS[kind].path(namespace, name), "get", f"{kind} {name}")
        except ApiFailure as failure:
            if failure.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, keep: Callable[[dict], dict] | None = None, **selectors: str) -> tuple[list[dict], str]:
        """(items, resourceVersion), page by page; starts again where the pages expire (410), the last time for all at once.

        keep: what stays of each item, of kinds that there are thousands of; without it what is large and never looked at
        goes. selectors: labelSelector and fieldSelector. A namespace that does not exist holds nothing, a kind that the server
        does not serve has no objects.
        """
        return self._list_whole(KINDS[kind], namespace, keep or trimmed, selectors)

    def list_metadata(self, kind: Kind, namespace: str) -> list[dict]:
        """Every object of a kind, which need not be of the table, with apiVersion, kind and metadata alone."""

        def keep(item):
            metadata = mapping(item.get("metadata"))
            metadata.pop("managedFields", None)
            return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

        return self._list_whole(kind, namespace, keep, {}, _METADATA)[0]

    def _list_whole(self, kind, namespace, keep, selectors, accept=_JSON):
        for attempt in range(3):
            try:
                with uncollected():
                    return self._list_pages(kind, namespace, keep, {"limit": PAGE, **selectors} if attempt < 2 else dict(selectors), accept)
            except ApiFailure as failure:
                if failure.status == 404:
                    return [], ""
                if failure.status != 410 or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _list_pages(self, kind, namespace, keep, query, accept):
        where = ("GET", kind.path(namespace), "list", kind.resource)

        def text_of(asked):
            return self._send(*where, asked, decode=_text_of_object, accept=accept)

        items, coming = [], None
        while True:
            content = coming.result() if coming else text_of(query)
            announced = _announced_page(content)
            # The server makes the next page while this one is taken apart.
            coming = begin(text_of, {**query, "continue": announced}) if announced else None
            try:
                page = _object(content)
            except ValueError:
                # What was cut short on its way is asked for again.
                page = self._json(*where, query, accept=accept)
            del content
            for item in records(page.get("items")):
                item.setdefault("kind", kind.kind)
                item.setdefault("apiVersion", kind.api_version)
                items.append(keep(item))
            metadata = mapping(page.get("metadata"))
            if not metadata.get("continue"):
                return items, text(metadata.get("resourceVersion"))
            coming = coming if metadata["continue"] == announced else None
            query = {**query, "continue": metadata["continue"]}

    def watch(self, kind: str, namespace: str | None, resource_version: str, seconds: int, **selectors: str) -> Iterator[dict]:
        """Watch events {"type", "object"} after resource_version until the server ends the stream after `seconds`."""
        query = {"watch": "1", "resourceVersion": resource_version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true", **selectors}
        response = self._send("GET", KINDS[kind].path(namespace), "watch", KINDS[kind].resource, query, stream=True, timeout=seconds + 10)
        try:
            buffer = b""
            for chunk in response.stream(65536, decode_content=True):
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        event = json.loads(line)
                        trimmed(event["object"])
                        if event["type"] == "ERROR" or text(at(event, "object", "metadata", "resourceVersion")):
                            yield event
        except (urllib3.exceptions.HTTPError, ValueError, TypeError, KeyError, AttributeError):
            # The stream broke, was cut in the middle of a line, or holds no events: the caller lists and watches again.
            return
        finally:
            response.close()

    def apply(self, obj: dict, force: bool = False, dry_run: bool = False) -> dict:
        """Server-side apply; the object as the server now holds it, or would hold it after a dry run."""
        kind = kind_of(obj)
        metadata = obj["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false", "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._json(
            "PATCH", kind.path(metadata.get("namespace"), metadata["name"]), "apply", title(obj), query, body=obj, content_type="application/apply-patch+yaml"
        )

    def try_create(self, obj: dict) -> dict:
        """Dry run of a creation: the object as the server would make it."""
        kind = kind_of(obj)
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "dryRun": "All"}
        return self._json("POST", kind.path(obj["metadata"].get("namespace")), "create", title(obj), query, body=obj)

    def may(self, attributes: dict) -> bool:
        """Whether the user may do it; attributes: a SelfSubjectAccessReview's spec, which keeps nothing."""
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": attributes}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._json("POST", path, "review", "the user's own rights", {"dryRun": "All"}, body=body)
        return bool((answer.get("status") or {}).get("allowed"))

    def patch(self, obj: dict, change: dict) -> dict:
        """Merge patch (RFC 7396) of this object; the object as the server now holds it."""
        kind = kind_of(obj)
        metadata = obj["metadata"]
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return self._json("PATCH", path, "patch", title(obj), query, body=change, content_type=_MERGE_PATCH)

    def delete(self, obj: dict, propagation: str = "Background") -> bool:
        """Deletes exactly this object (by uid); False where it was gone already."""
        kind = kind_of(obj)
        metadata = obj["metadata"]
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation, "preconditions": {"uid": metadata["uid"]}}
        try:
            self._json("DELETE", kind.path(metadata.get("namespace"), metadata["name"]), "delete", title(obj), body=body)
        except ApiFailure as failure:
            if failure.status == 404:
                return False
            if failure.status != 409:
                raise
            # Another object bears the name now, or the server could not do it just then: only a look tells.
            now = self.get(kind.kind, metadata["name"], metadata.get("namespace"))
            if now is None or now["metadata"]["uid"] != metadata["uid"]:
                return False
            if not now["metadata"].get("deletionTimestamp"):
                raise
        return True

    def await_gone(self, obj: dict, timeout: float = 60.0) -> None:
        """Returns when exactly this object (by uid), which was deleted, is gone; Failure where it is there after timeout seconds.

        An object that finalizers hold, as the propagation policies Orphan and Foreground do, stays a while: what is
        applied under its name meanwhile would go to the one that ends.
        """
        kind, metadata = kind_of(obj), obj["metadata"]
        deadline = time.monotonic() + timeout
        while True:
            now = self.get(kind.kind, metadata["name"], metadata.get("namespace"))
            if now is None or now["metadata"]["uid"] != metadata["uid"]:
                return
            if time.monotonic() > deadline:
                held = ", ".join(now["metadata"].get("finalizers") or []) or "no finalizer"
                raise Failure(
                    f"{title(obj)} was deleted and is still there after {timeout:g} s ({held})", "look at who has to remove its finalizers, then run again"
                )
            time.sleep(_POLL)

    def logs(self, namespace: str, pod: str, container: str, lines: int, previous: bool = False) -> str:
        """The container's last log lines; empty where the kubelet has thrown them away, Failure where they cannot be had."""
        query = {"container": container, "tailLines": lines, "limitBytes": 16384, "previous": "true" if previous else "false"}
        response = self._send("GET", KINDS["Pod"].path(namespace, pod, "log"), "read the log of", f"Pod {namespace}/{pod}", query)
        text = response.data.decode("utf-8", "replace")
        return "" if text.startswith(_NO_LOG) else text

    def last_words(self, namespace: str, pod: str, container: str, lines: int) -> str:
        """The last log lines of a container that ends again and again, of its latest end where they can be had; else empty.

        They explain a failure, and must not hide it. They are to be shown, and a program that complains of its proxy or backend repeats
        how it logs in there: that is masked.
        """
        # The kubelet throws one container away as soon as the next has ended, so that either may be gone when it is asked for.
        for previous in (True, False, True):
            with suppress(Failure):
                said = self.logs(namespace, pod, container, lines, previous)
                if said:
                    return masked_text(said)
        return ""

    def execute(self, namespace: str, pod: str, container: str, command: list[str], timeout: float) -> tuple[int, str, str]:
        """Runs a command in a container: (exit code, standard output, standard error).

        Over a WebSocket, protocol v4.channel.k8s.io: each message's first byte is its channel, channel 3 carries the
        final Status. timeout: seconds for the command, once the server has accepted it; a connection that breaks before
        that is made again, so that the command may run twice. Failure where the server refuses, ends the stream early or
        the time is up.
        """
        query = urlencode([("container", container), ("stdout", "1"), ("stderr", "1"), *(("command", word) for word in command)])
        url = "ws" + self.server[len("http") :] + KINDS["Pod"].path(namespace, pod, "exec") + "?" + query
        target = f"Pod {namespace}/{pod}"
        begin, tries = time.monotonic(), 0
        while True:
            tries += 1
            socket, failure, status, retry_after = self._open_stream(url, target, timeout)
            if failure is None:
                break
            again = pause(tries, time.monotonic() - begin, min(self._patience(), timeout), status, retry_after)
            if again is None:
                raise failure
            time.sleep(again)
        try:
            return _read_channels(socket, time.monotonic() + timeout, target)
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise _no_answer(target, timeout) from error
        except (websocket.WebSocketException, OSError, ssl.SSLError) as error:
            raise _broken_stream(target, error) from error
        finally:
            socket.close()

    def _open_stream(self, url, target, timeout):
        """(WebSocket, None, None, None), or (None, failure, status, Retry-After in seconds)."""
        self._count("read")
        socket = websocket.WebSocket(sslopt=self._websocket_tls(), skip_utf8_validation=True)
        options = {"header": [f"{name}: {value}" for name, value in self._headers()] + ["Sec-WebSocket-Protocol: v4.channel.k8s.io"]}
        if self.configuration.proxy or self.configuration.proxy_headers:
            options = websocket_proxycare(options, self.configuration, url, {})
        try:
            socket.settimeout(timeout)
            socket.connect(url, **options)
            self._answered = True
            return socket, None, None, None
        except websocket.WebSocketBadStatusException as error:
            self._answered = True
            failure = explain(error.status_code, error.resp_body or b"", "exec into", target, self.server)
            answer = None, failure, error.status_code, _seconds((error.resp_headers or {}).get("retry-after"))
        except (websocket.WebSocketTimeoutException, TimeoutError):
            answer = None, _no_answer(target, timeout), None, None
        except (websocket.WebSocketException, OSError, ssl.SSLError) as error:
            answer = None, _broken_stream(target, error), None, None
        socket.close()
        return answer

    def parallel(self, calls: Iterable[Callable[[], object]]) -> list:
        """The results of independent calls, in order; the first failure is raised after all have ended."""
        calls = list(calls)
        if len(calls) <= 1:
            return [call() for call in calls]
        with ThreadPoolExecutor(min(PARALLEL, len(calls))) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    def _json(self, method, path, verb, target, query=None, body=None, content_type=_JSON, accept=_JSON):
        return self._send(method, path, verb, target, query, body, content_type, decode=_object, accept=accept)

    def _send(self, method, path, verb, target, query=None, body=None, content_type=_JSON, stream=False, timeout=None, decode=None, accept=_JSON):
        """The answer, or what decode makes of it; decode raises ValueError for an answer that cannot be the server's."""
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        headers = urllib3.HTTPHeaderDict(self._headers())
        headers["Accept"] = accept
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        how = "read" if method in _READS or (query or {}).get("dryRun") else "write"
        timeouts = urllib3.Timeout(connect=10, read=timeout or self.request_timeout)
        begin, tries = time.monotonic(), 0
        while True:
            tries += 1
            self._count(how)
            status = retry_after = cause = None
            try:
                response = self._pool.request(
                    method,
                    url,
                    body=data,
                    headers=headers,
                    preload_content=not stream,
                    enforce_content_length=True,
                    redirect=False,
                    retries=False,
                    timeout=timeouts,
                )
                content = response.read() if stream and response.status >= 400 else None if stream else response.data
            except urllib3.exceptions.HTTPError as error:
                cause, failure, final = error, self._broken(error, how, verb, target), _distrusts(error)
            else:
                status, retry_after = response.status, _seconds(response.headers.get("Retry-After"))
                self._set_clock(response.headers.get("Date"))
                try:
                    if status < 400:
                        answer = decode(content) if decode else response
                        self._answered = True
                        return answer
                    failure = explain(status, content, verb, target, self.server)
                    status = failure.status
                    # A merge patch may name the version that it was made for: the same one is refused again.
                    final = bool(failure.conflicts) or (status == 409 and content_type == _MERGE_PATCH)
                    self._answered = True
                except ValueError as error:
                    # From a server that has made sense before, it is an answer that was cut short on its way.
                    cause, failure, final, status = error, self._no_object(verb, target), not self._answered, None
            again = None if final else pause(tries, time.monotonic() - begin, self._patience(), status, retry_after)
            if again is None:
                raise failure from cause
            time.sleep(again)

    def _patience(self):
        return self.patience if self._answered else min(self.patience, _PATIENCE_AT_FIRST)

    def _set_clock(self, date):
        try:
            self._clock = parsedate_to_datetime(date).timestamp(), time.monotonic()
        except (TypeError, ValueError, OverflowError):
            # Without the header, or with one that nobody can read, what was known before holds.
            return

    def _headers(self):
        headers = [("User-Agent", f"nanoagent.k8s/{VERSION}"), *self._impersonation]
        token = self.configuration.get_api_key_with_prefix("BearerToken") or self.configuration.get_api_key_with_prefix("authorization")
        if token:
            headers.append(("Authorization", token))
        return headers

    def _count(self, how):
        with self._lock:
            self.requests[how] += 1

    def _websocket_tls(self):
        configuration = self.configuration
        if not configuration.verify_ssl:
            options = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
        else:
            options = {"cert_reqs": ssl.CERT_REQUIRED}
            if configuration.ssl_ca_cert:
                options["ca_certs"] = configuration.ssl_ca_cert
        if configuration.cert_file:
            options["certfile"] = configuration.cert_file
            options["keyfile"] = configuration.key_file
        if configuration.tls_server_name:
            options["server_hostname"] = configuration.tls_server_name
        return options

    def _broken(self, error, how, verb, target):
        """The failure for a connection that could not be made, or that broke before the whole answer was there."""
        said = _reason(error)
        if _distrusts(error):
            why = said.rpartition("certificate verify failed: ")[2].partition(" (_ssl")[0]
            return Failure(f"the certificate of the API server {self.server} is not trusted: {why}", "set ca_cert to the authority that signed it")
        said = re.sub(r"^\[Errno -?\d+\] ", "", said.rpartition(": ")[2])
        if isinstance(error, (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError)):
            return Failure(
                f"the connection to the API server {self.server} broke before it answered to {verb} {target}: {said}",
                "run again" + ("" if how == "read" else ": what was asked for may have been done or not, and a rerun goes on from there"),
            )
        return Failure(
            f"the API server {self.server} cannot be reached: {said}",
            "check the address, the network and proxies, and that the API server runs",
        )

    def _no_object(self, verb, target):
        return Failure(
            f"{self.server} answered {verb} {target} with something that is no Kubernetes object",
            "check host or the kubeconfig's server, and proxies in between",
        )


def _announced_page(content):
    """What a list's text says before its items of the page after it; empty where it does not say it there. The list itself decides."""
    beginning, items, _rest = content[:_BEFORE_ITEMS].partition(b'"items"')
    found = _CONTINUE.search(beginning) if items else None
    return found[1].decode() if found else ""


def _text_of_object(data):
    """The text, which looks like an object's; what it says is taken apart later."""
    if not data.lstrip()[:1] == b"{":
        raise ValueError("no object")
    return data


def _object(data):
    answer = json.loads(data)
    if not isinstance(answer, dict):
        raise ValueError(type(answer).__name__)
    return answer


def _reason(error):
    """What is at the bottom of an error of urllib3, as text."""
    while True:
        inner = [getattr(error, "reason", None), getattr(error, "original_error", None), *error.args]
        cause = next((cause for cause in inner if isinstance(cause, Exception)), None)
        if cause is None:
            return getattr(error, "strerror", None) or str(error) or type(error).__name__
        error = cause


def _seconds(retry_after):
    """The value of a header Retry-After in seconds; None where there is none, or none that can be understood."""
    try:
        return urllib3.Retry().parse_retry_after(retry_after) if retry_after else None
    except urllib3.exceptions.InvalidHeader:
        return None


def _distrusts(error):
    """Whether a connection failed because the server's certificate is not trusted."""
    return "CERTIFICATE_VERIFY_FAILED" in _reason(error)


def _no_answer(target, timeout):
    return Failure(f"no answer from a command in {target} within {timeout:g} s", "look at the kubelet of its node and at the pod's log")


def _broken_stream(target, error):
    return Failure(
        f"the exec stream to {target} broke: {type(error).__name__}: {_reason(error)}", "check that the API server reaches the node's kubelet on port 10250"
    )


def _read_channels(socket, deadline, target):
    output = {1: b"", 2: b"", 3: b""}
    while True:
        socket.settimeout(max(0.01, deadline - time.monotonic()))
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        if data and data[0] in output:
            output[data[0]] += data[1:]
    if not output[3]:
        raise Failure(f"the exec stream to {target} ended without a status", "run again; if it stays, look at the kubelet of its node")
    return _exit_code(json.loads(output[3])), output[1].decode("utf-8", "replace"), output[2].decode("utf-8", "replace")


def _exit_code(status):
    """The command's exit code from the final Status; -1 where the container could not run it."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    return -1
