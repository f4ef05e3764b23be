# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics, records and their layout."""

from __future__ import annotations

import pytest
from benchmark.layout import markdown, number, replace_section, text
from benchmark.process import Usage
from benchmark.record import Ratio, Record
from benchmark.summary import Summary, paired_ratio, summarize


def test_summary():
    assert summarize([3.0, 1.0, 2.0]) == Summary(2.0, 1.0, 3.0, 3)


def test_ratio_compares_values_of_the_same_round():
    # The machine was ten times slower in the second round; the ratio is 2 in each all the same.
    assert paired_ratio([2.0, 20.0], [1.0, 10.0]) == Summary(2.0, 2.0, 2.0, 2)


def test_ratio_leaves_out_rounds_that_cannot_be_compared():
    assert paired_ratio([1.0, 4.0], [0.0, 2.0]).count == 1


def test_record_keeps_order_and_units():
    record = Record({})
    record.add("a", {"wall": 1.0, "cpu": 0.5})
    record.add("a", {"wall": 3.0, "cpu": 0.5})
    wall, cpu = record.rows()
    assert wall == {"arm": "a", "figure": "wall", "unit": "s", "median": 2.0, "min": 1.0, "max": 3.0, "count": 2}
    assert cpu["figure"] == "cpu"


def test_what_every_command_has_needs_no_unit_of_a_benchmark_s_own():
    record = Record({"requests": "calls"})
    record.add("a", Usage(1.0, 2.0, 3.0, "").figures() | {"requests": 4})
    assert {row["figure"]: row["unit"] for row in record.rows()} == {"wall": "s", "cpu": "s", "memory": "MiB", "requests": "calls"}


def test_ratio_of_an_arm_that_did_not_run_is_left_out():
    record = Record({})
    record.add("a", {"wall": 1.0})
    record.add("b", {"wall": 2.0})
    found = record.ratios([Ratio("b / a", "b", "a"), Ratio("c / a", "c", "a"), Ratio("b / a", "b", "a", "cpu")])
    assert [row["ratio"] for row in found] == ["b / a"]
    assert found[0]["median"] == 2.0


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0.0, "0"), (3.0, "3"), (12345.0, "12,345"), (1234.5, "1,234"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.01234, "0.012")],
)
def test_number(value, wanted):
    assert number(value) == wanted


@pytest.fixture
def report():
    record = Record({}, facts=["a fact"])
    record.add("one", {"wall": 1.5})
    record.add("another", {"wall": 3.0})
    ratios = record.ratios([Ratio("another / one", "another", "one")])
    return {"bench": "image", "date": "a day", "machine": "a machine", "rows": record.rows(), "ratios": ratios, "facts": record.facts}


def test_text_has_aligned_columns(report):
    lines = text(report).splitlines()
    one, another = (next(line for line in lines if line.startswith(arm)) for arm in ("one ", "another "))
    assert one.index("wall") == another.index("wall")
    assert lines[-1] == "a fact"
    assert any(line.startswith("another / one") and "2.00" in line for line in lines)


def test_markdown_holds_the_same(report):
    section = markdown(report)
    assert section.startswith("## image\n")
    assert "| one | wall | s | 1.50 | 1.50 | 1.50 | 1 |" in section
    assert "| another / one | wall | 2.00 | 2.00 | 2.00 |" in section
    assert "- a fact" in section


def test_section_is_added_then_replaced_and_others_stay():
    document = replace_section("# Results\n", "image", "old\n")
    document = replace_section(document, "install", "other\n")
    document = replace_section(document, "image", "new \\1\n")
    assert "old" not in document
    assert document.index("new \\1") < document.index("other")
    assert document.startswith("# Results\n\n")
    assert replace_section(document, "install", "other\n") == document
