# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook without the second in which a Python reads Ansible's and the collection's code.

A process reads it once and forks itself for each playbook: what runs is Ansible's own command line, in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import traceback
import warnings

COLLECTION = "ansible_collections.nanoagent.k8s"
# Plugins of Ansible's that any playbook makes it read, with their documentation.
KINDS = ("callback", "connection", "filter", "inventory", "lookup", "shell", "strategy", "test", "vars")


class AnsiblePlaybook:
    """ansible-playbook in one environment."""

    def __init__(self, environment: dict):
        self._process = subprocess.Popen([sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, arguments: list[str]) -> subprocess.CompletedProcess:
        """Its exit code and what it wrote, once it has ended."""
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (stdout, stderr)]
            self._process.stdin.write(json.dumps({"arguments": arguments, "files": files, "folder": os.getcwd()}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            written = [file.seek(0) or file.read() for file in (stdout, stderr)]
        if not answer:
            raise RuntimeError(f"the process that forks ansible-playbook ended with {self._process.wait()}")
        return subprocess.CompletedProcess(["ansible-playbook", *arguments], int(answer), *written)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _playbook(cli: type, arguments: list[str], files: list[str], folder: str) -> int:
    """Run one playbook in this process, with its output in the two files; its exit code."""
    os.chdir(folder)
    for number, name in enumerate(("/dev/null", *files)):
        target = os.open(name, os.O_RDWR)
        os.dup2(target, number)
        os.close(target)
    sys.argv = ["ansible-playbook", *arguments]
    try:
        cli.cli_executor(sys.argv)
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def serve() -> None:
    """Run a playbook for each line of standard input, one after the other, and answer with its exit code."""
    cli = importlib.import_module("ansible.cli.playbook").PlaybookCLI
    importlib.import_module("ansible.executor.playbook_executor")
    loader = importlib.import_module("ansible.plugins.loader")
    loader.init_plugin_loader()
    for kind in KINDS:
        list(getattr(loader, f"{kind}_loader").all(class_only=True))
    # While a task runs, Ansible looks for its end a thousand times a second.
    importlib.import_module("ansible.constants").DEFAULT_INTERNAL_POLL_INTERVAL = 0.01
    # Each playbook does this again, and Ansible warns of that.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    importlib.import_module("ansible_collections.ansible.builtin")
    for plugin in pkgutil.iter_modules(importlib.import_module(f"{COLLECTION}.plugins.action").__path__):
        importlib.import_module(f"{COLLECTION}.plugins.action.{plugin.name}")
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            code = 70
            try:
                code = _playbook(cli, **asked)
            except Exception:
                traceback.print_exc()
            # Ansible's folder for temporary files is the parent's: only its end removes it.
            os._exit(code)
        _pid, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    serve()
