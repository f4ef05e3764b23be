# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was applied, remembered in the set's parent, so that a drift is seen without the options. Pure.

managedFields alone do not tell it: whoever changes a field takes it over, and of a field or object that is taken away
nothing is left. Text that is long is remembered by its digest, the values of Secrets are not remembered at all, so that
the parent stays small and may be read by whoever reads ConfigMaps. Nothing is compressed: compressors differ, and the
parent would change with the machine.
"""

from __future__ import annotations

import hashlib
import json

KEY = "objects.json"
_LONG = 200


def remember(objects: list[dict]) -> dict:
    """The parent's data that remembers these objects, the same bytes for the same objects in whatever order."""
    lines = sorted(json.dumps(comparable(obj), sort_keys=True, separators=(",", ":")) for obj in objects)
    return {KEY: "[" + ",\n".join(lines) + "]\n"}


def recall(parent: dict) -> list[dict] | None:
    """The objects as they were applied, each as `comparable` gives it; None where the parent does not remember."""
    try:
        objects = json.loads((parent.get("data") or {})[KEY])
    except (KeyError, ValueError):
        return None
    return objects if isinstance(objects, list) and all(_is_object(obj) for obj in objects) else None


def comparable(obj: dict) -> dict:
    """The object with long text as a digest and without the values of a Secret: what is remembered, and what that is compared with."""
    hidden = {part: dict.fromkeys(obj[part], "") for part in ("data", "stringData") if obj["kind"] == "Secret" and isinstance(obj.get(part), dict)}
    return _short({**obj, **hidden})


def _is_object(obj):
    return isinstance(obj, dict) and isinstance(obj.get("kind"), str) and isinstance(obj.get("metadata"), dict) and "name" in obj["metadata"]


def _short(value):
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_short(item) for item in value]
    if isinstance(value, str) and len(value) > _LONG:
        return "sha256:" + hashlib.sha256(value.encode()).hexdigest()
    return value
