# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as agent_info makes them, of clusters of any size; drawn from a seed, the same ones every time."""

from __future__ import annotations

import random

AT = "2026-11-21T17:00:00Z"
POOLS = ("system", "general", "memory", "gpu-a100", "edge", "windows")
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
# (state, reason, eligible, ready, detail, fix, passing, evidence), and how often one is drawn in a thousand.
CASES = (
    (880, ("ready", "Ready", True, True, "", "", False, None)),
    (30, ("rolling", "Starting", True, False, "the kubelet has not started the pod yet", "", True, None)),
    (20, ("rolling", "OldRevision", True, True, "runs the previous revision and waits for its turn", "", True, None)),
    (
        14,
        (
            "blocked",
            "ImageNotFound",
            True,
            False,
            "registry.example/nanoagent/collector@sha256:1f0c: not found",
            "push the image first (role collector_image), or correct the reference",
            False,
            {
                "source": "status",
                "text": "ErrImagePull: registry.example/nanoagent/collector@sha256:1f0c: not found",
                "first": "2026-11-21T16:41:07Z",
                "last": "2026-11-21T16:59:31Z",
                "count": 9,
            },
        ),
    ),
    (
        6,
        (
            "blocked",
            "Unschedulable",
            True,
            False,
            "0/1 nodes are available: 1 Insufficient memory",
            "free what the scheduler's message names, or give the agent a priority class",
            False,
            {"source": "condition", "text": "0/1 nodes are available: 1 Insufficient memory", "first": "2026-11-21T16:20:00Z", "last": AT, "count": 1},
        ),
    ),
    (22, ("not eligible", "NotEligible", False, False, "taint dedicated=licence:NoSchedule is not tolerated", "add a toleration", False, None)),
    (9, ("node down", "NodeDown", True, False, "Kubelet stopped posting node status.", "bring the node's kubelet back", False, None)),
    (12, ("joining", "Joining", True, False, "the node joined 40 s ago and its network is not ready", "", True, None)),
    (5, ("not a real node", "NotReal", False, False, "virtual kubelet: no machine that an agent could watch", "", False, None)),
    (2, ("unknown", "Unreadable", False, False, "the operator of a selector cannot be read", "correct the field that is named", False, None)),
)


def row(name: str = "node-1", case: tuple = CASES[0][1], live: bool = True, **changes) -> dict:
    """One node's row; case as in CASES."""
    state, reason, eligible, ready, detail, fix, passing, evidence = case
    blockers = [{"kind": "taint", "detail": detail, "since": "2026-11-20T08:00:00Z", "passing": False}] if state == "not eligible" else []
    made = {
        "node": name,
        "uid": f"uid-{name}",
        "os": "linux",
        "arch": "amd64",
        "kernel": "6.18.7-cloud-amd64",
        "version": "v1.36.3",
        "runtime": "containerd://2.4.2",
        "pool": "general",
        "zone": ZONES[0],
        "created": "2026-10-02T09:15:00Z",
        "cordoned": False,
        "up": state != "node down",
        "not_real": "virtual kubelet" if state == "not a real node" else "",
        "eligible": eligible,
        "blockers": blockers,
        "daemon_set": "nanoagent" if eligible else "",
        "pod": f"nanoagent-{name[-5:]}" if eligible else "",
        "pods": [f"nanoagent-{name[-5:]}"] if eligible else [],
        "container_id": "",
        "revision": "7d9c5b6f4",
        "current": reason != "OldRevision" if eligible else None,
        "image_ok": True if ready else None,
        "ready": ready,
        "confidence": "proven" if ready and live else "probed" if ready else "",
        "state": state,
        "reason": reason,
        "detail": detail,
        "fix": fix,
        "passing": passing,
        "final": reason == "ImageNotFound",
        "evidence": evidence or {"source": "none", "text": "", "first": "", "last": "", "count": 0},
    }
    if live and eligible:
        made["proof"] = {"proven": ready, "latency_ms": 21.3, "round_trip_ms": 140.2, "reason": "" if ready else "no pod is ready there"}
    return {**made, **changes}


def report(rows: list[dict], live: bool = True, **changes) -> dict:
    """The report of these rows, as it comes from the verdicts; ok and failures are left to the policy."""
    rows = sorted(rows, key=lambda each: each["node"])
    states, groups = {}, {}
    for each in rows:
        states[each["state"]] = states.get(each["state"], 0) + 1
        if each["state"] not in ("ready", "not eligible", "not a real node"):
            groups.setdefault((each["state"], each["reason"]), []).append(each)
    summary = {
        "nodes": len(rows),
        "real": sum(1 for each in rows if not each["not_real"]),
        "eligible": sum(1 for each in rows if each["eligible"]),
        "ready": states.get("ready", 0),
        "states": states,
    }
    if live:
        summary["proven"] = sum(1 for each in rows if (each.get("proof") or {}).get("proven"))
    keys = ("detail", "fix", "passing")
    return {
        "installed": True,
        "ok": all(each["state"] == "ready" for each in rows if each["eligible"]) and summary["eligible"] > 0,
        "at": AT,
        "cluster": {"server": "https://kubernetes.example:6443", "version": "v1.36.3"},
        "daemon_sets": ["nanoagent/nanoagent"],
        "summary": summary,
        **({"latency_ms": {"p50": 20.9, "p99": 88.4}} if live else {}),
        "headline": f"nodes {summary['nodes']}, eligible {summary['eligible']}, ready {summary['ready']}",
        "table": [f"{each['node']}  {each['state']}" for each in rows],
        "causes": [f"{reason} on {len(group)} nodes" for (_state, reason), group in groups.items()],
        "nodes": rows,
        "groups": [
            {"state": state, "reason": reason, "nodes": [each["node"] for each in group], **{key: group[0][key] for key in keys}}
            for (state, reason), group in sorted(groups.items(), key=lambda item: -len(item[1]))
        ],
        "requests": {"read": 5, "write": 0},
        "failures": [],
        "allowed": [],
        **changes,
    }


def cluster(count: int, seed: int = 1, live: bool = True) -> dict:
    """The report of a cluster of `count` nodes in pools and zones, in every state where there are enough of them."""
    draw = random.Random(seed)
    weights, cases = zip(*CASES)
    rows = []
    for number in range(count):
        pool = draw.choices(POOLS, (4, 60, 14, 8, 10, 4))[0]
        name = f"{pool}-{number:05d}-{draw.getrandbits(20):05x}"
        case = draw.choices(cases, weights)[0] if pool != "windows" else CASES[5][1]
        more = {"os": "windows"} if pool == "windows" else {"arch": "arm64"} if pool == "edge" else {}
        rows.append(row(name, case, live, pool=pool, zone=draw.choice(ZONES), cordoned=draw.random() < 0.01, **more))
    return report(rows, live)
