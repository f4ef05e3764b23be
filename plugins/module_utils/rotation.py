# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a new registration code has to reach the agents, where an operator or a driver keeps it in a Secret. Pure.

That Secret comes after the DaemonSet that needs it, so the first pods' template cannot bear a hash of the code. The set's
parent remembers the hash of that first code, as soon as it is seen: the template bears the hash of every other code, and
of that one none. So the run after the first one finds nothing to do, and each new code changes the template once.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping

NOTE = "nanoagent.k8s/first-credentials"


def note(secret: str, first: str) -> dict:
    """The annotation by which the parent remembers the hash of the first code in this Secret; an empty one where every code's hash shows."""
    return {NOTE: f"{secret} {first}"}


def marks(secret: str, current: str | None, parent: dict | None, template_mark: str | None) -> tuple[str | None, dict]:
    """(the hash that the pod template is to bear, None for none; the annotations of the parent that remember the first one).

    secret: the Secret's name. current: the hash of its value, None where it has none yet or no longer. parent: the set's, as it
    is. template_mark: the hash that the live template bears.
    """
    text = mapping(at(parent or {}, "metadata", "annotations")).get(NOTE) or ""
    name, _space, first = text.partition(" ")
    known = name == secret
    if current is None:
        # What takes the Secret away is no reason to end agents, which could not start again without it.
        return (template_mark, {NOTE: text}) if known else (None, {})
    if not known:
        first = "" if template_mark else current
    return (None if current == first else current), note(secret, first)
