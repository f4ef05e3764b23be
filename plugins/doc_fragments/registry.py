# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How a module reaches an image registry."""

    DOCUMENTATION = r"""
options:
  username:
    description:
      - User at the registry, or at the token service that the registry names. Without it and without O(docker_config)
        requests are anonymous.
    type: str
  password:
    description:
      - Password or access token of O(username).
    type: str
  docker_config:
    description:
      - Path of a Docker C(config.json) to take credentials from, as C(docker login) and others write it.
      - Its C(credHelpers), C(auths) and C(credsStore) are used, in this order. It is read only when named here.
    type: path
  ca_cert:
    description:
      - Path of the certificate authority (PEM) that signed the registry's certificate, in place of those the system trusts.
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
requirements:
  - requests (Python; the package C(kubernetes) brings it along)
notes:
  - Proxies are taken from the environment variables E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY).
"""
