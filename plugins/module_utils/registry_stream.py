# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs of any size from and to a registry: streamed, taken up again after a cut, or mounted; and what refers to an image."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils import patience
from ansible_collections.nanoagent.k8s.plugins.module_utils.blob_reader import PIECE, BlobReader, Body, WrongBytes
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import INDEX_TYPE
from ansible_collections.nanoagent.k8s.plugins.module_utils.read_ahead import read_ahead
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import Answer, Call, Registry, RegistryFailure, Transient
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import Slots
from ansible_collections.nanoagent.k8s.plugins.module_utils.upload_journal import UploadJournal, UploadNote

# A blob that did not get through in one piece goes in chunks of this size, or larger ones where the registry says so.
CHUNK = 16 << 20
# Some registries take this many parts of a blob at most.
_MOST_CHUNKS = 4000
# How often a list of referrers is asked for that comes damaged.
_LIST_TRIES = 4
# A larger blob is worth a note in the journal.
_NOTED = 4 << 20
# A larger blob comes in parts of this size, so many at the same time at most, where the fastest answer of its registry took at least so many seconds.
# Nearer ones give one stream as fast as this side can take it.
_PART, _MOST_PARTS, _FAR = 2 << 20, 6, 0.01
_BINARY = {"Content-Type": "application/octet-stream"}


