# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.nanoagent.k8s.plugins.module_utils import report_json
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import cluster, report, row


def test_it_holds_everything_but_what_is_made_for_a_terminal():
    made = cluster(200)
    read = json.loads(report_json.render(made))
    assert read.pop("report_version") == 1
    assert read == {key: value for key, value in made.items() if key not in ("table", "headline")}


def test_a_node_is_a_line():
    lines = report_json.render(cluster(50)).splitlines()
    assert sum(1 for line in lines if line.startswith('{"node":')) == 50
    assert json.loads(report_json.render(report([])))["nodes"] == []


def test_what_has_no_bytes_is_written_all_the_same():
    text = report_json.render(report([row("a", detail="\ud800 \u2028 \x00")]))
    assert json.loads(text.encode("ascii"))["nodes"][0]["detail"] == "\ud800 \u2028 \x00"
