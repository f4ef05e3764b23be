# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a node's kernel one that our collector can work with, as far as the Node object tells? Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding

# Ring buffers and CAP_BPF came with 5.8; since 5.11 memory of eBPF is the container's own and no limit has to be raised.
_OLDEST, _WANTED = (5, 8), (5, 11)
ARCHITECTURES = ("amd64", "arm64")
# Kernels that were found without type information (BTF), by their release or by the node's operating system.
_WITHOUT_BTF = (
    ("kernel", re.compile(r"(?:-v[78]l?(?:-16k)?\+?|[+-]rpi\b|\+rpt-rpi-\S+|-raspi)$"), "Raspberry Pi"),
    ("kernel", re.compile(r"-hadron$"), "Kairos' hadron"),
    ("kernel", re.compile(r"-linuxkit"), "LinuxKit"),
    ("kernel", re.compile(r"-t2-"), "T2 Macs"),
    ("kernel", re.compile(r"xanmod"), "XanMod"),
    ("os_image", re.compile(r"^Alpine Linux"), "Alpine Linux"),
    ("os_image", re.compile(r"^Buildroot"), "Buildroot, as of older minikube"),
)
_BACKPORTS = re.compile(r"^4\.18\.0-\d+.*\.el8")


def kernel_version(release: str) -> tuple[int, int] | None:
    """(major, minor) of a kernel's release such as 6.8.0-45-generic; None where it begins otherwise."""
    found = re.match(r"(\d+)\.(\d+)", release or "")
    return (int(found[1]), int(found[2])) if found else None


def judge_kernel(row: dict) -> tuple[str, str, str]:
    """(result, evidence, fix) for one node; row: node_facts' keys and os_image."""
    version = kernel_version(row["kernel"])
    if row["os"] not in ("", "linux"):
        return "error", f"{row['os']} has no eBPF of Linux", "keep the agent to Linux nodes"
    if row["arch"] and row["arch"] not in ARCHITECTURES:
        return "error", f"the architecture {row['arch']} is not one of {' and '.join(ARCHITECTURES)}", "keep the agent to nodes of these with architectures"
    if version is None:
        return "warning", f"the kernel's version cannot be told from {row['kernel'] or 'nothing'!r}", "look at it with uname -r on the node"
    if _BACKPORTS.match(row["kernel"]):
        return "warning", "a kernel 4.18 of RHEL 8 has parts of newer ones ported back, on which the collector has not been run", "prefer RHEL 9 or newer"
    if version < _OLDEST:
        return (
            "error",
            f"kernel {row['kernel']} is older than {_text(_WANTED)}",
            f"bring the node to Linux {_text(_WANTED)} or newer, with CONFIG_DEBUG_INFO_BTF=y",
        )
    bare = next((who for key, pattern, who in _WITHOUT_BTF if pattern.search(row.get(key) or "")), "")
    if bare:
        return (
            "warning",
            f"kernels of {bare} have been found without BTF",
            "see whether the node has /sys/kernel/btf/vmlinux; if not, use a kernel with CONFIG_DEBUG_INFO_BTF=y",
        )
    if version < _WANTED:
        return (
            "warning",
            f"kernel {row['kernel']} is older than {_text(_WANTED)} and charges eBPF memory to the limit of locked memory",
            "raise LimitMEMLOCK of the node's container runtime",
        )
    return "ok", "", ""


def kernel_findings(rows: list[dict]) -> list[dict]:
    """The findings of the check kernel over the eligible nodes."""
    groups: dict[tuple, list[str]] = {}
    for row in rows:
        groups.setdefault(judge_kernel(row), []).append(row["node"])
    found = [finding("kernel", result, evidence, fix, nodes=nodes) for (result, evidence, fix), nodes in sorted(groups.items()) if result != "ok"]
    well = [row for row in rows if judge_kernel(row)[0] == "ok"]
    if well:
        versions = sorted({kernel_version(row["kernel"]) for row in well})
        span = _text(versions[0]) if len(versions) == 1 else f"{_text(versions[0])} to {_text(versions[-1])}"
        platforms = ", ".join(sorted({row["arch"] for row in well}))
        evidence = f"Linux {span} on {count(len(well), 'node')} ({platforms}); that they have BTF no API tells, their releases are not known to lack it"
        found.append(finding("kernel", "ok", evidence))
    return found


def _text(version):
    return f"{version[0]}.{version[1]}"
