# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every module says about its behaviour; each fills in C(support) itself."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and says exactly what it would change, without changing anything.
  diff_mode:
    description: Says what changed, or would change, when in diff mode.
  idempotent:
    description: When run twice in a row with the same arguments, the second run changes nothing and reports that.
  platform:
    description: Systems that the module itself runs on.
    platforms: posix
    support: full
"""
