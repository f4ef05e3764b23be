# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as ansible_collections.nanoagent.k8s, and runs modules in this process."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common import warnings

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core before 2.19

    @contextlib.contextmanager
    def patch_module_args(args):
        previous = basic._ANSIBLE_ARGS
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = previous


sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from checkout import collections_folder  # noqa: E402 (the path comes first)

sys.path.insert(0, str(collections_folder()))


@pytest.fixture
def run_module(capsys):
    """Run a module's main() as Ansible would: run_module(main, {"option": ...}, check_mode=True) gives its result."""

    def run(main, arguments: dict, check_mode: bool = False, diff: bool = False) -> dict:
        # Ansible keeps them for the whole process, which is one module's everywhere else.
        warnings._global_warnings.clear()
        with patch_module_args({**arguments, "_ansible_check_mode": check_mode, "_ansible_diff": diff}), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return run
