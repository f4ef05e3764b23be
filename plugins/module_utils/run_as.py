# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As whom our programs run that need no rights on their node. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import names

_NOBODY = 65532


def run_as(platforms: Iterable[dict]) -> dict:
    """Fields of the security context of a pod that does not run as root. platforms: of platforms.choose."""
    # OpenShift gives each namespace users of its own, and refuses others.
    return {"runAsNonRoot": True, **({} if "openshift" in names(platforms) else {"runAsUser": _NOBODY, "runAsGroup": _NOBODY})}
