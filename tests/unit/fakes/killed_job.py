# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's job in a process of its own, which is killed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from checkout import collections_folder

_CODE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
module, job = (importlib.import_module(f"ansible_collections.nanoagent.k8s.plugins.{kind}.{sys.argv[4]}") for kind in ("modules", "module_utils"))
job.work(ArgumentSpecValidator(module.argument_spec()).validate(json.loads(sys.argv[2])).validated_parameters, Run(temp_dir=sys.argv[3]))
"""


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that comes, for a minute at most."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def killed_once(wish: dict, folder: Path, reached: Callable[[], bool], module: str = "image_mirror") -> None:
    """Runs the module's job with some options, and kills it when the condition holds. folder: for temporary files."""
    # With a limit nothing comes in parts, however long this machine takes to answer.
    wish = {**wish, "rate_limit": "1G"}
    process = subprocess.Popen([sys.executable, "-c", _CODE, str(collections_folder()), json.dumps(wish), str(folder), module], env=dict(os.environ))
    try:
        until(lambda: reached() or process.poll() is not None)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
