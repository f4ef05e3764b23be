# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as JSON: all of it, for programs. Pure."""

from __future__ import annotations

import json

# Counts up when a key goes away or changes its meaning; new keys do not count.
VERSION = 1
# What is made of the other keys for a terminal.
_FOR_PEOPLE = ("table", "headline", "reports")


def render(report: dict) -> str:
    """The report's data, one node a line, so that large ones can be read and compared by line too."""
    data = {"report_version": VERSION, **{key: value for key, value in report.items() if key not in _FOR_PEOPLE}}
    lines = [f"{json.dumps(key)}: {_nodes(value) if key == 'nodes' else _json(value)}" for key, value in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _nodes(rows):
    return "[\n" + ",\n".join(_json(row) for row in rows) + "\n]" if rows else "[]"


def _json(value):
    # Escaped to ASCII: a lone surrogate, as a mangled message may hold, has no bytes of its own.
    return json.dumps(value)
