# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that are listed at each look instead of watched, where each of thousands changes several times while somebody waits."""

from __future__ import annotations

import threading

from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.reflector import Reflector

_FAILURES_IN_A_ROW = 5


class Listing:
    """Of the shape of a Reflector, without a thread: `refreshed` asks the server.

    failure: the Failure after which there is nothing to be hoped for; trouble: the newest Failure, until a list comes again.
    """

    def __init__(self, cluster: Cluster, kind: str, namespace: str | None = None, **selectors: str):
        self.failure: Failure | None = None
        self.trouble: Failure | None = None
        self._cluster, self._kind, self._namespace, self._selectors = cluster, kind, namespace, selectors
        self._objects: list[dict] = []
        self._version = ""
        self._failures = 0

    def start(self) -> None:
        """Nothing runs beside the caller."""

    def stop(self) -> None:
        """Forgets the objects."""
        self._objects = []

    def refreshed(self) -> bool:
        """Lists; whether that came."""
        # Not two copies of thousands of objects at a time.
        self._objects = []
        try:
            self._objects, self._version = self._cluster.list(self._kind, self._namespace, **self._selectors)
        except Failure as failure:
            self._failures, self.trouble = self._failures + 1, failure
            refused = isinstance(failure, ApiFailure) and failure.status in (401, 403)
            self.failure = failure if refused or self._failures >= _FAILURES_IN_A_ROW else None
            return False
        self._failures, self.trouble = 0, None
        return True

    def objects(self) -> list[dict]:
        """The objects as last listed."""
        return self._objects

    def watched(self, changed: threading.Event) -> Reflector:
        """A Reflector at work that goes on from the last list; changed: as there."""
        known = (self._objects, self._version) if self._version else None
        reflector = Reflector(self._cluster, changed, self._kind, self._namespace, known, **self._selectors)
        reflector.start()
        return reflector
