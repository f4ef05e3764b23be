# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.vendor_values import load_values, map_values, merge
from ansible_collections.nanoagent.k8s.plugins.modules.agent import argument_spec

ARN = "arn:aws:secretsmanager:us-east-2:123456789012:secret:agents/code-AbCdEf"
ROLE = "arn:aws:iam::123456789012:role/agents"
CANARY = "canary-8c1f"
# What the chart does with no values at all.
DEFAULTS = {
    "profile": "spyderbat",
    "name": "spyderbat-nanoagent",
    "image": "ghcr.io/spyderbat/nano-agent:latest",
    "require_digest": False,
    "image_pull_policy": "Always",
    "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6000m", "memory": "2048Mi"}},
    "create_service_account": True,
    "service_account": "spyderbat-serviceaccount",
    "cluster_name": "none",
    "omit_environment": "no",
    "update_strategy": "RollingUpdate",
    "max_surge": "0",
    "max_unavailable": "1",
    "monitor": {"enabled": True, "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6000m", "memory": "2048Mi"}}},
    "rbac": "respond",
}
UNPINNED = "image: it has a tag and no digest"


def changed(values: dict) -> dict:
    """The options that values lead to, less those that are the chart's defaults; None for a default that is gone."""
    options, _notes = map_values(values)
    assert set(options) <= set(argument_spec())
    gone = {option: None for option in DEFAULTS if option not in options}
    return {option: value for option, value in options.items() if DEFAULTS.get(option) != value} | gone


def test_without_values_the_agent_is_the_charts():
    options, notes = map_values({})
    assert options == DEFAULTS and [note.partition(",")[0] for note in notes] == [f"{UNPINNED}"]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("image: {registry: r.example, repository: a/b, tag: '7'}", {"image": "r.example/a/b:7"}),
        ("image: {tag: 1.25}", {"image": "ghcr.io/spyderbat/nano-agent:1.25"}),
        (f"image: {{tag: 'latest@sha256:{'0' * 64}'}}", {"image": f"ghcr.io/spyderbat/nano-agent:latest@sha256:{'0' * 64}", "require_digest": None}),
        ("image: {pullPolicy: IfNotPresent}", {"image_pull_policy": "IfNotPresent"}),
        ("image: {pullSecrets: [one, {name: two}]}", {"image_pull_secrets": ["one", "two"]}),
        ("agent: {extra_args: --x, curl_args: -k}", {"extra_args": "--x", "curl_args": "-k"}),
        ("priorityClassDefault: {enabled: true}", {"priority_class": {"name": "spyderbat-high-priority", "create": True, "value": 1000}}),
        ("priorityClassDefault: {enabled: true, value: 5}", {"priority_class": {"name": "spyderbat-high-priority", "create": True, "value": 5}}),
        ("priorityClassDefault: {value: 5}", {}),
        ("serviceAccount: {create: false, name: x}", {"create_service_account": False, "service_account": "x", "rbac": "read_only"}),
        ("serviceAccount: {annotations: {a: b}}", {"service_account_annotations": {"a": "b"}}),
        ("serviceAccount: {role: spyderbat-cluster-readonly, readonly: true}", {"rbac": "read_only"}),
        ("serviceAccount: {readonly: true}", {"rbac": "read_only"}),
        ("serviceAccount: {role: cluster-admin}", {"rbac": "cluster_admin"}),
        ("serviceAccount: {role: w, writerolename: w}", {}),
        ("serviceAccount: {role: own-role}", {"rbac": "read_only"}),
        ("microK8sSnap: {enabled: true}", {"platform": "microk8s"}),
        ("CLUSTER_NAME: prod", {"cluster_name": "prod"}),
        ("CLUSTER_NAME: null", {"cluster_name": None}),
        ("OMITENVIRONMENT: no", {}),
        ("OMITENVIRONMENT: everything", {"omit_environment": "everything"}),
        ("spyderbat_tags: a=b:c=d=e", {"tags": {"a": "b", "c": "d=e"}}),
        ("spyderbat_tags: ''", {}),
        ("extraEnv: [{name: A, value: '1'}]", {"extra_env": [{"name": "A", "value": "1"}]}),
        ("podLabels: {a: b}", {"pod_labels": {"a": "b"}}),
        ("nanoagent: {pod: {annotations: {a: b}}}", {"pod_annotations": {"a": "b"}}),
        ("nanoagent: {agentRegistrationCode: abc}", {"registration_code": "abc"}),
        ("nanoagent: {orcurl: 'https://orc.example'}", {"orc_url": "https://orc.example"}),
        ("nanoagent: {httpproxy: 'http://p', httpsproxy: 'http://q'}", {"http_proxy": "http://p", "https_proxy": "http://q"}),
        ("nanoagent: {nodeSelector: {a: b}}", {"node_selector": {"a": "b"}}),
        ("nanoagent: {affinity: {nodeAffinity: {}}}", {"affinity": {"nodeAffinity": {}}}),
        ("nanoagent: {updateStrategy: {type: OnDelete}}", {"update_strategy": "OnDelete", "max_surge": None, "max_unavailable": None}),
        ("nanoagent: {updateStrategy: {rollingUpdate: {maxUnavailable: 20%}}}", {"max_unavailable": "20%"}),
        ("nanoagent: {updateStrategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}}", {"max_surge": "2", "max_unavailable": "0"}),
        ("clusterMonitor: {create: false}", {"monitor": {"enabled": False}, "rbac": None}),
        (
            f"aws: {{secretsmanager: {{enabled: true, secretarn: '{ARN}', rolearn: '{ROLE}'}}}}",
            {
                "credentials": {
                    "aws_secrets_manager": {"secret_id": ARN, "region": "us-east-2", "key": "spyderbat-registration-key", "role_arn": ROLE},
                }
            },
        ),
        (f"aws: {{secretsmanager: {{enabled: false, secretarn: '{ARN}'}}}}", {}),
    ],
)
def test_each_key_becomes_its_option(text, options):
    assert changed(yaml.safe_load(text)) == options


