#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: collector_image
short_description: Build the container image of the collector or the cluster monitor and push it to a registry
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Makes a multi-architecture OCI image out of static binaries, in plain Python, and pushes it to a registry
    or writes it as an OCI archive. Needs no Docker, buildah or skopeo, and no rights but to read the binaries.
  - The same binaries and labels give the same digest on every machine and at any time, so nothing is sent when the
    registry has that digest under that tag already; finding that out takes one request.
  - The image holds one file, C(/collector) or C(/monitor), with mode 0555 and owner 0:0, which is the entry point, and the
    command C(run). It names no user; that is left to the pod.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.registry
attributes:
  check_mode:
    support: full
    details:
      - Builds the image and asks the registry what it has, so that RV(actions) is the list that a run carries out.
  diff_mode:
    support: full
    details:
      - Digests before and after.
  idempotent:
    support: full
options:
  program:
    description:
      - Which program the image is of, V(collector), the agent of every node, or V(monitor), the cluster monitor.
    type: str
    choices: [collector, monitor]
    default: collector
  name:
    description:
      - Where to push, as C(host:port/repository:tag). Without a host it is Docker Hub. The tag is required.
      - At least one of O(name) and O(archive) is required.
    type: str
  archive:
    description:
      - Path of an OCI archive (the tar of an OCI image layout) to write, in an existing folder. It is replaced as a whole.
      - With O(name) the archive carries that name, so that C(ctr images import) and others keep it.
    type: path
  binaries:
    description:
      - Path of the program for each architecture, on the machine that the module runs on, by the names C(amd64) and
        C(arm64). Each is a static ELF program for Linux, or such a program compressed with C(gzip -9n).
      - A compressed one goes into the image as it is. That makes the digest independent of this machine's zlib, and is
        faster.
      - The role P(nanoagent.k8s.collector_image#role) fills in those that the collection ships.
    type: dict
    required: true
  architectures:
    description:
      - Architectures that the image has.
    type: list
    elements: str
    choices: [amd64, arm64]
    default: [amd64, arm64]
  labels:
    description:
      - Labels of the image, beside C(org.opencontainers.image.title), C(description), C(source) and C(licenses), or in
        place of them; an empty value takes one of these away.
      - They are part of the digest.
    type: dict
    default: {}
seealso:
  - name: OCI image specification
    description: The format of images, layouts and archives.
    link: https://github.com/opencontainers/image-spec
"""

EXAMPLES = r"""
- name: Build the image and push it to a registry with a password
  nanoagent.k8s.collector_image:
    name: registry.example.com/security/collector:0.1.0
    binaries:
      amd64: /srv/nanoagent/collector-linux-amd64.gz
      arm64: /srv/nanoagent/collector-linux-arm64.gz
    username: builder
    password: "{{ registry_password }}"
  register: collector

- name: Use it by digest
  nanoagent.k8s.agent:
    image: "{{ collector.image }}"

- name: Build the cluster monitor's image
  nanoagent.k8s.collector_image:
    program: monitor
    name: registry.example.com/security/monitor:0.1.0
    binaries:
      amd64: /srv/nanoagent/monitor-linux-amd64.gz
      arm64: /srv/nanoagent/monitor-linux-arm64.gz

- name: Push with the credentials that docker login left
  nanoagent.k8s.collector_image:
    name: registry.example.com/security/collector:0.1.0
    binaries: "{{ collector_binaries }}"
    docker_config: ~/.docker/config.json

- name: Write an archive to carry into a closed network
  nanoagent.k8s.collector_image:
    archive: /srv/transfer/collector.oci.tar
    architectures: [amd64]
    binaries:
      amd64: /srv/nanoagent/collector-linux-amd64.gz
"""

RETURN = r"""
image:
  description: The image by name and digest, as pods should refer to it.
  returned: when O(name) is given
  type: str
  sample: registry.example.com/security/collector@sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
digest:
  description: Digest of the image's index.
  returned: success
  type: str
  sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
platforms:
  description: For each architecture the digest of its manifest and the size of its layer as transferred, in bytes.
  returned: success
  type: dict
  sample:
    amd64:
      digest: sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
      size_compressed: 4183041
    arm64:
      digest: sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730
      size_compressed: 3814207
reproducible:
  description:
    - Whether the digest is certain to be the same on other machines. False only for binaries that are not compressed,
      on a machine whose zlib compresses unlike the original one.
  returned: success
  type: bool
  sample: true
actions:
  description: What was done, or in check mode would be done, in this order; empty when nothing had to change.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(upload_blob), V(put_manifest) or V(write_archive).
      type: str
      sample: put_manifest
    what:
      description: The part of the image, or the archive's path.
      type: str
      sample: index
    digest:
      description: Digest of the bytes.
      type: str
      sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    size:
      description: Number of bytes.
      type: int
      sample: 811
    reference:
      description: The digest or tag that a manifest is stored under; only for V(put_manifest).
      type: str
      sample: "0.1.0"
requests:
  description: Number of requests to the registry by HTTP method, and C(token) for those to its token service.
  returned: success
  type: dict
  sample:
    HEAD: 1
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils import oci, registry
from ansible_collections.nanoagent.k8s.plugins.module_utils.collector_image import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish

RULES = {
    "required_one_of": [["name", "archive"]],
    "required_together": registry.OPTIONS_TOGETHER,
    "mutually_exclusive": registry.OPTIONS_EXCLUSIVE,
}


def argument_spec():
    return {
        "program": {"type": "str", "choices": list(oci.PROGRAMS), "default": "collector"},
        "name": {"type": "str"},
        "archive": {"type": "path"},
        "binaries": {"type": "dict", "required": True},
        "architectures": {
            "type": "list",
            "elements": "str",
            "choices": list(oci.ARCHITECTURES),
            "default": list(oci.ARCHITECTURES),
        },
        "labels": {"type": "dict", "default": {}},
        **registry.OPTIONS,
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
