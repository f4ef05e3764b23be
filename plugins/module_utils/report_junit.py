# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as JUnit XML: a test case for each node, for the test views of build servers. Pure."""

from __future__ import annotations

from xml.etree import ElementTree

from ansible_collections.nanoagent.k8s.plugins.module_utils import report_parts
from ansible_collections.nanoagent.k8s.plugins.module_utils.acceptance import cause


def render(report: dict) -> str:
    """A suite with a case for each node and one, `acceptance`, for the verdict on the whole.

    A node where no agent is wanted and one that the policy lets pass are skipped. Valid by the schemas of Ant and Jenkins, which is
    why the suite's time has no zone: it is UTC.
    """
    name = report_parts.visible(", ".join(report["daemon_sets"])) or "agent"
    cases = [_node(row, report, set(report["allowed"])) for row in report["nodes"]]
    cases.append(_acceptance(report))
    count = {word: sum(1 for case in cases if case.find(word) is not None) for word in ("failure", "skipped")}
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", {"package": name, "id": "0", "name": name, "hostname": report_parts.visible(report["cluster"]["server"])})
    suite.attrib |= {"tests": str(len(cases)), "failures": str(count["failure"]), "errors": "0", "skipped": str(count["skipped"])}
    suite.set("time", f"{sum(float(case.get('time')) for case in cases):.3f}")
    if report["at"]:
        suite.set("timestamp", report["at"][:19])
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"server": report["cluster"]["server"], "kubernetes": report["cluster"]["version"], **dict(report_parts.numbers(report))}
    for key, value in facts.items():
        ElementTree.SubElement(properties, "property", {"name": key, "value": report_parts.visible(value)})
    suite.extend(cases)
    for output in ("system-out", "system-err"):
        ElementTree.SubElement(suite, output)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _node(row, report, allowed):
    case = _case(row["pool"] or row["zone"], row["node"], ((row.get("proof") or {}).get("round_trip_ms") or 0) / 1000)
    if report_parts.fails(row, report, allowed):
        code, detail, fix = cause(row)
        _outcome(case, "failure", f"{report_parts.look(row, report)}: {detail or code}", code, fix, row["evidence"])
    elif report_parts.is_unwell(row, report):
        _outcome(case, "skipped", f"let pass by the policy: {report_parts.look(row, report)}, {cause(row)[0]}")
    elif not row["eligible"]:
        _outcome(case, "skipped", f"{row['state']}: {row['detail'] or row['reason']}")
    return case


def _acceptance(report):
    case = _case("acceptance", "the whole cluster", 0)
    if report["failures"]:
        _outcome(case, "failure", report["failures"][0], "NotAccepted", *report["failures"])
    return case


def _case(group, name, seconds):
    words = {"classname": report_parts.visible(group) or "nodes", "name": report_parts.visible(name) or "without a name"}
    return ElementTree.Element("testcase", {**words, "time": f"{seconds:.3f}"})


def _outcome(case, word, message, code=None, *lines):
    element = ElementTree.SubElement(case, word, {"message": report_parts.visible(message)})
    if code is not None:
        element.set("type", report_parts.visible(code) or "Unknown")
    texts = [_evidence(line) if isinstance(line, dict) else line for line in lines]
    element.text = "\n".join(report_parts.visible(text) for text in texts if text) or None


def _evidence(evidence):
    if not evidence["text"]:
        return ""
    seen = f" ({evidence['count']} times from {evidence['first']} to {evidence['last']})" if evidence["count"] else ""
    return f"{evidence['source']}: {evidence['text']}{seen}"
