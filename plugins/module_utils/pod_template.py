# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node agent's pod template: the profile's share, and on top what holds for every profile. Pure, the same bytes for the same options."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils import (
    credentials,
    dns,
    metrics_scrape,
    outbound,
    pod_extras,
    probes,
    scheduling,
    seccomp,
    security,
    sizing,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import pull_policy
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import text_values
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import container_name
from ansible_collections.nanoagent.k8s.plugins.module_utils.pull_secrets import pull_secret_names

# In an agent's events its own node's name, which no file of the container holds.
_NODE_NAME = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}}


def pod_template(options: dict, part: dict, labels: dict, facts: dict) -> dict:
    """The DaemonSet's spec.template.

    options: with their profile's defaults; part: the profile's share (see profiles); labels: of every agent pod.
    """
    policy = options.get("image_pull_policy") or pull_policy(options["image"])
    shares = [part, credentials.part(options, facts), outbound.ca_part(options), pod_extras.host_path_part(options)]
    init = seccomp.init_part(options, options["image"], policy)
    mounts = [mount for share in shares for mount in share["mounts"]] + pod_extras.extra_volume_mounts(options)
    volumes = [volume for share in shares for volume in share["volumes"]] + init["volumes"] + pod_extras.extra_volumes(options)
    env = [_NODE_NAME, *(variable for share in shares for variable in share.get("env", [])), *outbound.proxy_env(options), *pod_extras.extra_env(options)]
    _check_consistent(mounts, volumes, env)
    spec = {
        "serviceAccountName": options["service_account"],
        "automountServiceAccountToken": bool(options.get("service_account_token")),
        "terminationGracePeriodSeconds": options["termination_grace_period"],
        "nodeSelector": scheduling.node_selector(options),
        "affinity": scheduling.affinity(options),
        "containers": [_container(options, part, policy, mounts, env, facts)],
        **_set_only(
            securityContext=security.pod_security_context(options),
            initContainers=init["containers"],
            volumes=volumes,
            tolerations=scheduling.tolerations(options["tolerations"]),
            priorityClassName=(options["priority_class"] or {}).get("name"),
            imagePullSecrets=[{"name": name} for name in pull_secret_names(options)],
            hostNetwork=options["host_network"],
            hostPID=options["host_pid"],
            dnsPolicy=options.get("dns_policy"),
            dnsConfig=dns.config(options),
            runtimeClassName=options.get("runtime_class"),
        ),
    }
    annotations = {
        **text_values(options.get("pod_annotations")),
        **metrics_scrape.pod_annotations(options, facts),
        **security.pod_annotations(options, container_name(options), facts),
        **{key: value for share in shares for key, value in share.get("annotations", {}).items()},
    }
    metadata = {"labels": {**text_values(options.get("pod_labels")), **part["labels"], **labels}, **_set_only(annotations=annotations)}
    return {"metadata": metadata, "spec": spec}


def _container(options, part, policy, mounts, env, facts):
    return {
        "name": container_name(options),
        "image": options["image"],
        "imagePullPolicy": policy,
        "env": env,
        "resources": sizing.container_resources(options, facts),
        "securityContext": security.security_context(options, part, facts),
        **_set_only(
            command=part.get("command"),
            args=part.get("args"),
            ports=metrics_scrape.container_ports(options),
            volumeMounts=mounts,
        ),
        **probes.container_probes(options, part["probes"]),
    }


def _check_consistent(mounts, volumes, env):
    pod_extras.check_unique("the volume", "name", volumes)
    pod_extras.check_unique("the mount path", "mountPath", mounts)
    pod_extras.check_unique("the variable", "name", env)
    names = {volume["name"] for volume in volumes}
    for mount in mounts:
        if mount["name"] not in names:
            raise Failure(f"extra_volume_mounts names the volume {mount['name']}, which is not there", "add it to extra_volumes or host_paths")


def _set_only(**fields):
    return {name: value for name, value in fields.items() if value}
