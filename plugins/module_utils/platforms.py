# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which platforms a cluster is made of, from what its API says. Pure.

A cluster may be several at once: EKS with Bottlerocket nodes and a Fargate part. docs/platforms.md names the source of
each sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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

_OPENSHIFT_GROUPS = ("config.openshift.io", "security.openshift.io")
# In the kubelet's version and in the API server's.
_VERSION_SIGNS = {"gke": "-gke.", "eks": "-eks-", "k3s": "+k3s", "rke2": "+rke2"}
_OS_IMAGES = {"talos": "Talos (", "bottlerocket": "Bottlerocket ", "flatcar": "Flatcar Container Linux", "cos": "Container-Optimized OS from Google"}
_LABELS = {
    "openshift": ("node.openshift.io/os_id", None),
    "gke": ("cloud.google.com/gke-nodepool", None),
    "eks": ("eks.amazonaws.com/nodegroup", None),
    "eks-auto": ("eks.amazonaws.com/compute-type", "auto"),
    "eks-fargate": ("eks.amazonaws.com/compute-type", "fargate"),
    "aks": ("kubernetes.azure.com/cluster", None),
    "microk8s": ("microk8s.io/cluster", "true"),
    "minikube": ("minikube.k8s.io/name", None),
}
_VIRTUAL_LABELS = (("type", "virtual-kubelet"), ("virtualization", "virtualnode2"))
_VIRTUAL_TAINT = "virtual-kubelet.io/provider"
_SHOWN = 3


def detect(nodes: list[dict], group_versions: set[str] | None = None, version: dict | None = None) -> list[dict]:
    """The platforms that the cluster is made of: [{"platform", "evidence", "nodes"}], in the order of PLATFORMS.

    nodes: Node objects. group_versions: what the API serves, as in "security.openshift.io/v1"; None where nobody asked.
    version: the answer of /version. evidence: what it was recognised by, as text. nodes: the names of the nodes that
    showed it, sorted; empty where only the API server did.
    """
    found = {platform: {"evidence": [], "nodes": []} for platform in PLATFORMS}
    for node in nodes:
        for platform in PLATFORMS:
            sign = _SIGNS[platform](node)
            if sign:
                found[platform]["evidence"].append(sign)
                found[platform]["nodes"].append(_name(node))
    groups = {group_version.partition("/")[0] for group_version in group_versions or ()}
    found["openshift"]["evidence"] += [f"API group {group}" for group in _OPENSHIFT_GROUPS if group in groups]
    server = (version or {}).get("gitVersion") or ""
    for platform, sign in _VERSION_SIGNS.items():
        if sign in server:
            found[platform]["evidence"].append(f"API server {server}")
    return [
        {"platform": platform, "evidence": _shortened(what["evidence"]), "nodes": sorted(what["nodes"])} for platform, what in found.items() if what["evidence"]
    ]


def choose(option: str, detected: list[dict]) -> list[dict]:
    """The platforms that count: all detected ones for auto, none for none, else the named one, detected or not."""
    if option == "auto":
        return detected
    if option == "none":
        return []
    named = [entry for entry in detected if entry["platform"] == option]
    return named or [{"platform": option, "evidence": "the option platform", "nodes": []}]


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


def _virtual_kubelet(node):
    for key, value in _VIRTUAL_LABELS:
        if _label_sign(node, key, value):
            return _label_sign(node, key, value)
    taints = (node.get("spec") or {}).get("taints") or []
    return f"node taint {_VIRTUAL_TAINT}" if any(taint.get("key") == _VIRTUAL_TAINT for taint in taints) else ""


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
    "virtual-kubelet": _virtual_kubelet,
    "kind": _kind,
}
