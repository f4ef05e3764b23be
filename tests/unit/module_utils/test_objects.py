# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL, set_id
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import pull_policy
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.render import rendered
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

IMAGE = "registry.example/collector@sha256:" + "ab" * 32
SECRET = "canary-f00dfeed"
LOGIN = {"registry": "registry.example", "username": "u", "password": SECRET, "secret_name": "nanoagent-registry"}


def options(**given):
    defaults = {name: spec.get("default") for name, spec in argument_spec().items()}
    return {**defaults, "image": IMAGE, **given}


def by_kind(**given):
    return {obj["kind"]: obj for obj in desired_objects(options(**given))}


def test_order_is_namespace_parent_members_daemon_set():
    kinds = [obj["kind"] for obj in desired_objects(options(priority_class={"name": "p", "create": True, "value": 5}))]
    assert kinds[:2] == ["Namespace", "ConfigMap"]
    assert kinds[-1] == "DaemonSet"


def test_the_set_is_one_that_kubectl_understands():
    objects = desired_objects(options())
    parent = objects[1]
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"nanoagent.nanoagent.ConfigMap.").digest()).decode().rstrip("=")
    assert parent["metadata"]["labels"]["applyset.kubernetes.io/id"] == f"applyset-{digest}-v1" == set_id("nanoagent", "nanoagent")
    named = parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"].split(",")
    assert named == sorted(named) and "DaemonSet.apps" in named and "Namespace" in named
    assert all(obj["metadata"]["labels"][MEMBER_LABEL] == f"applyset-{digest}-v1" for obj in objects if obj is not parent)


def test_least_privilege():
    spec = by_kind()["DaemonSet"]["spec"]["template"]["spec"]
    context = spec["containers"][0]["securityContext"]
    assert context["capabilities"] == {"add": ["BPF", "PERFMON"], "drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"] and context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert "hostPID" not in spec and "hostNetwork" not in spec
    for mount in spec["containers"][0]["volumeMounts"]:
        volume = next(volume for volume in spec["volumes"] if volume["name"] == mount["name"])
        assert mount.get("readOnly") or "emptyDir" in volume
    assert by_kind(privileged=True)["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] is True


def test_the_verifier_may_read_and_prove_and_nothing_else():
    objects = by_kind()
    verbs = {verb for kind in ("Role", "ClusterRole") for rule in objects[kind]["rules"] for verb in rule["verbs"]}
    creates = [rule["resources"] for rule in objects["Role"]["rules"] if "create" in rule["verbs"]]
    assert verbs == {"get", "list", "watch", "create"} and creates == [["pods/exec"]]
    assert "Role" not in by_kind(verifier=False)


def test_a_changed_configuration_changes_the_pods():
    def configuration(**given):
        objects = by_kind(**given)
        [volume] = [volume for volume in objects["DaemonSet"]["spec"]["template"]["spec"]["volumes"] if volume["name"] == "config"]
        assert volume["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"] and objects["ConfigMap"]["immutable"] is True
        return volume["configMap"]["name"]

    assert configuration() == configuration()
    assert configuration(cluster_name="prod") != configuration()
    config = json.loads(by_kind(cluster_name="prod", tags={"a": 1})["ConfigMap"]["data"]["collector.json"])
    assert (config["cluster"], config["tags"]) == ("prod", {"a": "1"})


def test_options_reach_the_pod():
    spec = by_kind(
        tolerations=[], node_selector={"pool": "x"}, control_plane=False, priority_class={"name": "p", "create": False, "value": 1}, image_pull_secrets=["s"]
    )
    pod = spec["DaemonSet"]["spec"]["template"]["spec"]
    assert "PriorityClass" not in spec and pod["priorityClassName"] == "p"
    assert "tolerations" not in pod and pod["nodeSelector"]["pool"] == "x" and pod["imagePullSecrets"] == [{"name": "s"}]
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {"key": "node-role.kubernetes.io/control-plane", "operator": "DoesNotExist"} in term["matchExpressions"]


def test_a_login_becomes_a_pull_secret_and_is_never_rendered():
    objects = by_kind(registry_login=LOGIN)
    auths = json.loads(base64.b64decode(objects["Secret"]["data"][".dockerconfigjson"]))
    assert auths["auths"]["registry.example"]["password"] == SECRET
    assert objects["DaemonSet"]["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "nanoagent-registry"}]
    text = rendered(options(registry_login=LOGIN))["manifest"]
    assert SECRET not in text and base64.b64encode(f"u:{SECRET}".encode()).decode() not in text and "kind: Secret" not in text


def test_rendering_gives_the_same_bytes():
    shuffled = dict(reversed(list(options(tags={"b": "2", "a": "1"}).items())))
    assert rendered(shuffled)["manifest"] == rendered(options(tags={"a": "1", "b": "2"}))["manifest"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"image": ""}, "image is missing"),
        ({"image": "r/c:latest"}, "not pinned by a digest"),
        ({"image": "r/c@sha256:abc"}, "after '@' that is no digest"),
        ({"image": f"r/c@sha256:{'0' * 64}\n"}, "begins or ends with white space"),
        ({"resources": {"limits": {"memory": "512m"}}}, "resources.limits.memory 512m is no whole number"),
        ({"priority_class": {"name": "p", "create": True, "value": 1_000_000_001}}, "priority_class.value 1000000001"),
        ({"max_unavailable": "0"}, "max_unavailable '0'"),
        ({"max_unavailable": "many"}, "max_unavailable 'many'"),
        ({"ring_bytes": 100000}, "ring_bytes 100000"),
        ({"resources": {"request": {}}}, "resources.request"),
        ({"registry_login": {**LOGIN, "registry": "https://registry.example/"}}, "registry_login.registry 'https://registry.example/'"),
        ({"registry_login": {**LOGIN, "registry": "registry.example:x"}}, "registry_login.registry 'registry.example:x'"),
        ({"registry_login": {**LOGIN, "registry": " "}}, "registry_login.registry ' '"),
        ({"registry_login": {**LOGIN, "username": ""}}, "registry_login.username is empty"),
        ({"registry_login": {**LOGIN, "password": ""}}, "registry_login.password is empty"),
    ],
)
def test_wrong_options_are_named(given, names):
    with pytest.raises(Failure) as caught:
        desired_objects(options(**given))
    assert names in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        (IMAGE, "IfNotPresent"),
        ("r/c", "Always"),
        ("r:5000/c", "Always"),
        ("r:5000/c:latest", "Always"),
        ("r:5000/c:1.2", "IfNotPresent"),
        ("r/c:local", "Never"),
        ("r:5000/c:local-1.2", "Never"),
        ("r:5000/c:localised", "IfNotPresent"),
        ("local/c:1.2", "IfNotPresent"),
        (IMAGE.replace("@", ":local@"), "IfNotPresent"),
    ],
)
def test_pull_policy(image, policy):
    assert pull_policy(image) == policy
    container = by_kind(image=image, require_digest=False)["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]
    assert container["imagePullPolicy"] == policy
