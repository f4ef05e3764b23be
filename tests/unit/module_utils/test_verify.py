# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What agent_info asks of an API server, and what it makes of what it may not read; the objects are those of fakes.cluster_objects."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.nanoagent.k8s.plugins.modules import agent_info
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer
from ansible_collections.nanoagent.k8s.tests.unit.fakes.cluster_objects import EARLIER, NAMESPACE, NEWEST, daemon_set, ended, event, node, pod

DATE = {"Date": "Sun, 01 Mar 2026 12:00:00 GMT"}
LISTS = ("nodes", "pods", "events", "deployments", "controllerrevisions", "daemonsets")


def revision(digest, number):
    owner = {"kind": "DaemonSet", "name": "nanoagent", "uid": "uid-of-nanoagent"}
    return {"revision": number, "metadata": {"name": digest, "labels": {"controller-revision-hash": digest}, "ownerReferences": [owner]}}


class Server:
    """Answers from lists of objects. refused: kinds that may not be listed; page: items a page; logs: of every container; version: none says 404."""

    version = ""

    def __init__(self, daemon_sets=(), refused=(), page=1000, logs="", **lists):
        self.objects = {kind: [] for kind in LISTS} | {"daemonsets": list(daemon_sets)} | lists
        self.refused, self.page, self.logs = refused, page, logs

    def __call__(self, _method, path, query):
        parts = path.strip("/").split("/")
        if path == "/version" and self.version:
            return 200, {"major": "1", "minor": "36", "gitVersion": self.version}, DATE
        if parts[-1] == "log":
            return 200, self.logs.encode(), DATE
        if parts[-1] in LISTS:
            return self.list(parts[-1], query)
        found = [item for item in self.objects["daemonsets"] if "daemonsets" in parts and item["metadata"]["name"] == parts[-1]]
        return (200, found[0], DATE) if found else (404, {}, DATE)

    def list(self, kind, query):
        if kind in self.refused:
            where = "at the cluster scope" if kind == "nodes" else f'in the namespace "{NAMESPACE}"'
            message = f'{kind} is forbidden: User "eve" cannot list resource "{kind}" in API group "" {where}'
            return 403, {"kind": "Status", "reason": "Forbidden", "message": message}, DATE
        items, start = self.objects[kind], int(query.get("continue") or 0)
        rest = start + self.page
        return 200, {"metadata": {"resourceVersion": "9", "continue": str(rest) if rest < len(items) else ""}, "items": items[start:rest]}, DATE


@pytest.fixture
def ask(run_module):
    """ask(server, **options) -> (result, what the server was asked for)."""

    def run(server, **options):
        with FakeApiServer(server) as api:
            result = run_module(agent_info.main, {"host": api.url, "api_key": "a-token-of-this-test", "drift": "ignore", **options})
        json.dumps(result)
        return result, [path.rpartition("/")[2] for _method, path, _query in api.seen]

    return run


def well(count=2, **more):
    status = {"updatedNumberScheduled": count, "desiredNumberScheduled": count}
    names = [f"n{number}" for number in range(count)]
    lists = {"nodes": [node(name) for name in names], "pods": [pod(name) for name in names], **more}
    return Server([daemon_set(status=status)], **lists)


def test_five_requests_where_all_is_well(ask):
    result, asked = ask(well())
    assert result["ok"] and result["headline"] == "nodes 2, eligible 2, ready 2" and not result["causes"] and not result.get("warnings")
    assert sorted(asked) == ["deployments", "events", "nanoagent", "nodes", "pods"] and result["requests"] == {"read": 5, "write": 0}
    assert result["at"] == "2026-03-01T12:00:00Z" and result["daemon_sets"] == ["nanoagent/nanoagent"]


@pytest.mark.parametrize("option", ["live_timeout", "live_parallel", "watch_timeout"])
@pytest.mark.parametrize("number", [0, -10])
def test_a_number_that_allows_for_nothing_is_refused_before_anything_is_asked(ask, option, number):
    server = well()
    result, asked = ask(server, live=True, **{option: number})
    assert result["msg"] == f"{option} {number} is below 1. Next: use 1 or more." and not asked


@pytest.mark.parametrize(
    ("options", "looked_up"),
    [({"daemon_sets": ["arm", "amd"]}, ["amd", "arm"]), ({"selector": "team=sec"}, []), ({}, ["nanoagent"]), ({"name": "mine"}, ["mine"])],
)
def test_drift_is_of_what_was_asked_for(ask, options, looked_up):
    server = well()
    server.objects["daemonsets"] = []
    result, _asked = ask(server, drift="report", **options)
    assert sorted(re.findall(r"ConfigMap nanoagent/(\S+),", result["drift_unknown"])) == looked_up
    assert not result["ok"]


