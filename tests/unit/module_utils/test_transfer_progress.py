# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_progress import TransferProgress, transfer_text


@pytest.mark.parametrize(
    ("done", "seconds", "text"),
    [
        (0, 5, "0.0 of 300.0 MB, 0.0 MB/s"),
        (12_500_000, 5, "12.5 of 300.0 MB, 2.5 MB/s, about 115 s left"),
        (1_000_000, 10, "1.0 of 300.0 MB, 0.1 MB/s, about 50 min left"),
        (300_000_000, 10, "300.0 of 300.0 MB, 30.0 MB/s"),
        (1, 0, "0.0 of 300.0 MB, 0.0 MB/s"),
    ],
)
def test_texts(done, seconds, text):
    assert transfer_text(done, 300_000_000, seconds) == text


def test_what_need_not_be_moved_is_neither_done_nor_left():
    now, lines = [0.0], []
    progress = TransferProgress(lines.append, "mirror", 100_000_000, clock=lambda: now[0])
    progress.spare(40_000_000)
    progress(50_000_000)
    progress(-20_000_000)
    now[0] = 5.0
    progress(0)
    assert lines == ["mirror: 30.0 of 60.0 MB, 6.0 MB/s, about 5 s left"]


def test_a_line_now_and_then():
    now, lines = [0.0], []
    progress = TransferProgress(lines.append, "mirror", 100_000_000, clock=lambda: now[0])
    for second in range(1, 13):
        now[0] = float(second)
        progress(5_000_000)
    assert lines == ["mirror: 25.0 of 100.0 MB, 5.0 MB/s, about 15 s left", "mirror: 50.0 of 100.0 MB, 5.0 MB/s, about 10 s left"]
