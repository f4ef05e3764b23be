# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one HTML page that needs nothing else: a map of the cluster with a cell for each node. Pure.

All of the page's data stands in it as JSON, and its script makes elements of it by text only. The page's own policy
(Content-Security-Policy) lets no other script run and nothing be loaded, whatever the data holds.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape

from ansible_collections.nanoagent.k8s.plugins.module_utils import report_page, report_parts
from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import cause

_SHOWN = (
    *("node", "state", "reason", "detail", "fix", "passing", "eligible", "ready", "confidence", "evidence", "proof", "blockers"),
    *("daemon_set", "pod", "pods", "revision", "current", "image_ok", "cordoned", "up"),
    *("pool", "zone", "os", "arch", "kernel", "version", "runtime", "created"),
)
# Of a cause's nodes so many names stand on paper.
_NAMED = 40


def render(report: dict) -> str:
    """The page."""
    style, script = _colours() + report_page.STYLE, report_page.SCRIPT
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(report_parts.title(report))}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            _header(report),
            _causes(report),
            report_page.MAP,
            f'<script type="application/json" id="data">{_json(_data(report))}</script>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _header(report):
    verdict = "bad" if report["failures"] or not report["ok"] else "fair" if report["allowed"] else "good"
    place = " <span>·</span> ".join(_text(text) for text in report_parts.place(report))
    more = "".join(f"<li>{_text(line)}</li>" for line in report["failures"][1:])
    numbers = "".join(f"<div><dd>{_text(number)}</dd><dt>{_text(word)}</dt></div>" for word, number in report_parts.numbers(report))
    return "".join(
        [
            f'<header><button type="button" class="theme" hidden>Dark</button><p class="place">{place}</p>',
            f'<h1 class="{verdict}">{_text(report_parts.title(report))}</h1>',
            f'<ul class="more">{more}</ul>' if more else "",
            f'<dl class="numbers">{numbers}</dl></header>',
        ]
    )


def _causes(report):
    if not report["groups"]:
        return ""
    rows = []
    for group in sorted(report["groups"], key=lambda each: each["passing"]):
        names, reason = group["nodes"], _text(group["reason"])
        look = report_parts.group_look(group)
        rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        fix = f' <span class="fix">{_text(group["fix"])}</span>' if group["fix"] else ""
        rows.append(
            f'<tr><td><i class="{_class(look)}" aria-hidden="true"></i></td><td class="count">{len(names):,}</td>'
            f'<th scope="row"><button type="button" class="cause" data-look="{look}" data-reason="{reason}">{reason}</button></th>'
            f'<td class="how">{look}{", passes by itself" if group["passing"] else ""}</td>'
            f'<td><p>{_text(group["detail"])}{fix}</p><p class="names">{_text(", ".join(names[:_NAMED]) + rest)}</p></td></tr>'
        )
    return f'<section class="causes" aria-label="Causes"><h2>Not well</h2><table>{"".join(rows)}</table></section>'


def _data(report):
    """The rows as numbers of values, since most nodes of a cluster are alike in most."""
    values, numbers, rows = [], {}, []
    allowed = set(report["allowed"])
    for row in report["nodes"]:
        unwell = report_parts.is_unwell(row, report)
        cells = [row.get(key) for key in _SHOWN]
        cells += [report_parts.look(row, report), cause(row)[0] if unwell else row["reason"], unwell, row["node"] in allowed]
        line = []
        for cell in cells:
            # Writing each value as JSON would be most of the work; only what cannot be a key as it is has to be.
            key = cell if isinstance(cell, str) else (json.dumps(cell),)
            if key not in numbers:
                numbers[key] = len(values)
                values.append(cell)
            line.append(numbers[key])
        rows.append(line)
    states = [{"name": state, "class": _class(state), "glyph": look[0]} for state, look in report_parts.LOOKS.items()]
    return {"columns": [*_SHOWN, "look", "cause", "unwell", "allowed"], "values": values, "rows": rows, "states": states}


def _colours():
    def rules(fill, ink, root=""):
        return "".join(f"{root}.{_class(state)}{{--fill:{look[fill]};--glyph:{look[ink]}}}" for state, look in report_parts.LOOKS.items())

    glyphs = "".join(f".{_class(state)}::before{{content:'{look[0]}'}}" for state, look in report_parts.LOOKS.items())
    preferred = rules(3, 4, ":root:not([data-theme=light]) ")
    chosen = rules(3, 4, ":root[data-theme=dark] ")
    return f"{rules(1, 2)}{glyphs}@media screen and (prefers-color-scheme:dark){{{preferred}}}@media screen{{{chosen}}}"


def _class(state):
    return "s-" + state.replace(" ", "-")


def _text(text):
    return escape(report_parts.visible(text))


def _json(data):
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
