# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

"""Against a server that answers what a test wants; on a real cluster it is tests/integration/test_preflight.py."""

import json

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nanoagent.k8s.plugins.module_utils import admission, findings
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work as install
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER
from ansible_collections.nanoagent.k8s.plugins.module_utils.expected_nodes import eligibility_findings, expected_nodes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS
from ansible_collections.nanoagent.k8s.plugins.module_utils.preflight import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing_advice import sizing_findings
from ansible_collections.nanoagent.k8s.plugins.modules import agent
from ansible_collections.nanoagent.k8s.plugins.modules.preflight import argument_spec
from ansible_collections.nanoagent.k8s.tests.unit.fakes.agent_options import IMAGE, daemon_set
from ansible_collections.nanoagent.k8s.tests.unit.fakes.api_server import FakeApiServer

PLURALS = {kind.plural: kind for kind in KINDS.values()}


def node(name="n1", cpu="4", memory="8Gi", kernel="6.8.0", arch="amd64", ready="True", labels=None, taints=None, **info):
    info = {"kernelVersion": kernel, "architecture": arch, "operatingSystem": "linux", "osImage": "Debian", "kubeletVersion": "v1.36.3", **info}
    return {
        "metadata": {"name": name, "uid": name, "labels": {"kubernetes.io/os": info["operatingSystem"], "kubernetes.io/arch": arch, **(labels or {})}},
        "spec": {"taints": taints or []},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}, "nodeInfo": info, "conditions": [{"type": "Ready", "status": ready}]},
    }


class World:
    """What a server holds, by path of the list.

    refused: (verb, plural) that are forbidden. deny: message with which a pod is refused. container: fields that a webhook gives a pod's.
    """

    def __init__(self, *nodes, namespaces=(), refused=(), deny="", version=("1", "36"), container=None, **lists):
        self.lists = {"nodes": list(nodes), **lists}
        self.container = container or {}
        self.namespaces = dict(namespaces)
        self.refused, self.deny, self.version = set(refused), deny, version

    def answer(self, method, path, query):
        parts = path.strip("/").split("/")
        if path == "/version":
            return 200, {"major": self.version[0], "minor": self.version[1]}
        if path == "/apis":
            return 200, {"groups": []}
        if parts[-1] == "selfsubjectaccessreviews":
            return 201, {"status": {"allowed": not self.refused}}
        plural = next((part for part in reversed(parts) if part in PLURALS), "")
        named = parts[-1] != plural
        verb = {"GET": "get" if named else "list", "POST": "create", "PATCH": "patch"}[method]
        if (verb, plural) in self.refused:
            return 403, status(403, f'{plural} is forbidden: User "u" cannot {verb} resource "{plural}" in API group ""')
        if verb == "list":
            # The agent's own pods are those of its namespace; there are none.
            return 200, {"items": [] if plural == "pods" and "namespaces" in parts else self.lists.get(plural, []), "metadata": {"resourceVersion": "1"}}
        if verb == "get" and plural == "namespaces" and parts[-1] in self.namespaces:
            return 200, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": parts[-1], "uid": "u", "labels": self.namespaces[parts[-1]]}}
        if verb == "get":
            return 404, status(404, "not found")
        assert query["dryRun"] == "All", (method, path)
        if plural == "pods" and self.deny:
            return 403, status(403, self.deny)
        made = daemon_set()["spec"]["template"]["spec"]
        made["containers"][0] |= self.container
        return 201, {"metadata": {"name": "x"}, "spec": made}


def status(code, message):
    return {"kind": "Status", "status": "Failure", "message": message, "reason": "Forbidden" if code == 403 else "NotFound", "code": code}


def look_ahead(world, check_mode=False, **given):
    # Dozens of questions about rights are for the tests of these.
    given = {"image": IMAGE, "skip": ["image", "rights"], **given}
    with FakeApiServer(world.answer) as server:
        checked = ArgumentSpecValidator(argument_spec()).validate({"host": server.url, "api_key": "a-token-of-this-test", **given})
        assert not checked.error_messages, checked.error_messages
        result = work(checked.validated_parameters, Run(check_mode, argument_spec=argument_spec()))
        # Nothing is ever written by what these tests ask for.
        assert result["requests"]["write"] == 0 and not result["changed"]
    return result


def by_check(result):
    found = {}
    for one in result["checks"]:
        found.setdefault(one["check"], []).append(one)
    return found


