# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in a tar archive by name, without unpacking it; a compressed one is expanded to a file once."""

from __future__ import annotations

import gzip
import hashlib
import os
import posixpath
import shutil
import tarfile
import zlib
from dataclasses import dataclass

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.oci import GZIP_MAGIC

_PIECE = 1 << 20
# An image archive has a file or two a layer.
_MOST_FILES = 100_000
# Bytes of a disk that stay free, whatever an archive expands to.
_ROOM = 64 << 20


@dataclass(frozen=True)
class TarFiles:
    """path: of the uncompressed archive. members: name -> (offset, size) of its regular files."""

    path: str
    members: dict[str, tuple[int, int]]

    def read(self, name: str, most: int) -> bytes | None:
        """A small file's content, None where there is none.

        :raises Failure: it has more than `most` bytes
        """
        if name not in self.members:
            return None
        offset, size = self.members[name]
        if size > most:
            raise Failure(f"{self.path}: {name} has {size} bytes", f"that is no archive of images, where it has less than {most}")
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(size)


def open_tar(path: str, folder: str) -> TarFiles:
    """The files of an archive, plain or gzip.

    folder: takes the expanded archive where it is compressed, named by the original's path.
    :raises Failure: it is missing, unreadable, damaged, no tar archive, expands to more than fits, or has names that lead out of it
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
        plain = _expand(path, folder) if compressed else path
        with tarfile.open(plain, "r:") as archive:
            return TarFiles(plain, _members(archive, path))
    except FileNotFoundError:
        raise Failure(f"archive {path} does not exist", "correct the path") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Failure(f"{path} is no tar archive, or is damaged ({error})", "get it again; it may be plain or compressed with gzip") from None
    except OSError as error:
        raise Failure(f"archive {path} cannot be read ({error.strerror})", "make it readable for this user") from None


def _members(archive, path):
    found, links = {}, {}
    for count, member in enumerate(archive):
        name = _safe_name(member.name, path)
        if count >= _MOST_FILES:
            raise Failure(f"archive {path} has more than {_MOST_FILES} files", "it is no archive of images")
        if member.isreg():
            found[name] = (member.offset_data, member.size)
        elif member.issym():
            links[name] = _safe_name(posixpath.join(posixpath.dirname(name), member.linkname), path)
        elif member.islnk():
            links[name] = _safe_name(member.linkname, path)
        elif not member.isdir():
            raise Failure(f"archive {path} has the special file {name}", "it is no archive of images")
    end = max((offset + size for offset, size in found.values()), default=0)
    if end > os.path.getsize(archive.name):
        raise Failure(f"{path} is no tar archive, or is damaged (it ends too soon)", "get it again; it may be plain or compressed with gzip")
    # Older versions of docker save link layers that are alike.
    return found | {name: found[target] for name, target in links.items() if target in found}


def _safe_name(name, path):
    plain = posixpath.normpath(name)
    if plain.startswith(("/", "../")) or plain == "..":
        raise Failure(f"archive {path} has the name {name!r}, which leads out of it", "do not use it")
    return plain


def _expand(path, folder):
    target = os.path.join(folder, f"expanded-{hashlib.sha256(path.encode()).hexdigest()[:16]}.tar")
    if os.path.exists(target):
        return target
    written = 0
    # Under its name only when it is whole: whoever opens the archive next takes what is there.
    with gzip.open(path, "rb") as packed, open(f"{target}.part", "wb") as file:
        while piece := packed.read(_PIECE):
            # Asked each 64 MiB, so that what is left free is not used up in between.
            if not written % _ROOM and shutil.disk_usage(folder).free < 2 * _ROOM:
                raise Failure(
                    f"archive {path} does not fit on the disk of {folder} when it is expanded", "make room, or set ANSIBLE_LOCAL_TEMP to a larger one"
                )
            file.write(piece)
            written += len(piece)
    os.replace(file.name, target)
    return target
