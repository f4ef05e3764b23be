#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_relay
short_description: Hand a file on from node to node
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Fetches a file from another node, checks its digest, and serves it to further nodes for a while. The role P(nanoagent.k8s.preload#role) so has
    an archive of images sent to one node only.
  - The file is served by HTTP, under a path that nobody can guess, by a process that ends when it is told to or when its time is over. Whoever
    listens to the network can read it; nobody can change it unnoticed.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
attributes:
  check_mode:
    support: partial
    details:
      - Neither fetches, serves nor removes anything, and says C(changed) for V(serving).
  diff_mode:
    support: none
    details:
      - There is nothing to show a difference of.
  idempotent:
    support: partial
    details:
      - With V(serving) each run starts another server.
options:
  archive:
    description:
      - Path of the file on this node, in an existing folder that only its owner can write to.
    type: path
    required: true
  state:
    description:
      - V(serving) fetches the file where O(url) says from, and serves it. V(absent) ends the server at O(port) and O(path), and removes the file.
    type: str
    choices: [serving, absent]
    default: serving
  url:
    description:
      - Where another node serves it. Without it the file is there already.
    type: str
  sha256:
    description:
      - SHA-256 of the file in hex, needed with O(url).
    type: str
  port:
    description:
      - Port to serve at; V(0) is any that is free. With O(state=absent) the one that it was.
    type: int
    default: 0
  path:
    description:
      - RV(path) of the server that is to end.
    type: str
  time_limit:
    description:
      - Seconds after which the server ends by itself.
    type: int
    default: 3600
seealso:
  - module: nanoagent.k8s.node_image
"""

EXAMPLES = r"""
- name: Fetch from another node, and serve
  nanoagent.k8s.node_relay:
    archive: /root/images/images.tar
    url: http://192.0.2.7:40123/i8vPAvCc1h0NnTdUx7aRrZJcT3BvYg2p
    sha256: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
  register: relay

- name: End it
  nanoagent.k8s.node_relay:
    archive: /root/images/images.tar
    state: absent
    port: "{{ relay.port }}"
    path: "{{ relay.path }}"
"""

RETURN = r"""
port:
  description: The port that it is served at.
  returned: O(state=serving)
  type: int
  sample: 40123
path:
  description: The path of its URL.
  returned: O(state=serving)
  type: str
  sample: /i8vPAvCc1h0NnTdUx7aRrZJcT3BvYg2p
fetched:
  description: Bytes that were fetched.
  returned: O(state=serving)
  type: int
  sample: 155189248
served:
  description: How many nodes have fetched the whole file here; 0 where the server had ended before.
  returned: O(state=absent)
  type: int
  sample: 4
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_relay import work

RULES = {"required_by": {"url": ["sha256"]}}


def argument_spec():
    return {
        "archive": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["serving", "absent"], "default": "serving"},
        "url": {"type": "str"},
        "sha256": {"type": "str"},
        "port": {"type": "int", "default": 0},
        "path": {"type": "str"},
        "time_limit": {"type": "int", "default": 3600},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
