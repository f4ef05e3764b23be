# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node for each way in which an API server says that no machine is behind it, and machines that look alike."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.tests.unit.fakes.cluster_objects import node

_AMD64 = {"kubernetes.io/arch": "amd64"}
_KWOK = "kwok.x-k8s.io/node"
_VIRTUAL_TAINT = [("virtual-kubelet.io/provider", "NoSchedule")]


def _labelled(key, value):
    return {"labels": {**_AMD64, key: value}}


# What is there -> (who is behind it, whether a label says so, the Node).
SAMPLES = {
    what: (who, by_label, node(**{"labels": _AMD64, **fields}))
    for what, who, by_label, fields in (
        ("Fargate", "Fargate", True, _labelled("eks.amazonaws.com/compute-type", "fargate")),
        ("Liqo", "Liqo", True, _labelled("liqo.io/type", "virtual-node")),
        ("virtual kubelet", "virtual kubelet", True, {**_labelled("type", "virtual-kubelet"), "taints": _VIRTUAL_TAINT}),
        ("virtual nodes v2", "virtual kubelet", True, _labelled("virtualization", "virtualnode2")),
        ("kwok by its type", "kwok", True, {**_labelled("type", "kwok"), "annotations": {_KWOK: "fake"}}),
        ("kwok by its own label", "kwok", True, _labelled(_KWOK, "fake")),
        ("kwok by its own label, of another value", "kwok", True, _labelled(_KWOK, "")),
        ("virtual kubelet by its taint", "virtual kubelet", False, {"taints": _VIRTUAL_TAINT}),
        ("kwok by its annotation", "kwok", False, {"annotations": {_KWOK: "fake"}}),
        ("a machine", "", False, {}),
        ("a machine of the type gpu", "", False, _labelled("type", "gpu")),
        ("a machine of EKS Auto Mode", "", False, _labelled("eks.amazonaws.com/compute-type", "auto")),
        ("a machine of a cluster with Liqo", "", False, _labelled("liqo.io/type", "gateway")),
        ("a machine with another annotation", "", False, {"annotations": {_KWOK: "real"}}),
    )
}
