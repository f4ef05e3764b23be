# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values.yaml of the vendor's Helm chart (nanoagent 1.1.4) as options of the module agent. Pure but for reading the file.

A key that the file leaves out has the chart's default, so that the same file means the same agent.
"""

from __future__ import annotations

import re

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import is_pinned

try:
    import yaml
except ImportError:
    # render.YAML_IMPORT_ERROR holds the traceback that the module reports.
    pass

_DAEMON_SET = "spyderbat-nanoagent"
_PRIORITY_CLASS = "spyderbat-high-priority"
_SECRET_KEY = "spyderbat-registration-key"
_ARN = re.compile(r"arn:[a-z-]+:secretsmanager:(?P<region>[a-z0-9-]+):[0-9]+:secret:.+")

# The chart's keys, and what each may hold.
_TEXT, _TAG, _FLAG, _COUNT, _AMOUNT, _MAP, _LIST, _MAP_OR_LIST, _TEXT_OR_FLAG = (
    (str,),
    (str, int, float),
    (bool,),
    (int,),
    (str, int, float),
    (dict,),
    (list,),
    (dict, list),
    (str, bool),
)
_AMOUNTS = {"cpu": _AMOUNT, "memory": _AMOUNT}
_KEYS = {
    "image": {"registry": _TEXT, "repository": _TEXT, "tag": _TAG, "pullPolicy": _TEXT, "pullSecrets": _LIST},
    "kubernetesSupport": {"enabled": _FLAG, "apiAuth": _TEXT, "apiUrl": _TEXT},
    "agent": {"extra_args": _TEXT, "curl_args": _TEXT},
    "resources": {"requests": _AMOUNTS, "limits": _AMOUNTS},
    "priorityClassDefault": {"enabled": _FLAG, "name": _TEXT, "value": _COUNT},
    "serviceAccount": {
        "create": _FLAG,
        "name": _TEXT,
        "readonlyrolename": _TEXT,
        "writerolename": _TEXT,
        "annotations": _MAP,
        "role": _TEXT,
        "readonly": _FLAG,
    },
    "microK8sSnap": {"enabled": _FLAG},
    "CLUSTER_NAME": _TEXT,
    "OMITENVIRONMENT": _TEXT_OR_FLAG,
    "spyderbat_tags": _TEXT,
    "extraEnv": _LIST,
    "podLabels": _MAP,
    "aws": {"secretsmanager": {"enabled": _FLAG, "rolearn": _TEXT, "secretarn": _TEXT}},
    "nanoagent": {
        "agentRegistrationCode": _TEXT,
        "orcurl": _TEXT,
        "httpproxy": _TEXT,
        "httpsproxy": _TEXT,
        "pod": {"annotations": _MAP},
        "nodeSelector": _MAP,
        "affinity": _MAP,
        "updateStrategy": {"type": _TEXT, "rollingUpdate": {"maxSurge": (str, int), "maxUnavailable": (str, int)}},
    },
    "clusterMonitor": {"create": _FLAG, "affinity": _MAP, "tolerations": _MAP_OR_LIST, "strategy": _MAP},
    "writeRole": {"create": _FLAG},
}
_DEFAULTS = {
    "image": {"registry": "ghcr.io", "repository": "spyderbat/nano-agent", "tag": "latest", "pullPolicy": "Always"},
    "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "6000m", "memory": "2048Mi"}},
    "priorityClassDefault": {"enabled": False, "value": 1000},
    "serviceAccount": {
        "create": True,
        "name": "spyderbat-serviceaccount",
        "readonlyrolename": "spyderbat-cluster-readonly",
        "writerolename": "spyderbat-cluster-write",
        "role": "spyderbat-cluster-write",
        "readonly": False,
    },
    "CLUSTER_NAME": "none",
    "OMITENVIRONMENT": "no",
    "nanoagent": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
    "clusterMonitor": {"create": True},
}
# Options of which one decides about all.
_TOGETHER = (
    ("registration_code", "credentials"),
    ("image", "require_digest"),
    ("resources", "limit_percent"),
    ("update_strategy", "max_unavailable", "max_surge"),
)
# Keys that the chart never used, or that have no option here: what happens now.
_NOTES = {
    "image.pullSecrets": "the chart never used it; now every workload gets these pull secrets",
    "kubernetesSupport": "the chart never used it; ignored",
    "priorityClassDefault.name": f"the chart never used it; ignored, the class is {_PRIORITY_CLASS}",
    "serviceAccount.annotations": "the chart never used it; now the service account gets these annotations",
    "serviceAccount.readonlyrolename": "ignored: the roles have names of this installation's own",
    "serviceAccount.writerolename": "ignored: the roles have names of this installation's own",
    "writeRole.create": "ignored: the roles have names of this installation's own, so that several live side by side",
    "clusterMonitor.affinity": "ignored: use monitor.node_selector and monitor.tolerations",
    "clusterMonitor.strategy": "ignored: the monitor is replaced by a rolling update",
    "namespaceSpyderbat": "not a key of the chart 1.1.4; ignored, use namespace and create_namespace",
    "nameOverride": "the chart used it in labels only; ignored",
    "fullnameOverride": "the chart used it in labels only; ignored",
}


def load_values(path: str) -> dict:
    """The values in a YAML file; empty where the file holds nothing.

    :raises Failure: the file cannot be read, is no YAML, or is no map; with the line, and never with what stands there
    """
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except OSError as error:
        raise Failure(f"values_file {path} cannot be read ({error.strerror})", "give the path of the chart's values.yaml") from error
    except UnicodeDecodeError as error:
        raise Failure(f"values_file {path} is no text in UTF-8", "give the path of the chart's values.yaml") from error
    except yaml.YAMLError as error:
        raise Failure(f"values_file {path} is no valid YAML{_where(error)}", "correct that line") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Failure(f"values_file {path} holds {_title(values)}, a map is wanted", "give the path of the chart's values.yaml")
    return values


def map_values(values: dict) -> tuple[dict, list[str]]:
    """The chart's values as options of the module agent, and a line for each key that is not simply taken over.

    values: the content of a values.yaml; what it leaves out, or sets to null, is the chart's default or nothing.
    Returns (options, notes). The options still have to go through the module's argument spec: see merge.
    :raises Failure: a value has a wrong type or cannot be understood; names the key, never the value
    """
    notes: list[str] = []
    _check(values, _KEYS, "", notes)
    full = _filled(_DEFAULTS, values)

    def at(path):
        found = full
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return found

    options = {
        "profile": "spyderbat",
        "name": _DAEMON_SET,
        "image_pull_policy": at("image.pullPolicy"),
        "image_pull_secrets": _pull_secrets(at("image.pullSecrets")),
        "extra_args": at("agent.extra_args"),
        "curl_args": at("agent.curl_args"),
        "resources": _resources(at("resources")),
        "create_service_account": at("serviceAccount.create"),
        "service_account": at("serviceAccount.name"),
        "service_account_annotations": _annotations(at, notes),
        "platform": "microk8s" if at("microK8sSnap.enabled") else None,
        "cluster_name": at("CLUSTER_NAME"),
        "omit_environment": _omit_environment(at("OMITENVIRONMENT")),
        "tags": _tags(at("spyderbat_tags")),
        "extra_env": _variables(at("extraEnv")),
        "pod_labels": at("podLabels"),
        "pod_annotations": at("nanoagent.pod.annotations"),
        "orc_url": at("nanoagent.orcurl"),
        "http_proxy": at("nanoagent.httpproxy"),
        "https_proxy": at("nanoagent.httpsproxy"),
        "node_selector": at("nanoagent.nodeSelector"),
        "affinity": at("nanoagent.affinity"),
        **_image(at, notes),
        **_credentials(at, notes),
        **_priority_class(at),
        **_update_strategy(at),
        **_monitor(at, notes),
    }
    return {option: value for option, value in options.items() if value not in (None, "", [], {})}, notes


def merge(options: dict, mapped: dict, argument_spec: dict) -> dict:
    """The module's options with those of a values file where the user gave none; suboptions have their types and defaults.

    options: the module's params. mapped: as map_values gives it. argument_spec: the module's. Whoever gives an option wins
    over the file, with dicts and lists as a whole, and with it over those that make sense only together. An option that
    the user gave with its default value looks as if it were not given, so that options which the file may set should have
    no default in the spec.
    :raises Failure: a mapped value is none that the option takes
    """
    given = {option for option, spec in argument_spec.items() if options.get(option) != spec.get("default")}
    hidden = given.union(*(group for group in _TOGETHER if given.intersection(group)))
    if "monitor" in given and not options["monitor"].get("enabled"):
        hidden.add("rbac")
    wanted = {option: value for option, value in mapped.items() if option not in hidden}
    checked = ArgumentSpecValidator({option: argument_spec[option] for option in wanted}).validate(wanted)
    if checked.error_messages:
        raise Failure(f"values_file: {checked.error_messages[0]}", "correct the value in the file")
    return {**options, **{option: checked.validated_parameters[option] for option in wanted}}


def _where(error):
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ""
    # The reader's own words may quote a value, so that only this one case is told in words.
    tab = "a tab stands where spaces are wanted, " if "'\\t'" in str(getattr(error, "problem", "")) else ""
    return f": {tab}line {mark.line + 1}, column {mark.column + 1}"


def _check(values, keys, prefix, notes):
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path in _NOTES:
            notes.append(f"{path}: {_NOTES[path]}")
        elif key not in keys:
            notes.append(f"{path}: not a key of the chart; ignored")
        if key not in keys or value is None:
            continue
        wanted = keys[key]
        if isinstance(wanted, dict):
            _expect(path, value, _MAP)
            _check(value, wanted, f"{path}.", notes)
        else:
            _expect(path, value, wanted)


def _expect(path, value, types):
    fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if not fits:
        number = str in types and isinstance(value, (int, float)) and not isinstance(value, bool)
        raise Failure(
            f"values_file: {path} is {_title(value)}, {_titles(types)} is wanted",
            "put it in quotes: YAML reads it as a number" if number else "correct the value in the file",
        )


def _title(value):
    return _titles((type(value),))


def _titles(types):
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a number", dict: "a map", list: "a list"}
    found = [names.get(one, f"a {one.__name__}") for one in types if not (one is int and float in types)]
    return " or ".join(found)


def _filled(defaults, given):
    """Helm's merge: maps key by key, everything else as given; null takes a default away."""
    filled = {**defaults, **given}
    for key, default in defaults.items():
        if isinstance(default, dict) and isinstance(given.get(key), dict):
            filled[key] = _filled(default, given[key])
    return {key: value for key, value in filled.items() if value is not None}


