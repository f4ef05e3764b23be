# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each platform needs done differently, and why. Pure.

Only what a named source says stands here (the comments name it); what could not be found out is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import names
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_security import LABEL, level_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import FARGATE, KWOK, LIQO, VIRTUAL_KUBELET, label_of, who_is

KUBELET_ROOT = "/var/lib/kubelet"
# microk8s, microk8s-resources/default-args/kubelet (--root-dir below SNAP_COMMON).
_MICROK8S_KUBELET_ROOT = "/var/snap/microk8s/common/var/lib/kubelet"
# openshift/cluster-logging-operator, internal/collector/collector.go: spc_t for a container that reads the nodes' pod logs.
_UNCONFINED_CONTAINER = "spc_t"
# OpenShift documentation, "Running background tasks on nodes automatically with daemon sets".
_NODE_SELECTOR_ANNOTATION = "openshift.io/node-selector"
# OpenShift documentation, "Managing security context constraints": the platform makes a ClusterRole for each of its own.
_PRIVILEGED_SCC_ROLE = "system:openshift:scc:privileged"
_SECCOMP = {"RuntimeDefault": "runtime/default", "Unconfined": "unconfined"}
_RBAC = "rbac.authorization.k8s.io/v1"

# GKE documentation, "GKE Autopilot security capabilities" and "About privileged workload admission in GKE Autopilot"; the list
# is in the refusals of GKE's admission (constraint autogke-default-linux-capabilities), less NET_RAW, which it no longer allows.
_AUTOPILOT_CAPABILITIES = frozenset(
    ("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD")
    + ("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_PTRACE")
)
_AUTOPILOT_HOST_PATH = "/var/log/"
# Constraint autogke-node-affinity-selector-limitation; of our own keys it is known for this one only: kubernetes-sigs/secrets-store-csi-driver, issue 672.
_AUTOPILOT_LABELS = ("type",)
# siderolabs/talos, pkg/machinery/imager/quirks/quirks.go (ForcesLockdownConfidentiality).
_TALOS_WITHOUT_CONFIDENTIALITY = (1, 14)
_TALOS_VERSION = re.compile(r"Talos \(v(\d+)\.(\d+)")
# Of nodes that are no machines: the name in the plan's lines, and why no agent belongs there.
_NO_MACHINES = {
    # Amazon EKS User Guide, "AWS Fargate considerations".
    FARGATE: ("eks-fargate", "Fargate runs no DaemonSet and no privileged container"),
    LIQO: ("liqo", "a node of Liqo's stands for another cluster, which has agents of its own or none"),
    # Azure documentation, "Use virtual nodes" and "Use Virtual Nodes v2": DaemonSets.
    VIRTUAL_KUBELET: ("virtual-kubelet", "there is no machine behind a virtual node that an agent could watch"),
    KWOK: ("kwok", "a node of kwok's exists in the API only, and its pods only seem to run"),
}


def adjust(options: dict, platforms: list[dict], home: dict | None = None) -> tuple[dict, list[dict]]:
    """(options, notes): the options as the platforms need them, and a line for the plan about each difference, or about that there is none.

    options: the agent module's options with the profile's defaults filled in; not changed itself. Only what the user left
    at its default is changed: `selinux_type`, `namespace_annotations`, `seccomp.kubelet_root`.
    platforms: of platforms.choose. home: the agent's Namespace, None where it is not there or not known. A note is
    {"platform", "option", "value", "why"}; option is empty where the note is about something that is no option, and value says
    then what is done.
    """
    adjusted, notes = dict(options), []
    for entry in platforms:
        if entry["platform"] in _TOLD_BY_NODES:
            continue
        rule = _RULES.get(entry["platform"])
        found = list(rule(adjusted, entry, home)) if rule else []
        found = found or [_note("", "nothing is changed", f"recognised by {entry['evidence']}")]
        notes += [{"platform": entry["platform"], **note} for note in found]
    return adjusted, notes


def node_notes(options: dict, platforms: list[dict], daemon_set: dict, nodes: list[dict], runs: Callable[[dict], bool]) -> list[dict]:
    """Notes, as adjust gives them, about nodes on which the pods of this DaemonSet do not run, whatever its controller thinks.

    nodes: Node objects. runs: whether the controller would run a pod on one of them.
    """
    return [*_no_machines(options, nodes, runs), *_autopilot_beside_others(platforms, daemon_set, nodes, runs)]


def note_line(note: dict) -> str:
    """A note as a line of the plan: `openshift: selinux_type = spc_t: why`."""
    value = note["value"] or "left as it is"
    what = f"{note['option']} = {value}" if note["option"] else value
    return f"{note['platform']}: {what}: {note['why']}"


