# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every format of the nodes' registry configuration is made from, beside the table. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import Rule

# The first line of every file; a file without it is never replaced or removed.
MARK = "# Made by nanoagent.k8s; what is changed here is lost at the next run."


@dataclass(frozen=True)
class Server:
    """How nodes reach a registry. authority: PEM of the one that signed its certificate, empty for those the nodes trust."""

    authority: str = ""
    validate: bool = True
    plain: bool = False

    @property
    def scheme(self) -> str:
        """http or https."""
        return "http" if self.plain else "https"

    @property
    def is_insecure(self) -> bool:
        """Whether anybody in between could pass for it."""
        return self.plain or not self.validate


@dataclass(frozen=True)
class Settings:
    """What holds for every row.

    name: of what is made in a cluster, and of files. servers: host -> Server. fallback: whether nodes go to the source for what
    no mirror has. by_tag: whether a mirror is asked for what a tag stands for, not only for digests.
    """

    name: str
    servers: dict[str, Server] = field(default_factory=dict)
    fallback: bool = True
    by_tag: bool = True

    def of(self, host: str) -> Server:
        """How a host is reached."""
        return self.servers.get(host, Server())

    def special_hosts(self, table: list[Rule]) -> set[str]:
        """The mirrors that are not reached as any registry is, so that nodes have to be told also where an image is named by them."""
        return {rule.destination.host for rule in table if self.of(rule.destination.host) != Server()}


def quoted(text: str) -> str:
    """A text as TOML has it."""
    return json.dumps(text)