def _image(at, notes):
    missing = [key for key in ("image.registry", "image.repository", "image.tag") if not at(key)]
    if missing:
        raise Failure(f"values_file: {missing[0]} is empty", "write it, or leave it out to have the chart's")
    image = f"{at('image.registry')}/{at('image.repository')}:{at('image.tag')}"
    if is_pinned(image):
        return {"image": image}
    notes.append("image: it has a tag and no digest, so that require_digest is off; give image with its digest to have the same agent everywhere")
    return {"image": image, "require_digest": False}


def _pull_secrets(items):
    names = [item.get("name") if isinstance(item, dict) else item for item in items or []]
    if not all(isinstance(name, str) and name for name in names):
        raise Failure("values_file: image.pullSecrets has an entry without a name", "write names, or maps with the key name")
    return names


def _resources(resources):
    parts = {part: {name: str(amounts[name]) for name in _AMOUNTS if amounts.get(name) is not None} for part, amounts in (resources or {}).items() if amounts}
    # Both null is none at all, where nothing would be the profile's.
    return {part: parts[part] for part in ("requests", "limits") if parts.get(part)} or {"requests": {}, "limits": {}}


def _omit_environment(value):
    if value is True:
        raise Failure("values_file: OMITENVIRONMENT is true", "use no, everything or allbutredacted")
    return "no" if value in (False, "") else value


