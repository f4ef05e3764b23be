# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live copy of some objects, kept by list and watch."""

from __future__ import annotations

import threading

from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, text

_WATCH_SECONDS = 240
_PAUSE_AFTER_FAILURE = 1.0
_PAUSE_AFTER_STREAM = 0.1
_FAILURES_IN_A_ROW = 5


class Reflector(threading.Thread):
    """Lists, then watches, and lists again where the watch is too old (410) or the server was away.

    changed: a threading.Event that several reflectors share; it is set at every change, so that whoever clears it
    before looking misses none. failure: the Failure that ended the thread; None while it runs. trouble: the newest
    Failure, until a list comes again. synced: whether the first list has come. The thread ends with the process, or after
    stop(). known: (items, resourceVersion) of an earlier list to start from.
    """

    def __init__(
        self,
        cluster: Cluster,
        changed: threading.Event,
        kind: str,
        namespace: str | None = None,
        known: tuple[list[dict], str] | None = None,
        **selectors: str,
    ):
        super().__init__(daemon=True, name=f"reflector-{kind}")
        self.failure: Failure | None = None
        self.trouble: Failure | None = None
        self.synced = False
        self._cluster, self._changed = cluster, changed
        self._kind, self._namespace, self._selectors = kind, namespace, selectors
        self._objects: dict[str, dict] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._known = known

    def refreshed(self) -> bool:
        """Whether objects() are those of now: once the first list has come, the watch sees to it."""
        return self.synced

    def objects(self) -> list[dict]:
        """The objects as last seen."""
        with self._lock:
            return list(self._objects.values())

    def stop(self) -> None:
        """Lets the thread end at the next event, and forgets the objects."""
        self._stopped.set()
        with self._lock:
            self._objects = {}

    def run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                items, version = self._known or self._cluster.list(self._kind, self._namespace, **self._selectors)
                self._known = None
                failures, self.trouble = 0, None
                self._start_from(items)
                self._watch(version)
            except Failure as failure:
                failures, self.trouble = failures + 1, failure
                refused = isinstance(failure, ApiFailure) and failure.status in (401, 403)
                if refused or failures >= _FAILURES_IN_A_ROW:
                    self.failure = failure
                    self._changed.set()
                    return
                self._stopped.wait(_PAUSE_AFTER_FAILURE)

    def _start_from(self, items):
        with self._lock:
            self._objects = {} if self._stopped.is_set() else {_key(item): item for item in items}
        self.synced = True
        self._changed.set()

    def _watch(self, version):
        while not self._stopped.is_set():
            for event in self._cluster.watch(self._kind, self._namespace, version, _WATCH_SECONDS, **self._selectors):
                if self._stopped.is_set() or event["type"] == "ERROR":
                    # An ERROR event holds a Status, most often 410 Gone: only a new list helps.
                    return
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(event)
            # A server or proxy that ends every stream at once must not be asked without a pause.
            self._stopped.wait(_PAUSE_AFTER_STREAM)

    def _take(self, event):
        obj = event["object"]
        with self._lock:
            if event["type"] == "DELETED":
                self._objects.pop(_key(obj), None)
            else:
                self._objects[_key(obj)] = obj
        self._changed.set()


def _key(obj):
    """What tells an object from others: its uid, or where it has none its name."""
    return text(at(obj, "metadata", "uid")) or (text(at(obj, "metadata", "namespace")), text(at(obj, "metadata", "name")))
