#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_image
short_description: Give a node's container runtime the images of an archive
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Runs on a node of a cluster. Loads images from an archive into the container runtime that Kubernetes uses there, under the names that pods
    have for them, and checks them by digest. Meant for clusters without a registry.
  - The runtime is asked first. The archive is copied to the node only where an image is missing there, and removed again.
  - Of an image for several platforms a node keeps the part for its own, under the digest of the whole.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
attributes:
  check_mode:
    support: full
    details:
      - Asks the runtime what is missing; neither copies nor loads.
  diff_mode:
    support: full
    details:
      - Names and digests before and after.
  idempotent:
    support: full
  action:
    description: Has a part that runs on the controller, which reads and copies the archive.
    support: full
options:
  archive:
    description:
      - Path of the archive on the controller, of M(nanoagent.k8s.image_mirror) or M(nanoagent.k8s.collector_image); an OCI archive, or for Docker
        one of C(docker save). It may be compressed with gzip. Without it the node is only asked for the images of O(contents).
      - It is copied to Ansible's temporary folder on the node, which C(ansible_remote_tmp) sets.
    type: path
  remote_src:
    description:
      - Whether O(archive) is a path on the node, where somebody has put it. It stays there then.
    type: bool
    default: false
  images:
    description:
      - Which images of the archive, under which names. By default all that have a full name in the archive, under that name.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The image as the pods name it, with tag, digest or both. A node gets it under the tag, if there is one, and under the digest.
        type: str
        required: true
      source:
        description:
          - Its tag, name or digest in the archive, where that is not O(images[].name) and the archive holds more than one.
        type: str
  contents:
    description:
      - What is known of the archive, as RV(contents) of another node has it, so that it need not be read again. In place of O(images).
    type: list
    elements: dict
  runtime:
    description:
      - The container runtime. V(auto) goes by the sockets that are there.
      - V(containerd), V(k3s), V(rke2) and V(microk8s) are spoken to by their C(ctr), V(crio) by C(skopeo), V(docker) by C(docker).
    type: str
    choices: [auto, containerd, k3s, rke2, microk8s, crio, docker]
    default: auto
  reported_runtime:
    description:
      - What the node's status says of its runtime, such as V(containerd://2.1.4). It decides where V(auto) finds more than one.
    type: str
  address:
    description:
      - Path of the socket of containerd or Docker, where it is not the usual one.
    type: path
notes:
  - Needs root on the node (C(become)), but neither the Python package kubernetes nor a connection to the cluster.
  - Docker forgets the digests of what it loads, so that only a tag leads to such an image.
  - The kubelet removes images that no pod uses when its disk gets full.
seealso:
  - module: nanoagent.k8s.image_mirror
  - module: nanoagent.k8s.image_presence_info
"""

EXAMPLES = r"""
- name: Load an image under the name that it has in the archive
  nanoagent.k8s.node_image:
    archive: /media/disk/images.tar
  become: true

- name: Load an image under the name that the pods use
  nanoagent.k8s.node_image:
    archive: /media/disk/images.tar
    images:
      - name: registry.example.com/security/nano-agent:1.0.90
        source: nano-agent
    runtime: crio
  become: true
"""

RETURN = r"""
images:
  description: What became of each image.
  returned: success
  type: list
  elements: dict
  contains:
    names:
      description: The names under which the node has it, or in check mode would have it.
      type: list
      elements: str
      sample: [registry.example.com/security/nano-agent:1.0.90]
    digest:
      description: Digest of the image in the archive.
      type: str
      sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    changed:
      description: Whether it was loaded, or in check mode would be.
      type: bool
    before:
      description: What each name led to before; null where it was not there, or not whole.
      type: dict
runtime:
  description: The runtime that was asked.
  returned: success
  type: str
  sample: containerd
contents:
  description: What is known of the images, for O(contents) of other nodes.
  returned: success
  type: list
  elements: dict
lines:
  description: One line an image, for people.
  returned: success
  type: list
  elements: str
  sample: ["registry.example.com/security/nano-agent:1.0.90: there already, sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"]
copied:
  description: Bytes that went to the node.
  returned: success
  type: int
  sample: 155189248
"""

from functools import partial

from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_image import work

RULES = {"required_one_of": [("archive", "contents")]}


def argument_spec():
    return {
        "archive": {"type": "path"},
        "remote_src": {"type": "bool", "default": False},
        "images": {"type": "list", "elements": "dict", "default": [], "options": {"name": {"type": "str", "required": True}, "source": {"type": "str"}}},
        "contents": {"type": "list", "elements": "dict"},
        "runtime": {"type": "str", "choices": ["auto", "containerd", "k3s", "rke2", "microk8s", "crio", "docker"], "default": "auto"},
        "reported_runtime": {"type": "str"},
        "address": {"type": "path"},
    }


def main():
    module = Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES)
    finish(module, partial(work, run_command=module.run_command))


if __name__ == "__main__":
    main()
