# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who we are to a registry: credentials from options, a Docker config.json or a helper, and what a registry asks for."""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from dataclasses import dataclass, field

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import DOCKER_HUB

# The name under which docker login keeps the credentials of Docker Hub.
DOCKER_HUB_AUTH_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True)
class Credentials:
    """What a registry or its token service is told; a token takes the place of user and password.

    identity_token: for the token service. registry_token: for the registry itself, as it is.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The value of a basic Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def secrets(self) -> list:
        """Every form in which the secret could turn up in a text."""
        basic = self.basic().partition(" ")[2] if self.password else ""
        return [text for text in (self.password, self.identity_token, self.registry_token, basic) if text]


def _auth_keys(host: str) -> list:
    keys = [DOCKER_HUB_AUTH_KEY, DOCKER_HUB, "index.docker.io"] if host == DOCKER_HUB else [host]
    return keys + [f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/", f"http://{host}"]


def _auth_entry_credentials(entry: dict, path: str, host: str) -> Credentials:
    if entry.get("identitytoken"):
        return Credentials(identity_token=entry["identitytoken"])
    if entry.get("registrytoken"):
        return Credentials(registry_token=entry["registrytoken"])
    if entry.get("auth"):
        try:
            username, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise Failure(f"{path} has an entry for {host} whose auth is not base64 of user:password", f"log in to {host} again")
        return Credentials(username, password.rstrip("\0"))
    return Credentials(entry.get("username", ""), entry.get("password", ""))


def _helper_credentials(helper: str, server: str, host: str) -> Credentials | None:
    """Ask a credential helper; None where it holds nothing for the server."""
    program = f"docker-credential-{helper}"
    try:
        answer = subprocess.run([program, "get"], input=server, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        raise Failure(f"the credential helper {program} for {host} is not installed", "install it, or give username and password") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"the credential helper {program} for {host} failed ({type(error).__name__})", f"try '{program} get' by hand") from None
    if answer.returncode:
        if "not found" in answer.stdout + answer.stderr:
            return None
        raise Failure(f"the credential helper {program} for {host} ended with exit code {answer.returncode}", f"try '{program} get' by hand")
    try:
        found = json.loads(answer.stdout)
        username, secret = found["Username"], found["Secret"]
    except (ValueError, KeyError, TypeError):
        raise Failure(f"the credential helper {program} for {host} gave no user and secret", f"try '{program} get' by hand") from None
    if username == "<token>":
        return Credentials(identity_token=secret)
    return Credentials(username, secret)


def docker_config_credentials(path: str, host: str) -> Credentials | None:
    """What a Docker config.json says for a host: its own helper first, then its entry, then the common helper.

    :returns: None where the file says nothing about the host
    :raises Failure: the file or the helper is missing or broken
    """
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        helpers, entries = dict(config.get("credHelpers") or {}), dict(config.get("auths") or {})
    except FileNotFoundError:
        raise Failure(f"docker_config {path} does not exist", "log in with your usual tool, or give username and password") from None
    except OSError as error:
        raise Failure(f"docker_config {path} cannot be read ({error.strerror})", "make it readable for this user") from None
    except (ValueError, AttributeError, TypeError):
        raise Failure(f"docker_config {path} is not a Docker config.json", "give the path of a file with 'auths'") from None
    keys = _auth_keys(host)
    for key in keys:
        if key in helpers:
            return _helper_credentials(helpers[key], key, host)
    found = auth_entry(entries, host)
    if found:
        return _auth_entry_credentials(found, path, host)
    if config.get("credsStore"):
        return _helper_credentials(config["credsStore"], keys[0], host)
    return None


def auth_entry(entries: dict, host: str) -> dict | None:
    """The entry of `auths` that is about a host, None where there is none."""
    return next((entries[key] for key in _auth_keys(host) if isinstance(entries.get(key), dict) and entries[key]), None)


def pull_secret_credentials(secret: dict, host: str) -> Credentials | None:
    """What a Kubernetes pull secret says for a host, None where it says nothing.

    secret: the Secret as the API gives it, or the content of its key `.dockerconfigjson`.
    :raises Failure: it is neither
    """
    data, text = secret.get("data") or {}, None
    try:
        if ".dockerconfigjson" in data:
            text = base64.b64decode(data[".dockerconfigjson"], validate=True)
        elif ".dockerconfigjson" in (secret.get("stringData") or {}):
            text = secret["stringData"][".dockerconfigjson"]
        entries = (json.loads(text) if text is not None else secret)["auths"]
        found = auth_entry(dict(entries), host)
    except (ValueError, KeyError, TypeError, AttributeError):
        step = "give a Secret of type kubernetes.io/dockerconfigjson, or the content of its key .dockerconfigjson"
        raise Failure("pull_secret is no Secret with registry logins", step) from None
    return _auth_entry_credentials(found, "pull_secret", host) if found else None


@dataclass(frozen=True)
class Challenge:
    """What a registry's WWW-Authenticate header asks for."""

    scheme: str
    realm: str = ""
    service: str = ""


def parse_challenge(header: str) -> Challenge | None:
    """The bearer challenge of a WWW-Authenticate header, else the basic one, else None."""
    challenges, fields = {}, {}
    for name, quoted, bare, scheme in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))|([A-Za-z]+)', header):
        if scheme:
            fields = challenges.setdefault(scheme.lower(), {})
        else:
            fields.setdefault(name.lower(), quoted or bare)
    for scheme in ("bearer", "basic"):
        if scheme in challenges:
            return Challenge(scheme, challenges[scheme].get("realm", ""), challenges[scheme].get("service", ""))
    return None
