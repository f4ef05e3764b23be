#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_inventory
short_description: Note which blobs a destination has, for a bundle that leaves them out
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Asks repositories of a registry for the images with a tag, and writes the digests and sizes of what these consist of to a file. It is
    carried to where M(nanoagent.k8s.bundle) makes the next bundle, with only what is missing. Only the destination is asked, so nobody has to
    remember what was carried over before.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.registries
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Number and size of the blobs of each repository.
  idempotent:
    support: full
options:
  repositories:
    description:
      - The repositories to ask, as C(host:port/path), without a tag. Those of other images count as well where they share layers.
    type: list
    elements: str
    required: true
  path:
    description:
      - The file to write, in an existing folder. It holds names of repositories, digests and sizes.
    type: path
    required: true
  parallel:
    description:
      - How many requests are made at once.
    type: int
    default: 12
seealso:
  - module: nanoagent.k8s.bundle
"""

EXAMPLES = r"""
- name: Note what the closed network's registry has
  nanoagent.k8s.bundle_inventory:
    repositories:
      - registry.example.com:5000/mirror/spyderbat/nano-agent
    path: /media/disk/inventory.json
    docker_config: ~/.docker/config.json
"""

RETURN = r"""
file:
  description: The file.
  returned: success
  type: str
  sample: /media/disk/inventory.json
repositories:
  description: For each repository the number and size of its blobs.
  returned: success
  type: dict
  sample:
    registry.example.com:5000/mirror/spyderbat/nano-agent: {blobs: 8, bytes: 155189248}
blobs:
  description: Number of different blobs in all.
  returned: success
  type: int
  sample: 8
bytes:
  description: Their size.
  returned: success
  type: int
  sample: 155189248
requests:
  description: Number of requests to each registry by HTTP method, and C(token) for those to its token service.
  returned: success
  type: dict
  sample:
    registry.example.com:5000: {GET: 5}
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_access
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_inventory import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish

RULES = {}


def argument_spec():
    return {
        "repositories": {"type": "list", "elements": "str", "required": True},
        "path": {"type": "path", "required": True},
        "parallel": {"type": "int", "default": 12},
        **registry_access.OPTIONS,
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
