# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OCI images from plain files: layers, configurations, manifests, indexes and archives, the same bytes everywhere.

Everything here is a function of its arguments; only read_program touches the disk.

The shapes used throughout:

- blob: `{"mediaType": str, "digest": "sha256:...", "size": int, "data": bytes}`.
- descriptor: the same without `data`, as it stands in a manifest.
- program: `{"content": bytes, "member": bytes, "reproducible": bool}`; `member` is `content` as one gzip member.
- image: `{"index": blob, "platforms": {architecture: {"manifest": blob, "config": blob, "layer": blob}}}`.

Why a layer consists of three gzip members
==========================================
An image has the same digest on every machine only if its compressed layers are the same to the byte, and what zlib
makes of the same input differs between zlib, zlib-ng, the variants for some processors, and thereby between
distributions. An uncompressed layer would be stable but about 2.5 times as large; a compressor of our own in Python
would take seconds for each architecture. A gzip file may consist of several members, though, and every container
runtime reads such layers (lazily pulled images are made of thousands). So a layer is

1. the tar header of the one file, as a gzip member of stored blocks, whose bytes follow from RFC 1951 alone;
2. the file's content, as one gzip member, compressed once, where the program is built: it is shipped and used as it is;
3. the padding and the end of the tar, stored again.

No compressor runs here when the program comes as a `.gz` file. For a bare program this machine's zlib has to
compress it; zlib_is_classic says whether it does so as the original zlib does on most machines, and the result
reports that as `reproducible`.

Each member has the plain ten-byte header: no name, no time, unknown operating system.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import struct
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"

# The e_machine field of an ELF header, by the name that OCI (and Go) gives the architecture.
ELF_MACHINES = {"amd64": 62, "arm64": 183}
ARCHITECTURES = tuple(ELF_MACHINES)

ANNOTATION_PREFIX = "org.opencontainers.image."
# Program -> what its image is about.
_DESCRIPTIONS = {
    "collector": "eBPF runtime-monitoring collector of the Ansible collection nanoagent.k8s",
    "monitor": "Cluster monitor of the Ansible collection nanoagent.k8s",
}
PROGRAMS = tuple(_DESCRIPTIONS)

# Level 9 takes twice the time of level 6 and saves less than one percent of a Go program.
DEFLATE_LEVEL = 6
# The SHA-256 of what the original zlib makes of _zlib_probe() at that level.
CLASSIC_ZLIB_PROBE = "aaff83909f8746abe7755d8da4de756eec4323266430f33b32032089e14e6923"

GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
GZIP_MAGIC = b"\x1f\x8b"
STORED_BLOCK_LIMIT = 65535
TAR_BLOCK = 512


# --- digests and JSON -------------------------------------------------------------------------------------------


def sha256_digest(data: bytes) -> str:
    """The digest of bytes in the OCI notation, `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def canonical_json(value) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def make_blob(media_type: str, data: bytes) -> dict:
    """Bytes with what a descriptor says about them."""
    return {"mediaType": media_type, "digest": sha256_digest(data), "size": len(data), "data": data}


def descriptor(blob: dict) -> dict:
    """A blob as a manifest refers to it."""
    return {"mediaType": blob["mediaType"], "digest": blob["digest"], "size": blob["size"]}


# --- gzip members -----------------------------------------------------------------------------------------------


def _gzip_trailer(data: bytes) -> bytes:
    return struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def stored_member(data: bytes) -> bytes:
    """Bytes as a gzip member of stored blocks: no compressor is involved, so the result is the same everywhere."""
    pieces = [data[start : start + STORED_BLOCK_LIMIT] for start in range(0, len(data), STORED_BLOCK_LIMIT)] or [b""]
    blocks = []
    for number, piece in enumerate(pieces, start=1):
        is_last = number == len(pieces)
        blocks.append(struct.pack("<BHH", is_last, len(piece), len(piece) ^ 0xFFFF) + piece)
    return GZIP_HEADER + b"".join(blocks) + _gzip_trailer(data)


def deflated_member(data: bytes) -> bytes:
    """Bytes as a gzip member compressed by this machine's zlib."""
    compressor = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return GZIP_HEADER + compressor.compress(data) + compressor.flush() + _gzip_trailer(data)


