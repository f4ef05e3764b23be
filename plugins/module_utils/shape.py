# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of objects that came from elsewhere: of the type that is expected, or that type's empty one. Pure."""

from __future__ import annotations

from datetime import datetime, timezone


def mapping(value) -> dict:
    """The value where it is a dict, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def records(value) -> list[dict]:
    """The dicts of a list; empty where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value) -> str:
    """The value where it is a str, otherwise an empty one."""
    return value if isinstance(value, str) else ""


def number(value) -> int:
    """The value where it is an int, otherwise 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def one_line(words) -> str:
    """The words as one line that can be shown: what moves a terminal's cursor, or cannot be seen, is replaced."""
    line = " ".join(str(words).split())
    return line if line.isprintable() else "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def at(value, *keys: str):
    """What stands at the end of a path of keys; None where the path ends before."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def seconds(stamp) -> float | None:
    """An RFC 3339 time, as the API server writes them, in seconds since 1970; None where it is none."""
    if not isinstance(stamp, str) or not stamp:
        return None
    try:
        moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


def stamp(moment: float | None) -> str:
    """Seconds since 1970 as RFC 3339 in UTC; empty for None and for what no calendar has."""
    if moment is None:
        return ""
    try:
        return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


def ago(age: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h, 2 d."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if age < limit:
            return f"{age / unit:.0f} {name}"
    return f"{age / 86400:.0f} d"
