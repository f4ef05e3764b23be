# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the agent module's options to the objects that the cluster shall hold. Pure, and the same bytes every time."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import (
    applyset,
    cluster_monitor,
    credentials,
    dns,
    metrics_scrape,
    network_policy,
    outbound,
    platform_rules,
    pod_extras,
    priority,
    probes,
    pull_secrets,
    scheduling,
    seccomp,
    security,
    sizing,
    update_strategy,
    verifier_rights,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import given_version
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import check_trimmed, is_pinned, parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import INSTALL_ORDER, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import (
    check_annotations,
    check_dns_label,
    check_dns_subdomain,
    check_labels,
    text_values,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import RESERVED, daemon_set_labels, made, object_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_template import pod_template
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import check_profile, profile_of, with_profile_defaults

_POD_SECURITY = "pod-security.kubernetes.io/"
# Names made from it are longer, the Service's by eight, and that has to be a DNS label of 63.
_LONGEST_NAME = 52
# Each checks the options of its subject; credentials before the profile, so that a wrong source is named as such.
_SUBJECTS = (pull_secrets, credentials, priority, sizing, scheduling, update_strategy, security, metrics_scrape, probes, outbound, pod_extras)
_SUBJECTS += (dns, cluster_monitor, network_policy)


def desired_objects(options: dict, facts: dict | None = None) -> list[dict]:
    """All objects in apply order: namespace, the ApplySet's parent, members; the DaemonSet last.

    options: the agent module's options after its argument spec; Failure names the option that does not fit.
    facts: what is known of the cluster, each part absent or None where it is not:
    {"kubernetes": (major, minor), "smallest_node": {"cpu": cores, "memory": bytes}, "local_storage": bool, "served": {"Kind.group"},
    "cluster_uid": uid of the namespace kube-system, "secret_hashes": {Secret: value_hash}, "code_note": annotations of the parent,
    of rotation.marks, "platforms": of platforms.choose}. served: of live.read, and so of the kinds that were asked for.
    """
    options, facts = with_profile_defaults(options), facts or {}
    check_options(options)
    name, namespace = options["name"], options["namespace"]
    account_annotations = {**text_values(options.get("service_account_annotations")), **credentials.service_account_annotations(options)}
    part = profile_of(options).part(options, facts)
    daemon_set, platforms = _daemon_set(options, part, facts), facts.get("platforms") or []
    platform_rules.check_admission(daemon_set, platforms)
    members = [
        *_service_account(options, account_annotations),
        *verifier_rights.objects(options),
        *priority.objects(options),
        *pull_secrets.objects(options),
        *credentials.objects(options, facts),
        *part["objects"],
        *outbound.objects(options),
        *seccomp.objects(options),
        *network_policy.objects(options, facts),
        *metrics_scrape.objects(options, facts),
        *cluster_monitor.objects(options, facts, pull_secrets.pull_secret_names(options), account_annotations),
        *platform_rules.extra_objects(options, platforms, daemon_set),
        daemon_set,
    ]
    if options["create_namespace"]:
        members.append(_namespace(options))
    members.sort(key=lambda member: INSTALL_ORDER.index(member["kind"]))
    identifier = applyset.set_id(name, namespace)
    parent = applyset.parent(name, namespace, members, object_labels(options))
    parent["metadata"]["annotations"] = {**text_values(options.get("annotations")), **parent["metadata"]["annotations"], **(facts.get("code_note") or {})}
    _check_identities([parent, *members])
    enrolled = [applyset.enrol(member, identifier) for member in members]
    first = 1 if options["create_namespace"] else 0
    return enrolled[:first] + [parent] + enrolled[first:]


def check_names(options: dict) -> None:
    """Failure for a name or namespace that no installation can have."""
    check_dns_label("name", options["name"], _LONGEST_NAME)
    check_dns_label("namespace", options["namespace"])


def check_options(options: dict) -> None:
    """Failure for options that the argument spec lets through and that cannot work; needs no cluster."""
    options = with_profile_defaults(options)
    check_names(options)
    check_dns_subdomain("service_account", options["service_account"])
    check_annotations("namespace_annotations", options.get("namespace_annotations"))
    check_labels("namespace_labels", options.get("namespace_labels"), (*RESERVED, "kubernetes.io/metadata.name"))
    _check_admission(options)
    check_annotations("service_account_annotations", options.get("service_account_annotations"))
    if not options.get("create_service_account", True) and options.get("service_account_annotations"):
        raise Failure(
            "service_account_annotations cannot be set on a service account that is not made here",
            "annotate it yourself, or set create_service_account: true",
        )
    if given_version(options.get("kubernetes_version")) and options["state"] != "rendered":
        raise Failure(f"kubernetes_version means nothing to state {options['state']}, which asks the API server", "leave it out, or set state: rendered")
    _check_image(options)
    _check_service_account(options)
    for subject in _SUBJECTS:
        subject.check(options)
    check_profile(options)
    _check_cloud_role(options)


def _check_admission(options):
    """Failure where a label of the namespace says something else than pod_security; of one that is not made here neither says anything."""
    given = text_values(options.get("namespace_labels")) if options["create_namespace"] else {}
    for label, level in _admission_labels(options).items():
        if given.get(label, level) != level:
            raise Failure(
                f"namespace_labels.{label} is {given[label]}, and pod_security is {level}", "leave one of them out: pod_security: unset sets no such label"
            )


def _check_service_account(options):
    """Failure where the agent would run with the rights of another service account of this installation."""
    owners = {"monitor.enabled": ("monitor", cluster_monitor.enabled(options)), "verifier": ("verifier", options["verifier"])}
    for option, (suffix, made_here) in owners.items():
        if made_here and options["service_account"] == f"{options['name']}-{suffix}":
            raise Failure(
                f"service_account {options['service_account']} is the {suffix}'s own ({option}), and the agent would get its rights",
                "choose another service_account",
            )


def _check_cloud_role(options):
    """Failure where one annotation of the service account is given twice, and not alike."""
    given = text_values(options.get("service_account_annotations"))
    for key, value in credentials.service_account_annotations(options).items():
        if given.get(key, value) != value:
            raise Failure(f"service_account_annotations.{key} and credentials.aws_secrets_manager.role_arn differ", "leave one of them out")


def _check_identities(objects):
    seen = set()
    for obj in objects:
        if identity(obj) in seen:
            raise Failure(f"two objects of this installation would be the {title(obj)}", "choose other names")
        seen.add(identity(obj))


def _check_image(options):
    image = options.get("image")
    if not image:
        raise Failure("image is missing", "set image to the reference that collector_image returned, name@sha256:...")
    # First of all, since it does not repeat what may be a login.
    parse_reference(image)
    check_trimmed("the image", image)
    if options["require_digest"] and not is_pinned(image):
        raise Failure(
            f"the image {image} is not pinned by a digest",
            "use the reference that collector_image returned (name@sha256:...), or set require_digest: false",
        )


def _service_account(options, annotations):
    if not options.get("create_service_account", True):
        return []
    return [made(options, "v1", "ServiceAccount", options["service_account"], annotations=annotations, automountServiceAccountToken=False)]


def _admission_labels(options):
    level = options.get("pod_security") or "privileged"
    return {} if level == "unset" else {f"{_POD_SECURITY}{mode}": level for mode in ("enforce", "audit", "warn")}


def _namespace(options):
    namespace = made(options, "v1", "Namespace", options["namespace"], namespaced=False)
    namespace["metadata"]["labels"].update({**_admission_labels(options), **text_values(options.get("namespace_labels"))})
    annotations = text_values(options.get("namespace_annotations"))
    if annotations:
        namespace["metadata"]["annotations"] = {**(namespace["metadata"].get("annotations") or {}), **annotations}
    return namespace


def _daemon_set(options, part, facts):
    template = pod_template(options, part, daemon_set_labels(options["name"]), facts)
    rollout = update_strategy.daemon_set_fields(options, template["spec"]["containers"][0])
    spec = {"selector": {"matchLabels": part["selector"]}, **rollout, "template": template}
    return made(options, "apps/v1", "DaemonSet", options["name"], spec=spec)
