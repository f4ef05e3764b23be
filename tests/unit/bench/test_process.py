# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measured command's figures are its own."""

from __future__ import annotations

import sys

import pytest
from benchmark.process import BenchFailed, measured


def test_the_memory_of_who_measures_does_not_count():
    large = bytearray(b"x") * (200 << 20)
    assert measured([sys.executable, "-I", "-S", "-c", "pass"]).memory < 60
    assert len(large) == 200 << 20


def test_a_large_command_is_seen_as_large():
    usage = measured([sys.executable, "-c", "print('done', len(bytearray(b'x') * (100 << 20)))"])
    assert usage.memory > 100 and usage.output == f"done {100 << 20}\n"


def test_an_exit_code_that_is_not_known_ends_the_benchmark():
    with pytest.raises(BenchFailed, match="ended with 3:\nsorry"):
        measured(["sh", "-c", "echo sorry; exit 3"])
    assert measured(["sh", "-c", "exit 3"], known=(0, 3)).output == ""


def test_a_command_that_is_not_there_ends_the_benchmark():
    with pytest.raises(BenchFailed, match="nowhere-to-be-found: No such file"):
        measured(["nowhere-to-be-found"])
