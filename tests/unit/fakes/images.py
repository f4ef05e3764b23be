# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of our own making, of every kind that registries hold, and the ways to put them somewhere without the code under test."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

OCI, DOCKER = "oci", "docker"
TYPES = {
    OCI: {
        "index": "application/vnd.oci.image.index.v1+json",
        "manifest": "application/vnd.oci.image.manifest.v1+json",
        "config": "application/vnd.oci.image.config.v1+json",
        "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
        "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
        "plain": "application/vnd.oci.image.layer.v1.tar",
    },
    DOCKER: {
        "index": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifest": "application/vnd.docker.distribution.manifest.v2+json",
        "config": "application/vnd.docker.container.image.v1+json",
        "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "plain": "application/vnd.docker.image.rootfs.diff.tar",
    },
}
EMPTY = b"{}"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def described(media_type: str, data: bytes, **more) -> dict:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def tar_of(name: str, content: bytes) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def zstd_of(data: bytes) -> bytes:
    """A zstd frame of raw blocks, which need no compressor."""
    limit = 128 << 10
    pieces = [data[start : start + limit] for start in range(0, len(data), limit)] or [b""]
    blocks = [((len(piece) << 3) | (number == len(pieces))).to_bytes(3, "little") + piece for number, piece in enumerate(pieces, 1)]
    return b"\x28\xb5\x2f\xfd" + bytes([0xA0]) + len(data).to_bytes(4, "little") + b"".join(blocks)


# gzip that does not try to compress: for layers so large that it would take long.
STORED = "stored"
PACKINGS = {"gzip": lambda data: gzip.compress(data, mtime=0), STORED: lambda data: gzip.compress(data, 0, mtime=0), "zstd": zstd_of, "plain": bytes}


@dataclass
class Image:
    """root: digest of its outermost manifest. manifests: digest -> (media type, bytes), deepest first. blobs: digest -> bytes."""

    root: str = ""
    manifests: dict = field(default_factory=dict)
    blobs: dict = field(default_factory=dict)
    platforms: dict = field(default_factory=dict)

    def add_blob(self, media_type: str, data: bytes) -> dict:
        entry = described(media_type, data)
        self.blobs[entry["digest"]] = data
        return entry

    def add_manifest(self, content: dict) -> dict:
        # Spaces, so that whoever writes it anew is found out by the digest.
        data = json.dumps(content, indent=3).encode()
        entry = described(content["mediaType"], data)
        self.manifests[entry["digest"]] = (content["mediaType"], data)
        self.root = entry["digest"]
        return entry

    def entry(self) -> dict:
        media_type, data = self.manifests[self.root]
        return described(media_type, data)


def single(seed, layers: int = 2, size: int = 5000, kind: str = OCI, packing: str = "gzip", architecture: str = "amd64", into: Image | None = None) -> Image:
    """An image of one platform; the same seed gives the same bytes."""
    image = into or Image()
    types, entries, diff_ids = TYPES[kind], [], []
    for number in range(layers):
        tar = tar_of(f"file-{number}", random.Random(f"{seed} {architecture} {number}").randbytes(size))
        packed = PACKINGS[packing](tar)
        entries.append(image.add_blob(types["gzip" if packing == STORED else packing], packed))
        diff_ids.append(digest_of(tar))
    config = {"architecture": architecture, "os": "linux", "config": {"Cmd": [str(seed)]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    content = {"schemaVersion": 2, "mediaType": types["manifest"], "config": image.add_blob(types["config"], json.dumps(config).encode()), "layers": entries}
    image.platforms[f"linux/{architecture}"] = image.add_manifest(content)["digest"]
    return image


def multi(seed, architectures=("amd64", "arm64"), kind: str = OCI, **options) -> Image:
    """An image of several platforms."""
    image, entries = Image(), []
    for architecture in architectures:
        single(seed, kind=kind, architecture=architecture, into=image, **options)
        entries.append({**image.entry(), "platform": {"os": "linux", "architecture": architecture}})
    image.add_manifest({"schemaVersion": 2, "mediaType": TYPES[kind]["index"], "manifests": entries})
    return image


def artifact(about: dict | None, content: bytes, artifact_type: str = "application/x.test") -> Image:
    """Something that is no image, about another manifest or none: a signature, a list of parts."""
    image = Image()
    config = image.add_blob("application/vnd.oci.empty.v1+json", EMPTY)
    layer = image.add_blob("application/x.test.content", content)
    manifest = {"schemaVersion": 2, "mediaType": TYPES[OCI]["manifest"], "artifactType": artifact_type, "config": config, "layers": [layer]}
    image.add_manifest({**manifest, **({"subject": about} if about else {})})
    return image


def store(fake, repository: str, image: Image, tag: str = "") -> str:
    """Puts an image into a FakeRegistry; its name by tag, or else by digest."""
    for digest, data in image.blobs.items():
        fake.blobs[repository, digest] = data
    for digest, manifest in image.manifests.items():
        fake.manifests[repository, digest] = manifest
    if tag:
        fake.manifests[repository, tag] = image.manifests[image.root]
    return f"{fake.host}/{repository}" + (f":{tag}" if tag else f"@{image.root}")


def stored(fake, repository: str, reference: str) -> dict:
    """What a FakeRegistry holds below a tag or digest: digest -> bytes of all manifests and blobs; fails where one is missing."""
    _media_type, data = fake.manifests[repository, reference]
    content, found = json.loads(data), {digest_of(data): data}
    for entry in content.get("manifests", []):
        found |= stored(fake, repository, entry["digest"])
    for entry in [*content.get("layers", []), *([content["config"]] if "config" in content else [])]:
        found[entry["digest"]] = fake.blobs[repository, entry["digest"]]
    assert all(digest_of(data) == digest for digest, data in found.items())
    return found


def everything(image: Image) -> dict:
    """What stored() gives for a whole copy."""
    return {**{digest: data for digest, (_type, data) in image.manifests.items()}, **image.blobs}


def write_layout(folder: Path, **images: Image) -> None:
    """An OCI image layout with images by tag."""
    place = folder / "blobs" / "sha256"
    place.mkdir(parents=True)
    for image in images.values():
        for digest, data in everything(image).items():
            (place / digest.partition(":")[2]).write_bytes(data)
    entries = [{**image.entry(), "annotations": {"org.opencontainers.image.ref.name": tag}} for tag, image in images.items()]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def tar_bytes(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar archive of files, and of symbolic links."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return output.getvalue()


def layout_files(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def docker_save(image: Image, tag: str, packing: str = "plain") -> dict[str, bytes]:
    """The files of what docker save wrote for an image of one platform, before it knew OCI layouts; layers are uncompressed there."""
    _media_type, data = image.manifests[image.root]
    content = json.loads(data)
    config = image.blobs[content["config"]["digest"]]
    files, layers = {}, []
    for number, entry in enumerate(content["layers"]):
        blob = image.blobs[entry["digest"]]
        files[f"{number:064x}/layer.tar"] = gzip.decompress(blob) if packing == "plain" else blob
        layers.append(f"{number:064x}/layer.tar")
    name = f"{content['config']['digest'].partition(':')[2]}.json"
    return {**files, name: config, "manifest.json": json.dumps([{"Config": name, "RepoTags": [tag], "Layers": layers}]).encode()}
