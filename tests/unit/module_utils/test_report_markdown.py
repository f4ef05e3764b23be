# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_markdown
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import AT, CASES, cluster, report, row
from markdown_it import MarkdownIt

READER = MarkdownIt("gfm-like", {"linkify": False}).disable("linkify")
IMAGE = next(case for _weight, case in CASES if case[1] == "ImageNotFound")


def tables(text):
    """The cells' texts of each table, headers among them, as a reader of Markdown sees them."""
    found, cells = [], []
    for token in READER.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            cells = []
        elif token.type == "inline" and found:
            cells.append("".join(child.content for child in token.children or []))
        elif token.type == "tr_close":
            found[-1].append(cells)
    return found


def test_a_small_cluster_shows_every_node():
    numbers, nodes = tables(report_markdown.render(report([row("a"), row("b", pool="")])))
    assert numbers[0] == ["nodes", "real nodes", "eligible", "ready", "proven", "proof p50", "proof p99"]
    assert numbers[1] == ["2", "2", "2", "2", "2", "20.9 ms", "88.4 ms"]
    assert [line[:3] for line in nodes[1:]] == [["a", "✓ ready", "general"], ["b", "✓ ready", ""]]


def test_it_says_which_agent_where_and_when_and_why_not():
    text = report_markdown.render(report([row("a"), row("b", IMAGE)], failures=["1 of 2 eligible nodes is not ready"]))
    assert text.startswith("# Not accepted: 1 of 2 eligible nodes is not ready\n")
    assert f"`nanoagent/nanoagent`, `https://kubernetes.example:6443`, `Kubernetes v1.36.3`, `{AT}`" in text
    _numbers, groups, nodes = tables(text)
    assert groups[1][:3] == ["1", "✕ blocked", "ImageNotFound"] and "push the image first" in groups[1][4]
    assert nodes[2][4] == "ImageNotFound: registry.example/nanoagent/collector@sha256:1f0c: not found"


def test_a_large_cluster_is_folded_and_short():
    made = cluster(5000)
    text = report_markdown.render(made)
    assert f"<details>\n<summary>{sum(len(group['nodes']) for group in made['groups'])} nodes not well, the first 100</summary>" in text
    assert len(tables(text)[-1]) == 101
    # A comment on GitHub holds 65,536 characters.
    assert len(text) < 20_000
    assert "<details>" not in report_markdown.render(report([row(f"n{i}") for i in range(30)]))


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "a | b | c",
    "`code` ``more``",
    "*bold* _it_ ~~gone~~ #1 $x$",
    "line\n\n# heading\n- list",
    "\\",
    "&lt;b&gt;",
    "</details>",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["node", "pool", "detail", "fix", "zone"])
def test_what_comes_from_the_cluster_stays_text(field, text):
    for many in (0, 40):
        made = report([row(f"n{i}", pool="p") for i in range(many)] + [row("z", IMAGE, **{field: text})])
        *_others, nodes = tables(report_markdown.render(made))
        tokens = [child for token in READER.parse(report_markdown.render(made)) for child in [token, *(token.children or [])]]
        kinds = {token.type for token in tokens}
        assert not kinds & {"link_open", "image", "html_inline", "em_open", "strong_open", "s_open"}
        assert [token.content for token in tokens if token.type == "html_block"] == (
            ["<details>\n<summary>1 node not well</summary>\n", "</details>\n"] if many else []
        )
        assert len(nodes[-1]) == 5 and {len(line) for line in nodes} == {5}
        if field in ("node", "pool", "zone"):
            column = {"node": 0, "pool": 2, "zone": 3}[field]
            assert nodes[-1][column].strip() == " ".join(text.split())


def test_nobody_is_called_by_name_and_nothing_becomes_a_link_by_itself():
    text = report_markdown.render(report([row("a", IMAGE, detail="@octocat see https://evil.example or www.evil.example, image a@sha256:1")]))
    assert "@octocat" not in text and "https://evil" not in text and "www.evil" not in text and "a@sha256:1" in text