def results(result):
    return {check: [one["result"] for one in found] for check, found in by_check(result).items()}


def test_an_installation_from_nothing_on_a_plain_cluster():
    result = look_ahead(World(node("n1"), node("n2")), skip=["image"])
    told = results(result)
    assert result["ok"] and not result["errors"]
    assert told["api_version"] == told["rights"] == told["plan"] == told["eligibility"] == told["kernel"] == told["runtime_classes"] == ["ok"]
    assert told["room"] == told["quota"] == told["pod_security"] == ["ok"] and "image" not in told and "tier" not in told
    assert told["egress"] == ["skipped"] and told["admission"] == ["ok", "skipped"]
    # 6 cores on a node of 4.
    assert told["sizing"] == ["warning"]
    assert result["plan"].startswith("create ") and result["plan"].endswith("keep 0")
    assert [row["node"] for row in result["nodes"]] == ["n1", "n2"] and result["nodes"][0]["room"] == "fits"
    assert result["headline"] == "errors 0, warnings 1, ok 10, skipped 2"
    assert result["table"][0].split() == ["RESULT", "CHECK", "FINDING"] and len(result["table"]) == 14


def test_strict_makes_errors_of_warnings():
    result = look_ahead(World(node()), strict=["sizing"])
    assert not result["ok"] and result["errors"][0].startswith("sizing: cpu limit 6 is 150.0 percent of the smallest node")
    assert look_ahead(World(node()), limit_warning_percent=150)["headline"].startswith("errors 0, warnings 0")


def test_the_very_pod_is_judged_where_the_namespace_is():
    refused = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes'
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    result = look_ahead(World(node(), namespaces=[("nanoagent", restricted)], deny=refused))
    found = by_check(result)
    assert "violates PodSecurity" in found["admission"][0]["evidence"] and found["admission"][0]["result"] == "error"
    assert found["pod_security"][0]["result"] == "error" and "enforces restricted" in found["pod_security"][0]["evidence"]
    # The server's word counts more: it knows of exemptions.
    exempt = by_check(look_ahead(World(node(), namespaces=[("nanoagent", restricted)])))
    assert exempt["pod_security"][0]["result"] == "ok" and "exemption" in exempt["pod_security"][0]["evidence"]
    assert "without service account nanoagent" in exempt["admission"][1]["evidence"]


def test_a_webhook_that_cannot_be_tried_is_no_error():
    refused = 'admission webhook "w.example" does not support dry run'
    found = by_check(look_ahead(World(node(), namespaces=[("nanoagent", {})], deny=refused)))
    assert ("skipped", True) in [(one["result"], "w.example" in one["evidence"]) for one in found["admission"]]
    assert "error" not in [one["result"] for one in found["admission"]]


class OpenShift(World):
    """It serves SecurityContextConstraints."""

    def answer(self, method, path, query):
        if path == "/apis/security.openshift.io/v1":
            return 200, {"resources": [{"name": "securitycontextconstraints", "kind": "SecurityContextConstraints"}]}
        return super().answer(method, path, query)


def test_a_pod_whose_security_context_constraints_are_still_to_be_made_cannot_be_judged_yet():
    refused = 'pods "x" is forbidden: unable to validate against any security context constraint: [provider restricted-v2: Forbidden]'
    home = [("nanoagent", {})]
    result = look_ahead(OpenShift(node(), namespaces=home, deny=refused))
    [told] = [one for one in result["checks"] if one["check"] == "admission" and "pod of the agent" in one["object"]]
    assert told["result"] == "skipped" and told["evidence"] == (
        "cannot be judged yet: SecurityContextConstraints nanoagent.nanoagent, Role nanoagent/nanoagent-scc, RoleBinding nanoagent/nanoagent-scc, "
        "service account nanoagent are made first"
    )
    # Another refusal is one, and so is this where nothing is to come that could change it.
    for world, given in (
        (OpenShift(node(), namespaces=home, deny="exceeded quota: small"), {}),
        (World(node(), namespaces=home, deny=refused), {"create_service_account": False}),
    ):
        [told] = [one for one in look_ahead(world, **given)["checks"] if one["check"] == "admission" and "pod of the agent" in one["object"]]
        assert told["result"] == "error", told