def _tags(text):
    tags = {}
    for pair in (text or "").split(":"):
        key, equals, value = pair.strip().partition("=")
        if pair.strip() and (not equals or not key):
            raise Failure("values_file: spyderbat_tags is not of the form KEY=value:KEY=value", "correct the value in the file")
        if key:
            tags[key] = value
    return tags


def _variables(items):
    for number, item in enumerate(items or []):
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise Failure(f"values_file: extraEnv[{number}] is no variable with a name", "write maps with name, and value or valueFrom")
    return items


def _annotations(at, notes):
    given = at("serviceAccount.annotations")
    if given and not at("serviceAccount.create"):
        notes.append("serviceAccount.annotations: ignored, since serviceAccount.create is false: annotate that service account yourself")
        return None
    return given


def _credentials(at, notes):
    if not at("aws.secretsmanager.enabled"):
        return {"registration_code": at("nanoagent.agentRegistrationCode")}
    arn = at("aws.secretsmanager.secretarn") or ""
    found = _ARN.fullmatch(arn)
    if not found:
        raise Failure("values_file: aws.secretsmanager.secretarn is no ARN of a secret", "use arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME")
    if at("nanoagent.agentRegistrationCode"):
        notes.append("nanoagent.agentRegistrationCode: ignored, as by the chart, since aws.secretsmanager is enabled")
    role = at("aws.secretsmanager.rolearn")
    if role and not at("serviceAccount.create"):
        notes.append("aws.secretsmanager.rolearn: ignored, as by the chart, since serviceAccount.create is false: annotate that service account yourself")
        role = None
    source = {"secret_id": arn, "region": found["region"], "key": _SECRET_KEY, "role_arn": role}
    return {"credentials": {"aws_secrets_manager": {key: value for key, value in source.items() if value}}}


