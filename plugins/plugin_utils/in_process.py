# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's job inside Ansible's own process where the module would run on this machine anyway.

It saves packing the module and starting one more Python, about half a second a task, and lets a job show its progress
while it runs, which a module cannot. Everywhere else the module runs as any other.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.json import AnsibleJSONEncoder
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run, secret_values

display = Display()


class InProcessAction(ActionBase):
    """The action of one module.

    module: its Python file, which has argument_spec(), RULES and work(options, run). import_error: why a library that
    the job needs cannot be imported here; None where it can.
    """

    _supports_check_mode = True
    _supports_diff = True
    _supports_async = True
    module = None
    import_error = None

    def run(self, tmp=None, task_vars=None):
        """The task's result."""
        result = super().run(tmp, task_vars)
        if not self._is_here(task_vars or {}):
            asynchronous = self._task.async_val and not self._connection.has_native_async
            result.update(self._execute_module(task_vars=task_vars, wrap_async=asynchronous))
            if not asynchronous:
                self._remove_tmp_path(self._connection._shell.tmpdir)
            return result
        spec = self.module.argument_spec()
        # Plain types: what templating gives carries marks that only Ansible understands, and vaulted values.
        self._task.args = json.loads(json.dumps(self._task.args, cls=AnsibleJSONEncoder, vault_to_text=True))
        try:
            _validation, options = self.validate_argument_spec(argument_spec=spec, **self.module.RULES)
        except AnsibleActionFail as error:
            # Ansible would show the task's arguments beside it, whatever they hold.
            return {**result, "failed": True, "msg": remove_values(str(error), secret_values(spec, self._task.args))}
        secrets = secret_values(spec, options)
        result.update(remove_values(self._work(options, secrets, task_vars["inventory_hostname"]), secrets))
        result["invocation"] = {"module_args": remove_values(options, secrets)}
        return result

    def _is_here(self, task_vars):
        """Whether the module would run on this machine, as this user, with a Python that is as good as this one."""
        chosen = task_vars.get("ansible_python_interpreter")
        ours = chosen is None or _is_this_python(str(self._templar.template(chosen)))
        # macOS forbids what the HTTP libraries ask of it in a process that was forked, as Ansible's workers are.
        usable = self.import_error is None and sys.platform != "darwin"
        return usable and ours and self._connection.transport == "local" and not self._connection.become and not self._task.async_val

    def _work(self, options, secrets, host):
        environment = {}
        self._compute_environment_string(environment)
        with _environment(environment), tempfile.TemporaryDirectory(prefix="nanoagent-", dir=C.DEFAULT_LOCAL_TMP) as folder:
            run = Run(self._task.check_mode, self._task.diff, folder, secrets, _teller(host, secrets), self.module.argument_spec())
            try:
                return {"changed": False, **self.module.work(options, run)}
            except Failure as failure:
                return {"failed": True, "changed": False, **failure.result()}


def _is_this_python(chosen):
    """Whether an interpreter setting means the Python that runs here, under whichever of its names; `auto` means any."""
    if chosen.startswith("auto"):
        return True
    # In a virtual environment each name leads to the same file outside: the folder counts as well.
    return os.path.dirname(chosen) == os.path.dirname(sys.executable) and os.path.realpath(chosen) == os.path.realpath(sys.executable)


def _teller(host, secrets):
    def say(line):
        display.display(f"[{host}] {remove_values(line, secrets)}")

    return say


@contextmanager
def _environment(extra):
    """The task's `environment` for the time of the job, since exec plugins of a kubeconfig read it too."""
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in extra.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
