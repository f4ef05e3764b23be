# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/unit/data/signed_images anew: tiny images that the real cosign has signed, in each form and with each kind of key.

It takes cosign 3 and a plain registry on this machine, such as the one of the local cluster; nothing leaves the machine. The
private keys are made for this and thrown away. What cosign says of each image is kept in verdicts.json.

With an Ed25519 key cosign 3.1 makes signatures of the variant Ed25519ph and does not verify these itself; a plain one is attached.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from checkout import CHECKOUT, collections_folder
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

sys.path.insert(0, str(collections_folder()))

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_mirror import work  # noqa: E402 (the path comes first)
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run  # noqa: E402
from ansible_collections.nanoagent.k8s.plugins.modules.image_mirror import argument_spec  # noqa: E402
from ansible_collections.nanoagent.k8s.tests.unit.fakes.images import multi, write_layout  # noqa: E402

FOLDER = CHECKOUT / "tests/unit/data/signed_images"
KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}
# No transparency log is asked, since that would publish the signature.
_OFFLINE = ("--tlog-upload=false", "--use-signing-config=false", "--yes")
FORMS = {
    "simple": (*_OFFLINE, "--new-bundle-format=false"),
    "referrer": (*_OFFLINE, "--new-bundle-format=false", "--registry-referrers-mode=oci-1-1"),
    "bundle": _OFFLINE,
}
# How cosign finds again what it has put there.
FIND = {"simple": ("--new-bundle-format=false",), "attached": ("--new-bundle-format=false",), "bundle": ()}
# tag -> (key, form) of each signature, in their order.
IMAGES = {f"{key}-{form}": [(key, form)] for key in KEYS for form in ("simple", "bundle")}
IMAGES |= {"p256-referrer": [("p256", "referrer")], "ed25519-attached": [("ed25519", "attached")], "two-keys": [("p256", "simple"), ("p384", "simple")]}
IMAGES |= {"attested": [], "unsigned": []}


def options(**given) -> dict:
    """The options of image_mirror with their defaults."""
    return {**{name: spec.get("default") for name, spec in argument_spec().items()}, **given}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cosign", required=True, help="path of the program")
    parser.add_argument("--registry", required=True, help="host:port of a plain registry on this machine")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def cosign(*words, check=True):
            environment = {**os.environ, "COSIGN_PASSWORD": "", "COSIGN_EXPERIMENTAL": "1"}
            return subprocess.run([arguments.cosign, *map(str, words)], env=environment, cwd=folder, check=check, stdout=subprocess.PIPE)

        def sign(key, form, image):
            if form != "attached":
                cosign("sign", "--key", f"{key}-cosign.key", *FORMS[form], image)
                return
            payload = cosign("generate", image).stdout
            (folder / "payload").write_bytes(payload)
            (folder / "signature").write_bytes(base64.b64encode(keys[key].sign(payload)))
            cosign("attach", "signature", "--payload", "payload", "--signature", "signature", image)

        def is_good(key, form, image):
            hashed = ("--signature-digest-algorithm", "sha384") if key == "p384" else ()
            words = ("verify", "--key", f"{key}-cosign.pub", "--insecure-ignore-tlog", *hashed, *FIND[form], image)
            return cosign(*words, check=False).returncode == 0

        def mirror(pairs):
            images = [{"source": source, "destination": destination, "platforms": None} for source, destination in pairs]
            given = options(images=images, registries=[registry], journal="")
            return work(given, Run(temp_dir=name))["images"]

        registry = {"host": arguments.registry, "plain_http": True, "validate_certs": True}
        registry |= dict.fromkeys(("username", "password", "token", "ca_cert", "client_cert", "client_key", "parallel"))
        keys = {kind: make() for kind, make in KEYS.items()}
        for kind, private in keys.items():
            pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            (folder / kind).write_bytes(pem)
            cosign("import-key-pair", "--key", kind, "--output-key-prefix", f"{kind}-cosign", "--yes")
            (FOLDER / f"{kind}.pub").write_bytes((folder / f"{kind}-cosign.pub").read_bytes())
        write_layout(folder / "layout", **{tag: multi(f"signed {tag}", layers=0) for tag in IMAGES})
        repository = f"{arguments.registry}/signed-images-{secrets.token_hex(4)}"
        pushed = mirror([(f"oci:{folder / 'layout'}:{tag}", f"{repository}/{tag}:{tag}") for tag in IMAGES])
        names = {tag: image["image"] for tag, image in zip(IMAGES, pushed)}
        for tag, signatures in IMAGES.items():
            for key, form in signatures:
                sign(key, form, names[tag])
        (folder / "predicate").write_text(json.dumps({"passed": False}))
        cosign("attest", "--key", "p256-cosign.key", "--type", "https://example.com/test", "--predicate", "predicate", *FORMS["bundle"], names["attested"])
        forms = {tag: signatures[0][1] if signatures else "bundle" for tag, signatures in IMAGES.items()}
        # Cosign 3.1 does not find its own referrers of this form where a registry has no list of them.
        verdicts = {tag: [key for key in KEYS if is_good(key, form, names[tag])] for tag, form in forms.items() if form != "referrer"}
        (FOLDER / "verdicts.json").write_text(json.dumps(verdicts) + "\n")
        mirror([(names[tag].replace("@", f":{tag}@"), f"oci-archive:{folder / 'images.tar'}:{tag}") for tag in IMAGES])
        (FOLDER / "images.tar.gz").write_bytes(gzip.compress((folder / "images.tar").read_bytes(), mtime=0))


if __name__ == "__main__":
    main()
