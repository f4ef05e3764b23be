# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and text without what may be a secret in them. Pure.

Live objects hold what others have put there, which no option of ours tells to be secret. Its name gives it away, or its form;
rather one value too many is hidden than one too few.
"""

from __future__ import annotations

import re

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping

_HIDDEN, _CHANGED = "(hidden)", "(hidden, changed)"
# It repeats the whole object, as kubectl was given it.
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
_DATA = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}

_WORDS = "auth|code|cookie|cred|key|pass|pwd|secret|token"
_NAME = re.compile(_WORDS, re.IGNORECASE)
# Everything has a longest length: what others wrote must not keep the matching busy.
_NAMED_SO = rf"[\w.-]{{0,80}}(?:{_WORDS})[\w.-]{{0,80}}"
_FLAG = re.compile(rf"-{_NAMED_SO}", re.IGNORECASE)
_CURL_LOGINS = ("-u", "-U", "--user", "--proxy-user")
_VALUE = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s\"',;&]+)"
# A login ends with the last @ that does not begin an image's digest.
_AT = r"(?=@(?!sha(?:256|512):))"
# The first group of each stays.
_FORMS = [
    re.compile(r"()-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(rf"(://)[^\s\"']{{1,500}}{_AT}"),
    re.compile(rf"(?<![^\s\"'=,])()[^\s:@/\"']{{1,100}}:(?!//)[^\s\"'@]{{1,300}}{_AT}"),
    re.compile(r"\b(authorization[ \t]{0,9}[:=][ \t]{0,9})(?:(?:basic|bearer|token)[ \t]{1,9})?[^\s\"']+", re.IGNORECASE),
    re.compile(r"\b()eyJ[\w-]{8,2000}\.[\w-]+\.[\w-]*"),
]
_NAMED = [
    re.compile(rf"(?<![\w.-])({_NAMED_SO}(?:[\"']?\s{{0,9}}=\s{{0,9}}|[\"']\s{{0,9}}:\s{{0,9}}|:[ \t]{{1,9}})){_VALUE}", re.IGNORECASE),
    re.compile(rf"(?<![\w.-])(-{_NAMED_SO}\s{{1,9}})(?!-){_VALUE}", re.IGNORECASE),
    # A header needs no space.
    re.compile(rf"(?<![\w.-])(X-{_NAMED_SO}:[ \t]{{0,9}}){_VALUE}", re.IGNORECASE),
    re.compile(r"(?<![\w-])((?:-[uU]|--user|--proxy-user)[\s=]{0,9}[\"']?)[^\s\"':]{1,100}:[^\s\"']+"),
]


def masked(obj: dict, live: dict | None = None) -> dict:
    """A Kubernetes object to be shown: what may be a secret reads `(hidden)`.

    Those are the values of a Secret, those whose key, variable, header or flag is named like a secret, and, wherever they stand,
    logins in URLs and private keys. live: what there is of the object now; a hidden value that differs from it reads
    `(hidden, changed)`.
    """
    return {field: _field(obj, field, (live or {}).get(field), live is not None) for field in obj}


def masked_text(text: str) -> str:
    """Text of a program's own, such as a log, without logins in URLs, tokens and private keys."""
    return _replaced(_FORMS, text, _HIDDEN)


def _field(obj, field, live, compared):
    kind, value = obj.get("kind"), obj[field]
    if field not in _DATA.get(kind, ()) or not isinstance(value, dict):
        return _shown(value, live, compared)
    secret = [key for key in value if kind == "Secret" or _NAME.search(key)]
    return {key: (_mark if key in secret else _shown)(item, mapping(live).get(key), compared) for key, item in value.items()}


def _mark(value, live, compared):
    return _CHANGED if compared and value != live else _HIDDEN


def _shown(value, live, compared):
    if isinstance(value, dict):
        return {key: _part(value, key, mapping(live).get(key), compared) for key in value}
    if isinstance(value, list):
        live = live if isinstance(live, list) else []
        return [_element(value, index, _like(item, live, index), compared) for index, item in enumerate(value)]
    return _replaced(_FORMS + _NAMED, value, _mark(value, live, compared)) if isinstance(value, str) else value


def _part(parent, key, live, compared):
    value = parent[key]
    secret = key == _COPY or (key == "value" and value and _NAME.search(str(parent.get("name"))))
    return _mark(value, live, compared) if secret else _shown(value, live, compared)


def _element(words, index, live, compared):
    value = words[index]
    return _mark(value, live, compared) if index and _follows(words[index - 1], value) else _shown(value, live, compared)


def _follows(before, item):
    """Whether a program's argument is the secret of the one before."""
    if not isinstance(before, str) or not isinstance(item, str):
        return False
    return bool(_FLAG.fullmatch(before) and not item.startswith("-")) or (before in _CURL_LOGINS and ":" in item)


def _like(item, live, index):
    """What stands in a live list for an item: of the same name where it has one, else in the same place."""
    if isinstance(item, dict) and "name" in item:
        return next((other for other in live if mapping(other).get("name") == item["name"]), None)
    return live[index] if index < len(live) else None


def _replaced(patterns, text, mark):
    # One sign stands for the mark meanwhile, so that a later pattern meets no half of it.
    for pattern in patterns:
        text = pattern.sub("\\1\0", text)
    return text.replace("\0", mark)
