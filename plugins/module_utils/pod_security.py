# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules of a Pod Security Standard a pod breaks. Pure.

Source: the Pod Security Standards' controls in Kubernetes, staging/src/k8s.io/pod-security-admission/policy, read at 1.36, newest
version of each. Exemptions, which only the API server's configuration knows, are not looked at.
"""

from __future__ import annotations

LABEL = "pod-security.kubernetes.io/enforce"
_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
    *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies"),
    *("net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"),
    *("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
_VOLUMES = {"name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_PROFILES = ("RuntimeDefault", "Localhost")
# Of what breaks a level, so many are told in a line of the plan.
_SHOWN = 3


def violations(template: dict, level: str) -> list[str]:
    """One text for each rule of the level privileged, baseline or restricted that a pod template breaks."""
    if level not in ("baseline", "restricted"):
        return []
    spec = template.get("spec") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    found = _baseline(template, spec, containers)
    return found + _restricted(spec, containers) if level == "restricted" else found


def verdict(steps: list[dict], home: dict | None, template: dict) -> tuple[str, list[str]]:
    """(the level that the namespace enforces after these steps of plan.plan, violations() of it); home: the Namespace as it is."""
    step = next((step for step in steps if step["desired"] and step["desired"]["kind"] == "Namespace"), None)
    level = level_of(step["desired"]) if step else ""
    if not level and home and not (step and f"metadata.labels.{LABEL}" in step["fields"]):
        level = level_of(home)
    return level, violations(template, level)


def told(level: str, broken: list[str], most: int) -> str:
    """What a namespace enforces and the first few of what a pod has against it, as words."""
    more = f" and {len(broken) - most} more" if len(broken) > most else ""
    return f"enforces {level}, and the pod has {', '.join(broken[:most])}{more}"


def notes(options: dict, steps: list[dict], home: dict | None, template: dict) -> list[str]:
    """A line for the plan where the namespace refuses the pod, unless an exemption, of which the API says nothing, lets it in."""
    level, broken = verdict(steps, home, template)
    if not broken:
        return []
    way = "set pod_security: privileged" if options["create_namespace"] else f"label it {LABEL}=privileged"
    return [f"the namespace {options['namespace']} {told(level, broken, _SHOWN)}: pods are refused where the cluster has no exemption; {way}"]


def level_of(namespace: dict) -> str:
    """The level that a Namespace enforces; empty where it says nothing and the API server's own default holds."""
    return ((namespace.get("metadata") or {}).get("labels") or {}).get(LABEL) or ""


def _baseline(template, spec, containers):
    found = [f"{key}: true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    contexts = [(spec.get("securityContext") or {}, "the pod"), *((_context(one), f"container {one['name']}") for one in containers)]
    paths = [volume["name"] for volume in spec.get("volumes") or [] if volume.get("hostPath") is not None]
    if paths:
        found.append(f"hostPath volumes ({', '.join(paths)})")
    for one in containers:
        context = _context(one)
        if context.get("privileged"):
            found.append(f"container {one['name']} is privileged")
        extra = sorted(set((context.get("capabilities") or {}).get("add") or []) - _CAPABILITIES)
        if extra:
            found.append(f"container {one['name']} adds the capabilities {', '.join(extra)}")
        ports = sorted({port["hostPort"] for port in one.get("ports") or [] if port.get("hostPort")})
        if ports:
            found.append(f"container {one['name']} takes the host ports {', '.join(map(str, ports))}")
        if (context.get("procMount") or "Default") != "Default":
            found.append(f"container {one['name']} has procMount {context['procMount']}")
        if any(_host_of(probe) for probe in _handlers(one)):
            found.append(f"container {one['name']} has a probe or hook of another host")
    for context, who in contexts:
        selinux = context.get("seLinuxOptions") or {}
        if (selinux.get("type") or "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
            found.append(f"{who} has SELinux options")
        for field in ("seccompProfile", "appArmorProfile"):
            if (context.get(field) or {}).get("type") == "Unconfined":
                found.append(f"{who} has {field} Unconfined")
        if (context.get("windowsOptions") or {}).get("hostProcess"):
            found.append(f"{who} is a host process")
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    if any(key.startswith(_APPARMOR_ANNOTATION) and value == "unconfined" for key, value in annotations.items()):
        found.append("an annotation asks for no AppArmor profile")
    sysctls = sorted({one["name"] for one in (spec.get("securityContext") or {}).get("sysctls") or []} - _SYSCTLS)
    return found + ([f"sysctls ({', '.join(sysctls)})"] if sysctls else [])


def _restricted(spec, containers):
    pod = spec.get("securityContext") or {}
    volumes = [volume["name"] for volume in spec.get("volumes") or [] if set(volume) - _VOLUMES and volume.get("hostPath") is None]
    found = [f"volumes of restricted types ({', '.join(volumes)})"] if volumes else []
    for one in containers:
        context = _context(one)
        capabilities = context.get("capabilities") or {}
        if context.get("allowPrivilegeEscalation") is not False:
            found.append(f"container {one['name']} does not forbid privilege escalation")
        if "ALL" not in (capabilities.get("drop") or []):
            found.append(f"container {one['name']} does not drop all capabilities")
        if set(capabilities.get("add") or []) & _CAPABILITIES - {"NET_BIND_SERVICE"}:
            found.append(f"container {one['name']} adds capabilities beside NET_BIND_SERVICE")
        if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            found.append(f"container {one['name']} may run as root (runAsNonRoot is not true)")
        if context.get("runAsUser", pod.get("runAsUser")) == 0:
            found.append(f"container {one['name']} runs as user 0")
        if (context.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in _PROFILES:
            found.append(f"container {one['name']} has no seccomp profile")
    return found


def _context(container):
    return container.get("securityContext") or {}


def _handlers(container):
    hooks = container.get("lifecycle") or {}
    probes = [container.get(key) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
    return [handler for handler in (*probes, hooks.get("postStart"), hooks.get("preStop")) if handler]


def _host_of(handler):
    return any((handler.get(key) or {}).get("host") for key in ("httpGet", "tcpSocket"))
