# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import helm_release
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import identity
from ansible_collections.nanoagent.k8s.plugins.module_utils.masking import masked, masked_text
from ansible_collections.nanoagent.k8s.plugins.module_utils.memory import KEY as MEMORY
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan_diff import diff
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

CANARY = "canary-3f9a17c2"
MANAGER = "nanoagent.k8s"
RECORDED = json.loads((Path(__file__).resolve().parents[1] / "data" / "helm.json").read_text())
KEY = f"-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def workload(env=(), args=(), **annotations):
    container = {"name": "agent", "image": "registry.example:5000/token/agent:1@sha256:" + "1" * 64, "env": list(env), "args": list(args)}
    template = {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"template": template}}


def container_of(obj):
    return obj["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    "name",
    ["AGENT_REGISTRATION_CODE", "registrationCode", "API_TOKEN", "DB_PASSWORD", "DB_PWD", "CLIENT_SECRET", "AWS_ACCESS_KEY_ID", "BASIC_AUTH", "Cookie", "CRED"],
)
def test_a_variable_that_is_named_like_a_secret_is_hidden(name):
    shown = masked(workload([{"name": name, "value": CANARY}, {"name": "CLUSTER_NAME", "value": "blue"}]))
    assert container_of(shown)["env"] == [{"name": name, "value": "(hidden)"}, {"name": "CLUSTER_NAME", "value": "blue"}]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"http://user:{CANARY}@proxy.example:3128", "http://(hidden)@proxy.example:3128"),
        (f"http://user:p@{CANARY}/x@proxy.example:3128", "http://(hidden)@proxy.example:3128"),
        (f"http://{CANARY}@proxy.example", "http://(hidden)@proxy.example"),
        (f"user:{CANARY}@proxy.example:3128", "(hidden)@proxy.example:3128"),
        (f"-x http://proxy.example -U user:{CANARY} -s", "-x http://proxy.example -U (hidden) -s"),
        (f"--user=user:{CANARY} -s", "--user=(hidden) -s"),
        (f"--registration-code {CANARY} -v", "--registration-code (hidden) -v"),
        (f"--token={CANARY} -v", "--token=(hidden) -v"),
        (f"--password '{CANARY} and more' -v", "--password (hidden) -v"),
        (f"-H 'Authorization: Bearer {CANARY}' -s", "-H 'Authorization: (hidden)' -s"),
        (f"-H 'X-Api-Key: {CANARY}' -s", "-H 'X-Api-Key: (hidden)' -s"),
        (f"-H X-Vault-Token:{CANARY} -s", "-H X-Vault-Token:(hidden) -s"),
        (f"--oauth2-bearer {CANARY} -s", "--oauth2-bearer (hidden) -s"),
        (f"https://backend.example/in?api_key={CANARY}&v=1", "https://backend.example/in?api_key=(hidden)&v=1"),
        (f'{{"a": 1, "token":"{CANARY}"}}', '{"a": 1, "token":(hidden)}'),
        (f"a\n{KEY}\nb", "a\n(hidden)\nb"),
        (f"-----BEGIN PRIVATE KEY-----\n{CANARY}", "(hidden)"),
        (f"as {JWT}", "as (hidden)"),
        ("docker://registry.example:5000/agent@sha256:abc", "docker://registry.example:5000/agent@sha256:abc"),
        ("registry.example/keycloak:1@sha256:abc", "registry.example/keycloak:1@sha256:abc"),
        ("198.51.100.1:5000/agent:1@sha256:abc", "198.51.100.1:5000/agent:1@sha256:abc"),
        ("https://proxy.example:3128/path", "https://proxy.example:3128/path"),
        ("/etc/ssl/private/key.pem", "/etc/ssl/private/key.pem"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(value, shown):
    obj = workload([{"name": "CURL_ARGS", "value": value}], [value], note=value)
    assert container_of(masked(obj)) == {**container_of(obj), "env": [{"name": "CURL_ARGS", "value": shown}], "args": [shown]}
    assert masked(obj)["spec"]["template"]["metadata"]["annotations"] == {"note": shown}
    assert masked({"kind": "ConfigMap", "data": {"run.sh": value}}) == {"kind": "ConfigMap", "data": {"run.sh": shown}}


def test_an_argument_after_a_flag_that_is_named_like_a_secret_is_hidden():
    words = ["--code", CANARY, "-u", f"user:{CANARY}", "--key", "--verbose", "yes", "-u", "1000"]
    assert container_of(masked(workload(args=words)))["args"] == ["--code", "(hidden)", "-u", "(hidden)", "--key", "--verbose", "yes", "-u", "1000"]


@pytest.mark.parametrize(
    ("obj", "shown"),
    [
        (
            {"kind": "Secret", "data": {"a": CANARY}, "stringData": {"b": CANARY}},
            {"kind": "Secret", "data": {"a": "(hidden)"}, "stringData": {"b": "(hidden)"}},
        ),
        ({"kind": "ConfigMap", "data": {"registration_code": CANARY, "x": "y"}}, {"kind": "ConfigMap", "data": {"registration_code": "(hidden)", "x": "y"}}),
        ({"kind": "Secret", "data": None}, {"kind": "Secret", "data": None}),
        (
            {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": f'{{"name":"A_CODE","value":"{CANARY}"}}'}}},
            {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "(hidden)"}}},
        ),
    ],
)
def test_fields_that_hold_secrets(obj, shown):
    assert masked(obj) == shown


