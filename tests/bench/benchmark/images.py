# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collector's and the monitor's image in a registry, through the project's own module."""

from __future__ import annotations

from benchmark.surroundings import binaries, import_collection, options_of

REPOSITORY, MONITOR_REPOSITORY = "nanoagent/collector", "nanoagent/monitor"


def image_options(**given) -> dict:
    """Options of the module collector_image for a plain registry."""
    import_collection()
    from ansible_collections.nanoagent.k8s.plugins.modules.collector_image import argument_spec

    return options_of(argument_spec(), **({"binaries": binaries(given.get("program", "collector")), "plain_http": True} | given))


def build_and_push(**given) -> dict:
    """The module's result, from this process: the engine without Ansible."""
    options = image_options(**given)
    from ansible_collections.nanoagent.k8s.plugins.module_utils.collector_image import work
    from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run

    return work(options, Run())
