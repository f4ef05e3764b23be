# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of images as they are read: OCI archives, and those of docker save."""

from __future__ import annotations

import hashlib
import json
import posixpath
import zlib

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_files import FULL_NAME, ImageFiles
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_layout import index_entries
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DIGEST
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import (
    CONFIG_TYPE,
    GZIP_MAGIC,
    LAYER_TYPE,
    MANIFEST_TYPE,
    canonical_json,
    descriptor,
    make_blob,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry import ANSWER_LIMIT
from ansible_collections.nanoagent.k8s.plugins.module_utils.tar_files import TarFiles, open_tar

_PLAIN_LAYER = LAYER_TYPE.removesuffix("+gzip")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 20


class OciArchive(ImageFiles):
    """The tar of an OCI image layout.

    :raises Failure: it is none
    """

    def __init__(self, path: str, folder: str):
        self.name, self._tar = f"archive {path}", open_tar(path, folder)
        index = self._tar.read("index.json", ANSWER_LIMIT)
        if index is None:
            step = "it is a docker archive: write docker-archive:" if "manifest.json" in self._tar.members else "is it an archive of images?"
            raise Failure(f"archive {path} is no OCI archive (no index.json)", step)
        self.entries = index_entries(index, self.name)

    def find(self, digest: str) -> tuple[str, int, int] | None:
        """Where a blob is."""
        member = self._tar.members.get("blobs/" + digest.replace(":", "/"))
        return member and (self._tar.path, *member)


class DockerArchive(ImageFiles):
    """What docker save writes, without an OCI layout in it.

    It has no manifests, so they are made here, the same bytes wherever that is. Its layers are kept as they are.
    :raises Failure: it is no such archive, or lacks a part
    """

    def __init__(self, path: str, tar: TarFiles):
        self.name, self._tar, self._made, self._places = f"archive {path}", tar, {}, {}
        try:
            images = json.loads(tar.read("manifest.json", ANSWER_LIMIT) or b"")
            self.entries = [entry for image in images for entry in self._image(image)]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Failure(f"archive {path} is no docker archive (no usable manifest.json)", "is it an archive of images?") from None

    def find(self, digest: str) -> tuple[str, int, int] | bytes | None:
        """Where a blob is."""
        return self._made.get(digest, self._places.get(digest))

    def _image(self, image):
        config = self._tar.read(_inside(image["Config"]), ANSWER_LIMIT)
        if config is None:
            raise Failure(f"{self.name} lacks {image['Config']}", "it is not whole: get it again")
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        if not all(DIGEST.fullmatch(diff_id) for diff_id in diff_ids):
            raise ValueError("a diff_id is no digest")
        if len(diff_ids) != len(image["Layers"]):
            raise Failure(f"{self.name} has {len(image['Layers'])} layers of an image that has {len(diff_ids)}", "it is not whole: get it again")
        layers = [self._layer(_inside(name), diff_id) for name, diff_id in zip(image["Layers"], diff_ids)]
        config = make_blob(CONFIG_TYPE, config)
        content = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": descriptor(config), "layers": layers}
        manifest = make_blob(MANIFEST_TYPE, canonical_json(content))
        self._made |= {config["digest"]: config["data"], manifest["digest"]: manifest["data"]}
        entry = descriptor(manifest)
        return [{**entry, "annotations": {FULL_NAME: tag}} for tag in image.get("RepoTags") or []] or [entry]

    def _layer(self, name, diff_id):
        if name not in self._tar.members:
            raise Failure(f"{self.name} lacks {name}", "it is not whole: get it again")
        offset, size = self._tar.members[name]
        with open(self._tar.path, "rb") as file:
            file.seek(offset)
            magic = file.read(4)
            kind = LAYER_TYPE if magic[:2] == GZIP_MAGIC else f"{_PLAIN_LAYER}+zstd" if magic == _ZSTD_MAGIC else _PLAIN_LAYER
            file.seek(offset)
            # An uncompressed layer's digest stands in the configuration; it is checked when it is read.
            try:
                digest = diff_id if kind == _PLAIN_LAYER else self._digest(file, size, diff_id if kind == LAYER_TYPE else None)
            except zlib.error as error:
                raise Failure(f"{self.name}: the layer {name} is damaged ({error})", "get it again") from None
        self._places[digest] = (self._tar.path, offset, size)
        return {"mediaType": kind, "digest": digest, "size": size}

    def _digest(self, file, size, diff_id):
        """The digest of a compressed layer; fails where a gzip one is not what the configuration says."""
        packed, inflated, inflater = hashlib.sha256(), hashlib.sha256(), zlib.decompressobj(31)
        while size and (piece := file.read(min(_PIECE, size))):
            size -= len(piece)
            packed.update(piece)
            while diff_id and piece:
                inflated.update(inflater.decompress(piece, _PIECE))
                piece = inflater.unconsumed_tail or inflater.unused_data
                if inflater.eof and piece:
                    inflater = zlib.decompressobj(31)
        if diff_id and "sha256:" + inflated.hexdigest() != diff_id:
            raise Failure(f"{self.name}: a layer has other bytes than {diff_id}", "it is damaged: get it again")
        return "sha256:" + packed.hexdigest()


def open_docker_archive(path: str, folder: str) -> ImageFiles:
    """An archive of docker save; newer ones have an OCI layout too, which has the original manifests.

    folder: as open_tar takes it.
    :raises Failure: it is no such archive
    """
    tar = open_tar(path, folder)
    if "index.json" in tar.members and "oci-layout" in tar.members:
        return OciArchive(path, folder)
    return DockerArchive(path, tar)


def _inside(name):
    return posixpath.normpath(name)


def docker_manifest(config: str, layers: list[str], tag: str) -> bytes:
    """The manifest.json of a docker archive whose blobs lie as in an OCI layout. tag: a whole name, or empty."""

    def place(digest):
        return "blobs/" + digest.replace(":", "/")

    return canonical_json([{"Config": place(config), "RepoTags": [tag] if tag else None, "Layers": [place(digest) for digest in layers]}])
