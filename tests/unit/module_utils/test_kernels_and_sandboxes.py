# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.kernels import judge_kernel, kernel_findings, kernel_version
from ansible_collections.nanoagent.k8s.plugins.module_utils.sandboxes import blind_pods, own_kernels, runtime_class_findings


def row(kernel, node="n", **more):
    return {"node": node, "os": "linux", "arch": "amd64", "os_image": "Debian GNU/Linux 12", "kernel": kernel, **more}


@pytest.mark.parametrize(
    ("one", "result", "word"),
    [
        (row("6.8.0-45-generic"), "ok", ""),
        (row("5.11.0"), "ok", ""),
        (row("5.14.0-427.el9.x86_64"), "ok", ""),
        (row("6.1.109-gke.1"), "ok", ""),
        (row("5.10.0-32-cloud-amd64"), "warning", "locked memory"),
        (row("5.4.0-100"), "error", "older than 5.11"),
        (row("4.18.0-553.el8_10.x86_64"), "warning", "RHEL 8"),
        (row("4.18.0"), "error", "older"),
        (row("3.10.0-1160.el7"), "error", "older"),
        (row("6.6.31+rpt-rpi-v8", arch="arm64"), "warning", "Raspberry Pi"),
        (row("5.15.84-v8+", arch="arm64"), "warning", "Raspberry Pi"),
        (row("6.10.14-linuxkit"), "warning", "LinuxKit"),
        (row("7.1.0-hadron"), "warning", "hadron"),
        (row("6.6.40-0-lts", os_image="Alpine Linux v3.20"), "warning", "Alpine"),
        (row("6.8.0", arch="s390x"), "error", "s390x"),
        (row("10.0.20348", os="windows"), "error", "windows"),
        (row("custom"), "warning", "cannot be told"),
        (row(""), "warning", "cannot be told"),
    ],
)
def test_a_kernel(one, result, word):
    judged = judge_kernel(one)
    assert judged[0] == result and word in judged[1] and bool(judged[2]) is (result != "ok")


def test_kernels_are_grouped():
    found = kernel_findings([row("6.8.0", "a"), row("5.15.1", "b"), row("4.4.0", "c"), row("4.4.0", "d")])
    assert [(one["result"], one["nodes"]) for one in found] == [("error", ["c", "d"]), ("ok", [])]
    assert "Linux 5.15 to 6.8 on 2 nodes (amd64)" in found[1]["evidence"]
    assert kernel_version("v6") is None


def runtime_class(name, handler):
    return {"metadata": {"name": name}, "handler": handler}


@pytest.mark.parametrize(
    ("name", "handler", "kernel"),
    [
        ("gvisor", "runsc", "gVisor"),
        ("sandboxed", "runsc-kvm", "gVisor"),
        ("gvisor", "gvisor", "gVisor"),
        ("kata-qemu", "kata-qemu", "Kata Containers"),
        ("kata-mshv-vm-isolation", "kata", "Kata Containers"),
        ("vm", "kata-fc", "Kata Containers"),
        ("vm", "aws-firecracker", "Firecracker"),
        ("vm", "krun", "a virtual machine"),
        ("nvidia", "nvidia", None),
        ("crun", "crun", None),
        ("wasm", "spin", None),
    ],
)
def test_handlers_with_a_kernel_of_their_own(name, handler, kernel):
    assert own_kernels([runtime_class(name, handler)]) == ({name: kernel} if kernel else {})


def test_blind_pods_are_counted_by_node():
    classes = [runtime_class("gvisor", "runsc"), runtime_class("nvidia", "nvidia")]
    pods = [{"node": node, "runtime_class": name} for node, name in (("b", "gvisor"), ("a", "gvisor"), ("a", "gvisor"), ("a", "nvidia"), ("a", ""))]
    assert blind_pods(own_kernels(classes), pods) == {"a": 2, "b": 1}
    [found] = runtime_class_findings(classes, pods, "")
    assert (found["result"], found["object"]) == ("warning", "RuntimeClass gvisor") and "3 pods on a, b" in found["evidence"]
    assert "no pod uses it now" in runtime_class_findings(classes, [], "")[0]["evidence"]
    assert "is not known here" in runtime_class_findings(classes, None, "")[0]["evidence"]
    assert [one["result"] for one in runtime_class_findings(classes[1:], pods, "")] == ["ok"]
    assert runtime_class_findings([], [], "")[0]["result"] == "ok"


def test_an_agent_in_a_sandbox_would_see_its_sandbox():
    found = runtime_class_findings([runtime_class("gvisor", "runsc")], [], "gvisor")
    assert found[0]["result"] == "error" and "own runtime class gvisor" in found[0]["evidence"]