def test_openshift_is_recognised_by_what_it_serves_and_its_lines_are_told():
    notes = look_ahead(OpenShift(node()))["notes"]
    assert any(note.startswith("openshift: selinux_type = spc_t: ") for note in notes)
    assert not look_ahead(OpenShift(node()), platform="none")["notes"]
    # Also where no plan could be made.
    forbidden = look_ahead(OpenShift(node(), refused=[("list", "configmaps")]), egress_urls=["https://orc.example.com"], write=True)
    assert forbidden["plan"] == ""


def test_a_node_that_only_a_taint_says_is_no_machine_is_not_eligible_and_is_told():
    virtual = node("virtual", taints=[{"key": "virtual-kubelet.io/provider", "effect": "NoSchedule"}])
    result = look_ahead(World(node(), virtual))
    assert [(row["node"], row["eligible"]) for row in result["nodes"]] == [("n1", True), ("virtual", False)]
    [note] = [note for note in result["notes"] if note.startswith("virtual-kubelet: ")]
    assert note.startswith("virtual-kubelet: 1 node cannot be left out: only a taint says so; ")
    assert by_check(result)["eligibility"][0]["evidence"] == "1 of 2 nodes are eligible; left out as no Linux machines: virtual kubelet"
    alone = look_ahead(World(virtual))
    assert by_check(alone)["eligibility"][0]["evidence"] == "none of the 1 node is eligible: virtual kubelet: no machine that an agent could watch"


def test_an_installation_onto_nothing_but_such_nodes_is_refused():
    virtual = node("virtual", taints=[{"key": "virtual-kubelet.io/provider", "effect": "NoSchedule"}])
    with FakeApiServer(World(virtual).answer) as server:
        checked = ArgumentSpecValidator(agent.argument_spec()).validate({"host": server.url, "api_key": "a-token-of-this-test", "image": IMAGE})
        with pytest.raises(Failure) as caught:
            install(checked.validated_parameters, Run(True, argument_spec=agent.argument_spec()))
    assert "none of the 1 nodes is eligible: virtual kubelet: no machine that an agent could watch" in caught.value.message


@pytest.mark.parametrize(("given", "labels"), [({"pod_security": "restricted"}, None), ({}, {"pod-security.kubernetes.io/enforce": "restricted"})])
def test_an_installation_says_what_its_namespace_enforces(given, labels):
    with FakeApiServer(World(node(), namespaces=[("nanoagent", labels)] if labels else []).answer) as server:
        asked = {"host": server.url, "api_key": "a-token-of-this-test", "image": IMAGE, **given}
        checked = ArgumentSpecValidator(agent.argument_spec()).validate(asked)
        [line] = install(checked.validated_parameters, Run(True, argument_spec=agent.argument_spec()))["notes"]
    assert line.startswith("the namespace nanoagent enforces restricted, and the pod has hostPath volumes (pod-logs, container-logs), ")


def test_who_may_not_make_pods_is_told_that_it_was_not_tried():
    found = by_check(look_ahead(World(node(), namespaces=[("nanoagent", {})], refused=[("create", "pods")])))
    skipped = [one for one in found["admission"] if one["result"] == "skipped"]
    assert [one for one in skipped if "needs no right to make pods" in one["evidence"]]


def test_who_may_not_read_gets_what_can_be_said_without():
    result = look_ahead(World(node(), refused=[("list", "nodes"), ("list", "pods"), ("list", "runtimeclasses"), ("list", "resourcequotas")]), skip=["image"])
    told = results(result)
    assert not result["ok"] and told["rights"][0] == "error"
    assert told["plan"] == told["eligibility"] == told["kernel"] == told["room"] == told["runtime_classes"] == told["quota"] == ["skipped"]
    assert result["plan"] == "" and result["nodes"] == []


def test_rights_are_told_where_the_size_of_the_nodes_is_not_known():
    told = by_check(look_ahead(World(node(), refused=[("list", "nodes")]), skip=["image"], limit_percent=5))
    assert any("daemonsets.apps in namespace nanoagent" in one["evidence"] for one in told["rights"]) and told["plan"][0]["result"] == "skipped"


def test_only_the_pods_of_others_may_not_be_read():
    world = World(node(), refused=[("list", "pods")], namespaces=[("nanoagent", {})])
    plain = world.answer

    def answer(method, path, query):
        return (200, {"items": [], "metadata": {}}) if path == "/api/v1/namespaces/nanoagent/pods" and method == "GET" else plain(method, path, query)

    world.answer = answer
    result = look_ahead(world)
    found = by_check(result)
    assert found["room"][0]["result"] == "skipped" and "list pods" in found["room"][0]["evidence"]
    assert found["eligibility"][0]["result"] == found["plan"][0]["result"] == "ok"


