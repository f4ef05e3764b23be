# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a location to the place that is read from or written to, each opened once a run."""

from __future__ import annotations

import os
import threading

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_archive import OciArchive, open_docker_archive
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import ImageFiles
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_layout import LayoutFolder
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import LAYOUT, OCI_ARCHIVE, REGISTRY, Location
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_access import RegistryAccess
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_place import RegistryPlace


class Places:
    """folder: takes archives that have to be expanded."""

    def __init__(self, access: RegistryAccess, folder: str):
        self._access, self._folder = access, folder
        self._open, self._lock = {}, threading.Lock()

    def source(self, location: Location) -> RegistryPlace | ImageFiles:
        """The place to read an image from.

        :raises Failure: there is no such file or folder, or it holds no images
        """
        return self._once(location, "pull")

    def target(self, location: Location) -> RegistryPlace | LayoutFolder:
        """The place to write an image to, which is no archive.

        :raises Failure: there is something else
        """
        return self._once(location, "pull,push")

    def existing(self, location: Location) -> ImageFiles | None:
        """The archive that is there now, None where there is none.

        :raises Failure: there is something else
        """
        return self._once(location, "pull") if os.path.lexists(location.path) else None

    def _once(self, location, access):
        # A folder that is written is the same one that is read.
        key = (*location.place, access if location.transport == REGISTRY else "")
        with self._lock:
            if key not in self._open:
                self._open[key] = self._make(location, access)
            return self._open[key]

    def _make(self, location, access):
        if location.transport == REGISTRY:
            return RegistryPlace(self._access.client(location.reference.host, access), location.reference.repository)
        if location.transport == LAYOUT:
            return LayoutFolder(location.path)
        if location.transport == OCI_ARCHIVE:
            return OciArchive(location.path, self._folder)
        return open_docker_archive(location.path, self._folder)
