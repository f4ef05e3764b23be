# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of mirrors for containerd: certs.d/<registry>/hosts.toml. Pure.

containerd chooses mirrors by the registry alone and puts the image's whole path behind the mirror's address. So a row can be
said there where its destination ends with its source's path, and then it holds for every image of the registry.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DOCKER_HUB, DOCKER_HUB_API
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import Rule
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_registries import MARK, Settings, quoted
from ansible_collections.nanoagent.k8s.plugins.module_utils.nodes_registries_conf import prefixes

FOLDER = "containerd/certs.d"


def files(table: list[Rule], settings: Settings) -> tuple[dict[str, str], list[str]]:
    """Relative path -> text, and a line for each thing to know.

    :raises Failure: a row cannot be said in a hosts.toml
    """
    found, notes = {}, []
    for registry in sorted({rule.source.host for rule in table} | settings.special_hosts(table)):
        rules = [rule for rule in table if rule.source.host == registry]
        mirrors = list(dict.fromkeys((rule.destination.host, _above(rule)) for rule in rules))
        if rules and not settings.fallback and all(rule.source.path for rule in rules):
            raise Failure(
                f"hosts.toml cannot keep nodes from {rules[0].source} alone, only from all of {registry}",
                f"add a row with the source {registry}, or leave fallback at true, or containerd out of formats",
            )
        notes += [
            f"containerd looks for {short}, the official image, at {rule.destination.host} below another path than {rule.destination.path}"
            for rule in rules
            for short in prefixes(rule)[1:]
            if not f"/{rule.destination.path}".endswith(short.partition("/")[2])
        ]
        notes += [f"containerd asks {rule.destination.host} for every image of {registry}, not only for {rule.source}" for rule in rules if rule.source.path]
        found |= _files(registry, mirrors, settings)
    if found:
        notes.append('containerd reads certs.d where config_path of its CRI plugin names it: config_path = "/etc/containerd/certs.d"')
    return found, notes


def _above(rule):
    """The path at the mirror below which containerd looks for whole paths of the source; Failure where there is none."""
    path, tails = f"/{rule.destination.path}", [prefix.partition("/")[2] for prefix in prefixes(rule)]
    if not rule.source.path:
        return rule.destination.path
    # An official image of Docker Hub by its longer name first.
    for tail in reversed(tails):
        if path.endswith(f"/{tail}"):
            return path.removesuffix(f"/{tail}").removeprefix("/")
    wanted = "/".join(part for part in (rule.destination.host, rule.destination.path, tails[-1]) if part)
    raise Failure(
        f"hosts.toml cannot say the row from {rule.source} to {rule.destination}: containerd keeps the whole path of an image",
        f"end the destination with the source's path, as in {wanted}, or leave containerd out of formats",
    )


def _files(registry, mirrors, settings):
    authorities = {}

    def lines(host, above, indent):
        """What is said of a server, the same at the top and below a mirror."""
        about = settings.of(host)
        said = [f"capabilities = [{', '.join(quoted(each) for each in _capabilities(host, registry, settings))}]"]
        if above:
            said.append("override_path = true")
        if about.authority:
            name = f"{host.replace(':', '_')}.crt"
            authorities[f"{FOLDER}/{registry}/{name}"] = f"{MARK}\n{about.authority}"
            # Relative to the hosts.toml, so that the folder may be anywhere.
            said.append(f"ca = {quoted(name)}")
        if not about.validate:
            said.append("skip_verify = true")
        return [indent + line for line in said]

    def address(host, above):
        return f"{settings.of(host).scheme}://{DOCKER_HUB_API if host == DOCKER_HUB else host}" + (f"/v2/{above}" if above else "")

    # containerd 1.6 takes no file without a host, so one that stands alone is the host and the server too, which is asked last.
    hosts = mirrors or [(registry, "")]
    host, above = (registry, "") if settings.fallback else hosts[-1]
    text = [MARK, f"server = {quoted(address(host, above))}", *lines(host, above, "")]
    for mirror, path in hosts:
        text += ["", f"[host.{quoted(address(mirror, path))}]", *lines(mirror, path, "  ")]
    return {f"{FOLDER}/{registry}/hosts.toml": "\n".join(text) + "\n", **authorities}


def _capabilities(host, registry, settings):
    if host == registry:
        return ("pull", "resolve", "push")
    return ("pull", "resolve") if settings.by_tag else ("pull",)
