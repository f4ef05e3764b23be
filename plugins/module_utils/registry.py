# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of the OCI distribution API, over requests: manifests, blobs, logins and retries.

A Registry speaks to one host and may be used by several threads at once. Blobs are streamed, never held whole.
Every failure is a RegistryFailure of one line: host, repository, what was asked for, status, the registry's own code
and the next step. Secrets never get into one.
"""

from __future__ import annotations

import email.utils
import io
import json
import re
import socket
import ssl
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST, DOCKER_HUB, DOCKER_HUB_API
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import descriptor, sha256_digest
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_credentials import Credentials, docker_config_credentials, parse_challenge
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION

REQUESTS_IMPORT_ERROR = None
try:
    import requests
    import urllib3
except ImportError:
    requests = None
    REQUESTS_IMPORT_ERROR = traceback.format_exc()

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# The specification asks registries to take manifests of 4 MiB; nothing else that is read whole is larger.
ANSWER_LIMIT = 8 << 20
PIECE = 1 << 20

RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})
LONGEST_PAUSE = 60.0


class RegistryFailure(Failure):
    """A registry did not do what was asked; status and code are the HTTP status and the registry's error code."""

    def __init__(self, what: str, next_step: str, status: int | None = None, code: str = ""):
        super().__init__(what, next_step)
        self.status = status
        self.code = code


class Transient(Exception):
    """One attempt failed in a way that may pass: the failure to report in the end, and the pause the registry asked for."""

    def __init__(self, failure: RegistryFailure, pause: float | None = None):
        super().__init__(failure.message)
        self.failure = failure
        self.pause = pause


@dataclass(frozen=True)
class Source:
    """A blob to upload: its digest, its size in bytes and how to open it (again, when an attempt has failed)."""

    digest: str
    size: int
    open: Callable


def bytes_source(data: bytes) -> Source:
    """A blob that is in memory."""
    return Source(sha256_digest(data), len(data), lambda: io.BytesIO(data))


def file_source(path: str, digest: str, size: int) -> Source:
    """A blob in a file."""
    return Source(digest, size, lambda: open(path, "rb"))


class _Window:
    """The next bytes of an open file as a request's body, with the length that makes requests name it in advance."""

    def __init__(self, file, length: int):
        self._file = file
        self._length = length
        self._left = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(PIECE):
            yield piece

    def read(self, size: int = PIECE) -> bytes:
        piece = self._file.read(min(PIECE if size < 0 else size, self._left))
        self._left -= len(piece)
        return piece


_PUSH_RIGHT = "use an account that may push to this repository"
# First match wins: (status or None, error code or None, next step).
NEXT_STEPS = (
    (None, "TOOMANYREQUESTS", "the registry limits the rate: try again later, or log in"),
    (429, None, "the registry limits the rate: try again later, or log in"),
    (401, None, "check username and password, or the entry in docker_config"),
    (None, "DENIED", _PUSH_RIGHT),
    (403, None, _PUSH_RIGHT),
    (None, "NAME_UNKNOWN", "create the repository in the registry first, or correct its name"),
    (None, "BLOB_UNKNOWN", "run it again: the registry lost a blob in between (was it cleaned up?)"),
    (None, "MANIFEST_BLOB_UNKNOWN", "run it again: the registry lost a blob in between (was it cleaned up?)"),
    (None, "NAME_INVALID", "correct the repository's name"),
    (None, "TAG_INVALID", "choose another tag"),
    (None, "UNSUPPORTED", "this registry does not allow it (is it read-only, or a cache?)"),
    (404, None, "check host and repository; does a registry answer at this address?"),
    (405, None, "this registry does not allow it (is it read-only, or a cache?)"),
    (409, None, "the tag cannot be moved in this registry: choose another tag"),
    (412, None, "the tag cannot be moved in this registry: choose another tag"),
    (413, None, "raise the size limit of the proxy in front of the registry"),
    (507, None, "the registry has no room left: make room"),
)


