# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import applyset

KINDS = "applyset.kubernetes.io/contains-group-kinds"


def parent(*kinds):
    members = [{"kind": kind, "metadata": {}} for kind in kinds]
    return applyset.parent("n", "ns", members, {})


def test_the_id_is_that_of_the_convention():
    # base64url(sha256("<name>.<namespace>.<kind>.<group>")), as KEP-3659 says; this value was computed with openssl.
    assert applyset.set_id("n", "ns") == "applyset-c771OkL8OFf3hIdAsAbErhlpllOZkBfnJzsgrj381As-v1"


def test_kinds_are_searched_where_the_parent_says():
    assert applyset.kinds_to_search(parent("DaemonSet", "ServiceAccount"), {}) == ["ServiceAccount", "DaemonSet"]


def test_without_a_parent_every_kind_is_searched():
    anywhere = applyset.kinds_to_search(None, {"kind": "Namespace"})
    assert {"DaemonSet", "ClusterRole", "Secret"} <= set(anywhere) and "Namespace" not in anywhere
    without_namespace = applyset.kinds_to_search(None, None)
    assert "ClusterRole" in without_namespace and "DaemonSet" not in without_namespace


def test_a_parent_is_wide_during_an_update():
    wide = applyset.widened(parent("DaemonSet"), parent("Secret"), extra="x")
    assert wide["metadata"]["annotations"][KINDS] == "DaemonSet.apps,Secret"
    assert wide["metadata"]["annotations"]["extra"] == "x"
    assert applyset.widened(parent("DaemonSet"), None) == parent("DaemonSet")
