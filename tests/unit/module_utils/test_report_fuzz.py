# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Whatever texts a cluster holds, each report is one that its readers take, and they stay texts."""

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import xmlschema
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_html, report_json, report_junit, report_markdown
from ansible_collections.nanoagent.k8s.plugins.module_utils.report_parts import visible
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, report, row
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parents[1] / "data/junit.xsd"))
READER = MarkdownIt("gfm-like", {"linkify": False}).disable("linkify")
MARKUP = [
    "<",
    ">",
    "</script>",
    "<!--",
    "&",
    "|",
    "`",
    "``",
    "\\",
    "\n",
    "*",
    "_",
    "[a](b)",
    "![",
    "]]>",
    '"',
    "'",
    "\x00",
    "\ud800",
    "\u2028",
    "@a",
    "# ",
    "<b>",
    "~~",
]
TEXTS = st.lists(st.one_of(st.sampled_from(MARKUP), st.text(st.characters(exclude_categories=()), max_size=4)), max_size=6).map("".join)
FIELDS = ("node", "pool", "zone", "reason", "detail", "fix", "version", "pod", "created", "os")
CASE = dict(enumerate(case for _weight, case in CASES))
ROWS = st.builds(
    lambda number, texts: row(**{"case": CASE[number], **texts}), st.sampled_from(sorted(CASE)), st.fixed_dictionaries(dict.fromkeys(FIELDS, TEXTS))
)


class Elements(HTMLParser):
    """The elements of a page, but for those of the place's separators."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag != "span":
            self.found.append((tag, sorted(name for name, _value in attrs)))


def plain(made):
    """The same report with harmless texts."""
    rows = [{**each, **{field: f"{field}{number}" for field in FIELDS}} for number, each in enumerate(made["nodes"])]
    groups = [{**group, "detail": "d", "reason": "r", "fix": "f" if group["fix"] else "", "nodes": ["n"]} for group in made["groups"]]
    return {**made, "nodes": rows, "groups": groups, "failures": ["x"] * len(made["failures"]), "daemon_sets": ["d"], "allowed": []}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(ROWS, max_size=4), st.lists(TEXTS, max_size=2), TEXTS, st.booleans())
def test_any_texts(rows, failures, name, installed):
    made = report(rows, failures=failures, daemon_sets=[name], installed=installed, allowed=[each["node"] for each in rows[:1]])
    assert json.loads(report_json.render(made))["nodes"] == json.loads(json.dumps(made["nodes"]))
    junit = report_junit.render(made)
    SCHEMA.validate(junit)
    assert len(ElementTree.fromstring(junit.encode()).findall(".//testcase")) == len(rows) + 1
    assert Elements(report_html.render(made)).found == Elements(report_html.render(plain(made))).found
    tokens = READER.parse(report_markdown.render(made))
    kinds = {token.type for each in tokens for token in [each, *(each.children or [])]}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open", "s_open", "fence", "blockquote_open"}
    assert visible(visible(name)) == visible(name)
