# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API server takes as a name, a label or an amount, checked before it is asked. Pure.

Source: Kubernetes, apimachinery/pkg/util/validation/validation.go and pkg/api/resource/quantity.go, read at 1.36.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure

try:
    from kubernetes.utils.quantity import parse_quantity
except ImportError:
    # connection.KUBERNETES_IMPORT_ERROR holds the traceback that the module reports; state rendered works without.
    parse_quantity = None

_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
INT32, INT64 = 2**31 - 1, 2**63 - 1
_LONGEST_QUANTITY = 40
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")


def check_dns_label(option: str, value: str, longest: int = 63) -> None:
    """Failure unless the value is lower-case letters, digits and dashes, as of namespaces, services and containers."""
    if not isinstance(value, str) or len(value) > longest or not _DNS_LABEL.fullmatch(value):
        raise Failure(
            f"{option} {value!r} is no name that Kubernetes takes here", f"use at most {longest} lower-case letters, digits and dashes, no dash at the ends"
        )


def check_dns_subdomain(option: str, value: str) -> None:
    """Failure unless the value is DNS labels joined by dots, as of most objects."""
    if not isinstance(value, str) or len(value) > 253 or not _DNS_SUBDOMAIN.fullmatch(value):
        raise Failure(f"{option} {value!r} is no name that Kubernetes takes", "use at most 253 lower-case letters, digits, dashes and dots")


def check_label_key(option: str, key: str) -> None:
    """Failure unless the key is a name, or prefix/name with a DNS prefix."""
    prefix, slash, name = as_text(key).rpartition("/")
    if len(name) > 63 or not _QUALIFIED.fullmatch(name) or (slash and (len(prefix) > 253 or not _DNS_SUBDOMAIN.fullmatch(prefix))):
        raise Failure(f"{option} has the malformed key {key!r}", "use name or example.com/name: at most 63 letters, digits, '-', '_' and '.' in the name")


def check_labels(option: str, labels: dict, reserved: tuple[str, ...] = ()) -> None:
    """Failure for keys or values that are no labels, or for keys that begin like one of `reserved`. A null is the empty value."""
    for key, value in (labels or {}).items():
        check_label_key(option, key)
        _check_reserved(option, key, reserved)
        text = as_text(value)
        if len(text) > 63 or (text and not _QUALIFIED.fullmatch(text)):
            raise Failure(f"{option}.{key} has the malformed value {text!r}", "use at most 63 letters, digits, '-', '_' and '.'")


def check_annotations(option: str, annotations: dict, reserved: tuple[str, ...] = ()) -> None:
    """Failure for keys that are no annotation's key or begin like one of `reserved`, and for values that are no text."""
    for key in annotations or {}:
        check_label_key(option, key)
        _check_reserved(option, key, reserved)
    check_scalars(option, annotations)


def check_scalars(option: str, values: dict | None) -> None:
    """Failure for a value that is a list or a mapping, where text is wanted."""
    for key, value in (values or {}).items():
        if isinstance(value, (dict, list)):
            raise Failure(f"{option}.{key} is a {'mapping' if isinstance(value, dict) else 'list'}, text is wanted", "put the value in quotes")


def check_mapping(option: str, value: object, known: tuple[str, ...] = ()) -> None:
    """Failure unless it is a mapping; with `known`, of these keys only."""
    if not isinstance(value, dict):
        raise Failure(f"{option} is no mapping", "write it as in a manifest of Kubernetes")
    unknown = [str(key) for key in value if known and key not in known]
    if unknown:
        raise Failure(f"{option}.{min(unknown)} is not known", f"use {', '.join(known)}")


def entries_of(option: str, value: object, known: tuple[str, ...] = ()) -> list[tuple[str, dict]]:
    """The mappings of a list, each after its name for messages; none of a null. Failure where it is no list, or one is no mapping of `known` keys."""
    if not isinstance(value, (list, type(None))):
        raise Failure(f"{option} is no list", "write it as in a manifest of Kubernetes")
    found = [(f"{option}[{number}]", entry) for number, entry in enumerate(value or [])]
    for where, entry in found:
        check_mapping(where, entry, known)
    return found


