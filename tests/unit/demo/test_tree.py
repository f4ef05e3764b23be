# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree of processes and connections that the demonstration prints."""

from __future__ import annotations

import random

from demonstration import tree


def build(recorder, **options):
    """The lines for what was recorded."""
    return tree.build(recorder.events, **options)


def test_an_order_reads_from_the_visitor_to_the_worker(recorder):
    recorder.start("shop", 10, 1, "/shop", "serve")
    recorder.start("visitor", 20, 1, "/shop", "visit", "a b")
    recorder.start("visitor", 21, 20, "/shop", "buy")
    recorder.connect("visitor", 21, "10.0.0.2:4000", "10.0.0.1:8080", latency_us=120)
    recorder.accept("shop", 10, "10.0.0.1:8080", "10.0.0.2:4000")
    recorder.start("shop", 11, 10, "/shop", "worker")
    recorder.end("shop", 11, 10, code=3)
    recorder.end("visitor", 21, 20, code=3)

    assert build(recorder) == [
        "node-of-shop  nanoagent-demo/shop  container main",
        "└─ /shop serve  pid 10  uid 65532  parent containerd-shim 1",
        "   ├─ accept 10.0.0.1:8080 <- 10.0.0.2:4000",
        "   └─ /shop worker  pid 11  uid 65532  exit 3",
        "",
        "node-of-visitor  nanoagent-demo/visitor  container main",
        "└─ /shop visit 'a b'  pid 20  uid 65532  parent containerd-shim 1",
        "   └─ /shop buy  pid 21  uid 65532  exit 3",
        "      └─ connect 10.0.0.2:4000 -> 10.0.0.1:8080  120 us",
        "",
        "Across pods:",
        "visitor pid 21 -> shop pid 10  from 10.0.0.2:4000",
    ]


def test_a_call_to_a_service_address_is_joined_with_the_pod_that_took_it(recorder):
    recorder.connect("visitor", 21, "10.0.0.2:4000", "172.16.0.9:80")
    recorder.accept("shop", 10, "10.0.0.1:8080", "10.0.0.2:4000")

    assert build(recorder)[-1] == "visitor pid 21 -> shop pid 10  from 10.0.0.2:4000"


def test_a_pid_that_comes_back_is_another_process(recorder):
    recorder.start("shop", 10, 1, "/first")
    recorder.end("shop", 10, 1)
    again = recorder.add("exec", "shop", 10, 1, argv=["/second"])
    again["process"]["id"] = "shop-10-later"

    assert [line.split()[1] for line in build(recorder)[1:3]] == ["/first", "/second"]


def test_the_container_runtime_above_the_first_program_is_left_out(recorder):
    recorder.add("fork", "shop", 8, 7, comm="runc:[0:PARENT]")
    recorder.add("fork", "shop", 9, 8, comm="runc:[1:CHILD]")
    recorder.add("exit", "shop", 8, 7, comm="runc:[0:PARENT]", exit={"code": 0})
    recorder.add("exec", "shop", 9, 1, argv=["/shop", "serve"])

    assert build(recorder) == ["node-of-shop  nanoagent-demo/shop  container main", "└─ /shop serve  pid 9  uid 65532  parent containerd-shim 1", ""]


def test_the_runtime_s_second_start_is_left_out_where_it_is_seen(recorder):
    recorder.start("shop", 10, 1, "runc", "init")
    recorder.add("fork", "shop", 11, 10)
    recorder.start("shop", 12, 11, "/shop", "serve")

    assert [line.split("  ")[0] for line in build(recorder)[1:-1]] == ["└─ /shop serve"]


def test_a_fork_without_a_program_shows_only_with_something_below_it(recorder):
    recorder.start("shop", 10, 1, "/shop")
    recorder.add("fork", "shop", 11, 10)
    recorder.add("fork", "shop", 12, 10)
    recorder.connect("shop", 12, "10.0.0.1:4000", "10.0.0.3:53", error="ECONNREFUSED")

    assert build(recorder)[2:] == ["   └─ [shop]  pid 12  uid 65532", "      └─ connect 10.0.0.1:4000 -> 10.0.0.3:53  ECONNREFUSED", ""]


def test_a_child_stays_below_the_process_that_forked_it_when_that_has_ended(recorder):
    recorder.start("shop", 10, 1, "/init")
    recorder.start("shop", 11, 10, "/launcher")
    recorder.add("fork", "shop", 12, 11)
    recorder.end("shop", 11, 10)
    recorder.add("exec", "shop", 12, 10, argv=["/daemon"])

    assert build(recorder)[3] == "      └─ /daemon  pid 12  uid 65532"


def test_a_signal_and_a_missing_container_name(recorder):
    recorder.start("shop", 10, 1, "/shop")
    recorder.end("shop", 10, 1, signal=9)
    for event in recorder.events:
        del event["container"]["name"]

    lines = build(recorder)
    assert lines[0].endswith("container shop-contain")
    assert lines[1].endswith("killed by signal 9")


def test_an_accept_that_no_process_is_known_for_does_not_break_the_tree(recorder):
    recorder.start("shop", 10, 1, "/shop")
    recorder.accept("shop", None, "10.0.0.1:8080", "10.0.0.2:4000")

    assert len(build(recorder)) == 3


def test_arguments_cannot_move_the_cursor(recorder):
    recorder.start("shop", 10, 1, "/shop", "\x1b[2J\n")

    assert "\x1b" not in "".join(build(recorder))
    assert "?[2J?" in build(recorder)[1]


def test_long_output_is_cut_and_says_so(recorder):
    recorder.start("shop", 10, 1, "/shop")
    for pid in range(11, 111):
        recorder.start("shop", pid, 10, "/shop", "worker")

    lines = build(recorder)
    assert len(lines) == 40
    assert lines[-1] == "... and 64 more lines"


def test_nothing_seen_gives_no_lines(recorder):
    assert build(recorder) == []


def test_every_process_with_a_program_shows_once_whatever_its_parents(recorder):
    choice = random.Random(20260101)
    pids = list(range(10, 40))
    for pid in pids:
        recorder.start("shop", pid, choice.choice([1, *range(10, pid)]), f"/program-{pid}")

    text = "\n".join(build(recorder, limit=1000))
    assert [text.count(f"/program-{pid} ") for pid in pids] == [1] * len(pids)
