# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small registry on loopback, in this process: the push and pull parts of the OCI distribution API.

It judges what it is sent as real ones do: digests have to match, a manifest needs its blobs, chunks have to follow
each other. It keeps a list of all requests and fails on demand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Fault:
    """Answer the next `times` requests that fit with a status, or cut the connection when the status is 0.

    keep: before the cut, so many bytes of a blob go through. until: the cut comes then. least: bytes of a request that it is meant for.
    """

    method: str
    path: str
    status: int = 0
    keep: int | None = None
    until: threading.Event | None = None
    least: int = 0
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    times: int = 1


class FakeRegistry:
    """Use as a context manager; `host` is what goes before the first slash of an image's name.

    :param auth: None, `basic` or `bearer`; with both of the latter only user and password get in
    :param digest_header: whether answers name the digest; some registries do not for HEAD
    :param referrers: whether it keeps the lists of what refers to a manifest
    :param most_at_once: bytes of a request that something in front of it lets through
    :param ranges: whether it gives parts of blobs
    """

    def __init__(
        self,
        auth: str | None = None,
        username: str = "alice",
        password: str = "pa55-word",
        digest_header: bool = True,
        referrers: bool = True,
        most_at_once: int = 1 << 40,
        ranges: bool = True,
    ):
        self.auth = auth
        self.username = username
        self.password = password
        self.digest_header = digest_header
        self.referrers = referrers
        self.most_at_once = most_at_once
        self.ranges = ranges
        self.realm = None
        self.tags_at_once = 1000
        self.refresh_token = None
        self.blobs = {}
        self.manifests = {}
        self.uploads = {}
        self.tokens = {}
        self.requests = []
        self.faults = []
        self.headers_seen = []
        self.chunk_sizes = []
        self.sent_bytes = 0
        self.at_once = self.most_at_a_time = 0
        self.received_bytes = 0
        self.min_chunk = None
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self._server.shutdown()
        self._server.server_close()

    def fail(self, method: str, path: str, **what) -> None:
        """Register a fault for requests whose path matches a regular expression."""
        self.faults.append(Fault(method, path, **what))

    def writes(self) -> list:
        """The requests so far that change something."""
        return [line for line in self.requests if line.split()[0] in ("POST", "PUT", "PATCH", "DELETE")]

    def take_fault(self, method: str, path: str, length: int) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and fault.method == method and fault.least <= length and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def expected_basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def new_token(self, scope: str) -> str:
        token = secrets.token_hex(8)
        self.tokens[token] = scope
        return token


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _handler(registry: FakeRegistry):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Otherwise each answer waits 40 ms for a delayed acknowledgement of its head.
        disable_nagle_algorithm = True

        def log_message(self, *args):
            """Quiet: the tests read registry.requests."""

        def _answer(self, status: int, body: bytes = b"", **headers):
            self._leave()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), str(value))
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _error(self, status: int, code: str, message: str = "", **headers):
            self._answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), **headers)

        def _cut(self):
            self._leave()
            # Linger of zero makes the close a reset, as a crashing proxy does.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _handle(self):
            with registry._lock:
                registry.at_once += 1
                registry.most_at_a_time = max(registry.most_at_a_time, registry.at_once)
            self._counts = True
            try:
                self._handle_one()
            finally:
                self._leave()

        def _leave(self):
            """Before the client knows that it is done, or it would seem to ask for two things at once."""
            with registry._lock:
                registry.at_once -= self._counts
                self._counts = False

        def _body(self, length: int) -> bytes:
            body = b""
            while piece := self.rfile.read1(min(65536, length - len(body))) if len(body) < length else b"":
                body += piece
                registry.received_bytes += len(piece)
            return body

        def _handle_one(self):
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            registry.requests.append(f"{self.command} {parts.path}")
            registry.headers_seen.append(dict(self.headers))
            fault = registry.take_fault(self.command, parts.path, length)
            body = self._body(fault.keep if length and fault and fault.until else length)
            upload = parts.path.rpartition("/")[2]
            if len(body) < length:
                # Whoever sent it is gone, or will be; what has come stays.
                if upload in registry.uploads:
                    registry.uploads[upload] += body
                return fault.until.wait() if fault and fault.until else self._cut()
            if fault and fault.keep is not None:
                return self._keep(parts.path, body, fault)
            if fault:
                if not fault.status:
                    return self._cut()
                return self._answer(fault.status, fault.body, **{name.replace("-", "_"): value for name, value in fault.headers.items()})
            if parts.path == "/token":
                return self._token(parse_qs(parts.query), parse_qs(body.decode()))
            if not self._allowed(parts.path):
                return None
            if len(body) > registry.most_at_once:
                return self._answer(413)
            query = parse_qs(parts.query)
            for pattern, action in (
                (r"/v2/(.+)/manifests/([^/]+)", self._manifest),
                (r"/v2/(.+)/blobs/uploads/", self._start),
                (r"/v2/(.+)/blobs/uploads/([0-9a-f]+)", self._upload),
                (r"/v2/(.+)/blobs/(sha256:[0-9a-f]+)", self._blob),
                (r"/v2/(.+)/referrers/(sha256:[0-9a-f]+)", self._referrers),
                (r"/v2/(.+)/tags/list", self._tags),
            ):
                match = re.fullmatch(pattern, parts.path)
                if match:
                    return action(*match.groups(), query=query, body=body)
            return self._error(404, "NAME_INVALID")

        do_HEAD = do_GET = do_POST = do_PUT = do_PATCH = _handle

        # -- authorisation

        def _allowed(self, path: str) -> bool:
            given = self.headers.get("Authorization", "")
            if registry.auth is None:
                return True
            if registry.auth == "basic":
                if given == registry.expected_basic():
                    return True
                self._error(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="fake"')
                return False
            repository = re.match(r"/v2/(.+)/(?:manifests|blobs|referrers|tags)/", path)[1]
            needed = "pull" if self.command in ("GET", "HEAD") else "push"
            scope = registry.tokens.get(given.removeprefix("Bearer "), "")
            name, access = (scope.split(":") + ["", ""])[1:3]
            if name == repository and needed in access.split(","):
                return True
            realm = registry.realm or f"http://{registry.host}/token"
            challenge = f'Bearer realm="{realm}",service="fake",scope="repository:{repository}:{needed}"'
            self._error(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)
            return False

        def _token(self, query: dict, form: dict):
            fields = {**query, **form}
            by_refresh = registry.refresh_token and fields.get("refresh_token") == [registry.refresh_token]
            if not by_refresh and self.headers.get("Authorization") != registry.expected_basic():
                return self._error(401, "UNAUTHORIZED", "incorrect username or password")
            name = "access_token" if by_refresh else "token"
            return self._answer(200, json.dumps({name: registry.new_token(fields["scope"][0])}).encode())

        # -- content

        def _manifest(self, repository: str, reference: str, body: bytes, **kwargs):
            if self.command == "PUT":
                return self._put_manifest(repository, reference, body)
            found = registry.manifests.get((repository, reference))
            if not found:
                return self._error(404, "MANIFEST_UNKNOWN", "manifest unknown")
            media_type, data = found
            if media_type not in self.headers.get("Accept", ""):
                return self._error(404, "MANIFEST_UNKNOWN", "not acceptable")
            headers = {"Docker_Content_Digest": _digest(data)} if registry.digest_header else {}
            return self._answer(200, data, Content_Type=media_type, **headers)

        def _put_manifest(self, repository: str, reference: str, body: bytes):
            content = json.loads(body)
            digest = _digest(body)
            if reference.startswith("sha256:") and reference != digest:
                return self._error(400, "DIGEST_INVALID")
            if content.get("mediaType") != self.headers.get("Content-Type"):
                return self._error(400, "MANIFEST_INVALID", "media type differs")
            for entry in content.get("manifests", []):
                if (repository, entry["digest"]) not in registry.manifests:
                    return self._error(400, "MANIFEST_BLOB_UNKNOWN", entry["digest"])
            for entry in [*content.get("layers", []), *([content["config"]] if "config" in content else [])]:
                blob = registry.blobs.get((repository, entry["digest"]))
                if blob is None or len(blob) != entry["size"]:
                    return self._error(400, "MANIFEST_BLOB_UNKNOWN", entry["digest"])
            for name in (reference, digest):
                registry.manifests[repository, name] = (self.headers["Content-Type"], body)
            subject = {"OCI_Subject": content["subject"]["digest"]} if registry.referrers and "subject" in content else {}
            return self._answer(201, Location=f"/v2/{repository}/manifests/{digest}", Docker_Content_Digest=digest, **subject)

        def _tags(self, repository: str, query: dict, **kwargs):
            tags = sorted(name for home, name in registry.manifests if home == repository and ":" not in name)
            if not tags:
                return self._error(404, "NAME_UNKNOWN")
            after = [tag for tag in tags if tag > query.get("last", [""])[0]]
            shown = after[: registry.tags_at_once]
            link = {"Link": f'</v2/{repository}/tags/list?last={shown[-1]}>; rel="next"'} if len(shown) < len(after) else {}
            return self._answer(200, json.dumps({"name": repository, "tags": shown}).encode(), **link)

        def _referrers(self, repository: str, digest: str, **kwargs):
            if not registry.referrers:
                return self._error(404, "NOT_FOUND")
            entries = []
            for (name, reference), (media_type, data) in registry.manifests.items():
                content = json.loads(data)
                if name == repository and reference == _digest(data) and content.get("subject", {}).get("digest") == digest:
                    entries.append({"mediaType": media_type, "digest": reference, "size": len(data)})
            index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
            return self._answer(200, json.dumps(index).encode(), Content_Type="application/vnd.oci.image.index.v1+json")

        def _blob(self, repository: str, digest: str, **kwargs):
            data = registry.blobs.get((repository, digest))
            if data is None:
                return self._error(404, "BLOB_UNKNOWN", "blob unknown")
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if registry.ranges else None
            start, end = (int(asked[1]), int(asked[2] or len(data)) + 1) if asked else (0, len(data))
            part = data[start:end]
            if self.command == "GET":
                registry.sent_bytes += len(part)
            if asked:
                return self._answer(206, part, Docker_Content_Digest=digest, Content_Range=f"bytes {start}-{start + len(part) - 1}/{len(data)}")
            return self._answer(200, part, Docker_Content_Digest=digest)

        def _keep(self, path: str, body: bytes, fault: Fault):
            """Lets a part of a blob through, then cuts the connection."""
            count = fault.keep
            repository, name = re.fullmatch(r"/v2/(.+)/blobs/(?:uploads/)?([^/]+)", path).groups()
            if name in registry.uploads:
                registry.uploads[name] += body[:count]
                return self._cut()
            data = registry.blobs[repository, name]
            self._leave()
            start = int(re.search(r"\d+", self.headers.get("Range", "0"))[0])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + count])
            registry.sent_bytes += len(data[start : start + count])
            if fault.until:
                fault.until.wait()
            # Without lingering: what was sent has to arrive.
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None

        def _start(self, repository: str, query: dict, **kwargs):
            mounted = registry.blobs.get((query["from"][0], query["mount"][0])) if "mount" in query else None
            if mounted is not None:
                registry.blobs[repository, query["mount"][0]] = mounted
                return self._answer(201, Location=f"/v2/{repository}/blobs/{query['mount'][0]}")
            upload = secrets.token_hex(8)
            registry.uploads[upload] = b""
            headers = {"OCI_Chunk_Min_Length": registry.min_chunk} if registry.min_chunk else {}
            return self._answer(202, Location=f"/v2/{repository}/blobs/uploads/{upload}?state=a%2Fb", **headers)

        def _upload(self, repository: str, upload: str, query: dict, body: bytes):
            if upload not in registry.uploads or query.get("state") != ["a/b"]:
                return self._error(404, "BLOB_UPLOAD_UNKNOWN")
            have = registry.uploads[upload]
            if self.command == "GET":
                return self._answer(204, Location=self.path, Range=f"0-{max(0, len(have) - 1)}")
            if self.command == "PATCH":
                first, last = map(int, self.headers["Content-Range"].split("-"))
                if first != len(have) or last != first + len(body) - 1:
                    return self._error(416, "BLOB_UPLOAD_INVALID", "chunk out of order")
                registry.chunk_sizes.append(len(body))
                registry.uploads[upload] = have + body
                # An absolute address with the other scheme, as registries behind a TLS proxy answer.
                return self._answer(202, Location=f"http://{registry.host}{self.path}")
            data = have + body
            if query["digest"] != [_digest(data)]:
                return self._error(400, "DIGEST_INVALID", "digest does not match")
            del registry.uploads[upload]
            registry.blobs[repository, query["digest"][0]] = data
            return self._answer(201, Location=f"/v2/{repository}/blobs/{query['digest'][0]}")

    return Handler
