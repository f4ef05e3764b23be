#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_configuration
short_description: Write what container runtimes need to pull images from mirrors
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Writes, from the table that M(nanoagent.k8s.image_mirror) mirrors by, files for containerd, for CRI-O and Podman, and for OpenShift,
    so that nodes pull every image of those registries from the mirrors under its own name.
  - They go into a folder laid out as C(/etc) is on nodes. Nothing is restarted and no cluster is asked.
  - Logins are not written; nodes take them from pull secrets.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  dest:
    description:
      - The folder, on the machine that the module runs on; it is made where its parent exists. It gets C(containerd/certs.d),
        C(containers/registries.conf.d), C(containers/certs.d) and C(openshift), as O(formats) says.
      - With V(/etc) the module writes a node's own files, where it runs on that node.
      - Files below these four folders that an earlier run made and that no longer belong are removed; files of other origin are never touched.
    type: path
    required: true
  rewrites:
    description:
      - The table of where images are mirrored. Of several rows with a beginning of an image's name the longest counts.
      - Where it is empty all files of an earlier run are removed.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: Beginning of the images' names, a registry with or without a path. Without a registry it is Docker Hub's.
        type: str
        required: true
      destination:
        description: What stands in its place, a registry with or without a path.
        type: str
        required: true
  registries:
    description:
      - How nodes reach registries that are not reached by TLS with an authority that nodes trust anyway; mirrors and sources.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The registry's name as it stands in an image's, with its port if it has one.
        type: str
        required: true
      ca_cert:
        description:
          - Path of the certificate authority (PEM) that signed the registry's certificate, on the machine that the module runs on. It is
            copied beside the files.
        type: path
      validate_certs:
        description: Whether the registry's certificate is checked.
        type: bool
        default: true
      plain_http:
        description: Speak HTTP without TLS.
        type: bool
        default: false
  formats:
    description:
      - What to write. V(containerd) is a C(hosts.toml) a registry. V(registries_conf) is a file for C(registries.conf.d) of CRI-O, Podman,
        Buildah and Skopeo. V(openshift) is an C(ImageDigestMirrorSet), an C(ImageTagMirrorSet) and a C(ConfigMap) of authorities, as manifests.
      - containerd chooses mirrors by the registry alone and keeps the whole path of an image. A row with a path in its source can be
        said there only where its destination ends with that path; any other is refused while V(containerd) is among these.
    type: list
    elements: str
    choices: [containerd, registries_conf, openshift]
    default: [containerd, registries_conf, openshift]
  fallback:
    description:
      - Whether nodes ask an image's own registry for what no mirror has. V(false) keeps nodes of a closed network from waiting for
        what they cannot reach.
    type: bool
    default: true
  by_tag:
    description:
      - Whether mirrors are asked what a tag stands for. With V(false) the tag is looked up at its own registry, and mirrors are used
        for digests only.
    type: bool
    default: true
  name:
    description:
      - Name of the objects for OpenShift and of the file for C(registries.conf.d).
    type: str
    default: nanoagent
requirements:
  - PyYAML (Python) for V(openshift) among O(formats)
seealso:
  - module: nanoagent.k8s.image_mirror
  - name: containerd registry configuration
    description: The file hosts.toml.
    link: https://github.com/containerd/containerd/blob/main/docs/hosts.md
  - name: containers-registries.conf(5)
    description: The files of registries.conf.d.
    link: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

EXAMPLES = r"""
- name: Write the files for all runtimes
  nanoagent.k8s.registry_configuration:
    dest: /srv/nodes
    rewrites:
      - source: ghcr.io/spyderbat
        destination: registry.example.com:5000/mirror/spyderbat
    registries:
      - host: registry.example.com:5000
        ca_cert: /etc/ssl/company.pem

- name: Write a node's own files, on the node, for a network that reaches nothing but the mirror
  nanoagent.k8s.registry_configuration:
    dest: /etc
    formats: [containerd]
    rewrites:
      - source: docker.io
        destination: registry.example.com:5000/hub
      - source: registry.k8s.io
        destination: registry.example.com:5000/kubernetes
    fallback: false
  become: true
"""

RETURN = r"""
files:
  description: What was done, or in check mode would be done, to each file.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(update), V(keep) or V(delete).
      type: str
      sample: create
    path:
      description: The file.
      type: str
      sample: /srv/nodes/containerd/certs.d/ghcr.io/hosts.toml
notes:
  description: What to know, or to do beside, a line each.
  returned: success
  type: list
  elements: str
  sample: ['containerd reads certs.d where config_path of its CRI plugin names it: config_path = "/etc/containerd/certs.d"']
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils import image_rewrites
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_configuration import FORMATS, work

RULES = {}


def argument_spec():
    return {
        "dest": {"type": "path", "required": True},
        **image_rewrites.OPTION,
        "registries": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "host": {"type": "str", "required": True},
                "ca_cert": {"type": "path"},
                "validate_certs": {"type": "bool", "default": True},
                "plain_http": {"type": "bool", "default": False},
            },
        },
        "formats": {"type": "list", "elements": "str", "choices": list(FORMATS), "default": list(FORMATS)},
        "fallback": {"type": "bool", "default": True},
        "by_tag": {"type": "bool", "default": True},
        "name": {"type": "str", "default": "nanoagent"},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
