#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_mirror
short_description: Copy container images between registries, OCI layouts and archives
version_added: 0.1.0
author:
  - The nanoagent.k8s maintainers (@nanoagent)
description:
  - Copies images of any number of platforms, with the signatures and other things that refer to them, to the byte, so that
    every digest stays what it is. Needs no Docker, skopeo or crane.
  - Only what is missing at the destination is moved. Of each image the blobs go first, then its manifests, then what
    refers to it, and last its tag, so that a tag never names half an image.
  - A connection that breaks is taken up where it was. Each blob is checked against its digest on the way.
  - Where the source is given by digest and the destination has it, one request at the destination tells so, and the
    source is not asked.
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.registries
attributes:
  check_mode:
    support: full
    details:
      - Asks what is missing at each destination, so that RV(images) and RV(bytes) tell what a run copies.
  diff_mode:
    support: full
    details:
      - Digests before and after.
  idempotent:
    support: full
options:
  images:
    description:
      - What to copy.
    type: list
    elements: dict
    required: true
    suboptions:
      source:
        description:
          - The image to copy, as C(docker://host/repository:tag) or the same without C(docker://) in a registry,
            C(oci:folder:tag) in an OCI image layout, C(oci-archive:file:tag) in its tar, C(docker-archive:file:name) in what
            C(docker save) wrote. Archives may be compressed with gzip. A digest, as in C(host/repository@sha256:...), may stand in
            place of the tag.
          - In a registry neither means the tag V(latest). A folder or archive with one image needs no tag.
        type: str
        required: true
      destination:
        description:
          - Where to copy it, written in the same way, without a digest. Without a tag it takes the source's.
          - Needed where O(rewrites) does not say it.
          - A folder keeps the other images that it holds. An archive is written as a whole and holds exactly the images that
            one call of this module puts there. V(docker-archive) takes an image of one platform, which O(images[].platforms) can choose;
            it is an OCI archive at the same time.
        type: str
      platforms:
        description:
          - Copy only these platforms of the image, written as V(linux/amd64) or V(linux/arm64/v8). All by default.
          - A part of an index is another index, with another digest, and a warning says so. The digests of the platforms'
            own manifests stay. Signatures of the whole index are left out then, since they are about another digest.
        type: list
        elements: str
  rewrites:
    description:
      - The table of where images are mirrored, for those of O(images) without a destination. The same one serves
        M(nanoagent.k8s.agent) and M(nanoagent.k8s.registry_configuration).
      - Of several rows with a beginning of the name the longest counts; parts between slashes are compared whole. Tags and digests stay.
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
  lock_file:
    description:
      - Path of a YAML file that binds names to digests; for each source its digest, platforms, size and the destinations that hold it. It
        is made where it is missing, in a folder that exists, and written only where an entry changes. M(nanoagent.k8s.agent) reads it.
      - What it has for a source is what is copied, also where the source's tag has moved since; RV(images[].moved_to) and a warning tell so.
    type: path
  update_lock:
    description:
      - Whether what a tag names at its source now is copied and entered in O(lock_file) in place of what is there.
    type: bool
    default: false
  referrers:
    description:
      - Whether what refers to an image comes along when it is copied; signatures, attestations and bills of materials, by
        the referrers API, its fallback tag, and the tags C(sha256-....sig), C(.att) and C(.sbom) of cosign.
      - An image that is at its destination already is left alone, also where its source has got new signatures since, unless
        O(signature_policy) asks for them.
    type: bool
    default: true
  signature_policy:
    description:
      - Whether an image has to be signed by one of O(signature_keys) before anything of it is copied; V(require) fails the image
        where it is not, V(warn) says so, V(off) does not look.
      - What has to be signed is the digest that the source names, that of the whole index where there is one; also where
        O(images[].platforms) takes a part of it. An image that is at its destination already is verified there, and at its source
        where it is not signed there; a signature that only the source has is copied then.
      - Signatures of cosign by key are known, in the form of "simple signing" and as bundles of sigstore; by the referrers API and its
        fallback tag, and by the tag C(sha256-....sig). Signatures by a certificate (keyless) do not count, and transparency logs
        are not asked.
    type: str
    choices:
      - "off"
      - warn
      - require
    default: "off"
  signature_keys:
    description:
      - Public keys (PEM, or the paths of such files), any one of which is enough; ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more.
      - A private key is refused. The values are kept out of logs in case there is one.
    type: list
    elements: str
    default: []
  parallel:
    description:
      - How many blobs are moved at once, of all images together, and how many requests each registry gets at once where its entry
        in O(registries) does not say.
      - Where fewer blobs than that are left and the source is far away, so that its answers take time, large blobs are read in several parts at once.
    type: int
    default: 12
  rate_limit:
    description:
      - How many bytes a second are read, of all images together, such as V(10M) for 10 MiB. At least V(16K). Unlimited by default.
    type: bytes
  journal:
    description:
      - A folder that remembers which uploads have begun, so that a later run goes on with what an earlier one that was killed has sent.
        It holds addresses of unfinished uploads and no logins. They are forgotten when the upload is done, and after seven days. Empty for none.
      - What an earlier run has sent is not read from a registry again. The destination checks the whole blob against its digest then.
    type: path
    default: ~/.ansible/nanoagent.k8s/uploads
requirements:
  - cryptography (Python; only with O(signature_policy), ansible-core brings it along)
notes:
  - Layers of docker archives are kept as they are there, which is mostly uncompressed. Such an archive has no manifest unless it is an OCI archive
    too; then one is made, the same everywhere.
  - A compressed archive is expanded once into Ansible's local temporary folder.
seealso:
  - module: nanoagent.k8s.collector_image
  - name: OCI distribution specification
    description: The interface of registries.
    link: https://github.com/opencontainers/distribution-spec
"""

EXAMPLES = r"""
- name: Mirror an image to a closed network's registry
  nanoagent.k8s.image_mirror:
    images:
      - source: ghcr.io/spyderbat/nano-agent:1.0.90
        destination: registry.example.com:5000/mirror/nano-agent
    registries:
      - host: registry.example.com:5000
        username: mirror
        password: "{{ registry_password }}"
        ca_cert: /etc/ssl/company.pem
  register: mirrored

- name: Use it by digest
  nanoagent.k8s.agent:
    profile: spyderbat
    registration_code: "{{ code }}"
    image: "{{ mirrored.images[0].image }}"

- name: Mirror by a table, bound to the digests of the first time
  nanoagent.k8s.image_mirror:
    images:
      - source: ghcr.io/spyderbat/nano-agent:1.0.90
    rewrites:
      - source: ghcr.io/spyderbat
        destination: registry.example.com:5000/mirror
    lock_file: images.lock.yml

- name: Use it by the same table and file
  nanoagent.k8s.agent:
    profile: spyderbat
    registration_code: "{{ code }}"
    image: ghcr.io/spyderbat/nano-agent:1.0.90
    rewrites:
      - source: ghcr.io/spyderbat
        destination: registry.example.com:5000/mirror
    lock_file: images.lock.yml

- name: Carry two images over on a disk, for one platform
  nanoagent.k8s.image_mirror:
    images:
      - source: ghcr.io/spyderbat/nano-agent:1.0.90
        destination: oci-archive:/media/disk/images.tar:nano-agent
        platforms: [linux/amd64]
      - source: registry.k8s.io/pause:3.10
        destination: oci-archive:/media/disk/images.tar:pause
        platforms: [linux/amd64]

- name: Mirror only what is signed
  nanoagent.k8s.image_mirror:
    images:
      - source: registry.example.com/build/collector:1.4
        destination: registry.example.com:5000/mirror/collector
    signature_policy: require
    signature_keys: [/etc/ssl/cosign.pub]

- name: Push what the vendor publishes as an archive
  nanoagent.k8s.image_mirror:
    images:
      - source: docker-archive:/media/disk/nano-agent.tar.gz
        destination: registry.example.com:5000/mirror/nano-agent:1.0.90
    docker_config: ~/.docker/config.json
"""

RETURN = r"""
images:
  description: What became of each image, in the order of the option. Also there when the module fails.
  returned: always
  type: list
  elements: dict
  contains:
    source:
      description: The image that was to be copied.
      type: str
      sample: ghcr.io/spyderbat/nano-agent:1.0.90
    destination:
      description: Where to.
      type: str
      sample: registry.example.com:5000/mirror/nano-agent:1.0.90
    image:
      description: The copy by name and digest, as pods should refer to it; only where it is in a registry.
      type: str
      sample: registry.example.com:5000/mirror/nano-agent@sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    changed:
      description: Whether it was copied, or in check mode would be.
      type: bool
      sample: true
    digest:
      description: Digest of the image at its destination.
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
    mounted:
      description: How many of these the registry took over from another of its repositories, so that they were not sent. Always 0 in check mode.
      type: int
      sample: 0
    referrers:
      description: Digests of what came along because it refers to the image.
      type: list
      elements: str
      sample: []
    signature:
      description:
        - V(verified by) and the fingerprint of the key, V(missing), V(invalid:) and why, V(unknown:) and why it could not be read, or
          V(off) with O(signature_policy=off). Empty where the image failed before.
        - The fingerprint is the SHA-256 of the key in DER.
      type: str
      sample: verified by sha256:2f2bb1be0b5a8f4e5a2e8d3f9c5c4ad25f3b40f2bcd5e8e8f04cc4c7a4e70ac1
    locked:
      description: The digest that the lock file had for the source, null where it had none.
      returned: O(lock_file) is set
      type: str
      sample: sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    moved_to:
      description: The digest that the source's tag has now, where that is not the locked one, or V(nothing) where the tag is gone; else null.
      returned: O(lock_file) is set
      type: str
      sample: null
    error:
      description: Why it could not be copied; the fields that tell of the copy are missing then.
      type: str
lines:
  description: One line an image, for people.
  returned: always
  type: list
  elements: str
  sample: ["registry.example.com:5000/mirror/nano-agent:1.0.90: copied, 155.2 MB"]
lock_changed:
  description: Whether the lock file was written, or in check mode would be.
  returned: O(lock_file) is set
  type: bool
  sample: true
bytes:
  description: Bytes of all missing blobs together.
  returned: always
  type: int
  sample: 155189248
requests:
  description: Number of requests to each registry by HTTP method, and C(token) for those to its token service.
  returned: always
  type: dict
  sample:
    registry.example.com:5000:
      HEAD: 1
"""

from ansible_collections.nanoagent.k8s.plugins.module_utils import image_rewrites, registry_access
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Module, finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import OFF, POLICIES

RULES = {}


def argument_spec():
    return {
        "images": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "source": {"type": "str", "required": True},
                "destination": {"type": "str"},
                "platforms": {"type": "list", "elements": "str"},
            },
        },
        **image_rewrites.OPTION,
        "lock_file": {"type": "path"},
        "update_lock": {"type": "bool", "default": False},
        "referrers": {"type": "bool", "default": True},
        "signature_policy": {"type": "str", "choices": list(POLICIES), "default": OFF},
        "signature_keys": {"type": "list", "elements": "str", "default": [], "no_log": True},
        "parallel": {"type": "int", "default": 12},
        "rate_limit": {"type": "bytes"},
        "journal": {"type": "path", "default": "~/.ansible/nanoagent.k8s/uploads"},
        **registry_access.OPTIONS,
    }


def main():
    finish(Module(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