def test_parts_of_the_resources_are_filled_up_and_the_monitor_has_the_same():
    options, _notes = map_values(yaml.safe_load("resources: {limits: {cpu: 1, memory: null}}"))
    assert options["resources"] == {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "1"}} == options["monitor"]["resources"]


@pytest.mark.parametrize("text", ["resources: null", "resources: {limits: null, requests: null}"])
def test_resources_that_are_taken_away_are_none_at_all(text):
    options, _notes = map_values({**yaml.safe_load(text), "nanoagent": {"agentRegistrationCode": CANARY}})
    assert options["resources"] == {"requests": {}, "limits": {}} == options["monitor"]["resources"]
    defaults = ArgumentSpecValidator(argument_spec()).validate({}).validated_parameters
    found = desired_objects(with_profile_defaults(merge(defaults, options, argument_spec())))
    assert found[-1]["spec"]["template"]["spec"]["containers"][0]["resources"] == {}


def test_what_is_the_service_accounts_goes_where_none_is_made():
    values = {"serviceAccount": {"create": False, "annotations": {"a": "b"}}}
    values["aws"] = {"secretsmanager": {"enabled": True, "secretarn": ARN, "rolearn": ROLE}}
    options, notes = map_values(values)
    assert "service_account_annotations" not in options and "role_arn" not in options["credentials"]["aws_secrets_manager"]
    assert any(line.startswith("aws.secretsmanager.rolearn: ignored") for line in notes)
    assert any(line.startswith("serviceAccount.annotations: ignored") for line in notes)


