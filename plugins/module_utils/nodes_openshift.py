# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of mirrors for OpenShift: ImageDigestMirrorSet and ImageTagMirrorSet, and authorities in a ConfigMap. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.image_rewrites import Rule
from ansible_collections.nanoagent.k8s.plugins.module_utils.node_registries import MARK, Settings
from ansible_collections.nanoagent.k8s.plugins.module_utils.nodes_registries_conf import prefixes
from ansible_collections.nanoagent.k8s.plugins.module_utils.render import manifest_text

FOLDER = "openshift"
_API = "config.openshift.io/v1"


def files(table: list[Rule], settings: Settings) -> tuple[dict[str, str], list[str]]:
    """Relative path -> text, and a line for each thing to know."""
    policy = "AllowContactingSource" if settings.fallback else "NeverContactSource"
    rows = {prefix: str(rule.destination) for rule in table for prefix in prefixes(rule)}
    mirrors = [{"source": source, "mirrors": [destination], "mirrorSourcePolicy": policy} for source, destination in sorted(rows.items())]
    objects, notes = [], []
    if mirrors:
        objects.append(_object("ImageDigestMirrorSet", settings.name, {"imageDigestMirrors": mirrors}))
        if settings.by_tag:
            objects.append(_object("ImageTagMirrorSet", settings.name, {"imageTagMirrors": mirrors}))
        notes.append("OpenShift's Machine Config Operator takes mirror sets to the nodes pool by pool, which may drain them")
    authorities = {host: settings.of(host).authority for host in settings.special_hosts(table) if settings.of(host).authority}
    if authorities:
        # A key may hold no colon; the image configuration reads two dots as one.
        data = {host.replace(":", ".."): text for host, text in sorted(authorities.items())}
        name = f"{settings.name}-registry-ca"
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "openshift-config"}, "data": data})
        notes.append(f"OpenShift trusts the ConfigMap {name} once image.config.openshift.io/cluster names it in spec.additionalTrustedCA")
    insecure = sorted(host for host in settings.special_hosts(table) if settings.of(host).is_insecure)
    if insecure:
        notes.append(f"OpenShift takes {', '.join(insecure)} once image.config.openshift.io/cluster lists it in spec.registrySources.insecureRegistries")
    return {f"{FOLDER}/{obj['kind'].lower()}.yaml": f"{MARK}\n{manifest_text([obj])}" for obj in objects}, notes


def _object(kind, name, spec):
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name}, "spec": spec}
