# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_location import destination_of, source_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "transport", "wanted", "shown"),
    [
        ("busybox", "docker", "latest", "docker.io/library/busybox:latest"),
        ("docker://host.x:5000/a/b:1", "docker", "1", "host.x:5000/a/b:1"),
        (f"host.x/a:1@{DIGEST}", "docker", DIGEST, f"host.x/a:1@{DIGEST}"),
        (f"host.x/a@{DIGEST}", "docker", DIGEST, f"host.x/a@{DIGEST}"),
        ("oci:/a/b", "oci", "", "oci:/a/b"),
        ("oci:/a/b:1.0", "oci", "1.0", "oci:/a/b:1.0"),
        (f"oci:/a/b@{DIGEST}", "oci", DIGEST, f"oci:/a/b@{DIGEST}"),
        ("oci-archive:/a.tar:host.x/b:1", "oci-archive", "host.x/b:1", "oci-archive:/a.tar:host.x/b:1"),
        ("docker-archive:/a/../b.tar.gz", "docker-archive", "", "docker-archive:/b.tar.gz"),
    ],
)
def test_sources(text, transport, wanted, shown):
    location = source_of(text)
    assert (location.transport, location.wanted, str(location)) == (transport, wanted, shown)


@pytest.mark.parametrize(
    ("source", "destination", "shown"),
    [
        ("a.x/b:1", "c.x/d", "c.x/d:1"),
        ("a.x/b:1", "c.x/d:2", "c.x/d:2"),
        ("a.x/b", "c.x/d", "c.x/d:latest"),
        (f"a.x/b@{DIGEST}", "c.x/d", "c.x/d"),
        (f"a.x/b:1@{DIGEST}", "c.x:5000/d", "c.x:5000/d:1"),
        ("a.x/b:1", "oci:/folder", "oci:/folder:1"),
        ("a.x/b:1", "oci-archive:/f.tar:two", "oci-archive:/f.tar:two"),
        ("a.x/b:1", "docker-archive:/f.tar", "docker-archive:/f.tar:a.x/b:1"),
        ("docker-archive:/f.tar:a.x/b:1", "c.x/d", "c.x/d:1"),
        ("docker-archive:/f.tar", "c.x/d", "c.x/d"),
        ("oci:/f:1", "oci:/g", "oci:/g:1"),
    ],
)
def test_a_destination_without_a_tag_takes_the_source_s(source, destination, shown):
    assert str(destination_of(source_of(source), destination)) == shown


@pytest.mark.parametrize("text", ["", "oci:", "oci::1", "oci:/a@sha256:1", "ftp://a/b", "a b", "docker://", "host.x/a@1"])
def test_what_is_no_name(text):
    with pytest.raises(Failure) as refused:
        source_of(text)
    assert "Next: " in refused.value.message and "\n" not in refused.value.message


def test_the_same_place():
    one, two, other = (source_of(text) for text in ("a.x/b:1", "docker://a.x/b:2", "oci:/a"))
    assert one.place == two.place != other.place and source_of("oci:/a:1").place == other.place
    assert str(one.at(digest=DIGEST)) == f"a.x/b@{DIGEST}"
