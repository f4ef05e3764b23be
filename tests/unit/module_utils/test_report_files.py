# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils import report_files
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.report_files import WRITERS, check_paths, deliver
from ansible_collections.nanoagent.k8s.plugins.modules.agent_info import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.reports import CASES, report, row

IMAGE = next(case for _weight, case in CASES if case[1] == "ImageNotFound")
CANARY = "canary-3f9a17c2"


def all_of(folder):
    return {name: str(folder / f"report.{name}") for name in WRITERS}


def test_the_option_has_every_format():
    assert set(argument_spec()["reports"]["options"]) == set(WRITERS)


def test_each_report_is_written_where_it_is_asked_for(tmp_path):
    made = report([row("a"), row("b", IMAGE)])
    result = deliver(made, all_of(tmp_path), Run())
    assert result["reports"] == all_of(tmp_path) and "changed" not in result
    for name, path in all_of(tmp_path).items():
        with open(path, encoding="utf-8") as file:
            assert file.read() == WRITERS[name](made)


def test_in_check_mode_nothing_is_written(tmp_path):
    assert deliver(report([row("a")]), all_of(tmp_path / "later"), Run(check_mode=True))["reports"] == all_of(tmp_path / "later")
    assert list(tmp_path.iterdir()) == []
    check_paths(all_of(tmp_path / "later"), check_mode=True)


def test_none_is_asked_for():
    for reports in (None, {}, {"json": None}, {"json": ""}):
        check_paths(reports, check_mode=False)
        assert deliver(report([]), reports, Run())["reports"] == {}


def test_a_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_paths({"html": "page.html"}, check_mode=False)
    assert deliver(report([row("a")]), {"html": "page.html"}, Run())["reports"] == {"html": str(tmp_path / "page.html")}


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ({"json": "{}/a", "html": "{}/a"}, "reports.html and reports.json have the same path"),
        ({"json": "{}/none/a"}, "reports.json: the folder .*/none does not exist. Next: make it first"),
        ({"markdown": "{}"}, "reports.markdown: .* is a folder"),
    ],
)
def test_a_path_that_cannot_be_is_told_before_anything_is_read(tmp_path, reports, message):
    with pytest.raises(Failure, match=message):
        check_paths({name: path.format(tmp_path) for name, path in reports.items()}, check_mode=False)


def test_a_file_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    def refuse(path, _data):
        raise Failure(f"{path} cannot be written (No space left on device)", "make room")

    monkeypatch.setattr(report_files, "write_atomically", refuse)
    with pytest.raises(Failure, match="No space left"):
        deliver(report([row("a")]), all_of(tmp_path), Run())


@pytest.mark.parametrize("secret", ['pa"ss\\word', "pässwörd-9", "12345678", "two\nlines"])
def test_a_secret_is_found_however_it_is_written(tmp_path, secret):
    made = report([row("a", IMAGE, detail=f"login as root with {secret} failed")], proven=int("12345678"))
    deliver(made, {"json": str(tmp_path / "report.json")}, Run(secrets={secret}))
    text = (tmp_path / "report.json").read_text()
    assert secret not in json.dumps(json.loads(text), ensure_ascii=False) and json.dumps(secret)[1:-1] not in text


def test_what_is_secret_in_the_run_stays_out_of_every_report(tmp_path):
    told = f"the webhook was called with Authorization: Bearer {CANARY} and said no"
    evidence = {"source": "event", "text": told, "first": "", "last": "", "count": 1}
    made = report(
        [row("a", IMAGE, detail=told, fix=told, evidence=evidence, blockers=[{"kind": "taint", "detail": told, "since": "", "passing": False}])],
        failures=[told],
        causes=[told],
        cluster={"server": f"https://{CANARY}@x", "version": ""},
    )
    deliver(made, all_of(tmp_path), Run(secrets={CANARY}))
    texts = [(tmp_path / f"report.{name}").read_text() for name in WRITERS]
    assert all(CANARY not in text for text in texts) and all("********" in text or "\\*\\*" in text for text in texts)
    assert CANARY in json.dumps(made)
