#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_info
short_description: What is in a bundle, and whether all of it is, offline
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Lists what a bundle of M(nanoagent.k8s.bundle) holds, and verifies it without any network; its signature, every part, every digest, and
    that each image is there down to its last layer.
  - Fails where something is wrong, with the same facts. A part that is missing or damaged is named, and so are the images that it takes along;
    the others can be loaded all the same, by their names.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  path:
    description:
      - The folder with C(bundle.json) and the parts of all media.
    type: path
    required: true
  verify:
    description:
      - Whether all of it is read and checked. Otherwise only the description is, and what RV(whole) and RV(problems) would say is not known.
    type: bool
    default: true
  trusted_keys:
    description:
      - Public keys of those whose bundles are taken, PEM texts or paths of PEM files. With any of them given, the bundle has to be signed by
        one, and nothing in it is looked at before that is verified. Without, who made it is not known, and a warning says so.
    type: list
    elements: str
    default: []
  signature_policy:
    description:
      - Whether the images' own signatures, as cosign makes them, are verified too. V(require) fails without a valid one, V(warn) warns.
      - Where the bundle has only some platforms of an image there is no signature of these, and O(trusted_keys) have to do.
    type: str
    choices: ["off", warn, require]
    default: "off"
  signature_keys:
    description:
      - Public keys for O(signature_policy), PEM texts or paths of PEM files. One of them has to have signed each image.
    type: list
    elements: str
    default: []
seealso:
  - module: nanoagent.k8s.bundle
  - module: nanoagent.k8s.bundle_load
requirements:
  - cryptography (Python), for signatures
"""

EXAMPLES = r"""
- name: Look at what came on the disk before anything is pushed
  nanoagent.k8s.bundle_info:
    path: /media/disk/nano-agent
    trusted_keys: [/etc/nanoagent/bundle-key.pub]
"""

RETURN = r"""
digest:
  description: Digest of the bundle's description, as M(nanoagent.k8s.bundle) returned it.
  returned: success
  type: str
  sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
whole:
  description: Whether nothing is wrong, null without O(verify).
  returned: success
  type: bool
  sample: true
problems:
  description: One line for each thing that is wrong.
  returned: success
  type: list
  elements: str
  sample: []
images:
  description:
    - The images, as M(nanoagent.k8s.bundle) returned them, each with C(whole), whether all of it is there, and C(signature).
  returned: success
  type: list
  elements: dict
  sample:
    - name: ghcr.io/spyderbat/nano-agent:1.0.90
      source: ghcr.io/spyderbat/nano-agent:1.0.90
      digest: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      original: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      platforms: []
      referrers: []
      signature: "off"
      whole: true
files:
  description: Name, digest and size of each file, and C(whole).
  returned: success
  type: list
  elements: dict
  sample:
    - name: images.lock.yml
      digest: sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
      size: 312
      whole: true
parts:
  description: Name and size of each part, and C(state), V(whole), V(missing) or V(damaged), empty without O(verify).
  returned: success
  type: list
  elements: dict
  sample:
    - name: bundle-000.tar
      size: 155200512
      state: whole
left_out:
  description: Blobs that are left out, by digest and size, with the repositories (C(at)) that have them at the destination.
  returned: success
  type: list
  elements: dict
  sample: []
bytes:
  description: Size of all parts together.
  returned: success
  type: int
  sample: 155200512
signature:
  description:
    - Whether the bundle is signed; C(state) is V(verified), V(unchecked) (without O(trusted_keys)) or V(missing), C(key) the SHA-256 of the
      public key.
  returned: success
  type: dict
  sample: {state: verified, key: "sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"}
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_info import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import POLICIES

RULES = {}


def argument_spec():
    return {
        "path": {"type": "path", "required": True},
        "verify": {"type": "bool", "default": True},
        "trusted_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "signature_policy": {"type": "str", "choices": list(POLICIES), "default": "off"},
        "signature_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
