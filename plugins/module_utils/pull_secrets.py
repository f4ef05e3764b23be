# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Secrets by which the nodes pull the image. Pure."""

from __future__ import annotations

import base64
import json
import re

from ansible_collections.nanoagent.k8s.plugins.module_utils import credentials
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made

# A kubelet also takes a wildcard for a part of the host, and a path below it.
_REGISTRY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9*]([A-Za-z0-9.*-]*[A-Za-z0-9])?)(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*")


def check(options: dict) -> None:
    """Failure for names that Kubernetes does not take, for a login that is none, and for a Secret that is another one already."""
    for name in pull_secret_names(options):
        check_dns_subdomain("the pull secret", name)
    login = options["registry_login"]
    if not login:
        return
    if not _REGISTRY.fullmatch(login["registry"]):
        raise Failure(
            f"registry_login.registry {login['registry']!r} is no registry's host",
            "write it as in image, for example registry.example.com:5000, or docker.io for Docker Hub",
        )
    for option in ("username", "password"):
        if not login[option]:
            raise Failure(f"registry_login.{option} is empty", "give the login, or leave out registry_login where the registry asks for none")
    option, secret = credentials.secret_of(options)
    if secret == login["secret_name"]:
        raise Failure(f"registry_login.secret_name and {option} both mean the Secret {secret}", "choose another registry_login.secret_name")


def pull_secret_names(options: dict) -> list[str]:
    """The pull secrets of every pod: the one made from a login, then the existing ones."""
    made_here = [options["registry_login"]["secret_name"]] if options["registry_login"] else []
    return made_here + [name for name in dict.fromkeys(options["image_pull_secrets"]) if name not in made_here]


def objects(options: dict) -> list[dict]:
    """The Secret of the registry's login, if any."""
    login = options["registry_login"]
    if not login:
        return []
    pair = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
    auths = {"auths": {login["registry"]: {"username": login["username"], "password": login["password"], "auth": pair}}}
    data = {".dockerconfigjson": base64.b64encode(json.dumps(auths, sort_keys=True).encode()).decode()}
    return [made(options, "v1", "Secret", login["secret_name"], type="kubernetes.io/dockerconfigjson", data=data)]
