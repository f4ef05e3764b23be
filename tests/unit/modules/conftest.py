# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several modules share."""

from __future__ import annotations

import threading

import pytest


@pytest.fixture
def stopping():
    """An event that lets a held transfer go, at the latest after the test."""
    event = threading.Event()
    yield event
    event.set()
