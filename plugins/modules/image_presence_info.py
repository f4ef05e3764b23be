#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_presence_info
short_description: Which nodes hold an image already
version_added: 0.1.0
description:
  - Reads from the nodes' status which of them hold an image, so that a pod can start there without a registry. One request, and one more for each
    250 nodes.
  - A kubelet names its 50 largest images, with five names each, unless its C(nodeStatusMaxImages) says otherwise. A node that names as many may
    hold an image that it does not name. A change shows within a minute or so.
author:
  - The nanoagent.k8s maintainers (@nanoagent)
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.connection
attributes:
  check_mode:
    support: full
    details:
      - The module changes nothing.
  diff_mode:
    support: none
    details:
      - There is nothing to show a difference of.
  idempotent:
    support: full
options:
  images:
    description:
      - The images as pods name them. With a digest it is the digest that counts, else the tag, which is V(latest) where there is none.
    type: list
    elements: str
    required: true
  selector:
    description:
      - Only nodes with these labels, as C(kubectl) takes them.
    type: str
seealso:
  - module: nanoagent.k8s.node_image
"""

EXAMPLES = r"""
- name: See which nodes hold the image
  nanoagent.k8s.image_presence_info:
    images:
      - registry.example.com/security/nano-agent:1.0.90
  register: presence

- name: Insist that every node does
  ansible.builtin.assert:
    that: presence.everywhere
    fail_msg: "{{ presence.lines | join('; ') }}"
"""

RETURN = r"""
images:
  description: Where each image is.
  returned: success
  type: list
  elements: dict
  contains:
    image:
      description: The image as it was asked for.
      type: str
    held:
      description: Nodes that hold it.
      type: list
      elements: str
    missing:
      description: Nodes that do not.
      type: list
      elements: str
    unknown:
      description: Nodes that do not name it, and need not name all that they hold.
      type: list
      elements: str
    size:
      description: Its bytes on a node, as the kubelet counts them; null where no node holds it.
      type: int
everywhere:
  description: Whether every node holds every image.
  returned: success
  type: bool
lines:
  description: One line an image, for people.
  returned: success
  type: list
  elements: str
  sample: ["registry.example.com/security/nano-agent:1.0.90: 2 of 3 nodes hold it; not: worker2"]
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_presence_info import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish

RULES = {}


def argument_spec():
    return {
        **connection_argument_spec(),
        "images": {"type": "list", "elements": "str", "required": True},
        "selector": {"type": "str"},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
