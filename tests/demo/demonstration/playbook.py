# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's playbook, run as a user runs it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.version import VERSION

from demonstration.checkout import CHECKOUT, collections_folder
from demonstration.environment import Environment


def open_variables(environment: Environment) -> dict:
    """The variables that may stand on a command line."""
    variables = {"collector_image_name": f"{environment.registry}/nanoagent/collector:{VERSION}"}
    if environment.plain_http:
        variables["collector_image_plain_http"] = "true"
    if environment.ca_cert:
        variables["collector_image_ca_cert"] = environment.ca_cert
    return variables


def secret_variables(environment: Environment) -> dict:
    """The variables that must not: the registry's login for this machine and for the nodes."""
    if not environment.username:
        return {}
    login = {"username": environment.username, "password": environment.password}
    host = parse_reference(f"{environment.registry}/nanoagent/collector").host
    return {"collector_image_username": login["username"], "collector_image_password": login["password"], "agent_registry_login": {"registry": host, **login}}


def run_site(environment: Environment) -> None:
    """Image, install, verify.

    :raises Failure: the playbook failed; it has said why
    """
    # Without an inventory it is Ansible's implicit localhost, which runs modules with the Python that Ansible runs with.
    command = ["ansible-playbook", "nanoagent.k8s.site"]
    for name, value in open_variables(environment).items():
        command += ["-e", f"{name}={value}"]
    print("$ " + shlex.join(command), flush=True)
    secrets = secret_variables(environment)
    with tempfile.TemporaryDirectory(prefix="nanoagent-demo-") as folder:
        if secrets:
            # The folder is for this user only; on a command line everyone could read them.
            path = Path(folder) / "secrets.json"
            path.write_text(json.dumps(secrets))
            command += ["-e", f"@{path}"]
        command[0] = str(programs_folder() / "ansible-playbook")
        try:
            done = subprocess.run(command, env=_variables(), cwd=CHECKOUT, check=False)
        except FileNotFoundError:
            raise Failure("ansible-playbook is not installed beside this Python", "run 'make demo', which installs it into .venv") from None
    if done.returncode:
        raise Failure(f"the playbook nanoagent.k8s.site failed (exit code {done.returncode})", "its output above names the cause")


def programs_folder() -> Path:
    """Where ansible-playbook is: beside the Python that runs this."""
    return Path(sys.executable).parent


def _variables() -> dict:
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(collections_folder()),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        # Ansible refuses to start in a locale that is not UTF-8, such as the C that a bare machine may have.
        "LC_ALL": "C.UTF-8",
    }