def _zlib_probe() -> bytes:
    """About 200 kB that make a compressor choose: words of uneven frequency, repeats near and far, some noise."""
    words = [hashlib.sha256(b"word %d" % number).digest()[: 2 + number % 11] for number in range(256)]
    output = []
    for number in range(1200):
        picks = hashlib.sha256(b"sentence %d" % number).digest()
        output.extend(words[pick * pick // 256] for pick in picks)
        output.append(picks[: number % 7])
    return b"".join(output)


@functools.cache
def zlib_is_classic() -> bool:
    """Whether this machine's zlib compresses as the original does, judged by one probe.

    Others (zlib-ng, variants for some processors) are as valid, but give other bytes and so other digests.
    """
    return hashlib.sha256(deflated_member(_zlib_probe())).hexdigest() == CLASSIC_ZLIB_PROBE


# --- programs ---------------------------------------------------------------------------------------------------


def check_program(content: bytes, architecture: str, path: str, program: str = "collector") -> None:
    """Refuse what is not a static Linux program for the architecture.

    :param content: the file's bytes
    :param path: for the message
    :param program: of PROGRAMS, which it is to be
    :raises Failure: says what it is instead
    """
    if content[:4] != b"\x7fELF":
        raise Failure(f"{path} is not a Linux program (no ELF header)", f"give the static {architecture} {program} that 'make {program}' builds")
    try:
        is_64bit, is_little_endian, abi = content[4] == 2, content[5] == 1, content[7]
        if not is_64bit or not is_little_endian:
            raise Failure(f"{path} is not a 64-bit little-endian program", f"give one that is built for linux/{architecture}")
        kind, machine = struct.unpack_from("<HH", content, 16)
        table_offset = struct.unpack_from("<Q", content, 32)[0]
        entry_size, entries = struct.unpack_from("<HH", content, 54)
        segments = [struct.unpack_from("<I4xQ16xQ", content, table_offset + entry_size * entry) for entry in range(entries)]
        is_whole = all(offset + size <= len(content) for _kind, offset, size in segments)
    except (struct.error, IndexError):
        is_whole = False
    if not is_whole:
        raise Failure(f"{path} is cut off, its ELF header points beyond its end", f"build it again with 'make {program}'")
    if machine != ELF_MACHINES[architecture]:
        actual = {number: name for name, number in ELF_MACHINES.items()}.get(machine, f"ELF machine {machine}")
        raise Failure(f"{path} is built for {actual}, not for {architecture}", f"give the {architecture} binary that 'make {program}' builds")
    system_v, linux = 0, 3
    if abi not in (system_v, linux):
        raise Failure(f"{path} is not built for Linux (ELF ABI {abi})", "build it with GOOS=linux")
    executable, position_independent = 2, 3
    if kind not in (executable, position_independent):
        raise Failure(f"{path} is an ELF file but not a program (type {kind})", f"give the linked {program} that 'make {program}' builds")
    interpreter = 3
    if any(segment_kind == interpreter for segment_kind, _offset, _size in segments):
        raise Failure(f"{path} is linked dynamically and cannot start in an image without libraries", "build it statically, with CGO_ENABLED=0")


def _read(path: str, program: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise Failure(f"{path} does not exist", f"build the {program} with 'make {program}', or name another file in binaries") from None
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "name a readable file in binaries") from None


def _unpack(packed: bytes, path: str, program: str) -> bytes:
    """The content of a shipped .gz file, after checks that keep an image from depending on chance.

    A name or time in the header would make the digest depend on when the file was compressed. A program left beside
    it that differs means that one of them is out of date, and the image would silently hold the wrong one.
    """
    flags_and_time = packed[3:8]
    if any(flags_and_time):
        raise Failure(f"{path} carries a file name or time, which would change the digest", "compress it with 'gzip -9n'")
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        raise Failure(f"{path} is damaged (not a whole gzip file)", f"make it again with 'make {program}'") from None
    unpacked_path = path.removesuffix(".gz")
    if unpacked_path != path and os.path.exists(unpacked_path) and _read(unpacked_path, program) != content:
        raise Failure(f"{path} does not hold what {unpacked_path} does, one is out of date", f"run 'make {program}'")
    return content


def read_program(path: str, architecture: str, program: str = "collector") -> dict:
    """Read a static program, bare or compressed with `gzip -n`, and check that an image can run it.

    :param program: of PROGRAMS, which it is to be
    :returns: program
    :raises Failure: missing, unreadable, damaged, or no static Linux program for the architecture
    """
    data = _read(path, program)
    if data.startswith(GZIP_MAGIC):
        content, member, reproducible = _unpack(data, path, program), data, True
    else:
        content, member, reproducible = data, None, None
    check_program(content, architecture, path, program)
    if member is None:
        member, reproducible = deflated_member(content), zlib_is_classic()
    return {"content": content, "member": member, "reproducible": reproducible}


def read_programs(binaries: dict, architectures: list, program: str = "collector") -> dict:
    """Read the programs of several architectures at once (zlib and hashlib let threads run side by side).

    :param binaries: `{architecture: path}`
    :param program: of PROGRAMS, which they are to be
    :returns: `{architecture: program}`, in the order of ARCHITECTURES
    :raises Failure: also for names that are no architecture and for missing paths
    """
    unknown = sorted(set(binaries) - set(ARCHITECTURES))
    if unknown:
        raise Failure(f"binaries has the unknown architecture {unknown[0]!r}", f"use {' and '.join(ARCHITECTURES)}")
    wanted = [architecture for architecture in ARCHITECTURES if architecture in architectures]
    if not wanted:
        raise Failure("architectures is empty", f"name at least one of {' and '.join(ARCHITECTURES)}")
    for architecture in wanted:
        if not isinstance(binaries.get(architecture), str) or not binaries[architecture]:
            raise Failure(f"binaries has no path for {architecture}", f"add one, or take {architecture} out of architectures")
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        programs = pool.map(lambda architecture: read_program(os.path.expanduser(binaries[architecture]), architecture, program), wanted)
        return dict(zip(wanted, programs))


# --- image ------------------------------------------------------------------------------------------------------


def _tar_header(name: str, size: int, mode: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry.tobuf(format=tarfile.USTAR_FORMAT)


def _tar_padding(size: int) -> bytes:
    return bytes(-size % TAR_BLOCK)


def single_file_layer(name: str, program: dict, mode: int = 0o555) -> tuple[dict, str]:
    """A layer with one file of owner 0:0 and no time.

    :returns: `(blob, diff_id)`; the diff id is the digest of the uncompressed tar
    """
    content = program["content"]
    head = _tar_header(name, len(content), mode)
    tail = _tar_padding(len(content)) + bytes(2 * TAR_BLOCK)
    tar_hash = hashlib.sha256(head)
    tar_hash.update(content)
    tar_hash.update(tail)
    compressed = stored_member(head) + program["member"] + stored_member(tail)
    return make_blob(LAYER_TYPE, compressed), "sha256:" + tar_hash.hexdigest()


def image_config(architecture: str, diff_ids: list, labels: dict, name: str = "collector") -> dict:
    """The configuration of an image as a dict. name: the program's, of PROGRAMS.

    No time of creation: it would only tell when somebody ran this. No user: which one is right (root with few
    capabilities, or any other uid) is the pod's decision, and the file is readable and executable for everyone.
    """
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [f"/{name}"], "Cmd": ["run"], "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }


def _platform(architecture: str, program: dict, labels: dict, name: str) -> dict:
    layer, diff_id = single_file_layer(name, program)
    config = make_blob(CONFIG_TYPE, canonical_json(image_config(architecture, [diff_id], labels, name)))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor(config),
        "layers": [descriptor(layer)],
    }
    return {"manifest": make_blob(MANIFEST_TYPE, canonical_json(manifest)), "config": config, "layer": layer}


def image_labels(labels: dict | None, name: str = "collector") -> dict:
    """The default labels with the user's added or replacing them; an empty value takes a default label away.

    :raises Failure: a value is a list or a dict
    """
    default = {
        "org.opencontainers.image.title": f"nanoagent {name}",
        "org.opencontainers.image.description": _DESCRIPTIONS[name],
        "org.opencontainers.image.source": "https://github.com/nanoagent/nanoagent.k8s",
        "org.opencontainers.image.licenses": "GPL-3.0-or-later",
    }
    merged = {**default, **(labels or {})}
    for name, value in merged.items():
        if isinstance(value, (dict, list)):
            raise Failure(f"label {name} is no text", "give each label one text as its value")
    return {str(name): str(value) for name, value in merged.items() if value not in ("", None)}


def build_image(programs: dict, labels: dict | None = None, name: str = "collector") -> dict:
    """A multi-architecture image with one file in it, the program.

    The labels of the OCI namespace become annotations of the index too: registries show those for an image of
    several architectures.

    :param programs: `{architecture: program}`
    :param name: the program's, of PROGRAMS
    :returns: image
    """
    labels = image_labels(labels, name)
    ordered = [(architecture, programs[architecture]) for architecture in ARCHITECTURES if architecture in programs]
    with ThreadPoolExecutor(max_workers=len(ordered)) as pool:
        built = list(pool.map(lambda item: _platform(*item, labels, name), ordered))
    platforms = {architecture: platform for (architecture, _program), platform in zip(ordered, built)}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {**descriptor(platform["manifest"]), "platform": {"architecture": architecture, "os": "linux"}} for architecture, platform in platforms.items()
        ],
        "annotations": {name: value for name, value in labels.items() if name.startswith(ANNOTATION_PREFIX)},
    }
    return {"index": make_blob(INDEX_TYPE, canonical_json(index)), "platforms": platforms}


