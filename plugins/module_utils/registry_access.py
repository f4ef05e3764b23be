# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each of several registries is reached: its login, its authority, its protocol."""

from __future__ import annotations

import json
import os
import threading

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import registry_host
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_credentials import Credentials, docker_config_credentials, pull_secret_credentials
from ansible_collections.nanoagent.k8s.plugins.module_utils.registry_stream import StreamingRegistry
from ansible_collections.nanoagent.k8s.plugins.module_utils.transfer_limits import Slots
from ansible_collections.nanoagent.k8s.plugins.module_utils.upload_journal import UploadJournal

OPTIONS = {
    "registries": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "token": {"type": "str", "no_log": True},
            "ca_cert": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path"},
            "validate_certs": {"type": "bool", "default": True},
            "plain_http": {"type": "bool", "default": False},
            "parallel": {"type": "int"},
        },
        "required_together": [["username", "password"]],
        "mutually_exclusive": [["username", "token"]],
    },
    "docker_config": {"type": "path"},
    "pull_secret": {"type": "jsonarg", "no_log": True},
}


class RegistryAccess:
    """Clients for the registries of one run, one for each host and kind of access.

    :param connections: how many requests each gets at once where its entry does not say
    :param secrets: takes what must not be shown of the logins that are found
    :param journal: of uploads, for later processes
    :param in_parts: whether blobs may come in several parts at once
    :raises Failure: an entry of `registries` or `pull_secret` is not usable
    """

    def __init__(self, options: dict, connections: int, secrets: set[str], journal: UploadJournal | None = None, in_parts: bool = True):
        self._options, self._connections, self._secrets = options, connections, secrets
        self._journal, self._in_parts = journal, in_parts
        self._secret = _secret(options["pull_secret"])
        self._entries, self._clients, self._lock = {}, {}, threading.Lock()
        for entry in options["registries"]:
            host = registry_host(entry["host"])
            if host in self._entries:
                raise Failure(f"registries has {host} twice", "leave one entry a host")
            self._entries[host] = _checked(entry)

    def client(self, host: str, access: str) -> StreamingRegistry:
        """The client for a host. access: `pull`, or `pull,push`.

        :raises Failure: what the options say of it cannot be used
        """
        with self._lock:
            if (host, access) not in self._clients:
                entry = self._entries.get(host, {})
                certificate = entry.get("client_cert")
                connections = entry.get("parallel") or self._connections
                self._clients[host, access] = StreamingRegistry(
                    host,
                    self._login(host, entry),
                    access=access,
                    ca_cert=entry.get("ca_cert"),
                    client_cert=(certificate, entry.get("client_key") or certificate) if certificate else None,
                    validate_certs=entry.get("validate_certs", True),
                    plain_http=entry.get("plain_http", False),
                    connections=connections,
                    slots=Slots(connections),
                    journal=self._journal,
                    in_parts=self._in_parts,
                )
            return self._clients[host, access]

    def requests(self) -> dict[str, dict[str, int]]:
        """How many requests each host got, by HTTP method."""
        counts = {}
        for (host, _access), client in self._clients.items():
            for method, count in client.counts.items():
                counts.setdefault(host, {})[method] = counts.get(host, {}).get(method, 0) + count
        return counts

    def _login(self, host, entry):
        found = self._credentials(host, entry)
        self._secrets |= set(found.secrets()) if found else set()
        return found

    def _credentials(self, host, entry):
        """Whoever is named for the host, else in the pull secret, else in the Docker config."""
        if entry.get("token"):
            return Credentials(registry_token=entry["token"])
        if entry.get("username"):
            return Credentials(entry["username"], entry["password"])
        found = pull_secret_credentials(self._secret, host) if self._secret else None
        if found is None and self._options["docker_config"]:
            found = docker_config_credentials(self._options["docker_config"], host)
        return found


def _checked(entry):
    if entry.get("parallel") is not None and entry["parallel"] < 1:
        raise Failure(f"registries has parallel {entry['parallel']} for {entry['host']}", "give 1 or more")
    for key in ("client_cert", "client_key"):
        if entry[key] and not os.access(entry[key], os.R_OK):
            raise Failure(f"{key} {entry[key]} of {entry['host']} cannot be read", "give the path of a PEM file on the machine that runs this")
    if entry["client_key"] and not entry["client_cert"]:
        raise Failure(f"registries has a client_key for {entry['host']} and no client_cert", "give both, or a client_cert that holds the key too")
    return entry


def _secret(value):
    if not value:
        return None
    try:
        secret = json.loads(value)
    except ValueError:
        secret = None
    if not isinstance(secret, dict):
        step = "give a Secret of type kubernetes.io/dockerconfigjson, or the content of its key .dockerconfigjson"
        raise Failure("pull_secret is no Secret with registry logins", step)
    return secret
