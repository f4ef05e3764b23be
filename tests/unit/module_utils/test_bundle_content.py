# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of bundles: there and back, and whatever else stands in their place."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_content import Content, read_description, why_not
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import canonical_json
from hypothesis import given
from hypothesis import strategies as st

DIGESTS = ["sha256:" + digit * 64 for digit in "abcdef"]
ROOT = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": DIGESTS[0], "size": 400}
CONTENT = Content(
    images=[{"name": "example.com/app:1", "source": "", "digest": DIGESTS[0], "original": DIGESTS[0], "platforms": [], "referrers": []}],
    files=[{"name": "a/b", "digest": DIGESTS[2], "size": 70_000}],
    index=[{**ROOT, "annotations": {"org.opencontainers.image.ref.name": "example.com/app:1"}}],
    manifests=[ROOT],
    blobs=[{"digest": DIGESTS[1], "size": 300_000}, {"digest": DIGESTS[2], "size": 70_000}],
    needs=[{"digest": DIGESTS[3], "size": 5, "at": ["registry.example.com/app"]}],
    media_size=200_000,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.sampled_from([*DIGESTS, "..", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """The path of each value within a value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def test_there_and_back():
    assert read_description(CONTENT.description, "here") == CONTENT
    assert json.loads(CONTENT.description)["parts"] == [{"name": part.name, "size": part.size} for part in CONTENT.parts] and len(CONTENT.parts) == 2


@given(data=st.data())
def test_whatever_stands_in_some_place_is_taken_as_it_is_or_refused(data):
    described = json.loads(CONTENT.description)
    path, value = data.draw(st.sampled_from([path for path in places(described) if path])), data.draw(VALUES)
    changed = copy.deepcopy(described)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    raw = canonical_json(changed) if data.draw(st.booleans()) else json.dumps(changed).encode()
    try:
        assert read_description(raw, "here").description == raw
    except Failure as failure:
        assert "here" in failure.message and "\n" not in failure.message


@given(raw=st.binary(max_size=200))
def test_any_bytes_are_refused(raw):
    with pytest.raises(Failure, match="is no description of a bundle|is a bundle of version|is damaged"):
        read_description(raw, "here")


@pytest.mark.parametrize(
    "names", [["/a"], ["../a"], ["a/../b"], ["a/./b"], ["a//b"], ["a/"], [""], ["a\\b"], ["a\0"], ["x" * 201], ["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"]]
)
def test_names_that_lead_elsewhere(names):
    assert why_not(names) and not why_not(["a", "b/c", "b/d/e", "..a", "a..", "naïve file (1).txt"])
