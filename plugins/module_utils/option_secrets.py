# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in the value of an option that is no secret as a whole. Pure; takes values of any type, since nothing has checked them yet.

no_log would hide the path of a kubeconfig and the address of a proxy everywhere, and with a kubeconfig that is given as a
dictionary every name and number in it. What is found here is hidden wherever else it stands in what a run shows, too, so that
words of arguments and values of variables count only where a flag, a header or a name says what they are, and not where they are
as short or as usual as `true`.
"""

from __future__ import annotations

import json
import re
import shlex
from urllib.parse import unquote

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping, records, text

_SECRET = re.compile(r"(?:token|password|secret|key-?data)$", re.IGNORECASE)
_SECRET_FLAG = re.compile(r"--?[\w-]*(?:token|password|secret)(?:=(?P<value>.*))?", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"(?:.*[_-])?(?:urls?|proxy|host|server)")
_LOGIN = re.compile(r"(?:.*?//)?(?P<login>[^/?#]+)@")

# Arguments of programs, as text or as a list of words.
_ARGUMENTS = ("args", "command", "curl_args", "extra_args")
_WORDS = r"passw(?:or)?d|passphrase|pwd|secret|token|bearer|credentials?|authorization|cookie|(?:api|access|auth|private|secret)[_-]?key|registration[_-]?code"
_WORDS += r"|passcode|(?:^|[_-])(?:pass|creds?|auth)$|(?:encryption|signing|license|app)[_-]?key|reg[_-]?code"
# A name that ends so says where a secret is or how it is used, and not what it is.
_ABOUT = r"file|path|dir|folder|name|ref|url|uri|endpoint|host|type|kind|mode|format|provider|helper|store|issuer|audience|scope|policy|prefix|enabled|id"
_ABOUT += r"|ttl|timeout|expiry|expiration|interval|seconds|minutes|days|length|size|count"
_SECRET_NAME = re.compile(rf"(?i)(?!.*(?:{_ABOUT})$).*(?:{_WORDS})")
# A flag or a variable with its value in one word, as --token=x or TOKEN=x, and a parameter in a URL.
_ASSIGNMENT = re.compile(r"-{0,2}(?P<name>[\w.-]+)=(?P<value>.+)", re.DOTALL)
_PARAMETER = re.compile(r"[?&;](?P<name>[\w.-]+)=(?P<value>[^&;#\s]+)")
# curl(1): flags whose value is user:password, name: value of a header, name=value of a cookie, or a secret; a letter may stand
# behind those of flags that have no value, and before its own.
_LOGIN_FLAGS, _HEADER_FLAGS, _COOKIE_FLAGS = ("--user", "--proxy-user", "--cert", "--proxy-cert"), ("--header", "--proxy-header"), ("--cookie",)
_SECRET_FLAGS = ("--pass", "--proxy-pass", "--tlspassword", "--proxy-tlspassword", "--oauth2-bearer")
_LETTERS = {"u": _LOGIN_FLAGS, "U": _LOGIN_FLAGS, "E": _LOGIN_FLAGS, "H": _HEADER_FLAGS, "b": _COOKIE_FLAGS}
_LETTER_FLAG = re.compile(r"-[#0-9:fgGiIjJklLnNOqRsSv]*(?P<letter>[uUEHb])(?P<value>.*)", re.DOTALL)
_FLAGS = (_LOGIN_FLAGS, _HEADER_FLAGS, _COOKIE_FLAGS, _SECRET_FLAGS)
_HEADER = re.compile(r"(?P<name>[\w-]+):\s*(?P<value>.+)", re.DOTALL)
_SCHEME = re.compile(r"(?i)(?:basic|bearer|digest|token)\s+(?P<credentials>\S+)")
# A user and a group by their numbers.
_IDS = re.compile(r"\d+:\d+")
_URL_LOGIN = re.compile(r"://[^/?#\s]+:\S*@|://[^/?#\s:@]{16,}@")
_BARE_LOGIN = re.compile(r"[^\s:@/]+:(?!//)[^@\s]+@(?!sha(?:256|512):)\S")
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
# A variable whose value stands elsewhere; the first is Kubernetes' own.
_REFERENCE = re.compile(r".*\$\(\w+\).*|\$\{\w+\}|\$\w+", re.DOTALL)
_USUAL = ("true", "false", "none", "null", "enabled", "disabled", "default", "auto", "required", "optional")
_PATH = re.compile(r"/(?:app|config|data|dev|etc|home|host\w*|mnt|opt|root|run|secrets?|srv|tmp|usr|var)(?:/.*)?", re.DOTALL)
_SHORTEST, _SHORTEST_NUMBER, _SHORTEST_LINE = 4, 6, 8


def secrets_in(name: str, value) -> set[str]:
    """The secrets in the value of an option of this name.

    They are a kubeconfig's credentials, the logins in addresses, text with a private key, and what in a program's arguments or in
    variables says of itself that it is secret.
    """
    if name in _ARGUMENTS:
        return argument_secrets(value)
    if name == "extra_env":
        return set().union(*map(variable_secrets, records(value)))
    if name == "kubeconfig":
        return kubeconfig_credentials(value) if isinstance(value, dict) else {value} if is_text(value) else set()
    found = {value} if "PRIVATE KEY" in text(value) else set()
    if _ADDRESS.fullmatch(name):
        addresses = value if isinstance(value, list) else [value]
        found = found.union(*(_login(address) | address_secrets(address) for address in addresses))
    return found


def address_secrets(address) -> set[str]:
    """The values of those parameters of a URL whose names say that they are secret, in every form in which they may be shown."""
    return _shown(_parameters(text(address)))


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


def argument_secrets(arguments) -> set[str]:
    """The secrets in a program's arguments, given as text or as a list of words, in every form in which they may be shown."""
    if isinstance(arguments, list):
        words = [str(word) for word in arguments]
        # A script for a shell is one word.
        return _shown(_of_words(words)).union(*(argument_secrets(word) for word in words if " " in word))
    # A shell takes quotes away; a variable that is expanded in it is split at spaces, and keeps them.
    line = text(arguments)
    return _shown(_of_words(_split(line)) | _of_words([word.strip("\"'") for word in line.split()]))