def next_step(status: int, code: str) -> str:
    """What a user does about an answer of a registry."""
    for step_status, step_code, step in NEXT_STEPS:
        if (step_status is None or step_status == status) and (step_code is None or step_code == code):
            return step
    if status >= 500:
        return "the registry itself fails: look at its log, then run it again"
    return "look at the registry's log"


def registry_error(body: bytes) -> tuple[str, str]:
    """Code and message of the first error in a registry's answer; empty where there is none."""
    try:
        first = json.loads(body)["errors"][0]
        return str(first.get("code") or ""), " ".join(str(first.get("message") or "").split())[:200]
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and everything wrapped in it, by whichever way libraries wrap."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        waiting.extend(item for item in inner if isinstance(item, BaseException))


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for (a number or a date), bounded; None where it says nothing."""
    if not value:
        return None
    if value.strip().isdigit():
        seconds = float(value)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _number(value: str | None) -> int:
    """A header's number; 0 where there is none."""
    return int(value) if value and value.isdigit() else 0


def check_ca_file(path: str) -> None:
    """Refuse a file that cannot be what certificates are checked against, before it looks like a failing connection."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise Failure(f"ca_cert {path} holds no certificate", "give a PEM file") from None
    except OSError as error:
        step = "give the path of a PEM file on the machine that runs this"
        raise Failure(f"ca_cert {path} cannot be read ({error.strerror})", step) from None


@dataclass(frozen=True)
class Call:
    """One request: `what` names its object in messages, `open_body` gives the body anew for every attempt.

    also_from: a second repository that it reads from, which a token has to allow.
    """

    method: str
    url: str
    repository: str
    what: str
    headers: dict = field(default_factory=dict)
    open_body: Callable | None = None
    also_from: str = ""


@dataclass(frozen=True)
class Answer:
    """A response whose body has been read, or waits in `response`."""

    status: int
    headers: dict
    body: bytes
    response: requests.Response | None = None


class Registry:
    """One registry host.

    :param access: what tokens are asked for: `pull`, or `pull,push` for a destination
    :param client_cert: paths of our certificate and its key (PEM), for a registry that asks for one
    :param timeout: seconds to connect, and seconds without a byte
    :param attempts: how often a request is tried in all when the registry is busy, failing or cuts the connection
    :param chunk_bytes: upload larger blobs in chunks of this size; 0 sends each blob in one request
    :param connections: how many are kept open, and so how many threads may work at once
    :raises Failure: ca_cert is no file with certificates
    """

    def __init__(
        self,
        host: str,
        credentials: Credentials | None = None,
        *,
        access: str = "pull",
        ca_cert: str | None = None,
        client_cert: tuple[str, str] | None = None,
        validate_certs: bool = True,
        plain_http: bool = False,
        timeout: tuple[float, float] = (10.0, 60.0),
        attempts: int = 5,
        chunk_bytes: int = 0,
        connections: int = 4,
        sleep: Callable = time.sleep,
    ):
        if ca_cert:
            check_ca_file(ca_cert)
        self.host = host
        self.connections = connections
        self.counts = Counter()
        self._credentials = credentials
        self._access = access
        self._scheme = "http" if plain_http else "https"
        self._plain_http = plain_http
        self._base = f"{self._scheme}://{DOCKER_HUB_API if host == DOCKER_HUB else host}"
        self._verify = ca_cert if validate_certs and ca_cert else validate_certs
        self._timeout = timeout
        self._attempts = attempts
        self._chunk_bytes = chunk_bytes
        self._sleep = sleep
        self._challenge = None
        self._tokens = {}
        self._auth_lock = threading.RLock()
        self._count_lock = threading.Lock()
        self._has_answered = False
        self._session = requests.Session()
        self._session.cert = client_cert
        self._session.headers["User-Agent"] = f"nanoagent.k8s/{VERSION}"
        adapter = requests.adapters.HTTPAdapter(pool_connections=2, pool_maxsize=connections)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        if not validate_certs:
            # The user has decided; a warning on standard error for every request helps nobody.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    # -- what a registry can do

    def head_manifest(self, repository: str, reference: str) -> dict | None:
        """Descriptor of a manifest by tag or digest, None where there is none.

        Registries that do not name the digest in the answer to HEAD are asked with GET.
        """
        answer = self._run(self._manifest_call("HEAD", repository, reference), allowed=(200, 404, 405))
        if answer.status == 404:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        if answer.status == 405 or not DIGEST.fullmatch(digest):
            manifest = self.get_manifest(repository, reference)
            return manifest and descriptor(manifest)
        return {
            "mediaType": answer.headers.get("Content-Type", "").partition(";")[0],
            "digest": digest,
            "size": _number(answer.headers.get("Content-Length")),
        }

    def get_manifest(self, repository: str, reference: str) -> dict | None:
        """Blob of a manifest by tag or digest, None where there is none.

        :raises RegistryFailure: also when the bytes are not those of the digest
        """
        call = self._manifest_call("GET", repository, reference)
        answer = self._run(call, allowed=(200, 404))
        if answer.status == 404:
            return None
        wanted = reference if DIGEST.fullmatch(reference) else answer.headers.get("Docker-Content-Digest", "")
        digest = sha256_digest(answer.body)
        if DIGEST.fullmatch(wanted) and digest != wanted:
            raise self._failure(call, f"the registry sent other bytes than {wanted}", "do not use it; is a proxy in between?")
        return {
            "mediaType": answer.headers.get("Content-Type", "").partition(";")[0],
            "digest": digest,
            "size": len(answer.body),
            "data": answer.body,
        }

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository holds a blob."""
        call = Call("HEAD", self._url(repository, "blobs", digest), repository, f"blob {digest}")
        return self._run(call, allowed=(200, 404)).status == 200

    def get_blob(self, repository: str, digest: str) -> bytes | None:
        """Content of a small blob such as an image's configuration, None where there is none.

        :raises RegistryFailure: also when the bytes are not those of the digest
        """
        call = Call("GET", self._url(repository, "blobs", digest), repository, f"blob {digest}")
        answer = self._run(call, allowed=(200, 404))
        if answer.status == 404:
            return None
        if sha256_digest(answer.body) != digest:
            raise self._failure(call, f"the registry sent other bytes than {digest}", "do not use it; is a proxy in between?")
        return answer.body

    def upload_blob(self, repository: str, source: Source) -> None:
        """Send a blob: in one piece, or in chunks where it is larger than `chunk_bytes`.

        An attempt that fails half-way begins again with a new upload.
        """
        self._retry(lambda: self._upload(repository, source))

    def put_manifest(self, repository: str, reference: str, manifest: dict) -> dict:
        """Store a manifest blob under a tag or its digest; the answer's headers.

        :raises RegistryFailure: also when the registry has stored other bytes
        """
        call = Call(
            "PUT",
            self._url(repository, "manifests", reference),
            repository,
            f"manifest {reference}",
            {"Content-Type": manifest["mediaType"]},
            lambda: manifest["data"],
        )
        headers = self._run(call, allowed=(200, 201, 202)).headers
        stored = headers.get("Docker-Content-Digest", manifest["digest"])
        if stored != manifest["digest"]:
            raise self._failure(call, f"the registry stored it as {stored} instead of {manifest['digest']}", "is a proxy in between?")
        return headers

    # -- uploads

    def _upload(self, repository: str, source: Source) -> None:
        what = f"blob {source.digest}"
        start = Call("POST", self._url(repository, "blobs", "uploads/"), repository, what)
        answer = self._attempt(start, allowed=(201, 202))
        with source.open() as file:
            location = self._location(start, answer)
            sent = 0
            if self._chunk_bytes and source.size > self._chunk_bytes:
                chunk_bytes = max(self._chunk_bytes, _number(answer.headers.get("OCI-Chunk-Min-Length")))
                while sent < source.size:
                    length = min(chunk_bytes, source.size - sent)
                    location = self._send_chunk(repository, what, location, file, sent, length)
                    sent += length
            self._finish_upload(repository, what, location, file, source, sent)

    def _send_chunk(self, repository: str, what: str, location: str, file, start: int, length: int) -> str:
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{start}-{start + length - 1}"}
        call = Call("PATCH", location, repository, what, headers, self._body(file, start, length))
        return self._location(call, self._attempt(call, allowed=(202, 204)))

    def _finish_upload(self, repository: str, what: str, location: str, file, source: Source, sent: int) -> None:
        parts = urlsplit(location)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", source.digest)])
        call = Call(
            "PUT",
            urlunsplit(parts._replace(query=query)),
            repository,
            what,
            {"Content-Type": "application/octet-stream"},
            self._body(file, sent, source.size - sent),
        )
        self._attempt(call, allowed=(201, 204))

    @staticmethod
    def _body(file, start: int, length: int) -> Callable:
        def open_body():
            file.seek(start)
            return _Window(file, length) if length else b""

        return open_body

    def _location(self, call: Call, answer: Answer) -> str:
        """Where an upload goes on. A registry behind a TLS proxy may name itself with http; we stay with our scheme."""
        location = answer.headers.get("Location")
        if not location:
            raise self._failure(call, "the registry did not say where to send it (no Location)", "is this address a registry?")
        try:
            url = urljoin(call.url, location)
            if self._is_ours(url):
                return urlunsplit(urlsplit(url)._replace(scheme=self._scheme))
            return url
        except ValueError:
            raise self._failure(call, "the registry named a malformed address to send it to (Location)", "look at the registry's log") from None

    # -- requests

    def _url(self, repository: str, kind: str, name: str) -> str:
        return f"{self._base}/v2/{repository}/{kind}/{name}"

    def _manifest_call(self, method: str, repository: str, reference: str) -> Call:
        url = self._url(repository, "manifests", reference)
        return Call(method, url, repository, f"manifest {reference}", {"Accept": ", ".join(MANIFEST_TYPES)})

    def _run(self, call: Call, allowed: tuple) -> Answer:
        return self._retry(lambda: self._attempt(call, allowed))

    def _retry(self, attempt: Callable):
        """Do something until it succeeds or there is no more patience, with growing pauses or those asked for."""
        tried, began = 0, time.monotonic()
        while True:
            try:
                return attempt()
            except Transient as transient:
                tried += 1
                self._rest(transient, tried, time.monotonic() - began)

    def _rest(self, transient: Transient, tried: int, waited: float) -> None:
        """Sleep before the next try; the failure where there should be none.

        tried: how often in all. waited: seconds since the first try began.
        """
        seconds = self._pause(transient, tried, waited)
        if seconds is None:
            failure = transient.failure
            raise RegistryFailure(f"{failure.what} (tried {tried} times)", failure.next_step, failure.status, failure.code) from None
        self._sleep(seconds)

    def _pause(self, transient: Transient, tried: int, _waited: float) -> float | None:
        """Seconds until the next try, None where there should be none."""
        if tried == self._attempts:
            return None
        return transient.pause if transient.pause is not None else min(0.25 * 2**tried, LONGEST_PAUSE)

    def _attempt(self, call: Call, allowed: tuple, send: Callable | None = None) -> Answer:
        """Send a request once, logging in when the registry asks for it. send: another way than _send.

        :raises Transient: it may pass
        :raises RegistryFailure: it will not
        """
        send = send or self._send
        authorization = self._authorization(call)
        answer = send(call, authorization)
        if answer.status == 401 and self._is_ours(call.url) and self._learn_challenge(call, answer, authorization):
            answer = send(call, self._authorization(call))
        if answer.status in allowed:
            return answer
        raise self._refused(call, answer)

    def _refused(self, call: Call, answer: Answer) -> Exception:
        code, message = registry_error(answer.body)
        said = f"HTTP {answer.status}" + (f" {code}" if code else "") + (f" ({message})" if message else "")
        failure = self._failure(call, said, next_step(answer.status, code), answer.status, code)
        if answer.status in RETRIED_STATUS:
            return Transient(failure, retry_after(answer.headers.get("Retry-After"), time.time()))
        return failure

    def _failure(self, call: Call, reason: str, step: str, status: int | None = None, code: str = "") -> RegistryFailure:
        text = f"registry {self.host}, repository {call.repository}: {call.method} {call.what}: {reason}"
        secrets = [*(self._credentials.secrets() if self._credentials else []), *self._tokens.values()]
        for secret in secrets:
            text = text.replace(secret, "***")
        return RegistryFailure(text, step, status, code)

    def _send(self, call: Call, authorization: str | None) -> Answer:
        with self._transport(call):
            response = self._response(call, authorization)
            return self._read(call, response)

    def _response(self, call: Call, authorization: str | None) -> requests.Response:
        """The answer to a request with its body still to be read."""
        with self._count_lock:
            self.counts["token" if call.what == "token" else call.method] += 1
        headers = {**call.headers, **({"Authorization": authorization} if authorization else {})}
        response = self._session.request(
            call.method,
            call.url,
            headers=headers,
            data=call.open_body() if call.open_body else None,
            # Without it requests looks for a password in ~/.netrc and sends it to whatever host this is.
            auth=_leave_as_is,
            timeout=self._timeout,
            verify=self._verify,
            allow_redirects=call.method in ("GET", "HEAD"),
            stream=True,
        )
        self._has_answered = True
        return response

    def _read(self, call: Call, response: requests.Response) -> Answer:
        with response:
            # That of a HEAD has no body, and is read all the same: else its connection would not be used again.
            body = response.raw.read(ANSWER_LIMIT + 1, decode_content=True)
        if len(body) > ANSWER_LIMIT:
            raise self._failure(call, f"the answer is larger than {ANSWER_LIMIT} bytes", "is this address a registry?")
        return Answer(response.status_code, response.headers, body)

    @contextmanager
    def _transport(self, call: Call) -> Iterator[None]:
        """Turns what breaks below HTTP into failures."""
        try:
            yield
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._transport_failure(call, error) from None

    def _transport_failure(self, call: Call, error: Exception) -> Exception:
        """What broke below HTTP; worth another attempt are a connection that was cut, and a server that has answered before."""
        causes = list(_causes(error))

        def has(*kinds) -> bool:
            return any(isinstance(cause, kinds) for cause in causes)

        if has(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
            return self._failure(call, "the proxy does not connect", "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY")
        if has(requests.exceptions.SSLError, urllib3.exceptions.SSLError):
            text = " ".join(str(cause) for cause in causes)
            if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text:
                return self._failure(call, "it does not speak TLS", "set plain_http to true if this registry is meant to be without TLS")
            if "CERTIFICATE_VERIFY_FAILED" in text:
                reason = re.search(r"certificate verify failed: ([^(\[]*)", text)
                said = f" ({reason[1].strip()})" if reason else ""
                return self._failure(call, f"its certificate is not trusted{said}", "set ca_cert to the authority that signed it")
            return self._failure(call, "no TLS connection", "check the host, its certificate and ca_cert")
        if has(ConnectionRefusedError):
            refused = self._failure(call, "connection refused", "check host and port, and that the registry runs")
            return Transient(refused) if self._has_answered else refused
        if has(socket.gaierror):
            return self._failure(call, "the host name does not resolve", "correct the host, or DNS on the machine that runs this")
        if has(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            late = self._failure(call, "no answer in time", "check the network and the firewall between here and the registry")
            return Transient(late) if self._has_answered else late
        if has(urllib3.exceptions.ProtocolError, requests.exceptions.ChunkedEncodingError, ConnectionError):
            return Transient(self._failure(call, "the connection was cut", "check the registry and what is in front of it, then run it again"))
        return self._failure(call, f"no connection ({type(error).__name__})", "check host, port and network")

    # -- authorisation

    def _is_ours(self, url: str) -> bool:
        """Whether a URL is the registry itself; storage that it sends us on to must not see credentials."""
        return self._address(url) == self._address(self._base)

    def _address(self, url: str) -> tuple:
        parts = urlsplit(url)
        return parts.hostname, parts.port or (80 if self._scheme == "http" else 443)

    def _authorization(self, call: Call) -> str | None:
        token = self._credentials.registry_token if self._credentials else ""
        if (self._challenge is None and not token) or not self._is_ours(call.url):
            return None
        if token:
            return f"Bearer {token}"
        if self._challenge.scheme == "basic":
            return self._credentials.basic()
        key = call.repository, call.also_from
        with self._auth_lock:
            if key not in self._tokens:
                self._tokens[key] = self._fetch_token(call)
            return f"Bearer {self._tokens[key]}"

    def _learn_challenge(self, call: Call, answer: Answer, used: str | None) -> bool:
        """Take up what a 401 asks for; False when there is nothing new to try."""
        challenge = parse_challenge(answer.headers.get("WWW-Authenticate", ""))
        with self._auth_lock:
            if challenge is None or (self._credentials and self._credentials.registry_token):
                return False
            if challenge.scheme == "basic" and (used or not self._credentials or not self._credentials.username):
                return False
            self._challenge = challenge
            # A token that was refused has run out. Another thread may have fetched a new one meanwhile: keep that.
            key = call.repository, call.also_from
            if used == f"Bearer {self._tokens.get(key)}":
                del self._tokens[key]
            return True

    def _fetch_token(self, call: Call) -> str:
        """Ask the token service that the registry named."""
        challenge, credentials = self._challenge, self._credentials
        realm = urlsplit(challenge.realm)
        asked = Call("GET", challenge.realm, call.repository, "token")
        if realm.scheme not in ("http", "https") or not realm.netloc:
            raise self._failure(asked, "the registry names no usable token service", "is this address a registry?")
        if realm.scheme == "http" and credentials and not self._plain_http:
            raise self._failure(asked, f"the token service {realm.netloc} would get the password in the clear", "have the registry name an https address")
        scopes = [f"repository:{call.repository}:{self._access}", *([f"repository:{call.also_from}:pull"] if call.also_from else [])]
        fields = {"service": challenge.service}
        headers = {}
        if credentials and credentials.identity_token:
            # This flow takes several scopes in one field.
            fields.update(scope=" ".join(scopes), grant_type="refresh_token", client_id="nanoagent.k8s", refresh_token=credentials.identity_token)
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            asked = Call("POST", challenge.realm, call.repository, "token", headers, lambda: urlencode(fields).encode())
        else:
            query = urlencode([*parse_qsl(realm.query), *fields.items(), *(("scope", scope) for scope in scopes)])
            asked = Call("GET", urlunsplit(realm._replace(query=query)), call.repository, "token")
        basic = credentials.basic() if credentials and credentials.username else None
        answer = self._send(asked, basic)
        if answer.status != 200:
            raise self._refused(asked, answer)
        try:
            content = json.loads(answer.body)
            return content.get("token") or content["access_token"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._failure(asked, "the token service sent no token", "look at the token service's log") from None


def _leave_as_is(request):
    return request


# The argument spec of the documentation fragment `registry`.
OPTIONS = {
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "docker_config": {"type": "path"},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "plain_http": {"type": "bool", "default": False},
}
# Credentials come from one place, so that it is plain which are used.
OPTIONS_TOGETHER = [["username", "password"]]
OPTIONS_EXCLUSIVE = [["username", "docker_config"]]


def registry_from_options(options: dict, host: str, access: str, kind: type[Registry] = Registry) -> Registry:
    """A client for a host with what a module's options say about reaching it. kind: its class.

    :raises Failure: docker_config or ca_cert is missing or broken
    """
    credentials = None
    if options["username"]:
        credentials = Credentials(options["username"], options["password"])
    elif options["docker_config"]:
        credentials = docker_config_credentials(options["docker_config"], host)
    return kind(
        host,
        credentials,
        access=access,
        ca_cert=options["ca_cert"],
        validate_certs=options["validate_certs"],
        plain_http=options["plain_http"],
    )
