# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image references as pod specs hold them. Pure."""

from __future__ import annotations

import re

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def is_pinned(image: str) -> bool:
    """Whether the reference ends in a sha256 digest, so that it names the same bytes everywhere and for ever."""
    return bool(_DIGEST.search(image))


def pull_policy(image: str) -> str:
    """Always for the tag latest or none; IfNotPresent for any other tag and for digests."""
    if is_pinned(image):
        return "IfNotPresent"
    tag = image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"