def test_what_is_hidden_still_says_whether_it_changes():
    was = workload([{"name": "A_CODE", "value": "1"}, {"name": "PROXY", "value": "http://u:1@p"}, {"name": "B_CODE", "value": "same"}], ["--token", "1"])
    now = workload([{"name": "B_CODE", "value": "same"}, {"name": "A_CODE", "value": "2"}, {"name": "PROXY", "value": "http://u:2@p"}], ["--token", "1"])
    shown = container_of(masked(now, was))
    assert {entry["name"]: entry["value"] for entry in shown["env"]} == {
        "A_CODE": "(hidden, changed)",
        "B_CODE": "(hidden)",
        "PROXY": "http://(hidden, changed)@p",
    }
    assert shown["args"] == ["--token", "(hidden)"]
    assert masked({"kind": "Secret", "data": {"a": "1"}}, {"kind": "Secret"}) == {"kind": "Secret", "data": {"a": "(hidden, changed)"}}


def test_a_log_says_why_and_not_how_it_logged_in():
    line = f"http://user:{CANARY}@proxy.example: key: not found, token expired, code=7; Authorization: Basic {CANARY} {JWT}"
    assert masked_text(line) == "http://(hidden)@proxy.example: key: not found, token expired, code=7; Authorization: (hidden) (hidden)"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"monitor": {"enabled": True, "image": f"registry.example/monitor@sha256:{'2' * 64}"}, "network_policy": True, "priority_class": {"name": "p"}},
        {"profile": "spyderbat", "monitor": {"enabled": True}, "https_proxy": "http://proxy.example:3128", "proxy_exceptions": [".svc"]},
        {"profile": "spyderbat", "credentials": {"aws_secrets_manager": {"secret_id": "prod/agent", "region": "us-east-2"}}},
        {"seccomp": {"type": "Localhost", "content": {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["keyctl", "add_key"]}]}}},
    ],
)
def test_of_our_own_objects_nothing_but_secrets_is_hidden(given):
    for obj in desired_objects(agent_options(**given)):
        if obj["kind"] not in ("Secret", "SecretProviderClass") and MEMORY not in (obj.get("data") or {}):
            assert masked(obj) == obj


@pytest.mark.parametrize("how", ["server_side", "client_side"])
def test_the_diff_of_an_adoption_does_not_show_the_charts_secrets(how):
    secrets = {"AGENT_REGISTRATION_CODE": CANARY, "CURL_ARGS": f"-U user:{CANARY}", "ORC_URL": f"https://user:{CANARY}@orc.example"}
    recorded = json.loads(json.dumps(RECORDED[how]))
    daemon_set = next(obj for obj in recorded["live"] if obj["kind"] == "DaemonSet")
    [container] = daemon_set["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": name, "value": value} for name, value in secrets.items()]
    for entry in daemon_set["metadata"]["managedFields"]:
        if entry["manager"] == "helm":
            [owned] = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].values()
            owned["f:env"] = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in secrets}
    live = {identity(obj): obj for obj in recorded["live"]}
    source = {"existing_secret": {"name": "code"}}
    desired = desired_objects(agent_options(profile="spyderbat", name="spyderbat-nanoagent", namespace="helm-recorded", credentials=source))
    adoption = helm_release.adoption_plan(helm_release.read_release([recorded["record"]], "vendor", "helm-recorded"), live, desired, MANAGER)
    steps = plan(adoption["desired"], {**live, **adoption["objects"]}, [], MANAGER) + adoption["steps"]

    shown = diff(steps, MANAGER)
    assert CANARY not in json.dumps([shown, adoption["notes"], [step["fields"] for step in steps]])
    for name, value in {"AGENT_REGISTRATION_CODE": "(hidden)", "CURL_ARGS": "-U (hidden)", "ORC_URL": "https://(hidden)@orc.example"}.items():
        assert f'"name": "{name}",\n                "value": "{value}"' in "".join(part["before"] for part in shown)
