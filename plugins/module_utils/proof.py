# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live proof: a marker process on each node, whose event must come back from that node's collector.

The marker is the collector's own `prove` command, run by exec in the agent's container: it works with a scratch image,
makes no object in the cluster and needs no right but pods/exec in the agent's namespace. Its argument is a nonce that
only this run knows; it asks the collector for the event by the nonce's SHA-256, so that only a collector that read the
nonce from the kernel can give it back.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.profile_bundled import COLLECTOR, CONTAINER
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, mapping, number, one_line, text

# Where a collector loses events, as its gap lines name it: (in words, what to do).
_LOST_AT = {
    "ring": ("as the ring was full", "give it more CPU, or a larger ring_bytes"),
    "hook": ("as the kernel left out runs of its programs", "give it more CPU; other eBPF programs may hold the same hooks"),
    "output": ("as nobody read its output fast enough", "look at the node's container runtime and disk"),
    "backend": ("as the backend did not take them", "look at the backend and the way to it"),
}
# What the exec stream may need beyond the time that the marker itself waits, in seconds.
_STREAM_MARGIN = 5.0


def prove_all(cluster: Cluster, namespace: str, rows: list[dict], timeout: float, parallel: int, proven: Callable | None = None) -> dict[str, dict]:
    """Node name -> proof, for the rows whose pod is ready; at most `parallel` at a time.

    proven: called with (node, nonce, time.monotonic() of its marker's begin) as soon as a node is proven.
    A proof: {"proven": bool, "latency_ms": float|None, "round_trip_ms": float|None, "reason": text, "lost": {where: events}}.
    latency_ms is from the marker's exec in the kernel to the collector's answer, round_trip_ms what the whole exec took from
    here, lost what the collector says it has lost since it started.
    """
    ready = [row for row in rows if row["ready"]]
    if not ready:
        return {}
    with ThreadPoolExecutor(min(parallel, len(ready))) as pool:
        proofs = pool.map(lambda row: _prove(cluster, namespace, row, timeout, proven), ready)
        return {row["node"]: proof for row, proof in zip(ready, proofs)}


def latency(proofs: dict[str, dict]) -> dict:
    """{"p50", "p99"} of the proofs' latencies in milliseconds, by nearest rank; None where nothing is proven. Pure."""
    known = sorted(proof["latency_ms"] for proof in proofs.values() if proof["proven"])
    return {f"p{share}": known[math.ceil(len(known) * share / 100) - 1] if known else None for share in (50, 99)}


def losses(proofs: dict[str, dict]) -> list[str]:
    """The collectors that answer and have lost events, as lines, by where they were lost. Pure."""
    found: dict[str, dict[str, int]] = {}
    for node, proof in proofs.items():
        for where, count in proof["lost"].items():
            found.setdefault(where, {})[node] = count
    lines = []
    for where, nodes in sorted(found.items()):
        worst = sorted(nodes, key=lambda node: (-nodes[node], node))
        shown = ", ".join(f"{node}: {nodes[node]}" for node in worst[:5]) + (f" and {len(worst) - 5} more" if len(worst) > 5 else "")
        what, fix = _LOST_AT.get(where, (f"at {where}", "look at its metrics"))
        lines.append(f"collectors that have lost events since they started, {what} ({shown}); {fix}")
    return lines


def judge_answer(answer: dict, nonce: str, row: dict) -> str:
    """Why an answer of `prove` is no proof for this node and pod; empty where it is one. Pure."""
    if not answer.get("ok"):
        return str(answer.get("reason") or "the collector gave no reason")
    event = mapping(answer.get("event"))
    if event.get("type") != "exec":
        return f"the answer holds no exec event but {event.get('type')!r}"
    if not isinstance(at(event, "process", "argv"), list) or nonce not in event["process"]["argv"]:
        return "the event does not carry this run's nonce"
    if event.get("node") != row["node"]:
        return f"the event comes from node {event.get('node')!r}"
    if number(answer.get("latency_us")) <= 0:
        return "the answer does not say how long it took"
    seen = text(at(event, "container", "id"))
    if row["container_id"] and seen != row["container_id"]:
        return f"the event is attributed to container {seen[:12] or 'none'}, the agent's is {row['container_id'][:12]}"
    return ""


def _prove(cluster, namespace, row, timeout, proven):
    # In two halves: the first may be told to a backend that is asked for the event, see backend_query.
    nonce = f"{secrets.token_hex(16)}-{secrets.token_hex(16)}"
    started = time.monotonic()
    try:
        code, output, errors = cluster.execute(
            namespace, row["pod"], CONTAINER, [COLLECTOR, "prove", nonce, "--timeout", f"{timeout:g}s"], timeout + _STREAM_MARGIN
        )
    except Failure as failure:
        return _proof(False, reason=failure.message)
    round_trip = (time.monotonic() - started) * 1000
    answer = _read(output)
    if answer is None:
        said = " ".join((errors or output).split())[:200]
        return _proof(False, reason=f"the marker ended with code {code} and no JSON: {said or 'no output'}")
    reason = judge_answer(answer, nonce, row)
    if reason:
        return _proof(False, reason=reason)
    if proven:
        proven(row["node"], nonce, started)
    return _proof(True, round(answer["latency_us"] / 1000, 2), round(round_trip, 1), lost=_lost(answer))


def _read(output):
    """The marker's answer; None where it printed no JSON object."""
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _lost(answer):
    return {where: count for where, count in mapping(answer.get("lost")).items() if number(count) > 0}


def _proof(proven, latency=None, round_trip=None, reason="", lost=None):
    return {"proven": proven, "latency_ms": latency, "round_trip_ms": round_trip, "reason": one_line(reason), "lost": lost or {}}