def _priority_class(at):
    if not at("priorityClassDefault.enabled"):
        return {}
    return {"priority_class": {"name": _PRIORITY_CLASS, "create": True, "value": at("priorityClassDefault.value")}}


def _update_strategy(at):
    kind = at("nanoagent.updateStrategy.type") or "RollingUpdate"
    if kind != "RollingUpdate":
        return {"update_strategy": kind}
    limits = at("nanoagent.updateStrategy.rollingUpdate") or {}
    amounts = {"max_surge": limits.get("maxSurge"), "max_unavailable": limits.get("maxUnavailable")}
    return {"update_strategy": kind, **{option: str(value) for option, value in amounts.items() if value is not None}}


def _monitor(at, notes):
    if not at("clusterMonitor.create"):
        return {"monitor": {"enabled": False}}
    tolerations = at("clusterMonitor.tolerations")
    if tolerations and not isinstance(tolerations, list):
        raise Failure("values_file: clusterMonitor.tolerations is a map, a list is wanted", "write it as a list of tolerations")
    monitor = {"enabled": True, "resources": _resources(at("resources")), "tolerations": tolerations}
    return {"monitor": {key: value for key, value in monitor.items() if value}, "rbac": _rights(at, notes)}


def _rights(at, notes):
    role, read_only = at("serviceAccount.role"), at("serviceAccount.readonlyrolename")
    if not at("serviceAccount.create"):
        notes.append("serviceAccount.create: the chart bound no role then; now the monitor has a service account of its own that may read")
        return "read_only"
    if role == "cluster-admin":
        return "cluster_admin"
    if at("serviceAccount.readonly") and role != read_only:
        notes.append(
            "serviceAccount.readonly: the chart bound serviceAccount.role all the same; now the monitor may only read (rbac: respond lets it end pods)"
        )
        return "read_only"
    if role in (read_only, at("serviceAccount.writerolename")):
        return "read_only" if role == read_only else "respond"
    notes.append("serviceAccount.role: not a role of the chart; now the monitor may read, bind further roles to its service account yourself")
    return "read_only"
