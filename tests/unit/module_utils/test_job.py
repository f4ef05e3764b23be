# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import secret_values

SECRET = {"no_log": True}


@pytest.mark.parametrize(
    ("spec", "options", "found"),
    [
        ({"a": SECRET, "b": {}}, {"a": "x", "b": "y"}, {"x"}),
        ({"a": SECRET}, {"a": ""}, set()),
        ({"a": SECRET}, {"a": None}, set()),
        ({"a": SECRET}, {"a": {"Authorization": "Bearer x", "n": 7, "none": ""}}, {"Bearer x", "7"}),
        ({"a": SECRET}, {"a": ["x", {"b": ["y"]}]}, {"x", "y"}),
        ({"a": {"options": {"b": SECRET}}}, {"a": {"b": {"c": "x"}}}, {"x"}),
        ({"a": {"options": {"b": SECRET}}}, {"a": [{"b": "x"}, {"b": "y"}]}, {"x", "y"}),
    ],
)
def test_each_value_of_a_secret_option_is_one(spec, options, found):
    assert secret_values(spec, options) == found
