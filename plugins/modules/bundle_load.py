#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_load
short_description: Push the images of a bundle to registries and unpack its files
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Brings a bundle of M(nanoagent.k8s.bundle) into a closed network. What is going to be written is verified first, as
    M(nanoagent.k8s.bundle_info) does; nothing is pushed from a bundle that is damaged, or that counts on blobs that the destination lacks.
  - Only what is missing at the destination is sent, blobs first and tags last, so that a run that was cut short can be repeated.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.registries
attributes:
  check_mode:
    support: full
    details:
      - Asks the destination what is missing, and verifies what a run would write.
  diff_mode:
    support: full
    details:
      - Digests of images and files before and after, and the lock file.
  idempotent:
    support: full
options:
  path:
    description:
      - The folder with C(bundle.json) and the parts of all media.
    type: path
    required: true
  rewrites:
    description:
      - The table of where images are mirrored, the same as for M(nanoagent.k8s.image_mirror) and M(nanoagent.k8s.agent). Each image of the bundle
        that is to be pushed needs a row. Of several rows with a beginning of the name the longest counts; parts between slashes are compared whole.
      - Without it no image is pushed.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: Beginning of the images' names in the bundle, a registry with or without a path. Without a registry it is Docker Hub's.
        type: str
        required: true
      destination:
        description: What stands in its place, a registry with or without a path.
        type: str
        required: true
  images:
    description:
      - Names of the images to push, all by default. With names given only what these need has to be whole, so that a bundle of which a part
        was lost is still of use.
    type: list
    elements: str
    default: []
  files_path:
    description:
      - Folder to unpack the bundle's files into. Without it they are left alone. Files that are there already and have the same content stay.
    type: path
  lock_file:
    description:
      - Path of a lock file that notes the images with where they are now, as O(nanoagent.k8s.agent#module:lock_file) reads it.
    type: path
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
  parallel:
    description:
      - How many blobs are sent at once, of all images together.
    type: int
    default: 12
  rate_limit:
    description:
      - How many bytes a second are read, of all images together, such as V(10M) for 10 MiB. At least V(16K). Unlimited by default.
    type: bytes
  journal:
    description:
      - A folder that remembers which uploads have begun, as that of M(nanoagent.k8s.image_mirror), so that a later run goes on with what an
        earlier one that was killed has sent. Empty for none.
    type: path
    default: ~/.ansible/nanoagent.k8s/uploads
requirements:
  - cryptography (Python), for signatures
seealso:
  - module: nanoagent.k8s.bundle
  - module: nanoagent.k8s.bundle_info
  - module: nanoagent.k8s.image_mirror
"""

EXAMPLES = r"""
- name: Bring in what came on the disk
  nanoagent.k8s.bundle_load:
    path: /media/disk/nano-agent
    trusted_keys: [/etc/nanoagent/bundle-key.pub]
    rewrites:
      - source: ghcr.io
        destination: registry.example.com:5000/mirror
    files_path: /srv/nanoagent
    lock_file: /srv/nanoagent/images.lock.yml
    registries:
      - host: registry.example.com:5000
        username: mirror
        password: "{{ registry_password }}"
        ca_cert: /etc/ssl/company.pem
"""

RETURN = r"""
digest:
  description: Digest of the bundle's description.
  returned: success
  type: str
  sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
images:
  description: What became of each image that was to be pushed. Also there when one of them fails.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name in the bundle.
      type: str
      sample: ghcr.io/spyderbat/nano-agent:1.0.90
    destination:
      description: Where to.
      type: str
      sample: registry.example.com:5000/mirror/spyderbat/nano-agent:1.0.90
    image:
      description: The copy by name and digest, as pods should refer to it.
      type: str
      sample: registry.example.com:5000/mirror/spyderbat/nano-agent@sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    changed:
      description: Whether it was pushed, or in check mode would be.
      type: bool
      sample: true
    digest:
      description: Its digest.
      type: str
      sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    before:
      description: Digest of what had that name before, null where nothing had.
      type: str
      sample: null
    manifests:
      description: Number of manifests that were missing.
      type: int
      sample: 3
    blobs:
      description: Number of configurations and layers that were missing.
      type: int
      sample: 8
    bytes:
      description: Size of these together.
      type: int
      sample: 155189248
    left_out:
      description: How many of these the bundle leaves out, and another repository of the destination has.
      type: int
      sample: 0
    mounted:
      description: How many of these the registry took over from another of its repositories. Always 0 in check mode.
      type: int
      sample: 0
    signature:
      description: What is known of the image's signature, V(off) where nobody looked.
      type: str
      sample: "off"
    error:
      description: Why it could not be pushed; most fields are missing then.
      type: str
files:
  description: The files, where O(files_path) is given; name, digest, size, C(path), and C(changed), whether it was written.
  returned: success
  type: list
  elements: dict
  sample:
    - name: images.lock.yml
      digest: sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
      size: 312
      path: /srv/nanoagent/images.lock.yml
      changed: true
bytes:
  description: Bytes of all missing blobs together.
  returned: success
  type: int
  sample: 155189248
signature:
  description:
    - Whether the bundle is signed; C(state) is V(verified), V(unchecked) (without O(trusted_keys)) or V(missing), C(key) the SHA-256 of the
      public key.
  returned: success
  type: dict
  sample: {state: verified, key: "sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"}
lines:
  description: One line an image and a file, for people.
  returned: success
  type: list
  elements: str
  sample: ["registry.example.com:5000/mirror/spyderbat/nano-agent:1.0.90: pushed, 155.2 MB"]
requests:
  description: Number of requests to each registry by HTTP method, and C(token) for those to its token service.
  returned: success
  type: dict
  sample:
    registry.example.com:5000: {HEAD: 1}
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils import image_rewrites, registry_access
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle_load import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import POLICIES

RULES = {}


def argument_spec():
    return {
        "path": {"type": "path", "required": True},
        **image_rewrites.OPTION,
        "images": {"type": "list", "elements": "str", "default": []},
        "files_path": {"type": "path"},
        "lock_file": {"type": "path"},
        "trusted_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "signature_policy": {"type": "str", "choices": list(POLICIES), "default": "off"},
        "signature_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "parallel": {"type": "int", "default": 12},
        "rate_limit": {"type": "bytes"},
        "journal": {"type": "path", "default": "~/.ansible/nanoagent.k8s/uploads"},
        **registry_access.OPTIONS,
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
