# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure


@pytest.mark.parametrize(
    ("what", "next_step", "message"),
    [
        ("it broke", "mend it", "it broke. Next: mend it."),
        ("it broke.", "mend it.", "it broke. Next: mend it."),
        ("it\n  broke", "", "it broke."),
        ("it broke", "write name@sha256:...", "it broke. Next: write name@sha256:..."),
    ],
)
def test_the_message_is_one_line_that_ends_in_a_stop(what, next_step, message):
    assert Failure(what, next_step).message == message
    assert Failure(what, next_step, count=1).result() == {"msg": message, "count": 1}
