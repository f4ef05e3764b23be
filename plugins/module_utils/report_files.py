# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report into files, in the formats that are asked for."""

from __future__ import annotations

import json
import os

from ansible.module_utils.common.parameters import remove_values
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_html, report_json, report_junit, report_markdown
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.files import write_atomically
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run

WRITERS = {"json": report_json.render, "markdown": report_markdown.render, "junit": report_junit.render, "html": report_html.render}


def check_paths(reports: dict | None, check_mode: bool) -> None:
    """Nothing where each report can be written, as far as that is known before.

    reports: format -> path or None. In check mode the folders may not be there yet.
    :raises Failure: two reports have one path, a folder does not exist or cannot be written to
    """
    taken = {}
    for name, path in _wanted(reports).items():
        folder = os.path.dirname(path)
        if path in taken:
            raise Failure(f"reports.{name} and reports.{taken[path]} have the same path {path}", "give each report a file of its own")
        taken[path] = name
        if os.path.isdir(path):
            raise Failure(f"reports.{name}: {path} is a folder", "give the path of a file")
        if not check_mode and not os.path.isdir(folder):
            raise Failure(f"reports.{name}: the folder {folder} does not exist", "make it first")
        if not check_mode and not os.access(folder, os.W_OK | os.X_OK):
            raise Failure(f"reports.{name}: the folder {folder} cannot be written to", "give a folder that this user can write to")


def deliver(result: dict, reports: dict | None, run: Run) -> dict:
    """The result with `reports`, format -> absolute path of what was written, or in check mode would have been.

    What is secret in this run is hidden in the files as it is in the result.
    :raises Failure: a file cannot be written
    """
    wanted = _wanted(reports)
    if wanted and not run.check_mode:
        shown = remove_values(result, run.secrets) if _holds_any(result, run.secrets) else result
        for name, path in wanted.items():
            write_atomically(path, WRITERS[name](shown).encode("utf-8", "replace"))
    return {**result, "reports": wanted}


def _holds_any(result, secrets):
    """Whether any of the secrets stands in the result. Hiding them takes seconds where there are thousands of nodes, and most often none is there."""
    text = json.dumps(result) if secrets else ""
    return any(secret in text or json.dumps(secret)[1:-1] in text for secret in secrets)


def _wanted(reports):
    return {name: os.path.abspath(reports[name]) for name in WRITERS if (reports or {}).get(name)}
