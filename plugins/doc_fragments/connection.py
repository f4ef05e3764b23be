# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How a module reaches the cluster's API server; names and environment variables as in kubernetes.core."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, several paths joined by C(:), or the kubeconfig's content as a dictionary or as text.
        The secrets in a content that is given so are kept out of all output.
      - Without it E(K8S_AUTH_KUBECONFIG) is used, then E(KUBECONFIG), then C(~/.kube/config), then the service account
        of the pod that the module runs in.
      - Not with O(host). It wins over the variables that name a host and a login there, so that a token never meets a server
        that it was not made for.
    type: raw
  context:
    description:
      - The kubeconfig's context to use; its current context by default. Not with O(host). Also E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server, in place of a kubeconfig. Also E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token; needs O(host). Also E(K8S_AUTH_API_KEY).
    type: str
  username:
    description:
      - User of an OpenShift cluster. With O(password) a token is asked of its OAuth server before the work and ended
        after it. Needs O(host). Also E(K8S_AUTH_USERNAME).
      - Other clusters have no such login. No version of Kubernetes that is supported here takes a password itself.
    type: str
  password:
    description:
      - Password of O(username). Also E(K8S_AUTH_PASSWORD).
    type: str
  client_cert:
    description:
      - Path of a client certificate; needs O(host). Also E(K8S_AUTH_CERT_FILE).
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the client certificate's key; needs O(host). Also E(K8S_AUTH_KEY_FILE).
    type: path
    aliases: [key_file]
  ca_cert:
    description:
      - Path of the certificate authority that signed the API server's certificate. Also E(K8S_AUTH_SSL_CA_CERT).
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether the API server's certificate is checked. Also E(K8S_AUTH_VERIFY_SSL).
    type: bool
    aliases: [verify_ssl]
  tls_server_name:
    description:
      - The name that the API server's certificate must hold, where it is not the host of its URL.
        Also E(K8S_AUTH_TLS_SERVER_NAME).
    type: str
  proxy:
    description:
      - URL of an HTTP proxy towards the API server. Also E(K8S_AUTH_PROXY).
    type: str
  no_proxy:
    description:
      - Hosts that are reached without the proxy, joined by commas. Also E(K8S_AUTH_NO_PROXY).
    type: str
  impersonate_user:
    description:
      - User to act as. Also E(K8S_AUTH_IMPERSONATE_USER).
    type: str
  impersonate_groups:
    description:
      - Groups to act as. Also E(K8S_AUTH_IMPERSONATE_GROUPS), joined by commas.
    type: list
    elements: str
requirements:
  - kubernetes >= 28.1.0 (Python)
"""
