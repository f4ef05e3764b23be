# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import shape

NOON = 1772366400.0


@pytest.mark.parametrize("value", [None, 5, "text", [], [1], True, {"a": 1}, [{"b": 2}, None]])
def test_a_value_of_another_type_is_the_type_s_empty_one(value):
    assert shape.mapping(value) == (value if isinstance(value, dict) else {})
    assert shape.records(value) == ([{"b": 2}] if value == [{"b": 2}, None] else [])
    assert shape.text(value) == (value if isinstance(value, str) else "")
    assert shape.number(value) == (5 if value == 5 else 0)
    assert shape.at(value, "a") == (1 if isinstance(value, dict) else None) and shape.at(value, "a", "b") is None


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01T12:00:00.500000Z", NOON + 0.5),
        ("2026-03-01T12:00:00", NOON),
        ("0001-01-01T00:00:00Z", -62135596800.0),
        ("noon", None),
        ("", None),
        (None, None),
        (5, None),
        ("+292277026596-12-04T15:30:07Z", None),
    ],
)
def test_times(said, moment):
    assert shape.seconds(said) == moment


def test_a_time_is_written_as_the_server_writes_it():
    assert shape.stamp(NOON + 0.9) == "2026-03-01T12:00:00Z"
    assert [shape.stamp(moment) for moment in (None, 1e18, float("nan"))] == ["", "", ""]


@pytest.mark.parametrize(("age", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (86400 * 3, "3 d")])
def test_ages(age, said):
    assert shape.ago(age) == said


def test_one_line_cannot_move_a_cursor():
    assert shape.one_line("a\n\tb  c\r") == "a b c"
    assert shape.one_line("\x1b[2Jgone\x00 \u202eback \N{LATIN SMALL LETTER E WITH ACUTE}") == "\ufffd[2Jgone\ufffd \ufffdback \u00e9"