def test_no_namespace_and_none_to_be_made():
    result = look_ahead(World(node()), create_namespace=False)
    found = by_check(result)
    assert found["plan"][0]["evidence"] == "the namespace nanoagent does not exist" and found["plan"][0]["result"] == "error"
    assert found["eligibility"][0]["result"] == "ok" and result["nodes"][0]["eligible"]


def test_nobody_is_eligible():
    result = look_ahead(World(node(labels={"a": "b"}), node("n2")), node_selector={"no": "where"})
    [found] = by_check(result)["eligibility"]
    assert found["result"] == "error" and "none of the 2 nodes is eligible: node selector no=where" in found["evidence"]
    assert by_check(look_ahead(World()))["eligibility"][0]["evidence"] == "the cluster has no nodes"


def pod(name, where, cpu, priority=0, uid="other"):
    spec = {"nodeName": where, "priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}
    return {"metadata": {"name": name, "namespace": "a", "uid": uid, "labels": {}}, "spec": spec, "status": {"phase": "Running"}}


def test_room_with_and_without_a_class():
    world = World(node("n1"), node("n2"), pods=[pod("big", "n1", "3950m")])
    [found, _fits] = by_check(look_ahead(world))["room"]
    assert found["result"] == "error" and found["nodes"] == ["n1"] and "cpu: 100m wanted, 50m of 4 free" in found["evidence"]
    result = look_ahead(world, priority_class={"name": "agent", "value": 1000})
    [found, _fits] = by_check(result)["room"]
    assert found["result"] == "warning" and "priority 1000 of class agent the scheduler would end a/big" in found["evidence"]
    assert result["nodes"][0]["room"] == "preempts (a/big)"
    polite = {"name": "agent", "value": 1000, "preemption_policy": "Never"}
    assert results(look_ahead(world, priority_class=polite))["room"] == ["error", "ok"]
    # A class that the cluster has already.
    there = World(node("n1"), pods=[pod("big", "n1", "3950m")], priorityclasses=[{"metadata": {"name": "p"}, "value": 7}])
    assert results(look_ahead(there, priority_class={"name": "p", "create": False}))["room"] == ["warning"]


LIMITS_ONLY = {"limits": {"cpu": "2", "memory": "4Gi"}}


@pytest.mark.parametrize(
    ("world", "given"),
    [({}, {}), ({"namespaces": [("nanoagent", {})]}, {"skip": ["image", "rights", "admission"]}), ({"refused": [("create", "pods")]}, {})],
)
def test_a_template_that_only_limits_needs_what_its_pods_will_request(world, given):
    result = look_ahead(World(node("small", "1", "2Gi"), node("large"), **world), resources=LIMITS_ONLY, **given)
    [found, _fits] = by_check(result)["room"]
    assert found["nodes"] == ["small"] and "cpu: 2 wanted, 1 of 1 free, memory: 4096Mi wanted, 2048Mi of 2048Mi free" in found["evidence"]


def quota(hard, used, **spec):
    return {
        "kind": "ResourceQuota",
        "metadata": {"namespace": "nanoagent", "name": "q"},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used},
    }


def test_a_quota_judges_the_pod_that_was_admitted():
    lists = {"resourcequotas": [quota({"requests.cpu": "1"}, {})], "namespaces": [("nanoagent", {})]}
    changed = World(node(), **lists, container={"resources": {"requests": {"cpu": "1"}}})
    assert results(look_ahead(changed, resources=LIMITS_ONLY))["quota"] == ["ok"]
    [found] = by_check(look_ahead(World(node(), **lists, refused=[("create", "pods")]), resources=LIMITS_ONLY))["quota"]
    assert found["result"] == "error" and "requests.cpu: 2 more wanted" in found["evidence"]


def test_a_quota_counts_the_pod_with_its_class_which_the_dry_run_did_without():
    scope = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["agent"]}]}
    world = World(node(), namespaces=[("nanoagent", {})], resourcequotas=[quota({"pods": "0"}, {}, scopeSelector=scope)])
    [found] = by_check(look_ahead(world, priority_class={"name": "agent", "value": 1000}))["quota"]
    assert found["result"] == "error" and "pods: 1 more wanted" in found["evidence"]


