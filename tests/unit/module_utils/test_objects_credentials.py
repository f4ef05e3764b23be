# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import HASH, source_notes, value_hash, watched_secret
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import desired_objects
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options, container, daemon_set, objects, pod, pod_annotations

CANARY = "canary-f00dfeed-code"
LOGIN_CANARY = "canary-f00dfeed-login"
VENDOR = {"profile": "spyderbat"}
AWS = {"secret_id": "prod/spyderbat", "region": "us-east-2", "role_arn": "arn:aws:iam::1:role/x"}
STORE = {"store": "vault", "remote_key": "security/agent", "property": "code"}


def reference(**given):
    [code] = [variable for variable in container(**VENDOR, **given)["env"] if variable["name"] == "AGENT_REGISTRATION_CODE"]
    return code["valueFrom"]["secretKeyRef"]


def test_a_code_becomes_a_secret_and_stands_nowhere_else():
    login = {"registry": "r.example", "username": "u", "password": LOGIN_CANARY}
    found = objects(**VENDOR, registration_code=CANARY, registry_login=login, monitor={"enabled": True}, require_digest=False)
    secrets = [obj for obj in found.values() if obj["kind"] == "Secret"]
    assert base64.b64decode(found["Secret/nanoagent-credentials"]["data"]["registration-code"]).decode() == CANARY
    assert len(secrets) == 2
    others = json.dumps([obj for obj in found.values() if obj["kind"] != "Secret"])
    assert "registration-code" in others
    for secret in (CANARY, LOGIN_CANARY, f"u:{LOGIN_CANARY}"):
        assert secret not in others and base64.b64encode(secret.encode()).decode() not in others
    assert reference(registration_code=CANARY) == {"name": "nanoagent-credentials", "key": "registration-code"}


def test_a_new_code_makes_new_pods_once():
    one, again = pod_annotations(**VENDOR, registration_code="one"), pod_annotations(**VENDOR, registration_code="one")
    assert one == again and len(one[HASH]) == 16
    assert pod_annotations(**VENDOR, registration_code="two")[HASH] != one[HASH]
    assert pod_annotations(**VENDOR, registration_code="one", namespace="elsewhere")[HASH] != one[HASH]


def test_an_existing_secret():
    existing = {"name": "there", "key": "code"}
    assert reference(credentials={"existing_secret": existing}) == existing
    assert not [name for name in objects(**VENDOR, credentials={"existing_secret": existing}) if name.startswith("Secret/")]
    watched = {"credentials": {"existing_secret": {**existing, "restart_on_change": True}}}
    assert watched_secret(agent_options(**VENDOR, **watched)) == "there" and watched_secret(agent_options(**VENDOR)) is None
    known = {"secret_hashes": {"there": value_hash("ns", "there", "value")}}
    assert pod_annotations(known, **VENDOR, **watched)[HASH] == known["secret_hashes"]["there"]
    assert "annotations" not in objects(**VENDOR, **watched)["DaemonSet/nanoagent"]["spec"]["template"]["metadata"]


def test_aws_secrets_manager():
    given = {**VENDOR, "credentials": {"aws_secrets_manager": AWS}, "monitor": {"enabled": True}}
    found = objects(**given)
    spec = found["SecretProviderClass/nanoagent-credentials"]["spec"]
    [entry] = json.loads(spec["parameters"]["objects"])
    assert (entry["objectName"], entry["jmesPath"][0]["path"]) == ("prod/spyderbat", '"spyderbat-registration-key"')
    assert spec["parameters"]["region"] == "us-east-2" and spec["provider"] == "aws"
    [synced] = spec["secretObjects"]
    assert synced["secretName"] == reference(credentials={"aws_secrets_manager": AWS})["name"] == "nanoagent-credentials"
    assert synced["data"] == [{"objectName": entry["jmesPath"][0]["objectAlias"], "key": "registration-code"}]
    # Without a pod that mounts the volume the driver makes no Secret.
    for workload in ("DaemonSet/nanoagent", "Deployment/clustermonitor-deployment"):
        template = found[workload]["spec"]["template"]["spec"]
        [volume] = [volume for volume in template["volumes"] if "csi" in volume]
        assert volume["csi"]["volumeAttributes"] == {"secretProviderClass": "nanoagent-credentials"}
        assert volume["name"] in {mount["name"] for mount in template["containers"][0]["volumeMounts"]}
    for account in ("ServiceAccount/spyderbat-serviceaccount", "ServiceAccount/nanoagent-monitor"):
        assert found[account]["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": AWS["role_arn"]}
    [whole] = json.loads(
        objects(**VENDOR, credentials={"aws_secrets_manager": {**AWS, "key": ""}})["SecretProviderClass/nanoagent-credentials"]["spec"]["parameters"]["objects"]
    )
    assert "jmesPath" not in whole and whole["objectAlias"] == "registration-code"


def test_an_external_secret():
    spec = objects(**VENDOR, credentials={"external_secret": STORE})["ExternalSecret/nanoagent-credentials"]["spec"]
    assert spec["secretStoreRef"] == {"kind": "ClusterSecretStore", "name": "vault"} and spec["refreshInterval"] == "1h"
    assert spec["data"] == [{"secretKey": "registration-code", "remoteRef": {"key": "security/agent", "property": "code"}}]
    assert spec["target"]["name"] == reference(credentials={"external_secret": STORE})["name"]


@pytest.mark.parametrize("interval", ["0", "0s", "30m", "1h30m", "1.5h", ".5s", "100ms", "10µs", "2562047h"])
def test_how_often_a_store_is_asked(interval):
    given = {"credentials": {"external_secret": {**STORE, "refresh_interval": interval}}}
    assert objects(**VENDOR, **given)["ExternalSecret/nanoagent-credentials"]["spec"]["refreshInterval"] == interval


