# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads inventories as Ansible does, one after another, each in a child that is forked: loading Ansible is what takes the time.

One request a line of standard input: {"files": [path], "cache": bool, "environment": {}}; one answer a line of standard output:
{"groups": {name: [host]}, "variables": {host: {}}, "said": what went to standard error}.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib import import_module

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader


def read(request: dict) -> dict:
    """The groups and variables of these files, one inventory."""
    os.environ.update(request["environment"])
    inventory = InventoryManager(DataLoader(), sources=request["files"], cache=request["cache"])
    groups = {name: sorted(host.name for host in group.hosts) for name, group in inventory.groups.items() if name not in ("all", "ungrouped")}
    return {"groups": groups, "variables": {host.name: dict(host.vars) for host in inventory.hosts.values()}}


def answer(request: dict, pipe: int, said) -> None:
    """In the child: the answer goes into the pipe."""
    os.dup2(said.fileno(), 2)
    text = json.dumps(read(request), default=str)
    with os.fdopen(pipe, "w") as out:
        out.write(text)


def main() -> None:
    # What each child would load for itself.
    init_plugin_loader([os.environ["ANSIBLE_COLLECTIONS_PATH"]])
    import_module("ansible_collections.nanoagent.k8s.plugins.inventory.nodes")
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as said:
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                os.close(reading)
                answer(json.loads(line), writing, said)
                sys.stderr.flush()
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading) as pipe:
                text = pipe.read()
            os.waitpid(child, 0)
            said.seek(0)
            print(json.dumps({**json.loads(text or "{}"), "said": said.read()}), flush=True)


if __name__ == "__main__":
    main()