class Installed(World):
    """An agent of another image runs on its nodes and takes cpu there. selector: of its DaemonSet; ports: those of its container."""

    def __init__(self, *nodes, cpu="100m", selector=None, ports=(), **more):
        former = daemon_set()
        former["metadata"] |= {"uid": "set"}
        former["spec"]["selector"] = selector or former["spec"]["selector"]
        spec = former["spec"]["template"]["spec"]
        spec["containers"][0] |= {"image": IMAGE.replace("ab", "cd"), "resources": {"requests": {"cpu": cpu}}, "ports": list(ports)}
        self.daemon_set = former
        self.agents = []
        for one in nodes:
            name = one["metadata"]["name"]
            pod = {"metadata": {"name": name, "namespace": "nanoagent", "uid": f"of-{name}", "labels": {}}, "spec": {**spec, "nodeName": name}}
            self.agents.append({**pod, "status": {"phase": "Running"}})
        super().__init__(*nodes, namespaces=[("nanoagent", {})], pods=self.agents, **more)

    def answer(self, method, path, query):
        if method == "GET" and path.endswith("/namespaces/nanoagent/pods"):
            return 200, {"items": self.agents, "metadata": {"resourceVersion": "1"}}
        if method == "GET" and path.endswith("/daemonsets/nanoagent"):
            return 200, self.daemon_set
        return super().answer(method, path, query)


EXPRESSIONS = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
SURGE = {"max_surge": 1, "max_unavailable": "0"}
TAKES_A_PORT = {"host_network": True, "metrics": {"scrape": "annotations"}}
METRICS_PORT = {"containerPort": 9464, "hostPort": 9464}
NO_SURGE, DELETE_FIRST = "use max_unavailable in place of max_surge", "delete the former DaemonSet with its pods first"


@pytest.mark.parametrize(
    ("pods", "selector", "given", "lacking", "fix"),
    [
        (3, None, {}, None, ""),
        (3, None, SURGE, "pods: 1 more wanted, 0 of 3 left, while new pods run beside the former ones", f"raise the quota by 1, or {NO_SURGE}"),
        (4, None, SURGE, None, ""),
        (4, None, {**SURGE, "max_surge": "50%"}, "pods: 2 more wanted, 1 of 4 left, while", f"raise the quota by 1, or {NO_SURGE}"),
        (5, EXPRESSIONS, {}, "pods: 3 more wanted, 2 of 5 left, while", f"raise the quota by 1, or {DELETE_FIRST}"),
        # A new pod that waits for the former one's port is there, too.
        (5, EXPRESSIONS, TAKES_A_PORT, "pods: 3 more wanted, 2 of 5 left, while", f"raise the quota by 1, or {DELETE_FIRST}"),
        (6, EXPRESSIONS, {}, None, ""),
    ],
)
def test_old_and_new_pods_have_to_fit_the_quota_side_by_side(pods, selector, given, lacking, fix):
    nodes = [node(f"n{number}") for number in range(3)]
    world = Installed(*nodes, selector=selector, ports=[METRICS_PORT], resourcequotas=[quota({"pods": str(pods)}, {"pods": "3"})])
    result = look_ahead(world, force_conflicts=True, **given)
    [found] = by_check(result)["quota"]
    assert ("recreate 1" in result["plan"]) is bool(selector)
    assert found["result"] == ("error" if lacking else "ok") and (lacking or "") in found["evidence"] and found["fix"].startswith(fix)


@pytest.mark.parametrize(
    ("selector", "given", "ports", "instead"),
    [
        (None, {}, (), None),
        (None, SURGE, (), NO_SURGE),
        (EXPRESSIONS, {}, (), DELETE_FIRST),
        # The former one goes first, since it holds the port.
        (EXPRESSIONS, TAKES_A_PORT, [METRICS_PORT], None),
        (EXPRESSIONS, TAKES_A_PORT, [{**METRICS_PORT, "hostPort": 1}], DELETE_FIRST),
    ],
)
def test_old_and_new_pods_have_to_fit_the_node_side_by_side(selector, given, ports, instead):
    world = Installed(node(), cpu="3950m", selector=selector, ports=ports)
    found = by_check(look_ahead(world, force_conflicts=True, skip=["image", "rights", "admission"], **given))["room"][0]
    assert found["result"] == ("error" if instead else "ok")
    assert instead is None or found["fix"].startswith(instead) and "cpu: 100m wanted, 50m of 4 free beside the former pod" in found["evidence"]


