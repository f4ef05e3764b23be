# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

from ansible_collections.nanoagent.k8s.plugins.module_utils.upload_journal import UploadJournal

DIGEST = "sha256:" + "1" * 64


def note_of(folder, **options):
    return UploadJournal(str(folder), **options).note("registry.example", "app", DIGEST)


def test_a_note_is_there_for_the_next_process_and_gone_when_it_is_done(tmp_path):
    folder = tmp_path / "some/journal"
    note = note_of(folder)
    assert note.location == ""
    note.record("https://registry.example/v2/app/blobs/uploads/1")
    note.record("https://registry.example/v2/app/blobs/uploads/1?state=a")
    note.close()
    [path] = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600 and folder.stat().st_mode & 0o777 == 0o700
    note = note_of(folder)
    assert note.location == "https://registry.example/v2/app/blobs/uploads/1?state=a"
    note.record("")
    note.close()
    assert not list(folder.iterdir())


def test_an_upload_that_another_process_is_at_is_left_to_it(tmp_path):
    first = note_of(tmp_path)
    first.record("https://registry.example/1")
    second = note_of(tmp_path)
    assert second.location == ""
    second.record("https://registry.example/2")
    second.close()
    first.close()
    assert note_of(tmp_path).location == "https://registry.example/1"


def test_old_and_spoiled_notes_count_as_none(tmp_path):
    note = note_of(tmp_path)
    note.record("https://registry.example/1")
    note.close()
    [path] = tmp_path.iterdir()
    (tmp_path / "something else").write_text("stays")
    eight_days_later = path.stat().st_mtime + 8 * 24 * 3600
    note = note_of(tmp_path, clock=lambda: eight_days_later)
    assert note.location == ""
    note.close()
    assert [left.name for left in tmp_path.iterdir()] == ["something else"]
    for spoiled in (b"", b"{", b"[]", b'{"location"', b"\xff"):
        path.write_bytes(spoiled)
        note = note_of(tmp_path)
        assert note.location == ""
        note.close()
    (tmp_path / "elsewhere").write_text('{"location": "https://evil.example/"}')
    os.symlink(tmp_path / "elsewhere", path)
    assert note_of(tmp_path).location == ""


def test_nothing_is_made_before_it_is_needed_or_where_it_is_not_possible(tmp_path):
    assert UploadJournal(str(tmp_path / "journal")).problem == "" and not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    journal = UploadJournal(str(tmp_path / "file/journal"))
    note = journal.note("registry.example", "app", DIGEST)
    note.record("https://registry.example/1")
    note.close()
    assert journal.problem == "Not a directory" and note_of("").location == ""
