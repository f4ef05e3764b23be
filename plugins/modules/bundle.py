#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Gather images and files into a signed bundle that fits on media
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Writes a folder with everything that a closed network needs; images of any number of platforms with what refers to them, files such
    as the collection's archive and rendered manifests, and a lock file of the images. M(nanoagent.k8s.bundle_load) brings it in.
  - A bundle is an OCI image layout in one or more tar archives, C(bundle-000.tar) and so on, and a description, C(bundle.json),
    under which everything stands by its digest. The same content gives the same bytes on every machine.
  - A run that was cut short is gone on with. What the folder has of an older bundle is not fetched again.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.registries
attributes:
  check_mode:
    support: full
    details:
      - Asks the sources, so that RV(digest), RV(parts) and RV(left_out) are those of a run.
  diff_mode:
    support: full
    details:
      - Images, files and parts before and after.
  idempotent:
    support: full
options:
  path:
    description:
      - Folder of the bundle. It is made where it is missing; an older bundle in it is replaced once the new one is whole.
    type: path
    required: true
  images:
    description:
      - The images to gather.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description:
          - Where the image is, written as for M(nanoagent.k8s.image_mirror).
        type: str
        required: true
      name:
        description:
          - The image's name in the bundle, as it would have in a registry, C(host/repository:tag). The rewriting table of
            M(nanoagent.k8s.bundle_load) is about this name. By default the source's; needed where that is a folder or an archive.
        type: str
      platforms:
        description:
          - Take only these platforms of the image, written as V(linux/amd64). All by default. A part of an index is another index,
            with another digest, as a warning says.
        type: list
        elements: str
  files:
    description:
      - Files to take along, such as the collection's archive and the manifests that the role P(nanoagent.k8s.render#role) writes.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - A file, or a folder of which all files are taken.
        type: path
        required: true
      name:
        description:
          - Its name in the bundle, and below RV(nanoagent.k8s.bundle_load#module:files) when it is unpacked; may have slashes. By default the
            last part of O(files[].path).
        type: str
  media_size:
    description:
      - The largest size of a part, in bytes or as V(4G), V(650M); a G is 1024 MiB. Leave a little room on each medium for C(bundle.json).
        Everything goes into one part by default.
      - FAT32 takes files of less than 4 GiB, V(4095M).
    type: bytes
  inventory:
    description:
      - Path of an inventory that M(nanoagent.k8s.bundle_inventory) took at the destination. Blobs that the destination has are left out of the
        bundle, and it can be loaded only there.
    type: path
  lock_file:
    description:
      - Path of a lock file that M(nanoagent.k8s.image_mirror) wrote. Images that are given by a tag are taken by the digest that it has for
        them. A tag that it does not have is an error.
    type: path
  referrers:
    description:
      - Whether signatures, attestations and bills of materials of the images come along.
    type: bool
    default: true
  signing_key:
    description:
      - Path of a private key (PEM; ECDSA, Ed25519 or RSA) that signs the bundle. The signature is written to C(bundle.json.sig).
      - It is over the description, under which every byte of the bundle stands by its digest.
    type: path
  signing_passphrase:
    description:
      - Passphrase of O(signing_key), where it is encrypted.
    type: str
  signature_policy:
    description:
      - Whether the images' own signatures, as cosign makes them, are verified before anything is gathered. V(require) fails without a valid one,
        V(warn) warns.
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
      - How many blobs are fetched at once, of all images together.
    type: int
    default: 12
  rate_limit:
    description:
      - How many bytes a second are read, of all images together, such as V(10M) for 10 MiB. At least V(16K). Unlimited by default.
    type: bytes
requirements:
  - cryptography (Python), for signatures
seealso:
  - module: nanoagent.k8s.bundle_inventory
  - module: nanoagent.k8s.bundle_info
  - module: nanoagent.k8s.bundle_load
  - module: nanoagent.k8s.image_mirror
"""

EXAMPLES = r"""
- name: Gather what the closed network needs, on sticks with FAT32
  nanoagent.k8s.bundle:
    path: /srv/transfer/nano-agent
    images:
      - source: ghcr.io/spyderbat/nano-agent:1.0.90
        platforms: [linux/amd64]
      - source: oci-archive:/srv/nanoagent/collector.oci.tar
        name: registry.example.com/security/collector:0.1.0
    files:
      - path: /srv/nanoagent/nanoagent-k8s-0.1.0.tar.gz
      - path: /srv/nanoagent/manifests
    media_size: 4095M
    signing_key: /etc/nanoagent/bundle-key.pem
    signing_passphrase: "{{ vaulted_passphrase }}"

- name: Only what the destination does not have yet
  nanoagent.k8s.bundle:
    path: /srv/transfer/update
    images:
      - source: ghcr.io/spyderbat/nano-agent:1.0.91
    inventory: /media/disk/inventory.json
"""

RETURN = r"""
digest:
  description: Digest of the bundle's description, C(bundle.json), which stands for the whole bundle.
  returned: success
  type: str
  sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
before:
  description: Digest of the bundle that was there before, null where none was.
  returned: success
  type: str
  sample: null
folder:
  description: The folder.
  returned: success
  type: str
  sample: /srv/transfer/nano-agent
images:
  description: The images in the bundle, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its name in the bundle.
      type: str
      sample: ghcr.io/spyderbat/nano-agent:1.0.90
    source:
      description: Where it is from; empty for a folder or archive.
      type: str
      sample: ghcr.io/spyderbat/nano-agent:1.0.90
    digest:
      description: Digest of the image in the bundle.
      type: str
      sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    original:
      description: Its digest at the source, another one where platforms were chosen.
      type: str
      sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    platforms:
      description: The platforms that were chosen, empty for all.
      type: list
      elements: str
      sample: []
    referrers:
      description: Digests of what came along because it refers to the image.
      type: list
      elements: str
      sample: []
    signature:
      description: What is known of the image's signature, V(off) where nobody looked.
      type: str
      sample: "off"
files:
  description: The files in the bundle; name, digest and size of each. C(images.lock.yml) is among them.
  returned: success
  type: list
  elements: dict
  sample:
    - name: images.lock.yml
      digest: sha256:9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0
      size: 312
parts:
  description: Name and size of each part.
  returned: success
  type: list
  elements: dict
  sample:
    - name: bundle-000.tar
      size: 155200512
bytes:
  description: Size of all parts together.
  returned: success
  type: int
  sample: 155200512
left_out:
  description: Number and size of the blobs that the destination has by its inventory.
  returned: success
  type: dict
  sample: {blobs: 0, bytes: 0}
signature:
  description: Whether the bundle is signed; C(state) is V(verified), V(unchecked) or V(missing), C(key) the SHA-256 of the public key.
  returned: success
  type: dict
  sample: {state: verified, key: "sha256:7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"}
lines:
  description: One line an image, a file and the bundle, for people.
  returned: success
  type: list
  elements: str
  sample: ["ghcr.io/spyderbat/nano-agent:1.0.90: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"]
requests:
  description: Number of requests to each registry by HTTP method.
  returned: success
  type: dict
  sample:
    ghcr.io: {HEAD: 1, GET: 12}
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils import registry_access
from ansible_collections.nanoagent.k8s.plugins.module_utils.bundle import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import POLICIES

RULES = {"required_by": {"signing_passphrase": ["signing_key"]}}


def argument_spec():
    return {
        "path": {"type": "path", "required": True},
        "images": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "source": {"type": "str", "required": True},
                "name": {"type": "str"},
                "platforms": {"type": "list", "elements": "str"},
            },
        },
        "files": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {"path": {"type": "path", "required": True}, "name": {"type": "str"}},
        },
        "media_size": {"type": "bytes"},
        "inventory": {"type": "path"},
        "lock_file": {"type": "path"},
        "referrers": {"type": "bool", "default": True},
        "signing_key": {"type": "path", "no_log": False},
        "signing_passphrase": {"type": "str", "no_log": True},
        "signature_policy": {"type": "str", "choices": list(POLICIES), "default": "off"},
        "signature_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "parallel": {"type": "int", "default": 12},
        "rate_limit": {"type": "bytes"},
        **registry_access.OPTIONS,
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