class StreamingRegistry(Registry):
    """A Registry that is patient for some seconds without any progress, rather than for a number of attempts.

    :param patience_seconds: after which a request that keeps failing in ways that may pass is given up
    :param slots: how many requests it gets at once; as many as there are connections where none are given
    :param journal: of uploads, so that a later process goes on with them; none where none is given
    :param in_parts: whether blobs may come in several parts at once
    """

    def __init__(
        self,
        *arguments,
        patience_seconds: float = 60.0,
        chunk: int = CHUNK,
        slots: Slots | None = None,
        journal: UploadJournal | None = None,
        in_parts: bool = True,
        **options,
    ):
        super().__init__(*arguments, **options)
        self.slots = slots or Slots(self.connections)
        self._patience = patience_seconds
        self._chunk = chunk
        self._journal = journal or UploadJournal("")
        self._in_parts, self._nearest = in_parts, float("inf")

    def _pause(self, transient: Transient, tried: int, waited: float) -> float | None:
        return patience.pause(tried, waited, self._patience, transient.failure.status, transient.pause)

    def _attempt(self, call: Call, allowed: tuple, send: Callable | None = None) -> Answer:
        with self.slots.held():
            return super()._attempt(call, allowed, send)

    def _response(self, call, authorization):
        response = super()._response(call, authorization)
        if not call.open_body:
            self._nearest = min(self._nearest, response.elapsed.total_seconds())
        return response

    # -- downloads

    @property
    def is_far(self) -> bool:
        """Whether the fastest answer so far took long."""
        return self._nearest >= _FAR

    def blob_pieces(self, repository: str, descriptor: dict, start: int = 0, in_parts: bool = False) -> Iterator[bytes]:
        """The bytes of a blob from a position on. After a cut it goes on where it was, with growing pauses while nothing comes.

        The caller holds one of the slots as long as it reads. in_parts: whether a large blob of a registry far away comes in several parts at once.
        :raises RegistryFailure: the blob is not there, or no more comes
        """
        digest, size = descriptor["digest"], descriptor["size"]
        if in_parts and self._in_parts and self.is_far and size - start > 2 * _PART:

            def fetch(first: int, end: int, unwanted: threading.Event) -> list[bytes] | None:
                return self._part(repository, digest, first, end, unwanted)

            for piece in read_ahead(fetch, start, size, _PART, _MOST_PARTS, self.slots):
                start += len(piece)
                yield piece
        yield from self._pieces_to(repository, digest, start, size)

    def _part(self, repository, digest, first, end, unwanted):
        """A part of a blob in pieces; None where the registry knows no parts, or nobody wants it any more."""
        pieces = []
        try:
            for piece in self._pieces_to(repository, digest, first, end, unwanted):
                pieces.append(piece)
        except _NoParts:
            self._in_parts = False
            return None
        except _Unwanted:
            return None
        return pieces

    def _pieces_to(self, repository, digest, start, size, unwanted=None):
        """The bytes of a blob from a position to an end, that of the blob or, where there is an event that may end it, of a part.

        :raises _NoParts: it is to be a part, and the registry gives no parts
        :raises _Unwanted: the event has come
        """
        position, tried, began, empty = start, 0, time.monotonic(), 0
        while position < size:
            before = position
            try:
                for piece in self._pieces_once(repository, digest, position, size if unwanted else None):
                    position += len(piece)
                    tried, began = 0, time.monotonic()
                    yield piece
                    if unwanted and unwanted.is_set():
                        raise _Unwanted
                if position < size:
                    # Whatever is in between may have lost the rest; once there twice was none, there is none.
                    empty = empty + 1 if position == before else 0
                    call = self._blob_call(repository, digest, position, None)
                    short = self._failure(call, f"it ends after {position} of {size} bytes", "is the registry's storage damaged, or a proxy in between?")
                    raise short if empty == 2 else Transient(short)
            except Transient as transient:
                if unwanted and unwanted.is_set():
                    raise _Unwanted from None
                tried += 1
                self._rest(transient, tried, time.monotonic() - began)

    def _blob_call(self, repository: str, digest: str, position: int, end: int | None) -> Call:
        # Otherwise a server may compress what it sends, and the bytes would not be those of the digest.
        headers = {"Accept-Encoding": "identity"}
        if position or end:
            headers["Range"] = f"bytes={position}-{end - 1 if end else ''}"
        return Call("GET", self._url(repository, "blobs", digest), repository, f"blob {digest}", headers)

    def _pieces_once(self, repository, digest, position, end):
        call = self._blob_call(repository, digest, position, end)

        def send(call: Call, authorization: str | None) -> Answer:
            with self._transport(call):
                response = self._response(call, authorization)
                if response.status_code in (200, 206):
                    return Answer(response.status_code, response.headers, b"", response)
                return self._read(call, response)

        # The slot is that of whoever reads.
        answer = super()._attempt(call, (200, 206), send)
        # Where a server knows no ranges, everything comes again from the beginning.
        skip = position if answer.status == 200 else 0
        with answer.response as response:
            if end and answer.status == 200:
                raise _NoParts
            while end is None or position < end:
                with self._transport(call):
                    piece = response.raw.read(min(PIECE, end - position) if end else PIECE, decode_content=False)
                if not piece:
                    return
                dropped = min(skip, len(piece))
                skip -= dropped
                position += len(piece) - dropped
                if dropped < len(piece):
                    yield piece[dropped:] if dropped else piece

    # -- uploads

    def send_blob(self, repository: str, blob: BlobReader, mount_from: str = "") -> bool:
        """Makes the repository hold a blob; whether it could be mounted from another repository of this registry, so that nothing was sent.

        It goes in one request. Where that breaks, or is too much for something on the way, it goes in chunks, from where the registry has it.
        With a journal it goes on with what an earlier process has begun.
        :raises RegistryFailure: the registry does not take it
        """
        note = self._journal.note(self.host, repository, blob.digest) if blob.size > _NOTED else UploadNote()
        try:
            return self._send_noted(_Upload(self, repository, blob, mount_from, note))
        finally:
            note.close()

    def _send_noted(self, upload):
        tried, began = 0, time.monotonic()
        while True:
            sent = upload.sent
            try:
                return upload.attempt()
            except Transient as transient:
                if upload.sent > sent:
                    tried, began = 0, time.monotonic()
                tried += 1
                self._rest(transient, tried, time.monotonic() - began)
                if upload.is_there():
                    upload.note.record("")
                    return False

    # -- what refers to an image

    def referrers(self, repository: str, digest: str) -> list[dict]:
        """Descriptors of the manifests whose subject is this one, by the referrers API or else by its fallback tag."""
        found, url = [], self._url(repository, "referrers", digest)
        while url:
            call = Call("GET", url, repository, f"referrers of {digest}", {"Accept": INDEX_TYPE})
            answer, manifests = self._listed(call)
            if manifests is None:
                fallback = self.get_manifest(repository, referrers_tag(digest))
                return _index_entries(fallback["data"]) or [] if fallback else []
            found += manifests
            following = re.search(r'<([^>]*)>\s*;[^,]*rel="?next"?', answer.headers.get("Link", ""))
            url = following and urljoin(url, following[1])
            if url and not self._is_ours(url):
                break
        return found

    def _listed(self, call):
        """The answer about referrers with the descriptors in it; None for them where the registry has no such interface."""
        for _try in range(_LIST_TRIES):
            answer = self._run(call, allowed=(200, 400, 404, 405, 406, 501))
            manifests = _index_entries(answer.body) if answer.status == 200 else None
            if manifests is not None or answer.status != 200 or answer.headers.get("Content-Type", "").partition(";")[0] != INDEX_TYPE:
                return answer, manifests
        # To go on without it would leave signatures behind and say nothing.
        raise self._failure(call, "the answer is no list", "is the registry damaged, or a proxy in between?")


class _NoParts(Exception):
    """A registry answers a request for a part with the whole."""


class _Unwanted(Exception):
    """Nobody needs any more what is being fetched."""


