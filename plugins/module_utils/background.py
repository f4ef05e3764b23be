# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call beside the caller, for which nobody has to wait at the end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread


def begin(call: Callable, *arguments) -> Future:
    """Runs it in a thread of its own, that ends with the process: it may hang in a connection. What it raises, the result raises."""
    future: Future = Future()

    def run():
        try:
            future.set_result(call(*arguments))
        except BaseException as error:  # handed to whoever asks for the result
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
