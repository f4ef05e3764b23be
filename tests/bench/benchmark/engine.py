# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module image_mirror's own work without Ansible, in a process of its own: engine.py COLLECTIONS OPTIONS.

It has loaded everything before it begins, as the module has; it prints {"wall", "cpu"} in seconds as JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator  # noqa: E402 (the path comes first)
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure  # noqa: E402 (the path comes first)
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work  # noqa: E402 (the path comes first)
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run  # noqa: E402 (the path comes first)
from ansible_collections.nanoagent.k8s.plugins.modules.image_mirror import argument_spec  # noqa: E402 (the path comes first)

options = ArgumentSpecValidator(argument_spec()).validate(json.loads(Path(sys.argv[2]).read_text())).validated_parameters
with tempfile.TemporaryDirectory() as folder:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        work(options, Run(temp_dir=folder))
    except Failure as failure:
        sys.exit(failure.message)
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))