class _Upload:
    """One blob on its way into a repository, over several attempts."""

    def __init__(self, registry: StreamingRegistry, repository: str, blob: BlobReader, mount_from: str, note: UploadNote):
        self._registry, self._repository, self._blob, self._mount_from, self.note = registry, repository, blob, mount_from, note
        self._what = f"blob {blob.digest}"
        self._chunk = max(registry._chunk, -(-blob.size // _MOST_CHUNKS))
        self._in_chunks = False
        self._location = None
        # Where an earlier process was, and whether this one goes on there.
        self._left, self._inherited = note.location, False
        self.sent = 0

    def attempt(self) -> bool:
        """Goes as far as it gets; whether the blob was mounted.

        :raises Transient: it may pass
        """
        try:
            mounted = self._location is None and not self._inherit() and self._start()
            if not mounted:
                self._send()
        except WrongBytes:
            self.note.record("")
            raise
        except RegistryFailure:
            if not self._inherited:
                raise
            # What the earlier process has left is of no use, or not what it should be.
            self.note.record("")
            self._location, self._inherited, self.sent = None, False, 0
            return self.attempt()
        self.note.record("")
        return mounted

    def _inherit(self):
        """Whether the registry still has what an earlier process has sent, and so how much of it."""
        left, self._left = self._left, ""
        try:
            self._inherited = bool(left) and self._find(left)
        except RegistryFailure:
            return False
        if self._inherited and self._blob.is_remote:
            # To read it again only to check it would cost what going on saves; the registry checks all of it in the end.
            self._blob.leave_out(self.sent)
        return self._inherited

    def _send(self):
        if not self._in_chunks:
            try:
                self._put(self._blob.size - self.sent)
                return
            except RegistryFailure as failure:
                if failure.status != 413 or self._blob.size <= self._chunk:
                    raise
            self._in_chunks = True
            self._start()
        while self.sent < self._blob.size:
            self._patch(min(self._chunk, self._blob.size - self.sent))
        self._put(0)

    def is_there(self) -> bool:
        """After a failed attempt: whether it has arrived all the same. If not, finds out where to go on."""
        registry = self._registry
        if registry.has_blob(self._repository, self._blob.digest):
            return True
        location, self._location = self._location, None
        self._in_chunks = self._in_chunks or self._blob.size > self._chunk
        if location and self._in_chunks:
            self._find(location)
        return False

    def _find(self, location):
        """Whether an upload is there with some of the blob; then it goes on there."""
        call = self._call("GET", location)
        answer = self._registry._run(call, allowed=(200, 202, 204, 400, 403, 404, 405, 416))
        there = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
        # An upload that has nothing yet says 0-0 too.
        if answer.status not in (200, 202, 204) or not there or not 0 < int(there[1]) < self._blob.size:
            return False
        self.sent = int(there[1]) + 1
        self._continue_at(self._registry._location(call, answer) if "Location" in answer.headers else location)
        return True

    def _continue_at(self, location):
        self._location = location
        # Storage elsewhere, and names in an address, are trusted by what the address says: that is no matter for a file.
        if self._registry._is_ours(location) and "@" not in urlsplit(location).netloc:
            self.note.record(location)

    def _start(self) -> bool:
        registry, self.sent = self._registry, 0
        url = registry._url(self._repository, "blobs", "uploads/")
        if self._mount_from:
            query = urlencode({"mount": self._blob.digest, "from": self._mount_from})
            call = self._call("POST", f"{url}?{query}", also_from=self._mount_from)
            try:
                answer = registry._attempt(call, allowed=(201, 202))
                if answer.status == 201:
                    return True
                return self._started(call, answer)
            except RegistryFailure:
                # Whoever may not read there can still send it.
                self._mount_from = ""
        call = self._call("POST", url)
        return self._started(call, registry._attempt(call, allowed=(202,)))

    def _started(self, call, answer):
        self._continue_at(self._registry._location(call, answer))
        least = answer.headers.get("OCI-Chunk-Min-Length", "")
        self._chunk = max(self._chunk, int(least) if least.isdigit() else 0)
        return False

    def _patch(self, length):
        registry, start = self._registry, self.sent
        headers = {**_BINARY, "Content-Range": f"{start}-{start + length - 1}"}
        call = self._call("PATCH", self._location, headers, lambda: Body(self._blob, start, length))
        self._blob.prepare(start)
        try:
            answer = registry._attempt(call, allowed=(202, 204))
        except RegistryFailure as failure:
            if failure.status in (404, 416):
                # The registry has forgotten the upload, or has another part of it.
                raise Transient(failure) from None
            raise
        self.sent += length
        self._continue_at(registry._location(call, answer))

    def _put(self, length):
        """Ends the upload, with the rest of the blob or nothing more."""
        start = self.sent
        parts = urlsplit(self._location)
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", self._blob.digest)])
        headers = {**_BINARY, "Content-Range": f"{start}-{start + length - 1}"} if start and length else _BINARY
        body = (lambda: Body(self._blob, start, length)) if length else lambda: b""
        call = self._call("PUT", urlunsplit(parts._replace(query=query)), headers, body)
        if length:
            self._blob.prepare(start)
        self._registry._attempt(call, allowed=(201, 204))

    def _call(self, method, url, headers=None, open_body: Callable | None = None, also_from=""):
        return Call(method, url, self._repository, self._what, headers or {}, open_body, also_from)


def _index_entries(body):
    """The descriptors of an index; None where it is none."""
    try:
        entries = json.loads(body)["manifests"]
        return [entry for entry in entries if isinstance(entry["digest"], str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def referrers_tag(digest: str) -> str:
    """The tag under which a registry without the referrers API keeps the list of what refers to a digest."""
    return digest.replace(":", "-")
