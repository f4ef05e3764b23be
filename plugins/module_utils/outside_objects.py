# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods need and somebody else makes, such as a Secret or a priority class: whether it is there. Pure.

Without it pods wait for ever or are not let in, and that shows only after the writing, with a volume after minutes.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.credentials import coming_secret, secret_by_operator
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, titled
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_references import needs
from ansible_collections.nanoagent.k8s.plugins.module_utils.priority import SYSTEM_VALUES
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, number, records

_KINDS = ("Secret", "ConfigMap", "ServiceAccount", "PriorityClass", "RuntimeClass")
# Kubernetes makes them itself.
_ALWAYS_THERE = {("ServiceAccount", "default"), *(("PriorityClass", name) for name in SYSTEM_VALUES)}
_CSI_DRIVER = "secrets-store.csi.k8s.io"
# What of a workload's status counts its pods that are not ready.
_UNREADY = {"DaemonSet": "numberUnavailable", "Deployment": "unavailableReplicas"}
# Options that make the object themselves, by the one that names one.
_MADE_BY = {
    "credentials.existing_secret": "registration_code",
    "ca_bundle_config_map": "ca_bundle",
    "service_account": "create_service_account",
    "priority_class": "priority_class.create",
}
# Options by the field of the pod that they set.
_OPTIONS = {
    "imagePullSecrets": "image_pull_secrets",
    "serviceAccountName": "service_account",
    "priorityClassName": "priority_class",
    "runtimeClassName": "runtime_class",
    "env": "extra_env",
    "volumes": "extra_volumes",
}


def outside_needs(options: dict, steps: list[dict]) -> list[dict]:
    """What the pods of a plan need that neither a step of it nor Kubernetes makes, each once.

    steps: of plan.plan. {"object": identity, "option": which names it, "keys", "fatal": whether pods that the plan starts, or that
    are not ready, cannot run without it, "may_come": whether a driver may make it once the pods are there}.
    """
    made = {identity(step["desired"]) for step in steps if step["desired"]}
    found: dict[tuple, dict] = {}
    for step in steps:
        workload = step["desired"]
        if workload is None or workload["kind"] not in _UNREADY:
            continue
        spec = workload["spec"]["template"]["spec"]
        driver = any(at(volume, "csi", "driver") == _CSI_DRIVER for volume in records(spec.get("volumes")))
        for need in needs(spec, workload["metadata"]["namespace"]):
            kind, _namespace, name = which = need["object"]
            if kind not in _KINDS or which in made or (kind, name) in _ALWAYS_THERE or (kind == "Secret" and name == coming_secret(options)):
                continue
            if need["optional"] and need["field"] != "imagePullSecrets":
                continue
            option = _option(options, need)
            known = found.setdefault((which, option), {"object": which, "option": option, "keys": [], "fatal": False, "may_come": False})
            known["keys"] += [key for key in need["keys"] if key not in known["keys"]]
            known["fatal"] |= not need["optional"] and _starts_pods(step)
            known["may_come"] |= driver and kind == "Secret"
    return list(found.values())


def lacking(wanted: list[dict], seen: dict[tuple, dict | None], announced: set[str]) -> list[dict]:
    """What of it is not there: [{"fault", "note", "fatal", "option", "namespaced"}].

    wanted: of outside_needs. seen: identity -> object, None where there is none; what may not be read is not in it, and nothing is
    said of that. announced: names of Secrets that an operator is told to make.
    """
    found = []
    for need in wanted:
        kind, _namespace, name = need["object"]
        if need["object"] not in seen:
            continue
        fault = _fault(need, seen[need["object"]])
        if not fault:
            continue
        what = f"the {titled(need['object'])} {fault} ({need['option']})"
        comes = kind == "Secret" and (need["may_come"] or name in announced)
        follows = "images are pulled without it" if need["option"] == "image_pull_secrets" else "no pod starts without it"
        note = f"{what}: {follows}" + (", and somebody else is to make it" if comes else "")
        fatal = need["fatal"] and not comes
        found.append({"fault": what, "note": note, "fatal": fatal, "option": need["option"], "namespaced": KINDS[kind].namespaced})
    return found


def notes_of(lacked: list[dict], home: dict | None, waits: bool) -> list[str]:
    """A line for the plan about each thing that is lacking; lacked: of lacking.

    home: the Namespace, None where there is none yet. waits: whether the run waits for pods; otherwise somebody may make it after the run.

    :raises Failure: the run waits for pods that cannot start
    """
    fatal = [one for one in lacked if one["fatal"]]
    if fatal and waits:
        raise Failure(f"{'; '.join(one['fault'] for one in fatal)}: no pod starts without {'it' if len(fatal) == 1 else 'them'}", way_out(fatal, home))
    return [one["note"] for one in lacked]


def way_out(fatal: list[dict], home: dict | None) -> str:
    """What to do about things that are lacking; fatal: of lacking. home: the Namespace, None where there is none yet."""
    what = "it" if len(fatal) == 1 else "them"
    first = what if home or not any(one["namespaced"] for one in fatal) else f"the namespace and {what}"
    instead = [f"or use {_MADE_BY[one['option']]}, which makes it" for one in fatal if one["option"] in _MADE_BY]
    return ", ".join([f"create {first} before the run", *instead, f"or set wait: false where somebody makes {what} after the run"])


def external_secret_targets(external_secrets: list[dict]) -> set[str]:
    """Names of the Secrets that these ExternalSecrets make."""
    return {secret_by_operator(one)[2] for one in external_secrets}


def _fault(need, live):
    if live is None:
        return "does not exist"
    held = {**(live.get("data") or {}), **(live.get("binaryData") or {})}
    gone = [key for key in need["keys"] if key not in held]
    return f"has no key {', '.join(gone)}" if gone else ""


def _option(options, need):
    kind, _namespace, name = need["object"]
    if need["field"] not in ("env", "volumes"):
        return _OPTIONS[need["field"]]
    existing, authorities = at(options, "credentials", "existing_secret", "name"), at(options, "ca_bundle_config_map", "name")
    if kind == "Secret" and name == existing:
        return "credentials.existing_secret"
    if kind == "ConfigMap" and name == authorities:
        return "ca_bundle_config_map"
    return _OPTIONS[need["field"]]


def _starts_pods(step):
    if step["action"] in ("create", "recreate") or any(field == "spec.template" or field.startswith("spec.template.") for field in step["fields"]):
        return True
    # Where all pods are ready they run without it, until one starts again.
    return bool(number(at(step["live"], "status", _UNREADY[step["desired"]["kind"]])))
