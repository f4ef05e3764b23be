# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in the value of an option that is no secret as a whole. Pure; takes values of any type, since nothing has checked them yet.

no_log would hide the path of a kubeconfig and the address of a proxy everywhere, and with a kubeconfig that is given as a
dictionary every name and number in it.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping, records, text

_SECRET = re.compile(r"(?:token|password|secret|key-?data)$", re.IGNORECASE)
_SECRET_FLAG = re.compile(r"--?[\w-]*(?:token|password|secret)(?:=(?P<value>.*))?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"(?:.*[_-])?(?:urls?|proxy|host|server)")
_LOGIN = re.compile(r"(?:.*?//)?(?P<login>[^/?#]+)@")


def secrets_in(name: str, value) -> set[str]:
    """The secrets in the value of an option of this name.

    They are a kubeconfig's credentials, the logins in addresses, and text with a private key.
    """
    if name == "kubeconfig":
        return kubeconfig_credentials(value) if isinstance(value, dict) else {value} if is_text(value) else set()
    found = {value} if "PRIVATE KEY" in text(value) else set()
    if _ADDRESS.fullmatch(name):
        found = found.union(*(_login(address) for address in (value if isinstance(value, list) else [value])))
    return found


def is_text(kubeconfig) -> bool:
    """Whether a kubeconfig is given as its text, and not as a path."""
    return isinstance(kubeconfig, str) and (kubeconfig.lstrip().startswith("{") or "\n" in kubeconfig.strip())


def kubeconfig_credentials(content) -> set[str]:
    """Every secret in a kubeconfig's content, wherever it stands in it."""
    if isinstance(content, list):
        return set().union(*map(kubeconfig_credentials, content))
    found = set()
    for key, value in mapping(content).items():
        if isinstance(value, (dict, list)):
            found |= kubeconfig_credentials(value)
        elif value and not isinstance(value, bool) and _SECRET.search(str(key).replace("_", "-")):
            found.add(str(value))
        else:
            found |= secrets_in(str(key), value)
    plugin = mapping(mapping(content).get("exec"))
    return found | {str(pair["value"]) for pair in records(plugin.get("env")) if pair.get("value")} | _of_flags(plugin.get("args"))


def _of_flags(words):
    words = [str(word) for word in words] if isinstance(words, list) else []
    found = set()
    for word, after in zip(words, [*words[1:], ""]):
        flag = _SECRET_FLAG.fullmatch(word)
        if flag:
            found.add(after if flag["value"] is None else flag["value"])
    return found - {""}


def _login(address):
    """An address with a login in it as a whole, and the password alone; without a password the user is the secret."""
    if "@" not in text(address):
        return set()
    login = _LOGIN.match(address)
    if login is None:
        return {address}
    user, _colon, password = login["login"].partition(":")
    return {address, password or user, unquote(password or user)}
