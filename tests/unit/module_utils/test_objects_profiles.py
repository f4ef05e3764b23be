# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options, desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import PROFILES, container_name, with_profile_defaults
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, agent_options, container, daemon_set, objects, pod

VENDOR = {"profile": "spyderbat", "name": None, "namespace": None}
# The vendor's node agent as section A of its guide and its published chart have it.
VENDOR_ENV = {
    "ORC_URL": "https://orc.spyderbat.com",
    "http_proxy": "http://p.example:1",
    "HTTP_PROXY": "http://p.example:1",
    "https_proxy": "http://p.example:2",
    "HTTPS_PROXY": "http://p.example:2",
    "SPYDERBAT_TAGS": "a=1:b=true",
    "SPYDERBAT_K8S_DEPLOYMENT": "yes",
    "CLUSTER_NAME": "0123",
    "SPYDERBAT_EPHEMERAL_NODE": "true",
    "EXTRA_ARGS": "--x",
    "CURL_ARGS": "-k",
    "SPYDERBAT_INSTALL_ID": "11111111-2222",
    "OMITENVIRONMENT": "no",
}
VENDOR_PATHS = {
    "/proc": ("/iproc", True),
    "/opt": ("/hostopt", False),
    "/var": ("/hostvar", False),
    "/home": ("/hosthome", False),
    "/etc": ("/hostetc", True),
    "/run": ("/hostrun", False),
}


def vendor(**given):
    """Options of the profile spyderbat with nothing said that it says itself."""
    options = agent_options(profile="spyderbat", require_digest=False, **given)
    return {option: None if option in ("name", "namespace", "image") else value for option, value in options.items()}


def host_paths(spec):
    volumes = {volume["name"]: volume["hostPath"] for volume in spec["volumes"] if "hostPath" in volume}
    mounts = spec["containers"][0]["volumeMounts"]
    return {volumes[m["name"]]["path"]: (m["mountPath"], m.get("readOnly", False)) for m in mounts if m["name"] in volumes}, volumes