@pytest.mark.parametrize("version", ["v1.36.3", ""])
def test_the_cluster_s_version_costs_one_more_where_reports_show_it(ask, tmp_path, version):
    server = well()
    server.version = version
    result, asked = ask(server, reports={"markdown": str(tmp_path / "report.md")})
    assert asked.count("version") == 1 and len(asked) == 6 and result["ok"]
    assert result["cluster"]["version"] == version and ("Kubernetes v1.36.3" in (tmp_path / "report.md").read_text()) == bool(version)


def test_the_revisions_are_read_where_pods_differ(ask):
    server = well(controllerrevisions=[revision(EARLIER, 1), revision(NEWEST, 2)])
    server.objects["pods"][0] = pod("n0", revision=EARLIER)
    result, asked = ask(server)
    assert sorted(asked) == ["controllerrevisions", "deployments", "events", "nanoagent", "nodes", "pods"]
    assert [row["reason"] for row in result["nodes"]] == ["OldRevision", "Ready"] and not result["ok"]


def test_many_nodes_come_in_pages(ask):
    server = well(60)
    server.page = 25
    result, asked = ask(server)
    assert result["summary"]["ready"] == 60 and asked.count("nodes") == asked.count("pods") == 3


def test_only_the_nodes_that_are_not_well_come_back_where_that_is_asked_for(ask, tmp_path):
    server = well(3, controllerrevisions=[revision(NEWEST, 1)])
    server.objects["pods"].pop(1)
    full = tmp_path / "full.json"
    result, _asked = ask(server, nodes_returned="not_well", reports={"json": str(full)})
    assert [row["node"] for row in result["nodes"]] == ["n1"] and result["summary"]["nodes"] == 3
    assert [row["node"] for row in json.loads(full.read_text())["nodes"]] == ["n0", "n1", "n2"]
    assert len(ask(server)[0]["nodes"]) == 3


@pytest.mark.parametrize(
    ("refused", "what", "reason"),
    [
        ("nodes", "the user eve may not list nodes in the whole cluster", "NodesUnreadable"),
        ("pods", "the user eve may not list pods in namespace nanoagent", "PodsUnreadable"),
    ],
)
def test_without_the_right_nothing_is_green(ask, refused, what, reason):
    server = well()
    server.refused = (refused,)
    result, _asked = ask(server)
    assert not result.get("failed") and result["installed"] and not result["ok"]
    assert result["summary"] == {"nodes": 2, "real": 2, "eligible": 2, "ready": 0, "states": {"unknown": 2}}
    assert f"{reason} on 2 nodes (n0, n1): {what}; grant the verb list on {refused} {what.partition(refused + ' ')[2]}" in result["causes"]


def test_without_nodes_and_pods_nothing_is_known_at_all(ask):
    server = well()
    server.refused = ("nodes", "pods")
    result, _asked = ask(server)
    assert not result["ok"] and result["nodes"] == []
    assert any("may not list nodes" in cause for cause in result["causes"]) and any("may not list pods" in cause for cause in result["causes"])


def test_without_revisions_an_update_is_unknown(ask):
    server = well()
    server.refused = ("controllerrevisions",)
    server.objects["pods"][0] = pod("n0", revision=EARLIER)
    result, _asked = ask(server)
    assert not result["ok"] and {row["reason"] for row in result["nodes"]} == {"RevisionUnknown"}
    assert "the user eve may not list controllerrevisions in namespace nanoagent" in json.dumps(result["warnings"])


def test_without_events_verdicts_go_on(ask):
    server = well()
    server.refused = ("events", "deployments")
    result, _asked = ask(server)
    assert result["ok"] and all(f"the user eve may not list {kind}" in json.dumps(result["warnings"]) for kind in ("events", "deployments"))


@pytest.mark.parametrize("nodes", [[], [node(taints=[("a", "NoSchedule")])]])
def test_nobody_eligible_is_not_well(ask, nodes):
    result, _asked = ask(Server([daemon_set(template={"tolerations": []})], nodes=nodes))
    assert not result["ok"] and "no node is eligible" in result["causes"]


def test_a_daemon_set_that_is_being_deleted_is_not_well(ask):
    server = well()
    server.objects["daemonsets"][0]["metadata"]["deletionTimestamp"] = "2026-03-01T11:59:00Z"
    result, _asked = ask(server)
    assert not result["ok"] and "DaemonSet nanoagent/nanoagent is being deleted" in result["causes"][0]


def test_the_log_of_what_crashes_is_read_three_times_at_most(ask):
    names = [f"n{number}" for number in range(5)]
    crashed = [pod(name, ready=False, container=ended(1, restarts=4, back_off=True)) for name in names]
    server = Server([daemon_set()], nodes=[node(name) for name in names], pods=crashed, controllerrevisions=[revision(NEWEST, 1)], logs="\n\nno BTF\nbye\n")
    result, asked = ask(server)
    assert asked.count("log") == 3
    assert [row["evidence"]["source"] for row in result["nodes"]] == ["log"] * 3 + ["status"] * 2
    assert "exit code 1 (Error), restarts: 4; last log: no BTF / bye" in result["causes"][1]