def test_that_no_pod_more_fits_says_nothing_of_pods_that_take_the_place_of_others():
    quotas, denied = [quota({"pods": "1"}, {"pods": "1"})], 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'
    told = by_check(look_ahead(Installed(node(), resourcequotas=quotas, deny=denied), force_conflicts=True))
    [pod_s] = [one for one in told["admission"] if "pod of the agent" in one["object"]]
    assert pod_s["result"] == "skipped" and "quota" in pod_s["fix"] and told["quota"][0]["result"] == "ok"
    [pod_s] = [one for one in by_check(look_ahead(World(node(), namespaces=[("nanoagent", {})], deny=denied)))["admission"] if "pod of" in one["object"]]
    assert pod_s["result"] == "error"


class Monitored(Installed):
    """With a cluster monitor of an earlier image."""

    def answer(self, method, path, query):
        if method == "GET" and path.endswith("/deployments/nanoagent-monitor"):
            template = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "monitor", "image": "former"}]}}
            spec = {"replicas": 1, "selector": {"matchLabels": {}}, "template": template}
            return 200, {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "nanoagent-monitor", "namespace": "nanoagent", "uid": "m"},
                "spec": spec,
            }
        return super().answer(method, path, query)


@pytest.mark.parametrize(("pods", "result"), [("2", "error"), ("3", "ok")])
def test_a_monitor_s_new_pod_has_to_fit_beside_the_former_one(pods, result):
    world = Monitored(node(), resourcequotas=[quota({"pods": pods}, {"pods": "2"})])
    [found] = by_check(look_ahead(world, force_conflicts=True, monitor={"enabled": True, "image": IMAGE.replace("ab", "ef")}))["quota"]
    assert found["result"] == result, found
    assert result == "ok" or found["fix"] == "raise the quota by 1"


def test_a_surge_goes_nowhere_where_a_webhook_gives_the_pod_a_port_of_the_node():
    world = Installed(node(), ports=[METRICS_PORT], container={"ports": [METRICS_PORT], "resources": {}})
    found = by_check(look_ahead(world, force_conflicts=True, **SURGE))["room"][0]
    assert found["result"] == "error" and found["fix"].startswith(NO_SURGE) and "port 9464/TCP of the node is taken beside the former pod" in found["evidence"]


