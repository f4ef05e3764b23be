# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the agent's registration code comes from: a variable, an existing Secret, AWS Secrets Manager, External Secrets. Pure.

In every case the container gets it by secretKeyRef or, our own collector, as a file, so that it stands in no pod template.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made

VARIABLE = "AGENT_REGISTRATION_CODE"
HASH = "nanoagent.k8s/credentials-hash"
_KEY = "registration-code"
_MOUNT = "/mnt/nanoagent-credentials"
# Our collector reads the file whenever it sends: no variable of a process shows it, and a new one needs no new pod.
_BY_FILE = ("bundled",)
_FILE_MODE = 0o400
_VOLUME = "credentials"
_SOURCES = ("existing_secret", "aws_secrets_manager", "external_secret")
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
_AWS_GROUP, _EXTERNAL_GROUP = "secrets-store.csi.x-k8s.io", "external-secrets.io"
# A tenth of a second: enough for codes that are long and random. scrypt is not there where Python runs in FIPS mode.
_ROUNDS = 100_000


def check(options: dict) -> None:
    """Failure for no source where one is begun, for two, and for names that Kubernetes does not take."""
    given = _sources(options)
    if options.get("credentials") and not given:
        raise Failure("credentials names no source", f"give one of {', '.join(_SOURCES)}")
    chosen = (["registration_code"] if options.get("registration_code") else []) + list(given)
    if len(chosen) > 1:
        raise Failure(f"{' and '.join(chosen)} exclude each other", "leave all but one out")
    code = options.get("registration_code")
    if code and code != code.strip():
        raise Failure("registration_code begins or ends with white space", "trim it, for example with the filter trim")
    if "existing_secret" in given:
        check_dns_subdomain("credentials.existing_secret.name", given["existing_secret"]["name"])
    aws = given.get("aws_secrets_manager")
    if aws:
        check_dns_subdomain("credentials.aws_secrets_manager.sync_secret", _secret(options))
        if aws.get("sync_secret") and _by_file(options):
            raise Failure(
                f"credentials.aws_secrets_manager.sync_secret means nothing to the profile {options['profile']}",
                "leave it out: the collector reads the driver's volume, and no Secret is made",
            )
        if aws.get("role_arn") and not options.get("create_service_account", True):
            raise Failure(
                "credentials.aws_secrets_manager.role_arn cannot be set on a service account that is not made here",
                f"annotate it with {_ROLE_ANNOTATION} yourself and leave role_arn out, or set create_service_account: true",
            )


def part(options: dict, facts: dict) -> dict:
    """{"env", "mounts", "volumes", "annotations"} by which a container gets the code."""
    if not _chosen(options):
        return {"env": [], "mounts": [], "volumes": [], "annotations": {}}
    if _by_file(options):
        return _file_part(options, facts)
    name, key = _secret(options), _key(options)
    found = {"env": [{"name": VARIABLE, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}], "mounts": [], "volumes": [], "annotations": {}}
    if "aws_secrets_manager" in _sources(options):
        # The driver makes the Secret only while some pod mounts the volume.
        found["volumes"] = [_csi_volume(options)]
        found["mounts"] = [{"name": _VOLUME, "mountPath": _MOUNT, "readOnly": True}]
    if options.get("registration_code"):
        found["annotations"] = {HASH: value_hash(options["namespace"], name, options["registration_code"])}
    else:
        found["annotations"] = _watched_annotation(options, facts)
    return found


def token_file(options: dict) -> str:
    """Where the container finds the code as a file; empty where it gets none, or not as a file."""
    return f"{_MOUNT}/{_KEY}" if _by_file(options) and _chosen(options) else ""


def objects(options: dict, facts: dict) -> list[dict]:
    """The Secret, SecretProviderClass or ExternalSecret, if any; Failure where the API is known to lack the kind."""
    given = _sources(options)
    if options.get("registration_code"):
        data = {_KEY: base64.b64encode(options["registration_code"].encode()).decode()}
        return [made(options, "v1", "Secret", _own_name(options), type="Opaque", data=data)]
    if "aws_secrets_manager" in given:
        _check_served(facts, f"SecretProviderClass.{_AWS_GROUP}", "the Secrets Store CSI driver with its AWS provider")
        return [made(options, f"{_AWS_GROUP}/v1", "SecretProviderClass", _own_name(options), spec=_provider_class(options, given["aws_secrets_manager"]))]
    if "external_secret" in given:
        _check_served(facts, f"ExternalSecret.{_EXTERNAL_GROUP}", "the External Secrets operator")
        return [made(options, f"{_EXTERNAL_GROUP}/v1", "ExternalSecret", _own_name(options), spec=_external(options, given["external_secret"]))]
    return []


