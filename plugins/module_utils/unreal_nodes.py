# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes with no machine behind them that an agent could watch: what shows them, and how a DaemonSet leaves them out. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, records, text

FARGATE, LIQO, VIRTUAL_KUBELET, KWOK = "Fargate", "Liqo", "virtual kubelet", "kwok"

# (who, label, its value, None for any). The order is that of the node affinity, where another one would replace every pod, and of several
# signs of one node the first says who it is.
_LABELS = (
    # Amazon EKS User Guide, "AWS Fargate considerations".
    (FARGATE, "eks.amazonaws.com/compute-type", "fargate"),
    # liqotech/liqo, pkg/consts: what its controllers select their own nodes by.
    (LIQO, "liqo.io/type", "virtual-node"),
    # virtual-kubelet/virtual-kubelet, cmd/virtual-kubelet/internal/commands/root/node.go; Azure documentation, "Use Virtual Nodes v2 in AKS".
    (VIRTUAL_KUBELET, "type", "virtual-kubelet"),
    (VIRTUAL_KUBELET, "virtualization", "virtualnode2"),
    # kwok documentation, "Manage nodes".
    (KWOK, "type", "kwok"),
    (KWOK, "kwok.x-k8s.io/node", None),
)
# No affinity can leave out a node by these.
_TAINTS = ((VIRTUAL_KUBELET, "virtual-kubelet.io/provider"),)
_ANNOTATIONS = ((KWOK, "kwok.x-k8s.io/node", "fake"),)


def signs(node: dict) -> list[tuple[str, str]]:
    """(who, what shows it) of a Node: labels first; empty for a machine."""
    labels, annotations = mapping(at(node, "metadata", "labels")), mapping(at(node, "metadata", "annotations"))
    tainted = {text(taint.get("key")) for taint in records(at(node, "spec", "taints"))}
    found = [(who, f"node label {key}={labels[key]}") for who, key, value in _LABELS if key in labels and value in (None, labels[key])]
    found += [(who, f"node taint {key}") for who, key in _TAINTS if key in tainted]
    return found + [(who, f"node annotation {key}={value}") for who, key, value in _ANNOTATIONS if annotations.get(key) == value]


def who_is(node: dict) -> str:
    """FARGATE, LIQO, VIRTUAL_KUBELET or KWOK for a node that is no machine; empty for a machine."""
    return next((who for who, _sign in signs(node)), "")


def expressions() -> list[dict]:
    """The requirements of a node selector term that leave out each node whose labels show that it is no machine."""
    values: dict[str, list] = {}
    for _who, key, value in _LABELS:
        values.setdefault(key, []).append(value)
    return [
        {"key": key, "operator": "DoesNotExist"} if None in several else {"key": key, "operator": "NotIn", "values": several} for key, several in values.items()
    ]


def label_of(who: str) -> str:
    """A label, as KEY=VALUE, by which such a node is left out."""
    return next(f"{key}={value}" for whose, key, value in _LABELS if whose == who)


def takes_them(daemon_set: dict) -> bool:
    """Whether this DaemonSet was told to take them: it is ours, and no term of its required node affinity leaves any of them out.

    One of the requirements is enough to say that it was not told so: an earlier version knew fewer of them.
    """
    if at(daemon_set, "metadata", "labels", "app.kubernetes.io/managed-by") != "nanoagent.k8s":
        return False
    affinity = at(daemon_set, "spec", "template", "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    ours = expressions()
    return not any(one in ours for term in records(at(affinity, "nodeSelectorTerms")) for one in records(term.get("matchExpressions")))