# --- archive ----------------------------------------------------------------------------------------------------


def image_blobs(image: dict) -> list:
    """Every blob of an image, the index last."""
    parts = [platform[part] for platform in image["platforms"].values() for part in ("layer", "config", "manifest")]
    return [*parts, image["index"]]


def archive_bytes(image: dict, name: str = "", tag: str = "") -> bytes:
    """An OCI archive: the tar of an OCI image layout.

    :param name: the image's full name, under which containerd imports it; may be empty
    :param tag: the name within the archive (skopeo's `oci-archive:file:tag`); may be empty
    """
    annotations = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
    annotations = {key: value for key, value in annotations.items() if value}
    entry = descriptor(image["index"])
    if annotations:
        entry["annotations"] = annotations
    files = {
        "oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry]}),
    }
    for blob in sorted(image_blobs(image), key=lambda blob: blob["digest"]):
        files["blobs/" + blob["digest"].replace(":", "/")] = blob["data"]
    output = io.BytesIO()
    for path, data in files.items():
        output.write(_tar_header(path, len(data), 0o644))
        output.write(data)
        output.write(_tar_padding(len(data)))
    output.write(bytes(2 * TAR_BLOCK))
    return output.getvalue()


def file_digest(path: str) -> str | None:
    """The digest of a file's bytes, or None where there is no file.

    :raises Failure: it is a folder or cannot be read
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(f"archive {path} cannot be read ({error.strerror})", "name a file that can be replaced") from None
    return "sha256:" + digest.hexdigest()


def check_folder(path: str) -> None:
    """Refuse a path whose folder does not exist, before any work is done for it."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise Failure(f"archive {path} cannot be written, the folder {folder} does not exist", "create it first")
