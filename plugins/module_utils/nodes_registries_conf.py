# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of mirrors for CRI-O, Podman, Buildah and Skopeo: a file for registries.conf.d, and authorities in certs.d. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DOCKER_HUB
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import Rule
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_registries import MARK, Settings, quoted

FOLDERS = ("containers/registries.conf.d", "containers/certs.d")


def files(table: list[Rule], settings: Settings) -> tuple[dict[str, str], list[str]]:
    """Relative path -> text, and a line for each thing to know."""
    conf, authorities = FOLDERS
    rows = {prefix: rule.destination for rule in table for prefix in prefixes(rule)}
    blocks = [MARK]
    for prefix, destination in sorted(rows.items()):
        block = ["[[registry]]", f"prefix = {quoted(prefix)}", f"location = {quoted(prefix)}"]
        if not settings.fallback:
            # Of what is blocked the mirrors still are asked.
            block.append("blocked = true")
        if settings.of(prefix.partition("/")[0]).is_insecure:
            block.append("insecure = true")
        block += ["", "[[registry.mirror]]", f"location = {quoted(str(destination))}"]
        if settings.of(destination.host).is_insecure:
            block.append("insecure = true")
        if not settings.by_tag:
            block.append('pull-from-mirror = "digest-only"')
        blocks.append("\n".join(block))
    for host in sorted(settings.special_hosts(table) - set(rows)):
        if settings.of(host).is_insecure:
            blocks.append("\n".join(["[[registry]]", f"prefix = {quoted(host)}", f"location = {quoted(host)}", "insecure = true"]))
    hosts = {rule.destination.host for rule in table} | {rule.source.host for rule in table}
    trusted = {host: settings.of(host).authority for host in hosts if settings.of(host).authority}
    found = {f"{authorities}/{host}/{settings.name}.crt": f"{MARK}\n{text}" for host, text in trusted.items()}
    return ({f"{conf}/{settings.name}.conf": "\n\n".join(blocks) + "\n", **found} if rows else {}), []


def prefixes(rule: Rule) -> list[str]:
    """The source of a row as full names begin with it; an official image of Docker Hub has a longer one."""
    source = rule.source
    if source.host == DOCKER_HUB and source.path and "/" not in source.path and source.path != "library":
        return [str(source), f"{DOCKER_HUB}/library/{source.path}"]
    return [str(source)]
