# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_lock import entry_of, lock_text, merged
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_pin import name_notes, with_image_names
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import agent_options

ONE, PART = f"sha256:{'1' * 64}", f"sha256:{'a' * 64}"
AGENT = "ghcr.io/spyderbat/nano-agent"
ROWS = [{"source": "ghcr.io/spyderbat", "destination": "one.example:5000/mirror"}]
MIRROR = "one.example:5000/mirror/nano-agent"


@pytest.fixture
def locked(tmp_path):
    """Writes a lock file with the mirrors of the agent; its path."""

    def write(*mirrors, source=f"{AGENT}:1"):
        path = tmp_path / "images.lock.yml"
        path.write_text(lock_text(merged({}, [entry_of(source, ONE, ["linux/amd64"], 5, mirrors)])))
        return str(path)

    return write


def name(image, **options):
    return with_image_names({"image": image, **options})[0]["image"]


def test_without_table_and_lock_nothing_changes():
    options = agent_options(image=f"{AGENT}:1")
    assert with_image_names(options) == (options, {})


@pytest.mark.parametrize(
    ("image", "expected"),
    [(f"{AGENT}:1", f"{MIRROR}:1"), (f"{AGENT}@{ONE}", f"{MIRROR}@{ONE}"), ("busybox", "busybox"), (f"{MIRROR}:1", f"{MIRROR}:1"), (None, None), ("", "")],
)
def test_the_table_alone_keeps_tag_and_digest(image, expected):
    assert name(image, rewrites=ROWS) == expected


def test_the_monitor_s_image_goes_the_same_way_and_both_are_told():
    options, names = with_image_names({"image": f"{AGENT}:1", "monitor": {"enabled": True, "image": f"{AGENT}-monitor:2"}, "rewrites": ROWS})
    assert options["monitor"] == {"enabled": True, "image": f"{MIRROR}-monitor:2"}
    assert name_notes(names) == [f"{AGENT}:1 is used as {MIRROR}:1", f"{AGENT}-monitor:2 is used as {MIRROR}-monitor:2"]


def test_the_lock_pins_at_the_mirror_that_the_table_says(locked):
    two = "two.example/m/nano-agent:1"
    assert name(f"{AGENT}:1", rewrites=ROWS, lock_file=locked(f"{MIRROR}:1", two)) == f"{MIRROR}@{ONE}"
    assert name(f"{AGENT}:1", rewrites=ROWS, lock_file=locked(f"{MIRROR}:1@{PART}", two)) == f"{MIRROR}@{PART}"
    # The file was written before this mirror was filled in another way; its bytes are the locked ones or the nodes do not take them.
    assert name(f"{AGENT}:1", rewrites=ROWS, lock_file=locked(two)) == f"{MIRROR}@{ONE}"


def test_without_a_row_the_only_mirror_is_taken_or_the_source(locked):
    assert name(f"{AGENT}:1", lock_file=locked(f"{MIRROR}:1")) == f"{MIRROR}@{ONE}"
    assert name(f"{AGENT}:1", lock_file=locked(f"oci-archive:/disk/a.tar:1@{PART}")) == f"{AGENT}@{ONE}"
    assert name(f"{AGENT}:1", lock_file=locked()) == f"{AGENT}@{ONE}"
    with pytest.raises(Failure, match="at one.example:5000/mirror/nano-agent, two.example/nano-agent. Next: say with rewrites"):
        name(f"{AGENT}:1", lock_file=locked(f"{MIRROR}:1", "two.example/nano-agent:1"))


def test_a_mirror_s_own_name_is_pinned_too(locked):
    lock_file = locked(f"{MIRROR}:1@{PART}")
    assert name(f"{MIRROR}:1", lock_file=lock_file) == f"{MIRROR}@{PART}"
    assert name(f"{MIRROR}:1", lock_file=lock_file, rewrites=ROWS) == f"{MIRROR}@{PART}"
    assert name(f"{MIRROR}@{PART}", lock_file=lock_file) == f"{MIRROR}@{PART}"
    assert name("docker.io/mirror/agent", lock_file=locked("docker.io/mirror/agent:latest")) == f"docker.io/mirror/agent@{ONE}"


def test_a_digest_needs_no_entry_and_finds_its_own(locked):
    lock_file = locked(f"{MIRROR}:1@{PART}")
    assert name(f"other.example/a@{ONE}", lock_file=lock_file, rewrites=ROWS) == f"other.example/a@{ONE}"
    assert name(f"{AGENT}@{PART}", lock_file=lock_file, rewrites=ROWS) == f"{MIRROR}@{PART}"
    assert name(f"{AGENT}@{ONE}", lock_file=lock_file, rewrites=ROWS) == f"{MIRROR}@{PART}"


@pytest.mark.parametrize("image", [f"{AGENT}:2", AGENT, f"{MIRROR}:2"])
def test_a_tag_that_is_not_locked_is_refused(locked, image):
    with pytest.raises(Failure, match=f"{image} is not in the lock file .*Next: mirror it first"):
        name(image, lock_file=locked(f"{MIRROR}:1"), rewrites=ROWS)


def test_a_lock_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Failure, match="does not exist"):
        name(f"{AGENT}:1", lock_file=str(tmp_path / "none.yml"))


def test_a_locked_tag_is_pinned_enough(locked):
    options = agent_options(image=f"{AGENT}:1", lock_file=locked(f"{MIRROR}:1"))
    check_options(with_image_names(options)[0])
    with pytest.raises(Failure, match="not pinned"):
        check_options(options)
