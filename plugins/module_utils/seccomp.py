# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's seccomp profile: the runtime's, one that is on the nodes, or one that an init container brings there. Pure."""

from __future__ import annotations

import hashlib
import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_absolute_path
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made

# Below the kubelet's seccomp root, so that a user's own profiles are not touched.
_FOLDER = "nanoagent"
_SOURCE = "/etc/nanoagent-seccomp"
_TARGET = "/host/seccomp"
_INIT = "seccomp-profile"
_KUBELET_ROOT = "/var/lib/kubelet"
# opencontainers/runtime-spec, config-linux.md, "Seccomp".
_ACTIONS = tuple(f"SCMP_ACT_{action}" for action in ("KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY"))


def check(options: dict) -> None:
    """Failure for options that contradict each other, and for a content that is no profile."""
    given = options.get("seccomp")
    if not given:
        return
    if options["privileged"]:
        raise Failure("seccomp means nothing to a privileged container, which runs without", "leave it out, or set privileged: false")
    sources = [option for option in ("profile", "content") if given.get(option)]
    if given["type"] != "Localhost":
        if sources:
            raise Failure(f"seccomp.{sources[0]} means nothing to type {given['type']}", "leave it out, or set seccomp.type: Localhost")
        return
    if len(sources) != 1:
        raise Failure("seccomp of type Localhost needs either profile or content", "name a file below the kubelet's seccomp folder, or give its content")
    path = given.get("profile") or ""
    if path.startswith("/") or ".." in path.split("/"):
        raise Failure(f"seccomp.profile {path!r} is no path below the kubelet's seccomp folder", "use for example profiles/agent.json")
    if given.get("content"):
        _check_delivery(options)


def field(options: dict) -> dict:
    """The container's seccompProfile."""
    given = options.get("seccomp") or {"type": "RuntimeDefault"}
    if given["type"] != "Localhost":
        return {"type": given["type"]}
    return {"type": "Localhost", "localhostProfile": given.get("profile") or f"{_FOLDER}/{_file_name(options)}"}


def objects(options: dict) -> list[dict]:
    """The ConfigMap of a profile that has to get to the nodes."""
    return [made(options, "v1", "ConfigMap", _config_map(options), data={_file_name(options): _text(options)}, immutable=True)] if _delivers(options) else []


def init_part(options: dict, image: str, pull_policy: str) -> dict:
    """{"containers", "volumes"} that bring the profile to the node before the agent starts; empty lists where nothing is to be brought.

    The file's name carries the content's hash: a running agent's profile never changes under it.
    """
    if not _delivers(options):
        return {"containers": [], "volumes": []}
    name = _file_name(options)
    root = (options["seccomp"].get("kubelet_root") or _KUBELET_ROOT).rstrip("/")
    container = {
        "name": _INIT,
        "image": image,
        "imagePullPolicy": pull_policy,
        "args": ["deliver", f"{_SOURCE}/{name}", f"{_TARGET}/{_FOLDER}/{name}"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        # Root without any capability: the kubelet's folder is root's own.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsUser": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
            **({"seLinuxOptions": {"type": options["selinux_type"]}} if options.get("selinux_type") else {}),
        },
        "volumeMounts": [{"name": "seccomp-source", "mountPath": _SOURCE, "readOnly": True}, {"name": "seccomp-target", "mountPath": _TARGET}],
    }
    volumes = [
        {"name": "seccomp-source", "configMap": {"name": _config_map(options)}},
        {"name": "seccomp-target", "hostPath": {"path": f"{root}/seccomp", "type": "DirectoryOrCreate"}},
    ]
    return {"containers": [container], "volumes": volumes}


def _check_delivery(options):
    if options["profile"] != "bundled":
        raise Failure(
            f"seccomp.content cannot be brought to the nodes by the image of the profile {options['profile']}",
            "put the file on the nodes yourself and name it in seccomp.profile",
        )
    check_absolute_path("seccomp.kubelet_root", options["seccomp"].get("kubelet_root") or _KUBELET_ROOT)
    content = options["seccomp"]["content"]
    try:
        profile = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError) as error:
        raise Failure(f"seccomp.content is no JSON: {error}", "give a seccomp profile as a mapping or as JSON text") from error
    if not isinstance(profile, dict) or profile.get("defaultAction") not in _ACTIONS:
        raise Failure("seccomp.content has no defaultAction", f"begin with one of {', '.join(_ACTIONS)}, for example defaultAction: SCMP_ACT_ERRNO")


def _delivers(options):
    return bool((options.get("seccomp") or {}).get("content"))


def _text(options):
    content = options["seccomp"]["content"]
    return json.dumps(json.loads(content) if isinstance(content, str) else content, sort_keys=True, separators=(",", ":"))


def _file_name(options):
    return f"{options['name']}-{_hash(options)}.json"


def _hash(options):
    return hashlib.sha256(_text(options).encode()).hexdigest()[:8]


def _config_map(options):
    # A name of its own for each content: pods of the previous revision still find theirs.
    return f"{options['name']}-seccomp-{_hash(options)}"
