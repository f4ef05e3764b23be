# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent's container may do: user, capabilities, privilege, AppArmor, runtime class. Pure."""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import seccomp
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_count, check_dns_subdomain

# Loading eBPF programs, and attaching them to tracepoints (kernel 5.8 on).
_EBPF = ("BPF", "PERFMON")
# securityContext.appArmorProfile, before that an annotation.
_APPARMOR_FIELD_SINCE = (1, 30)
_SELINUX_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Linux, include/uapi/linux/capability.h.
_CAPABILITIES = frozenset(
    ("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE")
    + ("DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE")
    + ("MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID")
    + ("SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO")
    + ("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM")
)
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def check(options: dict) -> None:
    """Failure for capabilities that are none, and for what privilege or the API server rules out."""
    for capability in options.get("capabilities") or []:
        if capability.upper() == "ALL":
            raise Failure(f"capabilities has {capability!r}", "name those that are needed; a container that has them all is privileged: true")
        if capability not in _CAPABILITIES:
            raise Failure(f"capabilities has {capability!r}", "name one of the kernel's, in capitals and without CAP_, for example SYS_PTRACE")
    if options["privileged"] and options.get("capabilities"):
        raise Failure("capabilities mean nothing to a privileged container, which has them all", "leave them out, or set privileged: false")
    if options["run_as_user"] is not None:
        check_count("run_as_user", options["run_as_user"])
    if options.get("selinux_type") and not _SELINUX_TYPE.fullmatch(options["selinux_type"]):
        raise Failure(f"selinux_type {options['selinux_type']!r} is no SELinux type", "use for example spc_t")
    if options.get("runtime_class"):
        check_dns_subdomain("runtime_class", options["runtime_class"])
    apparmor = options.get("apparmor")
    if apparmor and (apparmor["type"] == "Localhost") != bool(apparmor.get("profile")):
        raise Failure("apparmor needs a profile with type Localhost, and takes none with another type", "name a profile that is loaded on the nodes")
    if apparmor and apparmor["type"] == "RuntimeDefault" and options["privileged"]:
        # containerd (generateApparmorSpecOpts) and CRI-O put no default profile on a privileged container.
        raise Failure("apparmor of type RuntimeDefault means nothing to a privileged container, which runs without", "leave it out, or set privileged: false")
    seccomp.check(options)


def security_context(options: dict, part: dict, facts: dict) -> dict:
    """The agent container's securityContext; part: the profile's share."""
    user = {} if options["run_as_user"] is None else {"runAsUser": options["run_as_user"]}
    root = {"readOnlyRootFilesystem": True} if part["read_only_root"] else {}
    if options["privileged"]:
        context = {"privileged": True, **root, **user}
    else:
        added = [*_EBPF, *(one for one in options.get("capabilities") or [] if one not in _EBPF)]
        # Capabilities reach a process only as root here: file capabilities would need privilege escalation.
        context = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": list(dict.fromkeys(added)), "drop": ["ALL"]},
            **root,
            **user,
            **({"runAsGroup": part["run_as_group"]} if part.get("run_as_group") else {}),
            "seccompProfile": seccomp.field(options),
        }
    context.update(selinux(options))
    if options.get("apparmor") and not _by_annotation(facts):
        context["appArmorProfile"] = _apparmor_field(options["apparmor"])
    return context


def pod_security_context(options: dict) -> dict:
    """The pod's own securityContext: what a container that says nothing gets, such as one that is attached for debugging."""
    return {} if options["privileged"] else {"seccompProfile": {"type": "RuntimeDefault"}}


def selinux(options: dict) -> dict:
    """The securityContext's seLinuxOptions; empty where no type is asked for."""
    return {"seLinuxOptions": {"type": options["selinux_type"]}} if options.get("selinux_type") else {}


def pod_annotations(options: dict, container: str, facts: dict) -> dict:
    """The AppArmor annotation of Kubernetes before 1.30."""
    apparmor = options.get("apparmor")
    if not apparmor or not _by_annotation(facts):
        return {}
    values = {"RuntimeDefault": "runtime/default", "Unconfined": "unconfined", "Localhost": f"localhost/{apparmor.get('profile')}"}
    return {_APPARMOR_ANNOTATION + container: values[apparmor["type"]]}


def _by_annotation(facts):
    return facts.get("kubernetes") is not None and tuple(facts["kubernetes"]) < _APPARMOR_FIELD_SINCE


def _apparmor_field(apparmor):
    return {"type": apparmor["type"], **({"localhostProfile": apparmor["profile"]} if apparmor.get("profile") else {})}
