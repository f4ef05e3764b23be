# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import as_stored, canonical_quantity, text_values


# What an API server of Kubernetes 1.36 gave back for a request of that much memory.
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("6000m", "6"),
        ("10240Mi", "10Gi"),
        ("100m", "100m"),
        ("512Mi", "512Mi"),
        ("0", "0"),
        ("0Mi", "0"),
        (".5", "500m"),
        ("1.5", "1500m"),
        ("0.5Gi", "512Mi"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("1024k", "1024k"),
        ("0.5Ki", "512"),
        ("1.1Ki", "1126400m"),
        ("100u", "1m"),
        ("1.0005", "1001m"),
        ("3.3Gi", "3543348019200m"),
        ("1E", "1E"),
        ("5e3", "5e3"),
        ("1e-3", "1e-3"),
        ("1.", "1."),
        (2, "2"),
        (0.5, "500m"),
        ("no amount", "no amount"),
    ],
)
def test_a_quantity_is_written_as_the_api_server_writes_it(given, stored):
    assert canonical_quantity(given) == stored and canonical_quantity(stored) == stored


def test_nothing_is_the_empty_text():
    assert text_values({"a": None, "b": True, "c": 1, "d": "x"}) == {"a": "", "b": "true", "c": "1", "d": "x"} and text_values(None) == {}


def test_what_the_api_server_does_not_keep_is_left_out_and_what_it_keeps_stays():
    given = {"a": None, "b": [], "c": {}, "d": 0, "e": False, "f": "", "g": [{"h": None, "i": 1}]}
    assert as_stored(given) == {"c": {}, "d": 0, "e": False, "f": "", "g": [{"i": 1}]}
