# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

from ansible_collections.nanoagent.k8s.tests.faults import kubernetes_faults
from ansible_collections.nanoagent.k8s.tests.faults.fault import Away, Cut, Request
from ansible_collections.nanoagent.k8s.tests.faults.plan import Plan

SEEDS = range(200)
PODS, WATCH = Request("GET", "/api/v1/namespaces/n/pods", "labelSelector=a"), Request("GET", "/api/v1/namespaces/n/pods", "watch=1&resourceVersion=7")
APPLY = Request("PATCH", "/apis/apps/v1/namespaces/n/daemonsets/a", "force=false")


def test_a_seed_is_a_plan():
    for seed in SEEDS:
        one, two = kubernetes_faults.plan(seed), kubernetes_faults.plan(seed)
        assert [one.meet(request) for request in [PODS, WATCH, APPLY] * 20] == [two.meet(request) for request in [PODS, WATCH, APPLY] * 20]
        assert one.describe() == two.describe()
    assert len({kubernetes_faults.plan(seed).describe() for seed in SEEDS}) > 20


def test_the_order_of_different_requests_does_not_matter():
    requests = [Request("GET", f"/{number % 7}") for number in range(70)]
    shuffled = random.Random(1).sample(requests, len(requests))
    for seed in SEEDS:
        one, two = Plan(seed), Plan(seed)
        one.outage = two.outage = one.end = two.end = None

        def met(plan, order):
            return sorted(f"{request.path} {plan.meet(request)}" for request in order)

        assert met(one, requests) == met(two, shuffled)


def test_the_server_goes_away_once_or_for_good():
    plan = next(plan for plan in map(Plan, SEEDS) if plan.outage and not plan.end)
    faults = [plan.meet(Request("GET", f"/{number}")) for number in range(60)]
    assert [number + 1 for number, fault in enumerate(faults) if isinstance(fault, Away)] == [plan.outage[0]]
    plan = next(plan for plan in map(Plan, SEEDS) if plan.end)
    faults = [plan.meet(Request("GET", f"/{number}")) for number in range(60)]
    assert faults[plan.end - 1 :] == [Away(None)] * (61 - plan.end)


def test_every_fault_of_the_menu_occurs_and_only_where_it_can():
    met = {}
    sparing = [seed for seed in SEEDS if not any(kubernetes_faults.plan(seed).decide(PODS, before) for before in range(20))]
    assert len(SEEDS) / 3 < len(sparing) < len(SEEDS)
    for request in (PODS, WATCH, APPLY, Request("GET", "/api/v1/namespaces/n/pods/a-x1/exec", "command=c", upgrade=True)):
        faults = [fault for seed in SEEDS for fault in map(kubernetes_faults.plan(seed).decide, [request] * 20, range(20)) if fault]
        met[request] = {f"{type(fault).__name__} {getattr(fault, 'status', '')}".strip() for fault in faults}
    refusals = {"Answer 429", "Answer 500", "Answer 502", "Answer 503", "Reset"}
    assert met[PODS] == refusals | {"Lose", "Truncate", "Shorten", "Slow"}
    assert met[APPLY] == met[PODS] | {"Answer 409"}
    assert met[WATCH] == refusals | {"Cut", "Answer 200"}
    assert {name for request, names in met.items() if request.upgrade for name in names} == refusals | {"Cut"}


def test_a_request_that_is_spared_is_not_counted():
    plan = next(plan for plan in map(Plan, SEEDS) if plan.end and not plan.outage)
    plan._menu = lambda request: [] if request.method == "GET" else [(1, lambda _draw: Away(1.0))]
    assert not any(plan.meet(PODS) for _number in range(100))
    assert [plan.meet(APPLY) for _number in range(plan.end)][-1] == Away(None)


def test_names_of_pods_do_not_change_the_plan():
    for method, rest in (("GET", "/exec"), ("DELETE", "")):
        one, two = (Request(method, f"/api/v1/namespaces/n/pods/{pod}{rest}", upgrade=bool(rest)) for pod in ("agent-a1", "agent-b2"))
        assert all(kubernetes_faults.plan(seed).decide(one, 0) == kubernetes_faults.plan(seed).decide(two, 0) for seed in SEEDS)


def test_the_description_names_seed_request_and_fault():
    plan = next(plan for plan in map(kubernetes_faults.plan, SEEDS) if isinstance(plan.decide(WATCH, 0), Cut) and not plan.end and not plan.outage)
    fault = plan.meet(WATCH)
    lines = plan.describe().splitlines()
    assert lines[0].startswith(f"seed {plan.seed}: ") and "1 requests came, 1 met a fault:" in lines
    assert lines[-1].strip() == f"request 1, WATCH {WATCH.path} (seen 0 before): {fault}"
