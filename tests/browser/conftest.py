# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page in a real browser: Debian's Chromium, without a window."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from checkout import CHECKOUT, collections_folder  # noqa: E402 (the path comes first)

sys.path.insert(0, str(collections_folder()))

from ansible_collections.nanoagent.k8s.plugins.module_utils import report_html  # noqa: E402 (the path comes first)
from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import judge, policy  # noqa: E402 (the path comes first)


@pytest.fixture(scope="session")
def chromium():
    """A running browser, which all tests share; each gets a context of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "no Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        # Root has no other way: Chromium's sandbox refuses it.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def show(chromium, tmp_path):
    """show(report, **context) opens the report's page; what it asked for and what went wrong are in page.requests and page.errors."""
    contexts = []

    def run(report: dict, **context):
        verdict = judge(policy({"max_unready": "0", "allow_not_ready_younger_than": "0", "accept": ""}), report, [])
        path = tmp_path / "report.html"
        path.write_text(report_html.render({**report, **verdict}), encoding="utf-8")
        contexts.append(chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **context}))
        page = contexts[-1].new_page()
        page.requests, page.errors = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text) if message.type in ("error", "warning") else None)
        page.goto(path.as_uri())
        page.locator(".chip, .none").first.wait_for()
        return page

    yield run
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def pictures():
    """Where the pictures go, to be looked at."""
    folder = CHECKOUT / "tests/output"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
