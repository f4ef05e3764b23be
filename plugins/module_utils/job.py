# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job gets to know about the run that it is part of, and how a module ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.option_secrets import secrets_in
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import mapping


def silent(line: str) -> None:
    """Takes a line of progress where nobody can see it: a module has no way to speak before its end."""


@dataclass(frozen=True)
class Run:
    """One run of a job.

    check_mode, diff: as the user asked. temp_dir: a folder that is removed after the run. secrets: values that are
    hidden in the result; a job adds what it learns. say: takes one line of progress. argument_spec: the module's, for
    options that come from elsewhere.
    """

    check_mode: bool = False
    diff: bool = False
    temp_dir: str | None = None
    secrets: set[str] = field(default_factory=set)
    say: Callable[[str], None] = silent
    argument_spec: dict = field(default_factory=dict)


class Module(AnsibleModule):
    """An AnsibleModule that knows the secrets in its options before anything can show them, as an argument error or the system's log does."""

    def _load_params(self):
        super()._load_params()
        self.no_log_values.update(secret_values(self.argument_spec, self.params))


def finish(module, work: Callable[[dict, Run], dict]) -> None:
    """Runs a job inside a module and ends the module with its result, or with the one-line message of a Failure.

    module: the Module. work: takes the module's options and the Run, gives the result.
    """
    run = Run(module.check_mode, module._diff, module.tmpdir, module.no_log_values, argument_spec=module.argument_spec)
    try:
        result = work(module.params, run)
        for warning in result.pop("warnings", []):
            module.warn(warning)
        module.exit_json(**{"changed": False, **result})
    except Failure as failure:
        module.fail_json(**failure.result())


def secret_values(argument_spec: dict, options: dict) -> set[str]:
    """The values of all options, suboptions among them, that the spec marks no_log, and the secrets in those of others. Pure.

    options: may be as the user gave them, with values that the spec does not allow.
    """
    found = set()
    for name, spec in argument_spec.items():
        value = options.get(name)
        if value is None:
            continue
        if spec.get("no_log"):
            found |= {text for text in map(str, _leaves(value)) if text}
        elif spec.get("options"):
            for element in value if isinstance(value, list) else [value]:
                found |= secret_values(spec["options"], mapping(element))
        else:
            found |= secrets_in(name, value)
    return found


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]
