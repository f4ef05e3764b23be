# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of `python3 tests/demo`."""

import importlib.util
import sys

from demonstration.checkout import make_importable

if not all(importlib.util.find_spec(name) for name in ("ansible", "kubernetes", "requests")):
    sys.exit("tests/demo: ansible-core, kubernetes or requests is missing in this Python. Next: run 'make demo', which installs them into .venv.")

make_importable()

from demonstration.cli import main  # noqa: E402 (it imports the collection)

sys.exit(main(sys.argv[1:]))
