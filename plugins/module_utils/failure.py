# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error type that reaches a user."""

from __future__ import annotations


class Failure(Exception):
    """Something went wrong that the user can understand and act on.

    what: one sentence: which object, what happened, why.
    next_step: one sentence: what to do about it.
    facts: plain data for the module's result, beside the message.
    """

    def __init__(self, what: str, next_step: str = "", **facts):
        self.what = " ".join(str(what).split()).removesuffix(".")
        self.next_step = " ".join(str(next_step).split()).removesuffix(".")
        self.facts = facts
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """One line: what happened, then what to do next."""
        if self.next_step:
            return f"{self.what}. Next: {self.next_step}."
        return f"{self.what}."

    def result(self) -> dict:
        """Arguments for fail_json."""
        return {"msg": self.message, **self.facts}