def check_count(option: str, number: int, least: int = 0) -> None:
    """Failure unless it is a number of the API's 32 bits, and not below the least."""
    if number < least:
        raise Failure(f"{option} {number} is below {least}", f"use {least} or more")
    if number > INT32:
        raise Failure(f"{option} {number} is more than the API takes", f"use {INT32} or less")


def check_absolute_path(option: str, path: object) -> None:
    """Failure unless it is the text of a path from the root, with no way up in it."""
    if not isinstance(path, str) or not path.startswith("/") or ".." in path.split("/"):
        raise Failure(f"{option} {path!r} is no absolute path", "begin it with / and leave out '..'")


def check_env_name(option: str, name: str) -> None:
    """Failure unless it is the name of an environment variable."""
    if not isinstance(name, str) or not _ENV_NAME.fullmatch(name):
        raise Failure(f"{option} has the malformed name {name!r}", "use letters, digits, '_', '-' and '.', no digit at the beginning")


def check_port(option: str, port: int) -> None:
    """Failure unless the port is from 1 to 65535."""
    if not 0 < port < 65536:
        raise Failure(f"{option} {port} is no port", "use a number from 1 to 65535")


def amount(option: str, text: object):
    """A quantity as a Decimal, None where the kubernetes package is absent; Failure where it is none or negative."""
    said = str(text)
    if isinstance(text, bool) or len(said) > _LONGEST_QUANTITY or not _QUANTITY.fullmatch(said) or said.startswith("-"):
        raise Failure(f"{option} {said[:_LONGEST_QUANTITY]!r} is no amount", "use for example 100m or 2 for cpu, 512Mi or 2Gi for memory")
    found = parse_quantity(said) if parse_quantity else None
    if found is not None and found > INT64:
        raise Failure(f"{option} {said} is more than the API takes", "use for example 100m or 2 for cpu, 512Mi or 2Gi for memory")
    return found


def canonical_quantity(value: object) -> str:
    """The quantity as the API server writes it: 6000m is 6, 10240Mi is 10Gi.

    Server-side apply compares text: another owner of the same amount in other words would be a conflict.
    Source: Quantity.CanonicalizeBytes in pkg/api/resource/quantity.go. Exponents and what is no quantity stay as they are.
    """
    text = as_text(value)
    match = _QUANTITY.fullmatch(text)
    if not match or text.endswith(".") or re.search(r"[eE][+-]?[0-9]", text):
        return text
    suffix = match[3] or ""
    number = Decimal(text.removesuffix(suffix)) * (1024 ** (_BINARY.index(suffix) + 1) if suffix in _BINARY else 1000 ** _DECIMAL.index(suffix))
    if suffix in _BINARY and abs(number) >= 1024 and number == int(number):
        return _largest(int(number), 1024, ("", *_BINARY))
    # The API server rounds up to a thousandth.
    thousandths = int((number * 1000 if suffix in _BINARY else number / 10**6).to_integral_value(ROUND_CEILING))
    return _largest(thousandths, 1000, _DECIMAL[2:]) if thousandths else "0"


def _largest(number, base, suffixes):
    power = next(power for power in range(len(suffixes) - 1, -1, -1) if number % base**power == 0)
    return f"{number // base**power}{suffixes[power]}"


def text_values(mapping: dict | None) -> dict:
    """The mapping with its values as text: YAML reads `1` and `true` as a number and a boolean, and nothing as null; Kubernetes wants strings."""
    return {as_text(key): as_text(value) for key, value in (mapping or {}).items()}


def as_text(value: object) -> str:
    """A YAML scalar as a user wrote it: booleans in lower case, null as nothing."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_stored(value):
    """Without nulls, empty lists and empty matchLabels, which the API server does not keep: they would be a difference for ever."""
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: as_stored(item) for key, item in value.items() if item is not None and item != [] and (key, item) != ("matchLabels", {})}


def _check_reserved(option, key, reserved):
    if as_text(key).startswith(reserved):
        raise Failure(f"{option} must not set {key}", "this collection sets it itself; choose another key")
