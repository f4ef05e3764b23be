# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark of copies: attempts, and what it is called."""

from __future__ import annotations

import argparse

import pytest
from benchmark.mirror import SCENARIOS, Ended, add_arguments, title, until_done
from benchmark.process import BenchFailed


def attempts(*figures):
    """An attempt that ends with an error as long as its figures say so."""
    left = list(figures)

    def attempt():
        wall, memory, ended = left.pop(0)
        if ended:
            raise Ended("connection reset", {"wall": wall, "memory": memory})
        return {"wall": wall, "memory": memory}

    return attempt


def test_who_gives_up_pays_for_all_attempts():
    assert until_done("it", attempts((1, 9, True), (2, 30, True), (4, 20, False)), 5) == {"wall": 7, "memory": 30, "attempts": 3}


def test_one_attempt_is_not_counted():
    assert until_done("it", attempts((1, 9, False)), 1) == {"wall": 1, "memory": 9}


def test_there_is_an_end_to_attempts():
    with pytest.raises(BenchFailed, match="it is not done after 2 attempts: connection reset"):
        until_done("it", attempts((1, 9, True), (2, 30, True), (4, 20, False)), 2)


def parsed(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return parser.parse_args(words)


def test_some_scenarios_have_a_report_of_their_own():
    assert title(parsed()) == title(parsed("--only", ",".join(reversed(SCENARIOS)))) == "mirror"
    assert title(parsed("--only", "cold,rtt")) == "mirror, cold and rtt only"


def test_an_unknown_scenario_is_refused():
    with pytest.raises(argparse.ArgumentError, match="tepid: none of cold, warm, rtt, resets"):
        parsed("--only", "cold,tepid")