def test_the_vendor_s_names_and_flags():
    found = {obj["kind"]: obj for obj in desired_objects(vendor())}
    workload, spec = found["DaemonSet"], found["DaemonSet"]["spec"]["template"]["spec"]
    assert (workload["metadata"]["name"], workload["metadata"]["namespace"]) == ("spyderbat-nanoagent", "spyderbat")
    assert workload["spec"]["selector"] == {"matchLabels": {"name": "spyderbat-nanoagent"}}
    assert workload["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
    assert spec["serviceAccountName"] == "spyderbat-serviceaccount"
    assert spec["containers"][0]["name"] == "spyderbat-nanoagent" and spec["containers"][0]["image"] == "ghcr.io/spyderbat/nano-agent:latest"
    assert spec["containers"][0]["imagePullPolicy"] == "Always"
    assert spec["hostPID"] is spec["hostNetwork"] is spec["containers"][0]["securityContext"]["privileged"] is True
    assert spec["tolerations"] == [{"operator": "Exists"}] and spec["terminationGracePeriodSeconds"] == 30
    # 6000m and 10240Mi, as the API server writes them.
    assert spec["containers"][0]["resources"] == {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6", "memory": "10Gi"}}


def test_the_vendor_s_variables():
    given = {"cluster_name": "0123", "tags": {"b": True, "a": 1}, "http_proxy": "http://p.example:1", "https_proxy": "http://p.example:2"}
    env = container({"cluster_uid": "11111111-2222"}, profile="spyderbat", extra_args="--x", curl_args="-k", **given)["env"]
    plain = {variable["name"]: variable["value"] for variable in env if "value" in variable}
    assert plain == VENDOR_ENV
    [code] = [variable for variable in env if variable["name"] == "AGENT_REGISTRATION_CODE"]
    assert "value" not in code and code["valueFrom"]["secretKeyRef"]["key"] == "registration-code"
    assert "SPYDERBAT_INSTALL_ID" not in {variable["name"] for variable in container(profile="spyderbat")["env"]}


def test_the_vendor_s_host_paths():
    found, volumes = host_paths(pod(profile="spyderbat"))
    assert found == VENDOR_PATHS
    assert {volume["type"] for volume in volumes.values()} == {"Directory"}
    assert host_paths(pod(profile="spyderbat", platform="microk8s") if "platform" in agent_options() else pod({"platform": "microk8s"}, profile="spyderbat"))[
        0
    ] == {**VENDOR_PATHS, "/snap": ("/hostsnap", False)}


def test_nothing_is_random():
    assert desired_objects(vendor()) == desired_objects(vendor())


def test_pull_secrets_reach_every_workload():
    found = objects(profile="spyderbat", image_pull_secrets=["x"], monitor={"enabled": True})
    workloads = [obj for obj in found.values() if obj["kind"] in ("DaemonSet", "Deployment")]
    assert len(workloads) == 2
    assert all(obj["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "x"}] for obj in workloads)


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_defaults_fill_each_gap_once(profile):
    options = agent_options(profile=profile)
    filled = with_profile_defaults(options)
    assert with_profile_defaults(filled) == filled
    assert options == agent_options(profile=profile)
    check_options(filled)
    assert desired_objects(filled) == desired_objects(options)


def test_defaults_that_depend_on_other_options():
    assert with_profile_defaults(agent_options(max_surge="1"))["max_unavailable"] == "0"
    assert with_profile_defaults(agent_options(update_strategy="OnDelete"))["max_unavailable"] is None
    assert with_profile_defaults(agent_options(limit_percent=3))["resources"] is None
    assert with_profile_defaults(agent_options(host_network=True))["dns_policy"] == "ClusterFirstWithHostNet"
    assert with_profile_defaults(agent_options(profile="spyderbat", host_network=False))["dns_policy"] is None


def test_custom_takes_any_image_with_its_command():
    found = container(profile="custom", command=["/a"], args=["-v"])
    assert (found["command"], found["args"], found["image"], found["name"]) == (["/a"], ["-v"], IMAGE, "agent")
    assert "volumeMounts" not in found and "volumes" not in pod(profile="custom")
    assert not [key for key in found if key.endswith("Probe")]
    assert [container_name({"profile": profile}) for profile in ("bundled", "spyderbat", "custom")] == ["collector", "spyderbat-nanoagent", "agent"]


def test_a_stranger_s_image_cannot_be_entered_by_the_verifier():
    rights = {kind: objects(profile=kind)["Role/nanoagent-verifier"]["rules"] for kind in PROFILES}
    assert [kind for kind, rules in rights.items() if any("pods/exec" in rule["resources"] for rule in rules)] == ["bundled"]


def test_the_selector_s_labels_are_the_pods():
    for profile in PROFILES:
        spec = daemon_set(profile=profile)["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"profile": "custom", "orc_url": "https://x.example"}, "orc_url means nothing to the profile custom"),
        ({"omit_environment": "no"}, "omit_environment means nothing to the profile bundled"),
        ({"args": ["x"]}, "args means nothing to the profile bundled"),
        ({"profile": "custom", "events": ["exec"]}, "events means nothing to the profile custom"),
        ({"profile": "custom", "cluster_name": "x"}, "cluster_name means nothing to the profile custom"),
        ({"profile": "spyderbat", "ring_bytes": 65536}, "ring_bytes means nothing to the profile spyderbat"),
        ({"profile": "spyderbat", "registration_code": None}, "has no registration code"),
        ({"profile": "spyderbat", "orc_url": "http://x.example"}, "orc_url is no https URL"),
        ({"profile": "spyderbat", "tags": {"a:b": 1}}, "tags.a:b cannot be sent"),
        ({"profile": "spyderbat", "image": "ghcr.io/spyderbat/nano-agent:1"}, "not pinned by a digest"),
        ({"run_as_user": 1}, "run_as_user 1 cannot load eBPF programs"),
    ],
)
def test_what_a_profile_refuses(given, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**given))
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