def test_an_event_from_before_our_last_write_is_over(ask):
    server = Server([daemon_set()], nodes=[node()], controllerrevisions=[revision(NEWEST, 1)], events=[event("FailedCreate", "exceeded quota", last=600)])
    assert ask(server)[0]["nodes"][0]["reason"] == "QuotaExceeded"
    ours = {"manager": "nanoagent.k8s", "operation": "Apply", "time": "2026-03-01T11:55:00Z", "fieldsV1": {}}
    server.objects["daemonsets"][0]["metadata"]["managedFields"] = [ours]
    assert ask(server)[0]["nodes"][0]["reason"] == "NoPod"


# -- several DaemonSets


def pools():
    arm, amd = (
        daemon_set(name, template={"nodeSelector": {"arch": name}}, status={"updatedNumberScheduled": 1, "desiredNumberScheduled": 1})
        for name in ("arm", "amd")
    )
    nodes = [node("n1", labels={"arch": "arm"}), node("n2", labels={"arch": "amd"})]
    return Server([arm, amd, daemon_set("web")], nodes=nodes)


@pytest.mark.parametrize("which", [{"daemon_sets": ["arm", "amd"]}, {"selector": "app=agent"}])
def test_several_daemon_sets_are_one_agent(ask, which):
    server = pools()
    if "selector" in which:
        del server.objects["daemonsets"][2]
    pods = {"arm": [pod("n1", of="arm")], "amd": [pod("n2", of="amd")]}

    def answer(method, path, query):
        if path.endswith("/pods"):
            server.objects["pods"] = pods[query["labelSelector"].partition("instance=")[2].partition(",")[0]]
        return server(method, path, query)

    result, asked = ask(answer, **which)
    assert asked.count("daemonsets") == 1 and asked.count("pods") == 2
    assert result["daemon_sets"] == ["nanoagent/amd", "nanoagent/arm"]
    assert [row["daemon_set"] for row in result["nodes"]] == ["nanoagent/arm", "nanoagent/amd"]
    assert result["ok"], result["causes"]


def test_one_that_does_not_exist_is_named(ask):
    result, _asked = ask(pools(), daemon_sets=["arm", "gone"])
    assert result["installed"] and not result["ok"]
    assert "DaemonSet nanoagent/gone does not exist: the agent is not installed; run the playbook nanoagent.k8s.install" in result["causes"]


def test_labels_that_nothing_has_are_not_installed(ask):
    result, _asked = ask(Server(), selector="app=agent")
    assert (result["installed"], result["ok"]) == (False, False)
    assert result["causes"] == ["no DaemonSet in namespace nanoagent has the labels app=agent"]


def test_names_and_labels_exclude_each_other(ask):
    result, asked = ask(Server(), selector="a=b", daemon_sets=["a"])
    assert result["failed"] and "mutually exclusive" in result["msg"] and not asked


# -- the monitor


def test_a_cluster_monitor_that_does_not_run_is_not_well(ask):
    template = {"metadata": {"labels": {"app.kubernetes.io/component": "cluster-monitor"}}}
    monitor = {"metadata": {"name": "monitor", "namespace": NAMESPACE}, "spec": {"template": template}, "status": {"readyReplicas": 0, "updatedReplicas": 1}}
    result, _asked = ask(well(deployments=[monitor]))
    assert not result["ok"] and result["causes"][0].startswith("cluster monitor nanoagent/monitor: 0 of 1 replicas are ready")
    monitor["status"]["readyReplicas"] = 1
    result, _asked = ask(well(deployments=[monitor]))
    assert result["ok"] and result["monitors"] == [{"name": "nanoagent/monitor", "replicas": 1, "ready": 1, "leader": "", "ok": True, "detail": ""}]


@pytest.mark.parametrize(("lease", "leader"), [({"spec": {"holderIdentity": "m-1", "renewTime": "2026-03-01T11:59:59.000000Z"}}, "m-1"), (None, "")])
def test_our_own_cluster_monitor_needs_a_leader(ask, lease, leader):
    template = {"metadata": {"labels": {"app.kubernetes.io/component": "cluster-monitor"}}, "spec": {"containers": [{"command": ["/monitor"]}]}}
    monitor = {"metadata": {"name": "m", "namespace": NAMESPACE}, "spec": {"template": template}, "status": {"readyReplicas": 1, "updatedReplicas": 1}}
    server = well(deployments=[monitor])

    def answer(method, path, query):
        if path.endswith("/leases/m"):
            return (200, lease, DATE) if lease else (404, {}, DATE)
        return server(method, path, query)

    result, asked = ask(answer)
    assert result["ok"] is bool(leader) and result["monitors"][0]["leader"] == leader and asked.count("m") == 1
