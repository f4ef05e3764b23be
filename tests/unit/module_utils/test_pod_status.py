# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import diagnose, is_ready, target_node


def pod(**status):
    return {"metadata": {"name": "p"}, "spec": {}, "status": status}


def waiting(reason, message="", **more):
    return pod(phase="Pending", containerStatuses=[{"name": "c", "image": "r/i:1", "state": {"waiting": {"reason": reason, "message": message}}, **more}])


PULL = 'rpc error: code = Unknown desc = failed to pull and unpack image "r/i:1": '


@pytest.mark.parametrize(
    ("reason", "message", "code", "final"),
    [
        ("ErrImagePull", PULL + "r/i:1: not found", "ImageNotFound", True),
        ("ImagePullBackOff", 'Back-off pulling image "r/i:1": ErrImagePull: manifest unknown', "ImageNotFound", True),
        ("ErrImagePull", PULL + "unexpected status code 401 Unauthorized", "ImageDenied", True),
        ("ErrImagePull", PULL + "x509: certificate signed by unknown authority", "ImageRegistryTls", True),
        ("ErrImagePull", PULL + "no match for platform in manifest: not found", "ImageArchitecture", True),
        ("ErrImagePull", PULL + "dial tcp 192.0.2.1:443: connect: connection refused", "ImageRegistryUnreachable", False),
        ("ErrImagePull", PULL + "lookup r: no such host", "ImageRegistryName", False),
        ("ErrImagePull", PULL + "429 Too Many Requests - toomanyrequests", "ImageRateLimit", False),
        ("ErrImagePull", "something new", "ErrImagePull", False),
        ("InvalidImageName", "", "InvalidImageName", True),
        ("ErrImageNeverPull", "", "ErrImageNeverPull", True),
        ("CreateContainerConfigError", 'secret "x" not found', "CreateContainerConfigError", True),
    ],
)
def test_waiting(reason, message, code, final):
    cause = diagnose(waiting(reason, message))
    assert (cause["reason"], cause["final"]) == (code, final)
    assert cause["fix"]


def test_of_a_long_message_the_end_is_kept():
    image = "registry.example/" + "long/" * 60 + "image:1"
    detail = diagnose(waiting("ErrImagePull", f'{PULL}failed to resolve reference "{image}": {image}: not found'))["detail"]
    assert len(detail) == 240 and detail.startswith("failed to pull and unpack image") and detail.endswith("image:1: not found")


@pytest.mark.parametrize(
    ("restarts", "reason", "ended", "code", "final"),
    [
        (1, "", "Error", "Crashed", False),
        (2, "", "Error", "CrashLoopBackOff", True),
        (1, "CrashLoopBackOff", "Error", "CrashLoopBackOff", True),
        (3, "CrashLoopBackOff", "OOMKilled", "OOMKilled", True),
    ],
)
def test_crashes(restarts, reason, ended, code, final):
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    cause = diagnose(
        pod(
            phase="Running",
            containerStatuses=[
                {"name": "c", "ready": False, "restartCount": restarts, "state": state, "lastState": {"terminated": {"exitCode": 7, "reason": ended}}}
            ],
        )
    )
    assert (cause["reason"], cause["final"]) == (code, final)
    assert "exit code 7" in cause["detail"]


def test_why_a_container_could_not_be_started_is_told():
    ended = {"exitCode": 128, "reason": "StartError", "message": "failed to create containerd task: mounting /etc to rootfs"}
    container = {"name": "c", "ready": False, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
    cause = diagnose(pod(phase="Running", containerStatuses=[container]))
    assert "(StartError), restarts: 1: failed to create containerd task: mounting /etc to rootfs" in cause["detail"]


def test_other_states():
    assert diagnose(pod(phase="Pending"))["reason"] == "Starting"
    assert diagnose(pod(phase="Running", containerStatuses=[{"name": "c", "ready": False, "state": {"running": {}}}]))["reason"] == "NotReady"
    unschedulable = pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}])
    assert (diagnose(unschedulable)["reason"], diagnose(unschedulable)["detail"]) == ("InsufficientCpu", "Insufficient cpu")
    assert diagnose(pod(phase="Failed", reason="Evicted", message="disk"))["reason"] == "Evicted"
    assert diagnose({**pod(), "metadata": {"deletionTimestamp": "t"}})["reason"] == "Terminating"


def test_ready_and_ending_is_not_ready():
    ready = pod(phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    assert is_ready(ready)
    assert not is_ready({**ready, "metadata": {"deletionTimestamp": "t"}})


def test_target_node_of_a_pending_pod():
    field = {"key": "metadata.name", "operator": "In", "values": ["n2"]}
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}}
    assert target_node({"spec": {"affinity": {"nodeAffinity": terms}}}) == "n2"
    assert target_node({"spec": {"nodeName": "n3"}}) == "n3"
    assert target_node({"spec": {}}) == ""
