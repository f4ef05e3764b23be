# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Write `content` to `path`, for its owner only: ansible.builtin.copy starts two more processes for that."""

    def run(self, tmp=None, task_vars=None):
        with open(self._task.args["path"], "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(self._task.args["content"])
        return super().run(tmp, task_vars)