def extra_objects(options: dict, platforms: list[dict], daemon_set: dict) -> list[dict]:
    """Objects that a platform needs beside the usual ones; each of them exists before the DaemonSet.

    daemon_set: the desired one. On OpenShift: leave for the agent's service account to use security context constraints.
    A privileged agent is bound to the platform's own; for any other one we make our own, which allow this pod and nothing
    more: the least of the platform's that allows host paths and added capabilities is `privileged`, and with it
    whoever may start pods with this service account would be root on every node.
    """
    if "openshift" not in names(platforms):
        return []
    pod = daemon_set["spec"]["template"]["spec"]
    subjects = [{"kind": "ServiceAccount", "name": options["service_account"], "namespace": options["namespace"]}]
    bound = f"{options['name']}-scc"

    def binding(kind, role):
        role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
        return made(options, _RBAC, "RoleBinding", bound, roleRef=role_ref, subjects=subjects)

    if _privileged(pod):
        return [binding("ClusterRole", _PRIVILEGED_SCC_ROLE)]
    name = _scc_name(options)
    rules = [{"apiGroups": ["security.openshift.io"], "resources": ["securitycontextconstraints"], "resourceNames": [name], "verbs": ["use"]}]
    return [
        made(options, "security.openshift.io/v1", "SecurityContextConstraints", name, namespaced=False, **security_context_constraints(pod)),
        made(options, _RBAC, "Role", bound, rules=rules),
        binding("Role", bound),
    ]


def security_context_constraints(pod: dict) -> dict:
    """The fields of SecurityContextConstraints that admit this pod spec and as little else as they can.

    Source of the fields: openshift/api, security/v1/types.go. Lists are sorted, as the API server's defaulting leaves them
    (openshift/apiserver-library-go, sccdefaults).
    """
    containers = _containers(pod)
    contexts = [container.get("securityContext") or {} for container in containers]
    ports = [port for container in containers for port in container.get("ports") or []]
    escalation = any(context.get("allowPrivilegeEscalation") is not False for context in contexts)
    drops_all = all("ALL" in ((context.get("capabilities") or {}).get("drop") or []) for context in contexts)
    profiles = {_seccomp_name(context["seccompProfile"]) for context in [pod.get("securityContext") or {}, *contexts] if context.get("seccompProfile")}
    volumes = {source for volume in pod.get("volumes") or [] for source in volume if source != "name"}
    if pod.get("automountServiceAccountToken") is not False:
        volumes.add("projected")
    return {
        "allowHostDirVolumePlugin": "hostPath" in volumes,
        "allowHostIPC": bool(pod.get("hostIPC")),
        "allowHostNetwork": bool(pod.get("hostNetwork")),
        "allowHostPID": bool(pod.get("hostPID")),
        "allowHostPorts": any(port.get("hostPort") for port in ports) or bool(ports and pod.get("hostNetwork")),
        "allowPrivilegeEscalation": escalation,
        "allowPrivilegedContainer": _privileged(pod),
        "allowedCapabilities": _added_capabilities(pod),
        "defaultAddCapabilities": [],
        "fsGroup": {"type": "RunAsAny"},
        # As if unset, but the schema requires it.
        "priority": 0,
        "readOnlyRootFilesystem": all(context.get("readOnlyRootFilesystem") is True for context in contexts),
        "requiredDropCapabilities": ["ALL"] if drops_all else [],
        "runAsUser": {"type": "RunAsAny"},
        "seLinuxContext": {"type": "RunAsAny"},
        "seccompProfiles": sorted(profiles),
        "supplementalGroups": {"type": "RunAsAny"},
        "volumes": sorted(volumes) or ["none"],
    }


def check_admission(daemon_set: dict, platforms: list[dict]) -> None:
    """Failure where a platform is known to refuse this DaemonSet; to be called before anything is written.

    GKE Autopilot only, and only where all of GKE's nodes are Autopilot's: in a Standard cluster that runs some workloads in
    Autopilot mode the other nodes can have the agent.
    """
    autopilot = next((entry for entry in platforms if entry["platform"] == "gke-autopilot"), None)
    if autopilot is None or _is_partly_autopilot(platforms):
        return
    refused = autopilot_refusals(daemon_set["spec"]["template"]["spec"])
    if refused:
        raise Failure(
            f"GKE Autopilot ({autopilot['evidence']}) does not admit this agent: {'; '.join(refused)}",
            "use a Standard cluster or node pool; or, with an allowlist for this workload, set platform: none and real_nodes_only: false",
            platform="gke-autopilot",
            refused=refused,
        )


