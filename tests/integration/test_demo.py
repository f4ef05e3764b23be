# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration, run as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TIME_LIMIT = 300

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def output(cluster_env) -> str:
    """What the demonstration prints when all goes well."""
    done = run(cluster_env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run(cluster_env: dict, **changes: str) -> subprocess.CompletedProcess:
    """One run of the demonstration against a cluster that is there."""
    own = bool(os.environ.get("KUBECONFIG") and os.environ.get("REGISTRY"))
    plain = {} if own else {"REGISTRY_PLAIN_HTTP": "1"}
    variables = {**os.environ, "KUBECONFIG": cluster_env["KUBECONFIG"], "REGISTRY": cluster_env["REGISTRY"], **plain, **changes}
    command = [sys.executable, str(CHECKOUT / "tests" / "demo")]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)


def tree_of(output: str, pod: str) -> str:
    """The part of the output below a pod's headline."""
    return re.search(rf"^\S+  nanoagent-demo/{pod}-\S+  container .*\n((?:.+\n)+)", output, re.MULTILINE)[1]


def test_it_proves_every_node(output):
    counts = re.search(r"nodes \d+, eligible (\d+), ready (\d+), proven (\d+)", output)
    assert counts[1] == counts[2] == counts[3] != "0"


def test_the_shop_shows_its_workers_below_it_with_their_exit_codes(output):
    shop = tree_of(output, "shop")
    assert re.search(r"^└─ /shop serve .*  pid \d+  uid 65532  parent \S+ \d+$", shop, re.MULTILINE)
    for order, code in (17, 0), (13, 3), (42, 0):
        assert re.search(rf"^   [├└]─ /shop worker --order {order}  pid \d+  uid 65532  exit {code}$", shop, re.MULTILINE)
    assert len(re.findall(r"^   [├└]─ accept \S+:8080 <- \S+$", shop, re.MULTILINE)) == 3


def test_the_visitor_shows_each_connection_below_the_process_that_made_it(output):
    visitor = tree_of(output, "visitor")
    assert re.search(r"^└─ /shop visit .*  pid \d+  uid 65532  parent \S+ \d+$", visitor, re.MULTILINE)
    for order, code in (17, 0), (13, 3), (42, 0):
        assert re.search(rf"/shop buy .* --order {order}  pid \d+  uid 65532  exit {code}\n   [│ ]  └─ connect \S+ -> \S+:8080", visitor)


def test_both_ends_of_each_connection_are_joined(output):
    server = re.search(r"/shop serve .*  pid (\d+)", output)[1]
    buyers = re.findall(r"/shop buy .*  pid (\d+)", output)
    assert re.findall(r"^visitor-\S+ pid (\d+) -> shop-\S+ pid (\d+)  from ", output, re.MULTILINE) == [(buyer, server) for buyer in buyers]


def test_it_is_short(output):
    shown = output.partition("What the collectors saw of it\n")[2].partition("done in")[0]
    assert len(shown.splitlines()) <= 41


def test_an_unreachable_registry_ends_in_one_line(cluster_env):
    done = run(cluster_env, REGISTRY="127.0.0.1:1", REGISTRY_PLAIN_HTTP="1")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("tests/demo: ")
    assert "refused" in done.stdout + done.stderr


def test_a_missing_kubeconfig_ends_in_one_line(cluster_env, tmp_path):
    done = run(cluster_env, KUBECONFIG=str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "does not exist" in done.stdout + done.stderr
