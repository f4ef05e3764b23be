# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How a module reaches several image registries."""

    DOCUMENTATION = r"""
options:
  registries:
    description:
      - How registries are reached, where it is not anonymous and with TLS by an authority that the system trusts.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description:
          - The registry's name as it stands in an image's, with its port if it has one; C(docker.io) for Docker Hub.
        type: str
        required: true
      username:
        description:
          - User at the registry, or at the token service that it names.
        type: str
      password:
        description:
          - Password or access token of that user.
        type: str
      token:
        description:
          - A bearer token that the registry takes as it is, in place of user and password.
        type: str
      ca_cert:
        description:
          - Path of the certificate authority (PEM) that signed the registry's certificate, in place of those the system trusts.
        type: path
      client_cert:
        description:
          - Path of our own certificate (PEM), where the registry asks for one. It may hold the key too.
        type: path
      client_key:
        description:
          - Path of the key (PEM) of O(registries[].client_cert).
        type: path
      validate_certs:
        description:
          - Whether the registry's certificate is checked.
        type: bool
        default: true
      plain_http:
        description:
          - Speak HTTP without TLS. Never done unless asked for here, whatever the host.
        type: bool
        default: false
      parallel:
        description:
          - How many requests the registry gets at once, for one that limits them. Those of an image's source and those of a destination
            count apart, since a copy within one registry needs both at the same time.
          - As many as O(parallel) by default.
        type: int
  docker_config:
    description:
      - Path of a Docker C(config.json) to take logins from, as C(docker login) and others write it, for registries without a login in O(registries).
      - Its C(credHelpers), C(auths) and C(credsStore) are used, in this order. It is read only when named here. The logins of cloud
        registries come from their helpers, such as C(docker-credential-ecr-login).
    type: path
  pull_secret:
    description:
      - A pull secret of Kubernetes to take logins from, before O(docker_config); the Secret as the API gives it, or the content
        of its key C(.dockerconfigjson).
    type: jsonarg
requirements:
  - requests (Python; the package C(kubernetes) brings it along)
notes:
  - Proxies are taken from the environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY).
"""