def service_account_annotations(options: dict) -> dict:
    """The annotation by which EKS gives the pods their AWS role."""
    arn = (_sources(options).get("aws_secrets_manager") or {}).get("role_arn")
    return {_ROLE_ANNOTATION: arn} if arn else {}


def watched_secret(options: dict) -> str | None:
    """Name of the existing Secret whose change rolls the agents; facts["secret_hashes"] then needs its value_hash."""
    existing = _sources(options).get("existing_secret") or {}
    return existing["name"] if existing.get("restart_on_change") else None


def coming_secret(options: dict) -> str | None:
    """Name of the Secret that an operator or a driver makes once our object is there; None where none does."""
    given = _sources(options)
    return _secret(options) if "external_secret" in given or "aws_secrets_manager" in given else None


def watched_key(options: dict) -> str:
    """The key in that Secret."""
    return _key(options)


@lru_cache(maxsize=8)
def value_hash(namespace: str, name: str, value: str) -> str:
    """16 hex digits that change when a secret value does, the same at every run.

    Everyone who may read pods sees them: they are slow to compute (PBKDF2-HMAC-SHA256), so that guessing the value by them
    is no way to it, and salted by the Secret's place, so that equal values in two clusters' namespaces do not show.
    """
    return hashlib.pbkdf2_hmac("sha256", value.encode(), f"nanoagent.k8s/{namespace}/{name}".encode(), _ROUNDS).hex()[:16]


def _by_file(options):
    return options["profile"] in _BY_FILE


def _file_part(options, facts):
    volume = {"name": _VOLUME, "secret": {"secretName": _secret(options), "defaultMode": _FILE_MODE, "items": [{"key": _key(options), "path": _KEY}]}}
    return {
        "env": [],
        "mounts": [{"name": _VOLUME, "mountPath": _MOUNT, "readOnly": True}],
        "volumes": [_csi_volume(options) if "aws_secrets_manager" in _sources(options) else volume],
        "annotations": _watched_annotation(options, facts),
    }


def _csi_volume(options):
    attributes = {"secretProviderClass": _own_name(options)}
    return {"name": _VOLUME, "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True, "volumeAttributes": attributes}}


def _watched_annotation(options, facts):
    known = (facts.get("secret_hashes") or {}).get(watched_secret(options))
    return {HASH: known} if known else {}


def _sources(options):
    given = options.get("credentials") or {}
    return {source: given[source] for source in _SOURCES if given.get(source)}


def _chosen(options):
    return bool(options.get("registration_code") or _sources(options))


def _own_name(options):
    return f"{options['name']}-credentials"


def _secret(options):
    given = _sources(options)
    if "existing_secret" in given:
        return given["existing_secret"]["name"]
    return (given.get("aws_secrets_manager") or {}).get("sync_secret") or _own_name(options)


def _key(options):
    return (_sources(options).get("existing_secret") or {}).get("key") or _KEY


def _provider_class(options, aws):
    entry = {"objectName": aws["secret_id"], "objectType": "secretsmanager"}
    if aws.get("key"):
        # As a quoted identifier of JMESPath: keys may have dashes.
        entry["jmesPath"] = [{"path": json.dumps(aws["key"]), "objectAlias": _KEY}]
    else:
        entry["objectAlias"] = _KEY
    # The driver reads YAML here, and JSON is YAML.
    parameters = {"objects": json.dumps([entry])}
    if aws.get("region"):
        parameters["region"] = aws["region"]
    if _by_file(options):
        return {"provider": "aws", "parameters": parameters}
    synced = {"secretName": _secret(options), "type": "Opaque", "data": [{"objectName": _KEY, "key": _KEY}]}
    return {"provider": "aws", "parameters": parameters, "secretObjects": [synced]}


def _external(options, given):
    remote = {"key": given["remote_key"], **({"property": given["property"]} if given.get("property") else {})}
    return {
        "refreshInterval": given.get("refresh_interval") or "1h",
        "secretStoreRef": {"kind": given.get("store_kind") or "ClusterSecretStore", "name": given["store"]},
        "target": {"name": _own_name(options), "creationPolicy": "Owner"},
        "data": [{"secretKey": _KEY, "remoteRef": remote}],
    }


def _check_served(facts, group_kind, what):
    if facts.get("served") is not None and group_kind not in facts["served"]:
        raise Failure(f"the API server has no {group_kind.split('.')[0]}", f"install {what} first, or choose another source of the registration code")
