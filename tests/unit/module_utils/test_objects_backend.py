# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our collector's way to a backend: its configuration, its token, what it may connect to."""

from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import HASH, value_hash
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, container, objects, pod, pod_annotations

URL = "https://backend.example:8443/events"
CANARY = "canary-f00dfeed-token"
TOKEN_FILE = "/mnt/nanoagent-credentials/registration-code"
AWS = {"secret_id": "prod/backend", "key": "token"}
SOURCES = {
    "existing_secret": {"name": "there", "key": "token"},
    "aws_secrets_manager": AWS,
    "external_secret": {"store": "vault", "remote_key": "security/backend"},
}


def config(**given):
    [text] = [obj["data"]["collector.json"] for obj in objects(**given).values() if obj["kind"] == "ConfigMap" and "collector.json" in obj.get("data", {})]
    return json.loads(text)


def mounted(**given):
    """The volume with the token; the container must see it where its configuration says."""
    spec = pod(**given)
    [mount] = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["mountPath"] == TOKEN_FILE.rpartition("/")[0]]
    assert mount["readOnly"] is True and config(**given)["backend"]["token_file"] == TOKEN_FILE
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == mount["name"]]
    return volume


def test_without_a_backend_there_is_none():
    assert "backend" not in config() and "egress" not in objects()["NetworkPolicy/nanoagent"]["spec"]


def test_without_a_login_there_is_no_token():
    assert config(orc_url=URL)["backend"] == {"url": URL}
    assert pod(orc_url=URL)["volumes"][1:] == pod()["volumes"][1:]


def test_a_token_becomes_a_secret_and_is_seen_as_a_file_only():
    given = {"orc_url": URL, "registration_code": CANARY}
    found = objects(**given)
    assert base64.b64decode(found["Secret/nanoagent-credentials"]["data"]["registration-code"]).decode() == CANARY
    others = json.dumps([obj for obj in found.values() if obj["kind"] != "Secret"])
    assert CANARY not in others and base64.b64encode(CANARY.encode()).decode() not in others
    assert mounted(**given)["secret"] == {
        "secretName": "nanoagent-credentials",
        "defaultMode": 0o400,
        "items": [{"key": "registration-code", "path": "registration-code"}],
    }
    assert [variable["name"] for variable in container(**given)["env"]] == ["NODE_NAME"]


def test_a_new_token_makes_no_new_pods():
    one, two = (objects(orc_url=URL, registration_code=code)["DaemonSet/nanoagent"] for code in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_of_a_token(source):
    given = {"orc_url": URL, "credentials": {source: SOURCES[source]}}
    volume = mounted(**given)
    found = objects(**given)
    if source == "aws_secrets_manager":
        assert volume["csi"]["volumeAttributes"] == {"secretProviderClass": "nanoagent-credentials"}
        spec = found["SecretProviderClass/nanoagent-credentials"]["spec"]
        [entry] = json.loads(spec["parameters"]["objects"])
        assert entry["jmesPath"][0]["objectAlias"] == TOKEN_FILE.rpartition("/")[2] and "secretObjects" not in spec
    else:
        assert volume["secret"]["secretName"] == (
            "there" if source == "existing_secret" else found["ExternalSecret/nanoagent-credentials"]["spec"]["target"]["name"]
        )
        assert volume["secret"]["items"] == [{"key": SOURCES[source].get("key", "registration-code"), "path": "registration-code"}]
    assert not [name for name in found if name.startswith("Secret/")]


def test_a_watched_secret_replaces_the_pods():
    given = {"orc_url": URL, "credentials": {"existing_secret": {"name": "there", "restart_on_change": True}}}
    known = {"secret_hashes": {"there": value_hash("nanoagent", "there", "value")}}
    assert pod_annotations(known, **given)[HASH] == known["secret_hashes"]["there"]


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        ({"orc_url": URL}, {8443}),
        ({"orc_url": "https://backend.example"}, {443}),
        ({"orc_url": URL, "https_proxy": "http://proxy.example:3128"}, {8443, 3128}),
    ],
)
def test_the_policy_lets_it_out_and_no_further(given, ports):
    [rule] = objects(**given)["NetworkPolicy/nanoagent"]["spec"]["egress"]
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {("UDP", 53), ("TCP", 53), *(("TCP", port) for port in ports)}


def test_proxies_and_authorities_come_as_the_collector_reads_them():
    pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
    given = {"orc_url": URL, "https_proxy": "http://proxy.example:3128", "proxy_exceptions": [".svc"], "ca_bundle": pem}
    env = {variable["name"]: variable.get("value") for variable in container(**given)["env"]}
    assert (env["HTTPS_PROXY"], env["NO_PROXY"]) == ("http://proxy.example:3128", ".svc")
    assert env["SSL_CERT_FILE"] in {f"{mount['mountPath']}/ca.crt" for mount in container(**given)["volumeMounts"]}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"registration_code": CANARY}, "registration_code means nothing to the profile bundled without a backend"),
        ({"credentials": {"existing_secret": {"name": "x"}}}, "credentials means nothing to the profile bundled without a backend"),
        ({"orc_url": "http://backend.example"}, "orc_url is no https URL of a host"),
        ({"orc_url": "backend.example:443"}, "orc_url is no https URL of a host"),
        ({"orc_url": "https://backend.example:port"}, "orc_url is no https URL of a host"),
        ({"orc_url": f"https://user:{CANARY}@backend.example"}, "orc_url carries a user or password"),
        ({"orc_url": URL, "termination_grace_period": 5}, "termination_grace_period 5 is too short"),
        ({"orc_url": URL, "credentials": {"aws_secrets_manager": {**AWS, "sync_secret": "x"}}}, "sync_secret means nothing to the profile bundled"),
    ],
)
def test_what_is_refused(given, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**given))
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
    assert CANARY not in caught.value.message
