# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Secrets by which the nodes pull the image. Pure."""

from __future__ import annotations

import base64
import json

from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made


def check(options: dict) -> None:
    """Failure for names that Kubernetes does not take."""
    for name in pull_secret_names(options):
        check_dns_subdomain("the pull secret", name)


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
