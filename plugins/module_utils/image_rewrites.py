# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table that says where the images of other registries are mirrored: by the beginning of their names. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DOCKER_HUB, DOCKER_HUB_API, Reference, is_host, parse_reference

OPTION = {
    "rewrites": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"source": {"type": "str", "required": True}, "destination": {"type": "str", "required": True}},
    }
}
_LIBRARY = "library/"
_SHAPE = "write it as host, or host/path, without a tag, for example ghcr.io/spyderbat"


@dataclass(frozen=True)
class Prefix:
    """The beginning of images' names: a registry, and a path that may be empty."""

    host: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" if self.path else self.host


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    source: Prefix
    destination: Prefix

    def rest(self, host: str, repository: str) -> str | None:
        """What follows the source in a name, "" for the whole name; None where the source is no beginning of it, part by part."""
        if host != self.source.host:
            return None
        names = [repository]
        if host == DOCKER_HUB and repository.startswith(_LIBRARY):
            # Official images have a short name too, under which a row may have them.
            names.append(repository.removeprefix(_LIBRARY))
        for name in names:
            if not self.source.path or name == self.source.path or name.startswith(f"{self.source.path}/"):
                return name[len(self.source.path) :].removeprefix("/")
        return None


def table_of(rewrites: list[dict] | None) -> list[Rule]:
    """The rows of the option `rewrites`, the longest source first.

    :raises Failure: a row is malformed, or two have one source
    """
    found: dict[Prefix, Rule] = {}
    for row in rewrites or []:
        rule = Rule(_source(row["source"]), _destination(row["destination"]))
        if rule.source in found:
            raise Failure(f"rewrites has the source {rule.source} twice", "leave one of them")
        found[rule.source] = rule
    return sorted(found.values(), key=lambda rule: (-len(rule.source.path.split("/")) if rule.source.path else 0, str(rule.source)))


def rewritten(table: list[Rule], reference: Reference) -> Reference | None:
    """Where an image is by the first row that has the beginning of its name; tag and digest stay. None where none has.

    :raises Failure: nothing would be left of the name but a registry
    """
    for rule in table:
        rest = rule.rest(reference.host, reference.repository)
        if rest is not None:
            repository = "/".join(part for part in (rule.destination.path, rest) if part)
            if not repository:
                raise Failure(f"rewrites takes {reference.name} to {rule.destination}, which leaves no repository", "give the destination a path")
            return replace(reference, host=rule.destination.host, repository=repository)
    return None


def _source(text):
    text = _trimmed(text, "source")
    first, _slash, path = text.partition("/")
    host, path = (first, path) if is_host(first) else (DOCKER_HUB, text)
    return _prefix("source", text, DOCKER_HUB if host in ("index.docker.io", DOCKER_HUB_API) else host, path)


def _destination(text):
    text = _trimmed(text, "destination")
    host, _slash, path = text.partition("/")
    if not is_host(host):
        raise Failure(f"rewrites has the destination {text!r} without a registry", "begin it with the registry's host, as in registry.example.com:5000/mirror")
    return _prefix("destination", text, host, path)


def _trimmed(text, field):
    text = str(text).strip().removeprefix("docker://").removesuffix("/")
    if not text or "@" in text or ":" in text.rpartition("/")[2] and "/" in text:
        raise Failure(f"rewrites has the {field} {text!r}, which is no beginning of names", _SHAPE)
    return text


def _prefix(field, text, host, path):
    try:
        parse_reference(f"{host}/{path}/any" if path else f"{host}/any")
    except Failure as failure:
        raise Failure(f"rewrites has the malformed {field} {text!r} ({failure.what})", _SHAPE) from None
    return Prefix(host, path)