def test_the_monitors_tolerations_may_be_the_charts_empty_map():
    tolerations = [{"operator": "Exists"}]
    assert "tolerations" not in map_values({"clusterMonitor": {"tolerations": {}}})[0]["monitor"]
    assert map_values({"clusterMonitor": {"tolerations": tolerations}})[0]["monitor"]["tolerations"] == tolerations


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("image: {pullSecrets: []}", "image.pullSecrets: the chart never used it; now every workload gets"),
        ("kubernetesSupport: {enabled: true}", "kubernetesSupport: the chart never used it; ignored"),
        ("priorityClassDefault: {name: mine}", "priorityClassDefault.name: the chart never used it; ignored"),
        ("serviceAccount: {annotations: {}}", "serviceAccount.annotations: the chart never used it; now"),
        ("serviceAccount: {readonly: true}", "serviceAccount.readonly: the chart bound serviceAccount.role all the same; now the monitor may only read"),
        ("serviceAccount: {role: own}", "serviceAccount.role: not a role of the chart"),
        ("serviceAccount: {create: false}", "serviceAccount.create: the chart bound no role then"),
        ("writeRole: {create: false}", "writeRole.create: ignored"),
        ("clusterMonitor: {affinity: {a: b}}", "clusterMonitor.affinity: ignored: use monitor.node_selector"),
        ("namespaceSpyderbat: {enabled: true}", "namespaceSpyderbat: not a key of the chart 1.1.4; ignored, use namespace"),
        ("image: {regisrty: x}", "image.regisrty: not a key of the chart; ignored"),
        ("resources: {limits: {ephemeral-storage: 1Gi}}", "resources.limits.ephemeral-storage: not a key of the chart; ignored"),
        ("tolerations: []", "tolerations: not a key of the chart; ignored"),
        (
            f"{{nanoagent: {{agentRegistrationCode: {CANARY}}}, aws: {{secretsmanager: {{enabled: true, secretarn: '{ARN}'}}}}}}",
            "nanoagent.agentRegistrationCode: ignored, as by the chart",
        ),
    ],
)
def test_what_is_not_simply_taken_over_is_named(text, note):
    _options, notes = map_values(yaml.safe_load(text))
    assert any(line.startswith(note) for line in notes), notes
    assert not any("\n" in line or CANARY in line for line in notes)


