# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that options put into the pods' spec, where everybody who may read pods reads them. Pure."""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.option_secrets import address_secrets, argument_secrets, variable_secrets

# Option -> the way without it.
_ADDRESSES = {
    "orc_url": "leave the parameter out; credentials are a Secret's",
    "http_proxy": "leave the parameter out, and use a proxy that knows the nodes by their address",
    "https_proxy": "leave the parameter out, and use a proxy that knows the nodes by their address",
}
_ARGUMENTS = {
    "extra_args": "leave it out and give the variable EXTRA_ARGS in extra_env, with valueFrom.secretKeyRef",
    "curl_args": "leave it out and give the variable CURL_ARGS in extra_env, with valueFrom.secretKeyRef",
    "args": "give it as a variable in extra_env, with valueFrom.secretKeyRef, and write $(NAME) in its place",
    "command": "give it as a variable in extra_env, with valueFrom.secretKeyRef, and write $(NAME) in its place",
}


def readable_notes(options: dict) -> list[str]:
    """A line for the plan about each option with what says of itself that it is secret; the secret itself is not in it."""
    names = [str(variable.get("name")) for variable in options.get("extra_env") or [] if variable_secrets(variable)]
    notes = [f"extra_env {', '.join(names)}: such a value stands readable in the pods' spec; use valueFrom.secretKeyRef"] if names else []
    found = {option: way for option, way in _ARGUMENTS.items() if argument_secrets(options.get(option))}
    found |= {option: way for option, way in _ADDRESSES.items() if address_secrets(options.get(option))}
    return notes + [f"{option}: a secret in it stands readable in the pods' spec; {way}" for option, way in found.items()]
