# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way out: proxies and certificate authorities. Pure."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kube_syntax import check_dns_subdomain
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import made

_CA_KEY = "ca.crt"
_CA_DIR = "/etc/nanoagent-ca"
_VOLUME = "ca-bundle"
_PROXIES = ("http_proxy", "https_proxy")


def check(options: dict) -> None:
    """Failure for a proxy that is no URL or carries a password, and for authorities that are none or come twice."""
    for option in _PROXIES:
        url = options.get(option)
        if not url:
            continue
        parts = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise Failure(f"{option} is no URL of a proxy", "use for example http://proxy.example.com:3128")
        if parts.username is not None or parts.password is not None:
            # It would stand in the pod template, for everyone to read who may read pods.
            raise Failure(f"{option} carries a user or password", "use a proxy that knows the nodes by their address, and leave the login out")
    bundle, existing = options.get("ca_bundle"), options.get("ca_bundle_config_map")
    if bundle and existing:
        raise Failure("ca_bundle and ca_bundle_config_map exclude each other", "leave one of them out")
    if bundle and ("-----BEGIN CERTIFICATE-----" not in bundle or "PRIVATE KEY" in bundle):
        raise Failure("ca_bundle is not a text of PEM certificates only", "give the certificates themselves, with no private key")
    if existing:
        check_dns_subdomain("ca_bundle_config_map.name", existing["name"])


def check_https(option: str, url: str) -> None:
    """Failure for what is no https URL of a host, or carries a login. The value may be a secret then and is not repeated."""
    parts = _split(url)
    if parts is None or parts.scheme != "https" or not parts.hostname:
        raise Failure(f"{option} is no https URL of a host", "use for example https://orc.example.com")
    if parts.username is not None or parts.password is not None:
        raise Failure(f"{option} carries a user or password", "leave the login out of it: credentials are a Secret's")


def proxy_env(options: dict) -> list[dict]:
    """The proxy variables, in lower and upper case: programs read the one or the other."""
    values = {**{option: options.get(option) for option in _PROXIES}, "no_proxy": ",".join(options.get("proxy_exceptions") or [])}
    return [{"name": name, "value": value} for variable, value in values.items() if value for name in (variable, variable.upper())]


def proxy_ports(options: dict) -> list[int]:
    """The ports of the proxies, sorted."""
    urls = [urlsplit(options[option]) for option in _PROXIES if options.get(option)]
    return sorted({url.port or {"http": 80, "https": 443}[url.scheme] for url in urls})


def ca_part(options: dict) -> dict:
    """{"env", "mounts", "volumes"} by which a container trusts the user's authorities; empty lists without."""
    name = _config_map(options)
    if not name:
        return {"env": [], "mounts": [], "volumes": []}
    key = (options.get("ca_bundle_config_map") or {}).get("key") or _CA_KEY
    return {
        "env": [{"name": "SSL_CERT_FILE", "value": f"{_CA_DIR}/{_CA_KEY}"}],
        "mounts": [{"name": _VOLUME, "mountPath": _CA_DIR, "readOnly": True}],
        "volumes": [{"name": _VOLUME, "configMap": {"name": name, "items": [{"key": key, "path": _CA_KEY}]}}],
    }


def objects(options: dict) -> list[dict]:
    """The ConfigMap of the authorities, where it is to be made."""
    bundle = options.get("ca_bundle")
    return [made(options, "v1", "ConfigMap", _config_map(options), data={_CA_KEY: bundle}, immutable=True)] if bundle else []


def _config_map(options):
    if options.get("ca_bundle_config_map"):
        return options["ca_bundle_config_map"]["name"]
    if not options.get("ca_bundle"):
        return ""
    # A name of its own for each content: programs read it once, at their start, so other authorities need other pods, and those
    # of the previous revision keep theirs. What an existing ConfigMap holds is not known here.
    return f"{options['name']}-ca-{hashlib.sha256(options['ca_bundle'].encode()).hexdigest()[:8]}"


def _split(url):
    if not url.isprintable() or any(sign.isspace() for sign in url):
        # urlsplit takes white space away, programs in the pods do not.
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None