def test_keys_that_are_taken_over_are_not_named():
    _options, notes = map_values({"CLUSTER_NAME": "a", "nanoagent": {"orcurl": "https://x", "agentRegistrationCode": CANARY}, "image": {"tag": "1"}})
    assert len(notes) == 1 and notes[0].startswith(UNPINNED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image: latest", "image is text, a map is wanted"),
        ("image: null", "image.registry is empty"),
        ("image: {tag: null}", "image.tag is empty"),
        ("image: {registry: [a]}", "image.registry is a list, text is wanted"),
        ("image: {tag: true}", "image.tag is true or false, text or a number is wanted"),
        ("image: {pullSecrets: [{a: b}]}", "image.pullSecrets has an entry without a name"),
        ("CLUSTER_NAME: 123", "CLUSTER_NAME is a whole number, text is wanted. Next: put it in quotes"),
        ("nanoagent: {agentRegistrationCode: 12345678901}", "nanoagent.agentRegistrationCode is a whole number, text is wanted"),
        (f"nanoagent: {{agentRegistrationCode: [{CANARY}]}}", "nanoagent.agentRegistrationCode is a list"),
        ("serviceAccount: {create: 'yes'}", "serviceAccount.create is text, true or false is wanted"),
        ("priorityClassDefault: {value: high}", "priorityClassDefault.value is text, a whole number is wanted"),
        ("resources: {limits: {cpu: {a: b}}}", "resources.limits.cpu is a map, text or a number is wanted"),
        ("extraEnv: {A: b}", "extraEnv is a map, a list is wanted"),
        ("extraEnv: [A]", "extraEnv[0] is no variable with a name"),
        ("spyderbat_tags: a", "spyderbat_tags is not of the form KEY=value:KEY=value"),
        ("spyderbat_tags: =b", "spyderbat_tags is not of the form"),
        ("OMITENVIRONMENT: yes", "OMITENVIRONMENT is true"),
        ("clusterMonitor: {tolerations: {a: b}}", "clusterMonitor.tolerations is a map, a list is wanted"),
        (f"aws: {{secretsmanager: {{enabled: true, secretarn: {CANARY}}}}}", "aws.secretsmanager.secretarn is no ARN"),
        ("aws: {secretsmanager: {enabled: true}}", "aws.secretsmanager.secretarn is no ARN"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_path_and_without_the_value(text, message):
    with pytest.raises(Failure) as caught:
        map_values(yaml.safe_load(text))
    assert message in caught.value.message and "\n" not in caught.value.message and CANARY not in caught.value.message


def test_a_values_file_is_read(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("# nothing\n")
    assert load_values(str(path)) == {}
    path.write_text("image: {tag: '1'}\n")
    assert load_values(str(path)) == {"image": {"tag": "1"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image:\n\ttag: x\n", "a tab stands where spaces are wanted, line 2, column 1"),
        (b"a: 1\nb: [\n", "no valid YAML: line 3"),
        (f"a: 1\ncode: !{CANARY} x\n".encode(), "no valid YAML: line 2, column 7"),
        (f"code: *{CANARY}\n".encode(), "no valid YAML: line 1, column 7"),
        (f"{CANARY}\n".encode(), "holds text, a map is wanted"),
        (b"- a\n", "holds a list, a map is wanted"),
        (b"\xff\xfe\xff", "is no text in UTF-8"),
        (b"a: \x01\n", "no valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_without_its_content(tmp_path, content, message):
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    with pytest.raises(Failure) as caught:
        load_values(str(path))
    assert message in caught.value.message and "\n" not in caught.value.message and CANARY not in caught.value.message


def test_a_file_that_is_not_there():
    with pytest.raises(Failure, match=r"values_file /nowhere/values.yaml cannot be read \(No such file or directory\)"):
        load_values("/nowhere/values.yaml")


SPEC = {
    "profile": {"type": "str", "choices": ["bundled", "spyderbat"]},
    "image": {"type": "str"},
    "require_digest": {"type": "bool", "default": True},
    "cluster_name": {"type": "str", "default": ""},
    "registration_code": {"type": "str", "no_log": True},
    "credentials": {"type": "dict"},
    "resources": {"type": "dict"},
    "limit_percent": {"type": "float"},
    "rbac": {"type": "str", "choices": ["read_only", "respond"]},
    "monitor": {"type": "dict", "options": {"enabled": {"type": "bool", "default": False}, "replicas": {"type": "int", "default": 1}}},
    "omit_environment": {"type": "str", "choices": ["no", "everything"]},
    "wait": {"type": "bool", "default": True},
}
NOTHING_GIVEN = {option: spec.get("default") for option, spec in SPEC.items()}


@pytest.mark.parametrize(
    ("given", "mapped", "expected"),
    [
        ({}, {"cluster_name": "file"}, {"cluster_name": "file"}),
        ({"cluster_name": "mine"}, {"cluster_name": "file"}, {"cluster_name": "mine"}),
        ({"wait": False}, {"cluster_name": "file"}, {"cluster_name": "file", "wait": False}),
        ({}, {"monitor": {"enabled": True}}, {"monitor": {"enabled": True, "replicas": 1}}),
        ({}, {"image": "a:1", "require_digest": False}, {"image": "a:1", "require_digest": False}),
        ({"image": "b@sha256:1"}, {"image": "a:1", "require_digest": False}, {"image": "b@sha256:1", "require_digest": True}),
        ({"credentials": {"a": 1}}, {"registration_code": "x"}, {"credentials": {"a": 1}, "registration_code": None}),
        ({"limit_percent": 4.0}, {"resources": {"limits": {}}}, {"limit_percent": 4.0, "resources": None}),
        ({"monitor": {"enabled": False}}, {"rbac": "respond", "monitor": {"enabled": True}}, {"monitor": {"enabled": False}, "rbac": None}),
    ],
)
def test_what_the_user_gives_wins_over_the_file(given, mapped, expected):
    options = {**NOTHING_GIVEN, **given}
    before = copy.deepcopy((options, mapped))
    assert merge(options, mapped, SPEC) == {**NOTHING_GIVEN, **expected}
    assert (options, mapped) == before


def test_a_value_that_the_option_does_not_take_is_refused():
    with pytest.raises(Failure, match="values_file: value of omit_environment must be one of: no, everything"):
        merge(NOTHING_GIVEN, {"omit_environment": "sometimes"}, SPEC)


def test_every_option_is_one_of_the_module_and_the_objects_can_be_made():
    validator = ArgumentSpecValidator(argument_spec())
    values = {"CLUSTER_NAME": "prod", "nanoagent": {"agentRegistrationCode": CANARY}, "priorityClassDefault": {"enabled": True}, "spyderbat_tags": "a=b"}
    mapped, _notes = map_values(values)
    options = merge(validator.validate({}).validated_parameters, mapped, argument_spec())
    made = {(obj["kind"], obj["metadata"]["name"]): obj for obj in desired_objects(options)}
    assert {("PriorityClass", "spyderbat-high-priority"), ("Deployment", "clustermonitor-deployment"), ("ServiceAccount", "spyderbat-serviceaccount")} <= set(
        made
    )
    agent = made[("DaemonSet", "spyderbat-nanoagent")]
    assert agent["spec"]["selector"] == {"matchLabels": {"name": "spyderbat-nanoagent"}}
    [container] = agent["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (env["CLUSTER_NAME"], env["SPYDERBAT_TAGS"], container["image"]) == ("prod", "a=b", DEFAULTS["image"])
    assert CANARY not in str(agent)
