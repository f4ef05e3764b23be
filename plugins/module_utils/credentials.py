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
import re
from decimal import Decimal
from functools import lru_cache

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, text

VARIABLE = "AGENT_REGISTRATION_CODE"
HASH = "nanoagent.k8s/credentials-hash"
# On pods whose volume the driver fills: it asks the store when a pod starts, and never again unless it rotates.
_SOURCE = "nanoagent.k8s/credentials-source"
_KEY = "registration-code"
_MOUNT = "/mnt/nanoagent-credentials"
# Our collector reads the file whenever it sends: no variable of a process shows it, and a new one needs no new pod.
_BY_FILE = ("bundled",)
_FILE_MODE = 0o400
_VOLUME = "credentials"
_SOURCES = ("existing_secret", "aws_secrets_manager", "external_secret")
_OBJECTS = {"aws_secrets_manager": "SecretProviderClass", "external_secret": "ExternalSecret"}
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
# Kubernetes, apimachinery/pkg/util/validation/validation.go (IsConfigMapKey).
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_GO_DURATION_PART = rf"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)({'|'.join(_UNITS)})"
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
    _check_code(options.get("registration_code"))
    if "existing_secret" in given:
        check_dns_subdomain("credentials.existing_secret.name", given["existing_secret"]["name"])
        _check_secret_key("credentials.existing_secret.key", given["existing_secret"].get("key"))
    if "external_secret" in given:
        _check_external(given["external_secret"])
    aws = given.get("aws_secrets_manager")
    if aws:
        _check_given("credentials.aws_secrets_manager.secret_id", aws["secret_id"])
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
        found["annotations"] = {**_watched_annotation(options, facts), **_source_annotation(options)}
    return found


def source_notes(options: dict, steps: list[dict]) -> list[str]:
    """A line where the code comes from another place from now on, and agents that hold it in a variable do not get it with this run.

    steps: of plan.plan.
    """
    if _by_file(options):
        return []
    ways = {
        "ExternalSecret": "its operator fetches the code from there after this run; run again then, so that the agents get it",
        "SecretProviderClass": f"where the driver does not rotate, Secret {_secret(options)} keeps the former code: delete it, and run again",
    }
    moved = [step["desired"] for step in steps if step["action"] == "patch" and any(field.startswith("spec") for field in step["fields"])]
    return [f"{title(obj)}: {ways[obj['kind']]}" for obj in moved if obj["kind"] in ways]


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
        kind = _served(facts, "SecretProviderClass", "the Secrets Store CSI driver with its AWS provider")
        return [made(options, kind.api_version, kind.kind, _own_name(options), spec=_provider_class(options, given["aws_secrets_manager"]))]
    if "external_secret" in given:
        kind = _served(facts, "ExternalSecret", "the External Secrets operator")
        return [made(options, kind.api_version, kind.kind, _own_name(options), spec=_external(options, given["external_secret"]))]
    return []


def asked_kinds(options: dict) -> list[str]:
    """The kinds that matter here whether the API has them."""
    given = _sources(options)
    return [kind for source, kind in _OBJECTS.items() if source in given]


def service_account_annotations(options: dict) -> dict:
    """The annotation by which EKS gives the pods their AWS role."""
    arn = (_sources(options).get("aws_secrets_manager") or {}).get("role_arn")
    return {_ROLE_ANNOTATION: arn} if arn else {}


def watched_secret(options: dict) -> str | None:
    """Name of the Secret whose change rolls the agents; facts["secret_hashes"] then has what the pod template is to bear of it."""
    existing = _sources(options).get("existing_secret") or {}
    if existing.get("restart_on_change"):
        return existing["name"]
    return None if _by_file(options) else coming_secret(options)


def coming_secret(options: dict) -> str | None:
    """Name of the Secret that an operator or a driver makes once our object is there; None where none does."""
    given = _sources(options)
    return _secret(options) if "external_secret" in given or "aws_secrets_manager" in given else None


def secret_of(options: dict) -> tuple[str, str]:
    """(the option that says where the code comes from, the Secret that holds it); empty texts where no Secret does."""
    given = _sources(options)
    if options.get("registration_code"):
        return "registration_code", _own_name(options)
    if not given or (_by_file(options) and "aws_secrets_manager" in given):
        return "", ""
    return f"credentials.{next(iter(given))}", _secret(options)


