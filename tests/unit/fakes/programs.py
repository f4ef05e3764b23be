# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny files with the header of an ELF program."""

from __future__ import annotations

import struct

MACHINES = {"amd64": 62, "arm64": 183}


def make_elf(
    architecture: str,
    kind: int = 2,
    machine: int | None = None,
    abi: int = 0,
    elf_class: int = 2,
    interpreter: bool = False,
) -> bytes:
    """The bytes of a program with one loaded segment; `kind` is e_type (1 object, 2 program, 3 position-independent)."""
    segments = [1, 3] if interpreter else [1]
    header = b"\x7fELF" + bytes([elf_class, 1, 1, abi]) + bytes(8)
    header += struct.pack("<HHIQQQIHHHHHH", kind, MACHINES[architecture] if machine is None else machine, 1, 0x400000, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    text = architecture.encode() * 100
    end = len(header) + 56 * len(segments) + len(text)
    table = b"".join(struct.pack("<IIQQQQQQ", segment, 5, 0, 0x400000, 0x400000, end, end, 4096) for segment in segments)
    return header + table + text