def test_what_replaces_no_pod_needs_no_room_for_two():
    class Unchanged(Installed):
        """The live template is the one that is wanted, and ours."""

        def __init__(self, *nodes, **more):
            super().__init__(*nodes, **more)
            fields = {"f:spec": {f"f:{key}": {} for key in ("selector", "template")}}
            self.daemon_set = daemon_set({"local_storage": False})
            self.daemon_set["metadata"] |= {"uid": "set", "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}]}

    full = {"cpu": "3950m", "resourcequotas": [quota({"pods": "1"}, {"pods": "1"})]}
    for kind, result in ((Unchanged, "ok"), (Installed, "error")):
        told = results(look_ahead(kind(node(), **full), force_conflicts=True, skip=["image", "rights", "admission"], **SURGE))
        assert told["quota"] == told["room"] == [result]


def test_the_vendor_s_free_tier_and_the_kernel_of_a_foreign_image():
    world = World(*(node(f"n{number}") for number in range(6)))
    told = by_check(look_ahead(world, profile="spyderbat", require_digest=False, registration_code="code"))
    assert told["tier"][0]["result"] == "warning" and "at most 5" in told["tier"][0]["evidence"]
    assert told["kernel"][0]["result"] == "skipped" and "egress_image is not set" in told["egress"][0]["evidence"]


@pytest.mark.parametrize(
    ("given", "check_mode", "word"),
    [
        ({}, False, "no URL to reach"),
        ({"egress_urls": ["https://a.example"], "write": False}, False, "write is false"),
        ({"egress_urls": ["https://a.example"]}, True, "check mode"),
        ({"egress_urls": ["https://a.example"]}, False, "namespace nanoagent does not exist yet"),
        (
            {"egress_urls": ["https://a.example"], "egress_namespace": "x", "ca_bundle_config_map": {"name": "c"}, "orc_url": None},
            False,
            "ca_bundle_config_map",
        ),
    ],
)
def test_why_the_way_out_is_not_tried(given, check_mode, word):
    if "ca_bundle_config_map" in given:
        given = {**given, "profile": "custom"}
        given["egress_image"] = IMAGE
    [found] = by_check(look_ahead(World(node(), namespaces=[("x", {})]), check_mode, **given))["egress"]
    assert found["result"] == "skipped" and word in found["evidence"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"egress_urls": ["ftp://a.example"]}, "no http or https URL"),
        ({"egress_urls": ["https://user:hidden@a.example"]}, "user or password"),
        ({"egress_timeout": 5}, "below 10 seconds"),
        ({"canary": {"verify": True}}, "exactly one of nodes and selector"),
        ({"ring_bytes": 5}, "ring_bytes 5"),
        ({"image": "registry.example/a:1"}, "not pinned by a digest"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_asked(given, message):
    world = World()
    with pytest.raises(Failure) as caught:
        look_ahead(world, **given)
    assert message in caught.value.message and "hidden" not in caught.value.message


@pytest.mark.parametrize(("version", "result"), [(("1", "24"), "error"), (("1", "25"), "ok"), (("1", "36+"), "ok"), (("1", "99"), "warning")])
def test_the_version_of_the_api(version, result):
    assert results(look_ahead(World(node(), version=version)))["api_version"] == [result]


def test_left_out_checks_are_left_out():
    skipped = [check for check in findings.CHECKS if check != "api_version"]
    result = look_ahead(World(node(), refused=[("list", "resourcequotas")]), skip=skipped)
    assert [one["check"] for one in result["checks"]] == ["api_version"]


# -- parts of it


def test_rows_and_blind_spots():
    nodes = [
        node("ok"),
        node("down", ready="Unknown"),
        node("tainted", taints=[{"key": "k", "effect": "NoSchedule"}]),
        node("windows", operatingSystem="windows"),
        node("fargate", labels={"eks.amazonaws.com/compute-type": "fargate"}),
    ]
    rows = expected_nodes(daemon_set(tolerations=[]), nodes)
    found = {(one["result"], tuple(one["nodes"])): one for one in eligibility_findings(rows)}
    assert set(found) == {("ok", ()), ("warning", ("down",)), ("warning", ("tainted",))}
    assert found["ok", ()]["evidence"] == "2 of 5 nodes are eligible; left out as no Linux machines: Fargate, windows"


def test_sizing_in_numbers():
    nodes = [node("small", "2", "4Gi"), node("large", "8", "64Gi")]
    [found] = sizing_findings({"cpu": "1", "memory": "10Gi"}, nodes, 100)
    assert found["result"] == "warning" and "cpu limit 1 is 50.0 percent of the smallest node and 12.5 of the largest" in found["evidence"]
    assert "3 to 5 percent of small (2) are 60m to 100m" in found["evidence"] and "123Mi to 205Mi" in found["evidence"]
    assert sizing_findings({"cpu": "1", "memory": "1Gi"}, nodes, 100)[0]["result"] == "ok"
    assert sizing_findings({"cpu": "1"}, nodes, 100)[0]["result"] == "warning"
    assert sizing_findings({}, [], 100)[0]["result"] == "skipped"


def test_the_pod_that_the_controller_would_make():
    wanted = daemon_set(priority_class={"name": "agent"})
    before = json.dumps(wanted)
    missing = {("ServiceAccount", "nanoagent", "nanoagent"), ("PriorityClass", "", "agent")}
    pod, without = admission.sample_pod(wanted, "n1", missing)
    assert without == ["service account nanoagent", "priority class agent"] and json.dumps(wanted) == before
    assert pod["spec"]["serviceAccountName"] == "default" and "priorityClassName" not in pod["spec"]
    [term] = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    # A quota that lets the class in is made first, too.
    quota = admission.sample_pod(wanted, "n1", {("ResourceQuota", "nanoagent", "nanoagent-priority")})
    assert quota[1] == ["priority class agent"]
    same, nothing = admission.sample_pod(wanted, "n1", set())
    assert nothing == [] and same["spec"]["priorityClassName"] == "agent"


def test_findings_are_told_in_order():
    one = findings.finding("room", "warning", "two\nlines", "a fix", nodes=["b", "a", "c", "d", "e", "f"])
    assert findings.line_of(one) == "a, b, c, d, e and 1 more: two lines; a fix"
    other = findings.finding("rights", "error", "x")
    assert [each["check"] for each in findings.sorted_findings([one, other], [])] == ["rights", "room"]
    assert findings.errors(findings.sorted_findings([one, other], ["room"])) == ["rights: x", "room: a, b, c, d, e and 1 more: two lines; a fix"]