@pytest.mark.parametrize("interval", ["1d", "soon", "", " 1h", "1h ", "5", "-1h", "+1h", "1", "h", ".h", "1h30", "1 h", "1H", "00", "٣m", "9999999h"])
def test_a_refresh_interval_that_the_operator_cannot_read(interval):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**VENDOR, credentials={"external_secret": {**STORE, "refresh_interval": interval}}))
    assert f"credentials.external_secret.refresh_interval {interval!r} is no duration. Next: " in caught.value.message


def test_without_a_code_there_is_no_variable():
    assert [variable["name"] for variable in container(profile="custom")["env"]] == ["NODE_NAME"]
    assert "volumes" not in pod(profile="custom")


@pytest.mark.parametrize(
    ("given", "facts", "says"),
    [
        ({"credentials": {}}, {}, "credentials names no source"),
        ({"credentials": {"existing_secret": None}}, {}, "credentials names no source"),
        ({"registration_code": "x", "credentials": {"external_secret": STORE}}, {}, "registration_code and external_secret exclude each other"),
        ({"credentials": {"existing_secret": {"name": "x"}, "external_secret": STORE}}, {}, "exclude each other"),
        ({"registration_code": "x\n"}, {}, "begins or ends with white space"),
        ({"credentials": {"existing_secret": {"name": "No"}}}, {}, "credentials.existing_secret.name 'No'"),
        ({"credentials": {"aws_secrets_manager": AWS}, "create_service_account": False}, {}, "role_arn cannot be set"),
        ({"registration_code": f"{CANARY}\n{CANARY}"}, {}, "registration_code has a line end or another control character"),
        ({"registration_code": f"{CANARY}\x00"}, {}, "registration_code has a line end or another control character"),
        ({"registration_code": ""}, {}, "registration_code is empty"),
        ({"registration_code": " "}, {}, "begins or ends with white space"),
        ({"credentials": {"existing_secret": {"name": "x", "key": "b c/.."}}}, {}, "credentials.existing_secret.key 'b c/..'"),
        ({"credentials": {"existing_secret": {"name": "x", "key": ""}}}, {}, "credentials.existing_secret.key ''"),
        ({"credentials": {"existing_secret": {"name": "x", "key": ".."}}}, {}, "credentials.existing_secret.key '..'"),
        ({"credentials": {"existing_secret": {"name": "x", "key": "k" * 254}}}, {}, "credentials.existing_secret.key 'kkk"),
        ({"credentials": {"external_secret": {**STORE, "store": "No Such"}}}, {}, "credentials.external_secret.store 'No Such'"),
        ({"credentials": {"external_secret": {**STORE, "remote_key": " "}}}, {}, "credentials.external_secret.remote_key is empty"),
        ({"credentials": {"external_secret": {**STORE, "remote_key": None}}}, {}, "credentials.external_secret.remote_key is empty"),
        ({"credentials": {"aws_secrets_manager": {**AWS, "secret_id": ""}}}, {}, "credentials.aws_secrets_manager.secret_id is empty"),
        ({"credentials": {"aws_secrets_manager": AWS}}, {"served": set()}, "the API server has no SecretProviderClass"),
        ({"credentials": {"external_secret": STORE}}, {"served": set()}, "the API server has no ExternalSecret"),
    ],
)
def test_what_is_refused(given, facts, says):
    with pytest.raises(Failure) as caught:
        desired_objects(agent_options(**VENDOR, **given), facts)
    assert says in caught.value.message and "Next: " in caught.value.message and "\n" not in caught.value.message
    assert CANARY not in caught.value.message


def test_pods_whose_volume_the_driver_fills_are_replaced_where_the_secret_is_another_one():
    def marks(**given):
        source = {"credentials": {"aws_secrets_manager": {**AWS, **given}}}
        return [daemon_set(**profile, **source)["spec"]["template"]["metadata"]["annotations"] for profile in (VENDOR, {"orc_url": "https://orc.example"})]

    assert marks() == marks()
    for other in ({"secret_id": "prod/other"}, {"region": "eu-west-1"}, {"role_arn": "arn:aws:iam::1:role/y"}):
        assert all(first != second for first, second in zip(marks(), marks(**other)))
    assert "credentials-source" not in json.dumps(daemon_set(**VENDOR, credentials={"external_secret": STORE}))


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        ({"external_secret": STORE}, "ExternalSecret", "its operator fetches the code from there after this run; run again"),
        ({"aws_secrets_manager": AWS}, "SecretProviderClass", "Secret nanoagent-credentials keeps the former code: delete it, and run again"),
    ],
)
def test_where_the_code_comes_from_another_place_it_is_told_who_does_not_get_it(source, kind, says):
    desired = {"kind": kind, "metadata": {"name": "nanoagent-credentials", "namespace": "nanoagent"}}
    moved = {"action": "patch", "fields": ["spec.data"], "desired": desired, "live": desired}
    options = agent_options(**VENDOR, credentials=source)
    [line] = source_notes(options, [moved])
    assert line.startswith(f"{kind} nanoagent/nanoagent-credentials: ") and says in line
    for step in ({**moved, "fields": ["metadata.labels.a"]}, {**moved, "action": "create"}, {**moved, "action": "keep", "fields": []}):
        assert source_notes(options, [step]) == []
    # The collector reads its file anew.
    assert source_notes(agent_options(credentials=source), [moved]) == []
