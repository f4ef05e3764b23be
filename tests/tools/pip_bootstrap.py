# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the pip bootstrap script that ansible-test would download: pip comes from the interpreter itself."""

from __future__ import annotations

import subprocess
import sys

if __name__ == "__main__":
    arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
    # A process of its own: ensurepip switches the user's pip configuration off for the process that it runs in.
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
    sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *arguments], check=False).returncode)