def autopilot_refusals(pod: dict) -> list[str]:
    """What GKE Autopilot's admission refuses in a pod spec that no allowlist names."""
    refused = []
    capabilities = [name for name in _added_capabilities(pod) if name not in _AUTOPILOT_CAPABILITIES]
    if capabilities:
        refused.append(f"added capabilities {', '.join(capabilities)}")
    if _privileged(pod):
        refused.append("privileged containers")
    host = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    if host:
        refused.append(", ".join(host))
    if any(port.get("hostPort") for container in _containers(pod) for port in container.get("ports") or []):
        refused.append("host ports")
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod.get("volumes") or [] if volume.get("hostPath")}
    outside = sorted(path for path in paths.values() if not f"{path}/".startswith(_AUTOPILOT_HOST_PATH))
    if outside:
        refused.append(f"host paths outside {_AUTOPILOT_HOST_PATH} ({', '.join(outside)})")
    mounts = [mount for container in _containers(pod) for mount in container.get("volumeMounts") or []]
    writable = sorted({paths[mount["name"]] for mount in mounts if mount["name"] in paths and not mount.get("readOnly")} - set(outside))
    if writable:
        refused.append(f"writable host paths ({', '.join(writable)})")
    labels = _labels_of_affinity(pod)
    refused += [f"node affinity or selector on the label {key}" for key in _AUTOPILOT_LABELS if key in labels]
    return refused


def vendor_host_paths(platform_names: set[str]) -> tuple[set[str], set[str]]:
    """(paths to add, paths to leave out) of the host paths that the profile spyderbat mounts.

    /snap: the vendor's chart has it as a switch for MicroK8s. /home: Talos has no such folder and its root is read-only
    (siderolabs/pkgs, fhs/pkg.yaml; siderolabs/talos, Dockerfile, rootfs).
    """
    return ({"/snap"} if "microk8s" in platform_names else set()), ({"/home"} if "talos" in platform_names else set())


def _scc_name(options):
    # Cluster-scoped: two installations must not share it, and neither a namespace nor a name has a dot.
    return f"{options['namespace']}.{options['name']}"


def _containers(pod):
    return [*(pod.get("initContainers") or []), *pod["containers"]]


def _privileged(pod):
    return any((container.get("securityContext") or {}).get("privileged") for container in _containers(pod))


def _added_capabilities(pod):
    added = (((container.get("securityContext") or {}).get("capabilities") or {}).get("add") or [] for container in _containers(pod))
    return sorted({name for names_added in added for name in names_added})


def _labels_of_affinity(pod):
    """The labels by which a pod chooses its nodes, but for what it only prefers."""
    affinity = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = affinity.get("nodeSelectorTerms") or []
    return {*(pod.get("nodeSelector") or {}), *(one.get("key") for term in terms for one in term.get("matchExpressions") or [])}


def _seccomp_name(profile):
    return _SECCOMP.get(profile["type"]) or f"localhost/{profile['localhostProfile']}"


def _is_partly_autopilot(platforms):
    """Whether nodes show that some of GKE's are Autopilot's and some are not; where the user says Autopilot, all are."""
    nodes = {entry["platform"]: len(entry["nodes"]) for entry in platforms}
    return 0 < nodes.get("gke-autopilot", 0) < nodes.get("gke", 0)


def _autopilot_beside_others(platforms, daemon_set, nodes, runs):
    if not _is_partly_autopilot(platforms):
        return
    theirs = {name for entry in platforms if entry["platform"] == "gke-autopilot" for name in entry["nodes"]}
    reached = [node for node in nodes if node["metadata"]["name"] in theirs and runs(node)]
    refused = autopilot_refusals(daemon_set["spec"]["template"]["spec"])
    if reached and refused:
        be = "is" if len(reached) == 1 else "are"
        told = f"{len(reached)} of {count(len(nodes), 'node')} {be} Autopilot's, where pods are refused ({'; '.join(refused)})"
        why = "the run ends with that cause; leave these nodes out by a label of the others, as in node_selector: {cloud.google.com/gke-nodepool: NAME}"
        yield {"platform": "gke-autopilot", **_note("", told, why)}


def _no_machines(options, nodes, runs):
    found: dict[str, list[dict]] = {}
    for node in nodes:
        found.setdefault(who_is(node), []).append(node)
    for who, (name, why) in _NO_MACHINES.items():
        theirs = found.get(who, [])
        reached = [node for node in theirs if runs(node)]
        if len(theirs) > len(reached):
            yield {"platform": name, **_note("", f"{count(len(theirs) - len(reached), 'node')} left out", why)}
        if not reached:
            continue
        will = "only seem to run" if who == KWOK else "never run"
        if not options["real_nodes_only"]:
            yield {"platform": name, **_note("real_nodes_only", "", f"pods for {count(len(reached), 'node')} will {will}: {why}")}
            continue
        sign = "an annotation" if who == KWOK else "a taint"
        told = f"only {sign} says so; pods there will {will} and are not counted; label them {label_of(who)}"
        yield {"platform": name, **_note("", f"{count(len(reached), 'node')} cannot be left out", told)}


