# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storing an image of our own making in a registry, by the plainest requests there are."""

from __future__ import annotations

import requests
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import Image


def put(base: str, repository: str, image: Image, tag: str = "", session: requests.Session | None = None) -> None:
    """Stores all blobs, then all manifests, the outermost one by its tag where there is one.

    base: URL of the registry, without a path. session: has its login and authority.
    """
    session = session or requests.Session()
    url = f"{base}/v2/{repository}"
    for digest, data in image.blobs.items():
        started = session.post(f"{url}/blobs/uploads/")
        started.raise_for_status()
        # Some registries name the place of an upload without their host.
        location = requests.compat.urljoin(f"{base}/", started.headers["Location"])
        session.put(location, data=data, params={"digest": digest}, headers={"Content-Type": "application/octet-stream"}).raise_for_status()
    for digest, (media_type, data) in image.manifests.items():
        name = tag if tag and digest == image.root else digest
        session.put(f"{url}/manifests/{name}", data=data, headers={"Content-Type": media_type}).raise_for_status()
