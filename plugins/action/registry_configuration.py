# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.nanoagent.k8s.plugins.modules import registry_configuration
from ansible_collections.nanoagent.k8s.plugins.plugin_utils.in_process import InProcessAction


class ActionModule(InProcessAction):
    """registry_configuration in Ansible's own process, where that is the same."""

    module = registry_configuration
