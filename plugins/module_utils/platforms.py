# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which platforms a cluster is made of, from what its API says. Pure.

A cluster may be several at once: EKS with Bottlerocket nodes and a Fargate part. docs/platforms.md names the source of
each sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import FARGATE, VIRTUAL_KUBELET, signs

# In the order in which they are reported.
PLATFORMS = (
    "openshift",
    "gke",
    "gke-autopilot",
    "eks",
    "eks-auto",
    "eks-fargate",
    "aks",
    "virtual-kubelet",
    "k3s",
    "rke2",
    "microk8s",
    "kind",
    "minikube",
    "talos",
    "bottlerocket",
    "flatcar",
    "cos",
)
CHOICES = ("auto", "none", *PLATFORMS)

# MicroShift has it too, and what OpenShift has to be given is of this kind.
_OPENSHIFT_KIND = "SecurityContextConstraints"
# In the kubelet's version.
_VERSION_SIGNS = {"gke": "-gke.", "eks": "-eks-", "k3s": "+k3s", "rke2": "+rke2"}
_OS_IMAGES = {"talos": "Talos (", "bottlerocket": "Bottlerocket ", "flatcar": "Flatcar Container Linux", "cos": "Container-Optimized OS from Google"}
_LABELS = {
    "openshift": ("node.openshift.io/os_id", None),
    "gke": ("cloud.google.com/gke-nodepool", None),
    "eks": ("eks.amazonaws.com/nodegroup", None),
    "eks-auto": ("eks.amazonaws.com/compute-type", "auto"),
    "aks": ("kubernetes.azure.com/cluster", None),
    "microk8s": ("microk8s.io/cluster", "true"),
    "minikube": ("minikube.k8s.io/name", None),
}
_UNREAL = {"eks-fargate": FARGATE, "virtual-kubelet": VIRTUAL_KUBELET}
_SHOWN = 3


def asked_kinds(options: dict) -> list[str]:
    """The kinds that matter here whether the API has them."""
    return [] if options["platform"] == "none" else [_OPENSHIFT_KIND]


def detect(nodes: list[dict], served: Iterable[str] = ()) -> list[dict]:
    """The platforms that the cluster is made of: [{"platform", "evidence", "nodes"}], in the order of PLATFORMS.

    nodes: Node objects. served: those of asked_kinds that the API has, as "Kind.group". evidence: what it was recognised by,
    as text. nodes: the names of the nodes that showed it, sorted; empty where only the API server did.
    """
    found = {platform: {"evidence": [], "nodes": []} for platform in PLATFORMS}
    for node in nodes:
        for platform in PLATFORMS:
            sign = _SIGNS[platform](node)
            if sign:
                found[platform]["evidence"].append(sign)
                found[platform]["nodes"].append(_name(node))
    kind = KINDS[_OPENSHIFT_KIND]
    if kind.group_kind in served:
        found["openshift"]["evidence"].append(f"API group {kind.group}")
    return [
        {"platform": platform, "evidence": _shortened(what["evidence"]), "nodes": sorted(what["nodes"])} for platform, what in found.items() if what["evidence"]
    ]


def choose(option: str, detected: list[dict]) -> list[dict]:
    """The platforms that count, in the order of PLATFORMS: none for none, otherwise all detected ones and the named one, detected or not."""
    if option == "none":
        return []
    if option == "auto" or option in names(detected):
        return detected
    named = {"platform": option, "evidence": "the option platform", "nodes": []}
    return sorted([*detected, named], key=lambda entry: PLATFORMS.index(entry["platform"]))


def names(platforms: Iterable[dict]) -> set[str]:
    """The platforms' names."""
    return {entry["platform"] for entry in platforms}


def _name(node):
    return (node.get("metadata") or {}).get("name") or ""


def _info(node, key):
    return ((node.get("status") or {}).get("nodeInfo") or {}).get(key) or ""


def _label_sign(node, key, value):
    labels = (node.get("metadata") or {}).get("labels") or {}
    if key not in labels or value not in (None, labels[key]):
        return ""
    return f"node label {key}={labels[key]}"


def _by_label(platform) -> Callable[[dict], str]:
    key, value = _LABELS[platform]
    return lambda node: _label_sign(node, key, value)


def _by_label_or_version(platform):
    by_label = _by_label(platform) if platform in _LABELS else lambda node: ""

    def sign(node):
        kubelet = _info(node, "kubeletVersion")
        return by_label(node) or (f"kubelet {kubelet}" if _VERSION_SIGNS[platform] in kubelet else "")

    return sign


def _by_os_image(platform):
    return lambda node: f"OS image {_info(node, 'osImage')}" if _info(node, "osImage").startswith(_OS_IMAGES[platform]) else ""


def _autopilot(node):
    name = _name(node)
    return f"node name {name}" if name.startswith("gk3-") and _SIGNS["gke"](node) else ""


def _unreal(who):
    return lambda node: next((sign for whose, sign in signs(node) if whose == who), "")


def _kind(node):
    provider = (node.get("spec") or {}).get("providerID") or ""
    return f"provider ID {provider}" if provider.startswith("kind://") else ""


def _shortened(evidence):
    distinct = list(dict.fromkeys(evidence))
    more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
    return ", ".join(distinct[:_SHOWN]) + more


_SIGNS: dict[str, Callable[[dict], str]] = {
    **{platform: _by_label(platform) for platform in _LABELS},
    **{platform: _by_label_or_version(platform) for platform in _VERSION_SIGNS},
    **{platform: _by_os_image(platform) for platform in _OS_IMAGES},
    "gke-autopilot": _autopilot,
    **{platform: _unreal(who) for platform, who in _UNREAL.items()},
    "kind": _kind,
}
