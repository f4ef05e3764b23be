# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long the last task took, in seconds, into the file that BENCH_TASK_TIME names."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_time
type: aggregate
short_description: Writes how long a task took into a file
version_added: 0.1.0
description:
  - For measurements only.
"""


class CallbackModule(CallbackBase):
    """From the moment a task is announced until its result is in."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_time"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task, is_conditional):
        """The clock starts."""
        self._begin = time.perf_counter()

    def v2_runner_on_ok(self, result):
        """The clock stops."""
        Path(os.environ["BENCH_TASK_TIME"]).write_text(str(time.perf_counter() - self._begin))
