# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests as text, the same bytes for the same options. Pure."""

from __future__ import annotations

import traceback

from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects

try:
    import yaml

    YAML_IMPORT_ERROR = None
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()


def rendered(options: dict, check_mode: bool = False, want_diff: bool = False) -> dict:
    """{"changed": False, "manifests": [object], "manifest": multi-document YAML} in apply order.

    Secrets are left out: their values must not stand in files; the caller applies them by state present.
    """
    objects = [obj for obj in desired_objects(options) if obj["kind"] != "Secret"]
    return {"changed": False, "manifests": objects, "manifest": manifest_text(objects)}


def manifest_text(objects: list[dict]) -> str:
    """The objects as YAML documents with sorted keys."""
    return "".join("---\n" + yaml.safe_dump(obj, sort_keys=True, default_flow_style=False, width=120) for obj in objects)
