# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import rewritten, table_of

DIGEST = f"sha256:{'1' * 64}"
ROWS = (
    ("ghcr.io", "registry.example.com:5000/github"),
    ("ghcr.io/spyderbat", "registry.example.com:5000/mirror"),
    ("ghcr.io/spyderbat/nano-agent", "registry.example.com:5000/agents/nano"),
    ("docker.io", "registry.example.com:5000/hub"),
    ("docker.io/bitnami", "other.example/b"),
    ("nginx", "other.example/web"),
    ("quay.io/", "third.example"),
    ("[fd00::1]:5000/a", "localhost:5000"),
)


def table(rows=ROWS):
    return table_of([{"source": source, "destination": destination} for source, destination in rows])


def after(image, rows=ROWS):
    found = rewritten(table(rows), parse_reference(image))
    return found and str(found)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/spyderbat/nano-agent:1.0.90", "registry.example.com:5000/agents/nano:1.0.90"),
        ("ghcr.io/spyderbat/nano-agent/debug:1", "registry.example.com:5000/agents/nano/debug:1"),
        (f"ghcr.io/spyderbat/nano-agent:1@{DIGEST}", f"registry.example.com:5000/agents/nano:1@{DIGEST}"),
        ("ghcr.io/spyderbat/nano-agent2", "registry.example.com:5000/mirror/nano-agent2"),
        ("ghcr.io/spyderbats/agent", "registry.example.com:5000/github/spyderbats/agent"),
        ("ghcr.io/spyderbat:1", "registry.example.com:5000/mirror:1"),
        ("ghcr.io:443/spyderbat/agent", None),
        ("busybox", "registry.example.com:5000/hub/library/busybox"),
        ("docker.io/busybox:1", "registry.example.com:5000/hub/library/busybox:1"),
        ("index.docker.io/library/busybox", "registry.example.com:5000/hub/library/busybox"),
        ("bitnami/redis:7", "other.example/b/redis:7"),
        ("nginx:1", "other.example/web:1"),
        ("docker.io/library/nginx", "other.example/web"),
        ("docker.io/nginx/nginx-ingress", "other.example/web/nginx-ingress"),
        ("quay.io/a/b:c", "third.example/a/b:c"),
        ("[fd00::1]:5000/a/b", "localhost:5000/b"),
        ("registry.example.com:5000/mirror/nano-agent", None),
    ],
)
def test_the_longest_beginning_decides(image, expected):
    assert after(image) == expected
    assert after(image, list(reversed(ROWS))) == expected


def test_an_empty_table_covers_nothing():
    assert table_of(None) == table_of([]) == [] and rewritten([], parse_reference("busybox")) is None


def test_library_may_be_written_out():
    rows = [("library/nginx", "one.example/a"), ("docker.io/library", "two.example/b")]
    assert after("nginx", rows) == "one.example/a" and after("busybox", rows) == "two.example/b/busybox"


@pytest.mark.parametrize("seed", range(30))
def test_rewriting_only_ever_replaces_a_whole_beginning(seed):
    draw = random.Random(seed)
    parts = ["a", "ab", "b", "a-b"]

    def path(least):
        return "/".join(draw.choices(parts, k=draw.randint(least, 4)))

    rows = list({f"one.example/{path(1)}": f"two.example/x{number}" for number in range(6)}.items())
    for _number in range(30):
        image = f"one.example/{path(1)}"
        fitting = [(source, destination) for source, destination in rows if f"{image}/".startswith(f"{source}/")]
        longest = max(fitting, key=lambda row: len(row[0].split("/")), default=None)
        assert after(image, rows) == (longest and longest[1] + image[len(longest[0]) :])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("ghcr.io", "a.example"), ("docker://ghcr.io/", "b.example")], "the source ghcr.io twice"),
        ([("busybox", "a.example"), ("docker.io/busybox", "b.example")], "the source docker.io/busybox twice"),
        ([("ghcr.io/a:1", "a.example/a")], "no beginning of names.*without a tag"),
        ([(f"ghcr.io/a@{DIGEST}", "a.example/a")], "no beginning of names"),
        ([("", "a.example")], "no beginning of names"),
        ([("GHCR.io/A", "a.example")], "malformed source 'GHCR.io/A'"),
        ([("ghcr.io//a", "a.example")], "malformed source"),
        ([("ghcr.io", "mirror/a")], "destination 'mirror/a' without a registry"),
        ([("ghcr.io", "a.example:99999/b")], "malformed destination"),
        ([("ghcr.io", "https://a.example/b")], "malformed destination"),
        ([("ghcr.io", "a.example/b:1")], "no beginning of names"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(rows, message):
    with pytest.raises(Failure, match=message) as caught:
        table(rows)
    assert caught.value.next_step


def test_a_name_is_never_nothing_but_a_registry():
    rows = [("ghcr.io/a", "b.example")]
    assert after("ghcr.io/a/c", rows) == "b.example/c"
    with pytest.raises(Failure, match="takes ghcr.io/a to b.example, which leaves no repository"):
        after("ghcr.io/a", rows)