def _own_monitor(options):
    return options["profile"] == "bundled" and bool((options.get("monitor") or {}).get("enabled"))


def _opens_name_service(options):
    return options.get("network_policy") and (options["profile"] != "bundled" or options.get("orc_url"))


def _opens_api(options):
    return options.get("network_policy") and (options["profile"] != "bundled" or _own_monitor(options))


def _openshift(options, entry, home):
    if options.get("privileged"):
        yield _note("", f"RoleBinding to ClusterRole {_PRIVILEGED_SCC_ROLE}", "no pod starts that its security context constraints do not allow")
    else:
        yield _note(
            "",
            f"SecurityContextConstraints {_scc_name(options)}, used by the agent's service account only",
            "no pod starts that its security context constraints do not allow, and the platform's own ones that allow host paths and BPF allow everything",
        )
        if not options.get("selinux_type"):
            options["selinux_type"] = _UNCONFINED_CONTAINER
            yield _note("selinux_type", _UNCONFINED_CONTAINER, "SELinux keeps confined containers from reading the nodes' pod logs")
    lacks = "a default node selector of the cluster would keep the agent off all other nodes, and pods there would be made and refused for ever"
    if not options["create_namespace"]:
        if _NODE_SELECTOR_ANNOTATION not in (((home or {}).get("metadata") or {}).get("annotations") or {}):
            yield _note("", f'namespace {options["namespace"]} needs the annotation {_NODE_SELECTOR_ANNOTATION}=""', lacks)
    elif _NODE_SELECTOR_ANNOTATION not in (options.get("namespace_annotations") or {}):
        options["namespace_annotations"] = {**(options.get("namespace_annotations") or {}), _NODE_SELECTOR_ANNOTATION: ""}
        yield _note("namespace_annotations", f'{_NODE_SELECTOR_ANNOTATION}=""', lacks)
    if _own_monitor(options):
        yield _note("", "the cluster monitor's pod names no user", "each namespace has users of its own, and others are refused")
    if _opens_name_service(options):
        yield _note("", "NetworkPolicy: port 5353 is open beside 53", "the pods behind the name service listen there")


def _microk8s(options, entry, home):
    seccomp = options.get("seccomp") or {}
    if seccomp.get("content") and seccomp.get("kubelet_root") in (None, KUBELET_ROOT):
        options["seccomp"] = {**seccomp, "kubelet_root": _MICROK8S_KUBELET_ROOT}
        yield _note("seccomp.kubelet_root", _MICROK8S_KUBELET_ROOT, "the kubelet keeps its files in its snap's folder")
    if options["profile"] == "spyderbat":
        yield _note("", "host path /snap is mounted too", "programs of snaps run from there")
    if _opens_api(options):
        yield _note("", "NetworkPolicy: port 16443 is open beside 443 and 6443", "the API server listens there")


def _talos(options, entry, home):
    # Talos documentation, "Pod Security": baseline everywhere but in kube-system.
    why = "Talos enforces the pod security level baseline in a namespace that names none, and an agent needs privileged"
    if options["namespace"] == "kube-system":
        pass
    elif not options["create_namespace"]:
        if home is None or level_of(home) != "privileged":
            yield _note("", f"namespace {options['namespace']} needs the label {LABEL}=privileged", why)
    elif (options.get("pod_security") or "privileged") != "privileged":
        yield _note("pod_security", options["pod_security"], f"the pods will be refused: {why}")
    else:
        yield _note("pod_security", "privileged", why)
    if options["profile"] == "spyderbat":
        yield _note("", "host path /home is not mounted", "Talos has no such folder, and its root is read-only")
    versions = [(int(major), int(minor)) for major, minor in _TALOS_VERSION.findall(entry["evidence"])]
    if versions and min(versions) < _TALOS_WITHOUT_CONFIDENTIALITY:
        yield _note(
            "",
            "nothing is changed for Secure Boot",
            "before Talos 1.14 its images set lockdown=confidentiality, and no eBPF program may read kernel memory there",
        )


def _bottlerocket(options, entry, home):
    # bottlerocket-os/bottlerocket-core-kit, packages/selinux-policy (rules.cil, systems.cil: container_t may use bpf and
    # perf_event and read what is public; subject.cil: spc_t is an alias of control_t).
    if not options.get("privileged"):
        yield _note("", "nothing is changed", "its SELinux policy lets an ordinary container load eBPF programs and read the pod logs")


def _note(option, value, why):
    return {"option": option, "value": value, "why": why}


_RULES = {
    "openshift": _openshift,
    "microk8s": _microk8s,
    "talos": _talos,
    "bottlerocket": _bottlerocket,
}
# What is to be said of them depends on where the pods would run.
_TOLD_BY_NODES = ("gke-autopilot", "eks-fargate", "virtual-kubelet")
