# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that bear a wanted name and are not of this installation: what may be done with them. Pure.

Server-side apply refuses fields that others hold, but not an object that others made: whatever it does not say differently would
become ours without a word, and go with the next uninstall.
"""

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL, id_of
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import title
from ansible_collections.nanoagent.k8s.plugins.module_utils.ownership import owned_fields
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, records, text

# How an object of a kind is used as it is, where an option says so.
_USED_AS_IT_IS = {
    "ServiceAccount": "create_service_account: false uses it as it is",
    "PriorityClass": "priority_class.create: false uses it as it is",
    "Secret": "image_pull_secrets or credentials.existing_secret use it as it is",
}
_INSTANCE = "app.kubernetes.io/instance"


def check_strangers(found: list[dict], identifier: str, manager: str, force: bool) -> None:
    """Failure where a wanted object is another installation's, or somebody else's and `force` is not given.

    found: live objects that bear a wanted name and not the label of our set. identifier: our set's id. An object that we made, and
    that lost the label, is ours all the same.
    """
    others = [obj for obj in found if _set_of(obj) not in ("", identifier)]
    if others:
        named = ", ".join(f"{title(obj)} belongs to {_installation(obj)}" for obj in others)
        raise Failure(
            f"two installations cannot share what each of them writes and removes: {named}",
            f"give this installation another name for it{_instead(others)}",
        )
    foreign = [obj for obj in found if not owned_fields(obj, manager)]
    if foreign and not force:
        named = ", ".join(f"{title(obj)}{_makers(obj)}" for obj in foreign)
        raise Failure(
            f"there is already what this installation would write, and it is not of its making: {named}",
            f"choose another name{_instead(foreign)}; or set force_conflicts: true, which makes it a part of this installation that an uninstall removes",
        )


def _set_of(obj):
    return text(at(obj, "metadata", "labels", MEMBER_LABEL)) or id_of(obj) or ""


def _installation(obj):
    name, namespace = text(at(obj, "metadata", "labels", _INSTANCE)), text(at(obj, "metadata", "namespace"))
    return f"the installation {name}{' in ' + namespace if namespace else ''}" if name else "another set"


def _makers(obj):
    managers = sorted({text(entry.get("manager")) for entry in records(at(obj, "metadata", "managedFields")) if not entry.get("subresource")} - {""})
    return f" (made by {' and '.join(managers[:2])})" if managers else ""


def _instead(objects):
    ways = sorted({_USED_AS_IT_IS[obj["kind"]] for obj in objects if obj["kind"] in _USED_AS_IT_IS})
    return f" ({'; '.join(ways)})" if ways else ""
