# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_html
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, cluster, report, row

IMAGE = next(case for _weight, case in CASES if case[1] == "ImageNotFound")
# Elements that load, run or lead elsewhere; the page has one style and two scripts, one of which is data.
ELSEWHERE = {"img", "link", "iframe", "object", "embed", "a", "form", "svg", "base", "video", "audio", "source", "import"}


class Page(HTMLParser):
    """Elements with their attributes, and the text in each kind of them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._inside = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.texts.setdefault(self._inside, []).append(data)


def unpacked(page):
    data = json.loads(page.texts["script"][0])
    return [dict(zip(data["columns"], (data["values"][number] for number in numbers))) for numbers in data["rows"]]


@pytest.mark.parametrize("made", [report([]), report([row("a")]), cluster(500)])
def test_all_it_needs_stands_in_it(made):
    page = Page(report_html.render(made))
    tags = [tag for tag, _attributes in page.elements]
    assert not ELSEWHERE & set(tags)
    assert (tags.count("style"), tags.count("script")) == (1, 2)
    assert not [name for _tag, attributes in page.elements for name in attributes if name in ("src", "href", "style") or name.startswith("on")]
    assert "url(" not in page.texts["style"][0] and "@import" not in page.texts["style"][0]


def test_its_policy_names_its_own_style_and_script_and_nothing_else():
    page = Page(report_html.render(cluster(10)))
    [policy] = [attributes["content"] for tag, attributes in page.elements if attributes.get("http-equiv") == "Content-Security-Policy"]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    digest = {tag: "'sha256-" + base64.b64encode(hashlib.sha256(page.texts[tag][-1].encode()).digest()).decode() + "'" for tag in ("style", "script")}
    assert parts == {"default-src": "'none'", "style-src": digest["style"], "script-src": digest["script"], "base-uri": "'none'", "form-action": "'none'"}


def test_the_data_is_that_of_the_nodes():
    made = cluster(300)
    made["allowed"] = [made["nodes"][7]["node"]]
    found = unpacked(Page(report_html.render(made)))
    assert [node["node"] for node in found] == [each["node"] for each in made["nodes"]]
    for node, each in zip(found, made["nodes"]):
        assert all(node[key] == each.get(key) for key in node if key not in ("look", "cause", "unwell", "allowed"))
        assert node["unwell"] == (each["eligible"] and each["state"] != "ready")
    assert [node["node"] for node in found if node["allowed"]] == made["allowed"]


def test_thousands_of_nodes_are_a_small_page():
    assert len(report_html.render(cluster(5000))) < 1_200_000


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "]]>",
    "\u2028\u2029",
    "&lt;script&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_comes_from_the_cluster_is_never_markup(text):
    harmless, hostile = (
        report(
            [row(f"a{word}", IMAGE, pool=word, zone=word, detail=f"d{word}", fix=word, version=word, reason=f"r{word}", pods=[word])],
            cluster={"server": f"s{word}", "version": word},
            daemon_sets=[word or "x"],
            failures=[f"f{word}", f"g{word}"],
        )
        for word in ("", text)
    )
    page, plain = Page(report_html.render(hostile)), Page(report_html.render(harmless))
    assert [tag for tag, _attributes in page.elements if tag != "span"] == [tag for tag, _attributes in plain.elements if tag != "span"]
    assert unpacked(page)[0]["detail"] == f"d{text}"
    assert re.search(r"</?script|<!--|<img", page.texts["script"][0]) is None