def variable_secrets(variable: dict) -> set[str]:
    """The secrets in the value of a container's environment variable, in every form in which they may be shown; what valueFrom names is none."""
    value = variable.get("value")
    if value is None or isinstance(value, (bool, dict, list)):
        return set()
    found = argument_secrets(str(value))
    if _is_secret_name(text(variable.get("name"))) or "PRIVATE KEY" in str(value):
        found |= _shown({str(value)})
        # Where it is shown as YAML its lines are indented.
        lines = str(value).splitlines()
        found |= {line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE} if len(lines) > 1 else set()
    return found


def _is_secret_name(name):
    return bool(_SECRET_NAME.match(name))


def _split(line):
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _of_words(words):
    found = set()
    for word, after in zip(words, [*words[1:], ""]):
        found |= _of_word(word)
        flag, _equals, value = word.partition("=")
        letter = None if word.startswith("--") else _LETTER_FLAG.fullmatch(word)
        kind = _LETTERS[letter["letter"]] if letter else next((flags for flags in _FLAGS if flag in flags), None)
        value = (letter["value"] if letter else value) or after
        if kind is _LOGIN_FLAGS and ":" in value and not _IDS.fullmatch(value):
            found |= {value, value.partition(":")[2] or value.partition(":")[0]}
        elif kind is _HEADER_FLAGS:
            found |= _of_header(value)
        elif (kind is _SECRET_FLAGS and not value.startswith("-")) or (kind is _COOKIE_FLAGS and "=" in value):
            found.add(value)
        elif word.startswith("-") and "=" not in word and _is_secret_name(word.lstrip("-")) and not after.startswith("-"):
            found.add(after)
    return found


def _of_word(word):
    found = set(_JWT.findall(word)) | _parameters(word)
    assignment = _ASSIGNMENT.fullmatch(word)
    if assignment and _is_secret_name(assignment["name"]):
        found.add(assignment["value"])
    address = assignment["value"] if assignment else word
    if _URL_LOGIN.search(address) or _BARE_LOGIN.match(address):
        found |= _login(address)
    return found | _of_header(word)


def _parameters(word):
    return {each["value"] for each in _PARAMETER.finditer(word) if _is_secret_name(each["name"])}


def _of_header(word):
    header = _HEADER.fullmatch(word)
    if not header or not _is_secret_name(header["name"]):
        return set()
    scheme = _SCHEME.fullmatch(header["value"])
    return {header["value"], scheme["credentials"] if scheme else ""}


def _shown(values):
    """Those of the values that are worth hiding, and as they are written within JSON and YAML."""
    worth = {value for value in values if _is_worth_hiding(value)}
    return worth | {json.dumps(value)[1:-1] for value in worth} | {value.replace("'", "''") for value in worth}


def _is_worth_hiding(value):
    if len(value) < (_SHORTEST_NUMBER if value.isdigit() else _SHORTEST) or value.lower() in _USUAL:
        return False
    return not (_REFERENCE.fullmatch(value) or _PATH.fullmatch(value) or ("://" in value and "@" not in value))


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