def secret_hash(options: dict, secret: dict | None) -> str | None:
    """value_hash of the code in the watched Secret; None without it, or without the key."""
    data = (secret or {}).get("data") or {}
    if _key(options) not in data:
        return None
    value = base64.b64decode(data[_key(options)]).decode("utf-8", "replace")
    return value_hash(options["namespace"], _secret(options), value)


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


def _check_code(code):
    if code is None:
        return
    if not code:
        raise Failure("registration_code is empty", "give the code, or leave the option out")
    if code != code.strip():
        raise Failure("registration_code begins or ends with white space", "trim it, for example with the filter trim")
    if not code.isprintable():
        raise Failure("registration_code has a line end or another control character in it", "give the code alone, in one line")


def _check_external(given):
    check_dns_subdomain("credentials.external_secret.store", given["store"])
    _check_given("credentials.external_secret.remote_key", given["remote_key"])
    interval = given.get("refresh_interval")
    if interval is not None and not _is_go_duration(interval):
        raise Failure(
            f"credentials.external_secret.refresh_interval {interval!r} is no duration",
            "use hours, minutes and seconds, as in 30m or 1h30m; 0 fetches the value once",
        )


def _is_go_duration(text):
    # time.ParseDuration, with which the operator reads it: no days, and no more nanoseconds than 63 bits hold.
    if text == "0":
        return True
    total = sum(Decimal(number) * _UNITS[unit] for number, unit in re.findall(_GO_DURATION_PART, text))
    return bool(re.fullmatch(f"(?:{_GO_DURATION_PART})+", text)) and total < 2**63


def _check_given(option, value):
    if not (value or "").strip():
        raise Failure(f"{option} is empty", "name the secret in the store")


def _check_secret_key(option, key):
    if key is None:
        return
    if len(key) > 253 or key.startswith("..") or key == "." or not _SECRET_KEY.fullmatch(key):
        raise Failure(f"{option} {key!r} is no key of a Secret", "use at most 253 letters, digits, '-', '_' and '.'")


def _by_file(options):
    return options["profile"] in _BY_FILE


def _file_part(options, facts):
    volume = {"name": _VOLUME, "secret": {"secretName": _secret(options), "defaultMode": _FILE_MODE, "items": [{"key": _key(options), "path": _KEY}]}}
    return {
        "env": [],
        "mounts": [{"name": _VOLUME, "mountPath": _MOUNT, "readOnly": True}],
        "volumes": [_csi_volume(options) if "aws_secrets_manager" in _sources(options) else volume],
        "annotations": {**_watched_annotation(options, facts), **_source_annotation(options)},
    }


def _csi_volume(options):
    attributes = {"secretProviderClass": _own_name(options)}
    return {"name": _VOLUME, "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True, "volumeAttributes": attributes}}


def _watched_annotation(options, facts):
    known = (facts.get("secret_hashes") or {}).get(watched_secret(options))
    return {HASH: known} if known else {}


def _source_annotation(options):
    aws = _sources(options).get("aws_secrets_manager")
    if not aws:
        return {}
    source = json.dumps([_provider_class(options, aws), aws.get("role_arn")], sort_keys=True)
    return {_SOURCE: hashlib.sha256(source.encode()).hexdigest()[:8]}


def _sources(options):
    given = options.get("credentials") or {}
    return {source: given[source] for source in _SOURCES if given.get(source)}


def secret_by_operator(obj: dict) -> tuple | None:
    """The identity of the Secret that an operator makes of this ExternalSecret; None for an object of another kind."""
    if obj["kind"] != "ExternalSecret":
        return None
    metadata = {"name": text(at(obj, "spec", "target", "name")) or obj["metadata"]["name"], "namespace": obj["metadata"]["namespace"]}
    return identity({"kind": "Secret", "metadata": metadata})


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


def _served(facts, name, what):
    kind = KINDS[name]
    if facts.get("served") is not None and kind.group_kind not in facts["served"]:
        raise Failure(
            f"the API server has no {name} of {kind.api_version}",
            f"install {what} first, or a newer release of it, or choose another source of the registration code",
        )
    return kind
