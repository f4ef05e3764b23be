# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible_collections.nanoagent.k8s.plugins.module_utils.archive_contents import read_contents
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.modules import node_image


class ActionModule(ActionBase):
    """node_image: reads the archive here, asks the node, and copies the archive where the node lacks an image."""

    TRANSFERS_FILES = True
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp=None, task_vars=None):
        """The task's result."""
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=node_image.argument_spec(), **node_image.RULES)
        try:
            if options["remote_src"] or not options["archive"]:
                result.update(self._ask(options, task_vars))
                result["copied"] = 0
            else:
                result.update(self._bring(options, task_vars))
        except Failure as failure:
            result.update({"failed": True, **failure.result()})
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _bring(self, options, task_vars):
        archive = os.path.expanduser(options["archive"])
        if options["contents"] is None:
            with tempfile.TemporaryDirectory(prefix="nanoagent-", dir=C.DEFAULT_LOCAL_TMP) as folder:
                options = {**options, "contents": read_contents(archive, options["images"], folder)}
        asked = self._ask({**options, "archive": None}, task_vars)
        if asked.get("failed") or not asked["changed"] or self._task.check_mode:
            return asked if asked.get("failed") else {**asked, "copied": 0}
        folder = self._connection._shell.tmpdir
        there = self._connection._shell.join_path(folder, "images.tar")
        self._transfer_file(archive, there)
        self._fixup_perms2((folder, there))
        return {**self._ask({**options, "archive": there}, task_vars), "copied": os.path.getsize(archive)}

    def _ask(self, options, task_vars):
        given = {name: value for name, value in options.items() if value is not None}
        return self._execute_module(module_args=given, task_vars=task_vars)
