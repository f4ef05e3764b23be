# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job of the module preflight: what an installation would meet, without making it."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.nanoagent.k8s.plugins.module_utils import (
    access_rights,
    admission,
    findings,
    outside_objects,
    platform_rules,
    pod_security,
    reach_job,
    registry,
    room,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import look, plan_steps, with_values_file
from ansible_collections.nanoagent.k8s.plugins.module_utils.canary import changes_pods, check_canary
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import FIELD_MANAGER, Cluster, connect
from ansible_collections.nanoagent.k8s.plugins.module_utils.expected_nodes import eligibility_findings, expected_nodes
from ansible_collections.nanoagent.k8s.plugins.module_utils.facts import check_kubernetes
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import finding, unread
from ansible_collections.nanoagent.k8s.plugins.module_utils.idle_options import idle_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_pin import name_notes, with_image_names
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_presence import ask_registry, holders, image_findings, moved_tag_findings, node_images
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import parse_reference
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_trust import image_policy, trust_findings
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import Run
from ansible_collections.nanoagent.k8s.plugins.module_utils.kernels import kernel_findings
from ansible_collections.nanoagent.k8s.plugins.module_utils.kinds import KINDS, identity, title
from ansible_collections.nanoagent.k8s.plugins.module_utils.objects import check_options, desired_objects
from ansible_collections.nanoagent.k8s.plugins.module_utils.plan import plan
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import asked_kinds, choose, detect
from ansible_collections.nanoagent.k8s.plugins.module_utils.priority import SYSTEM_VALUES
from ansible_collections.nanoagent.k8s.plugins.module_utils.profile_spyderbat import tier_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.profiles import container_name, with_profile_defaults
from ansible_collections.nanoagent.k8s.plugins.module_utils.quotas import quota_findings, workload
from ansible_collections.nanoagent.k8s.plugins.module_utils.readable_secrets import readable_notes
from ansible_collections.nanoagent.k8s.plugins.module_utils.sandboxes import runtime_class_findings
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import at, number
from ansible_collections.nanoagent.k8s.plugins.module_utils.signature_search import SignaturePolicy
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing import has_local_storage, smallest_node
from ansible_collections.nanoagent.k8s.plugins.module_utils.sizing_advice import sizing_findings

# The newest version that this collection was run against.
_NEWEST_KUBERNETES = (1, 36)
_WORKLOADS = ("DaemonSet", "Deployment")
# Pods that have ended take nothing from their node.
_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
_NO_SURGE = "use max_unavailable in place of max_surge"
_DELETE_FIRST = "delete the former DaemonSet with its pods first (no agent until the new ones are there)"


def work(options: dict, run: Run) -> dict:
    """The job of the module preflight: its result for its options."""
    options, notes = with_values_file(options, run)
    options, names = with_image_names(with_profile_defaults(options))
    notes = notes + name_notes(names) + idle_notes(options) + readable_notes(options)
    check_options(options)
    trust = image_policy(options)
    # A look ahead waits for nothing; the installation does.
    check_canary({**options, "wait": True})
    reach_job.check_urls("egress_urls", options["egress_urls"])
    if options["egress_timeout"] < 10:
        raise Failure(f"egress_timeout {options['egress_timeout']} is below 10 seconds", "a pod needs some seconds to start; the default is 60")
    reach_job.check_nodes(options["egress_nodes"])
    if "image" not in options["skip"] and registry.REQUESTS_IMPORT_ERROR:
        raise Failure(missing_required_lib("requests"), "install it for that Python", exception=registry.REQUESTS_IMPORT_ERROR)
    with closing(connect(options, run)) as cluster:
        result = Preflight(cluster, options, names, trust, run.check_mode).result()
    return {**result, "notes": notes + result["notes"]}


class Preflight:
    """One look ahead. Each check is a method of its name, which gives its findings; what several need is read once.

    names: of image_pin.with_image_names. trust: what is asked of the images' signatures.
    """

    def __init__(self, cluster: Cluster, options: dict, names: dict[str, str], trust: SignaturePolicy, check_mode: bool):
        self.cluster = cluster
        self.options = options
        self.names = names
        self.trust = trust
        self.check_mode = check_mode
        self.version = cluster.version()
        self.looked, self.planned, self.refusal = self._look()
        self.nodes, self.no_nodes = self._nodes()
        self.platforms = self._platforms()
        self.desired, self.impossible = self._desired()
        self.daemon_set = self.desired[-1] if self.desired else None
        self.steps = self._steps()
        self.rows = expected_nodes(self.daemon_set, self.nodes) if self.daemon_set and not self.no_nodes else []
        # As the API server would make it, with what it fills in and webhooks add; where it was not asked the template with the requests.
        self.pod_spec = room.with_requests(self.daemon_set["spec"]["template"]["spec"]) if self.daemon_set else {}
        self.pod_admitted = False
        # node -> of room.judge_room, for the eligible nodes that are up.
        self.rooms: dict[str, dict] = {}
        self.pods, self.no_pods = self._pods()

    def result(self) -> dict:
        """The module's result."""
        found = []
        # The very pod as it is admitted is what needs room, so that is asked first.
        for check in sorted(findings.CHECKS, key=lambda name: name != "admission"):
            if check not in self.options["skip"]:
                found += self._findings_of(check)
        found = findings.sorted_findings(found, self.options["strict"])
        errors = findings.errors(found)
        return {
            "changed": False,
            "ok": not errors,
            "headline": findings.headline(found),
            "checks": found,
            "table": findings.table(found),
            "errors": errors,
            "nodes": [self._node_row(row) for row in self.rows],
            "plan": self._plan_text(),
            "notes": self.planned["notes"] + [one["note"] for one in self.planned["lacking"] if not one["fatal"]] if self.planned else [],
            "requests": dict(self.cluster.requests),
        }

    # -- what is read once

    def _look(self):
        """(of agent.look, of agent.plan_steps, None), or None for what could not be had, and why."""
        looked = None
        try:
            looked = look(self.cluster, self.options)
            return looked, plan_steps(self.cluster, looked), None
        except Failure as failure:
            return looked, None, failure

    def _nodes(self):
        if self.looked:
            return self.looked["seen"]["nodes"], None
        return self._listed("Node")

    def _platforms(self):
        """Of platforms.choose."""
        if self.looked:
            return self.looked["platforms"]
        kinds = [KINDS[kind] for kind in asked_kinds(self.options)]
        try:
            served = {kind.group_kind for kind in kinds if kind.kind in self.cluster.served(kind.api_version)}
        except Failure:
            # The check plan says what could not be read.
            served = set()
        return choose(self.options["platform"], detect(self.nodes, served))

    def _desired(self):
        """(the wanted objects, None); without a look what can be said without it, or ([], why not even that)."""
        if self.looked:
            return self.looked["desired"], None
        smallest, options = smallest_node(self.nodes), self.options
        if smallest is None and options["limit_percent"] is not None:
            # How large the limits are cannot be told without nodes; what is made, and the rights to make it, can.
            options = with_profile_defaults({**options, "limit_percent": None})
        facts = {"kubernetes": self.version, "platforms": self.platforms, "smallest_node": smallest}
        facts["local_storage"] = has_local_storage(self.nodes, None)
        try:
            return desired_objects(options, facts), None
        except Failure as failure:
            return [], failure

    def _steps(self):
        """The plan's steps; where it could not be made those of an installation from nothing."""
        return self.planned["steps"] if self.planned else plan(self.desired, {}, [], FIELD_MANAGER)

    def _pods(self):
        """(every pod of the cluster that is bound to a node, as room.bare_pod, None), or ([], why not)."""
        if {"room", "runtime_classes"} <= set(self.options["skip"]):
            return [], None
        pods, failure = self._listed("Pod", keep=room.bare_pod, fieldSelector=_RUNNING)
        return [pod for pod in pods if pod["node"]], failure

    def _listed(self, kind, namespace=None, keep=None, **selectors):
        """(objects, None), or ([], the Failure) where the user may not list them."""
        try:
            return self.cluster.list(kind, namespace, keep, **selectors)[0], None
        except Failure as failure:
            if admission.is_missing_right(failure):
                return [], failure
            raise

    # -- the checks

    def _findings_of(self, check):
        needs_pod = check not in ("api_version", "rights", "plan", "image")
        if needs_pod and self.daemon_set is None:
            return [finding(check, "skipped", "what would be installed is not known: see the check plan")]
        needs_nodes = check in ("eligibility", "kernel", "room", "sizing", "image", "egress", "tier")
        if needs_nodes and self.no_nodes:
            return [unread(check, self.no_nodes.what)]
        return getattr(self, f"_{check}")()

    def _api_version(self):
        said = f"Kubernetes {self.version[0]}.{self.version[1]} at {self.cluster.server}"
        try:
            check_kubernetes(self.version)
        except Failure as failure:
            return [finding("api_version", "error", failure.what, failure.next_step)]
        if self.version > _NEWEST_KUBERNETES:
            return [finding("api_version", "warning", f"{said} is newer than {_dotted(_NEWEST_KUBERNETES)}, with which this was tried last", "try it first")]
        return [finding("api_version", "ok", said)]

    def _rights(self):
        asked = access_rights.needed_rights(self.options, self.steps, self.looked["seen"] if self.looked else None)
        escalating = access_rights.escalation_rights()
        reviews = [access_rights.review_spec(spec) for spec in asked + escalating]
        allowed = self.cluster.parallel([partial(self.cluster.may, spec) for spec in reviews])
        return access_rights.judge_rights(asked, allowed[: len(asked)], all(allowed[len(asked) :]))

    def _plan(self):
        failure = self.refusal or self.impossible
        if failure is None:
            return [finding("plan", "ok", self._plan_text()), *self._outside()]
        if admission.is_missing_right(failure):
            return [unread("plan", failure.what)]
        return [finding("plan", "error", failure.what, failure.next_step)]

    def _outside(self):
        """Findings about what somebody else has to make, and about what of it may not be read."""
        home = self.looked["seen"]["namespace"]
        found = [finding("plan", "error", one["note"], outside_objects.way_out([one], home)) for one in self.planned["lacking"] if one["fatal"]]
        return found + [unread("plan", f"whether {title} is there is not known: it may not be read") for title in self.planned["unread"]]

    def _eligibility(self):
        return eligibility_findings(self.rows)

    def _kernel(self):
        if self.options["profile"] != "bundled":
            return [finding("kernel", "skipped", f"what the image of the profile {self.options['profile']} needs of a kernel is not known here")]
        return kernel_findings(self._eligible_rows())

    def _runtime_classes(self):
        classes, failure = self._listed("RuntimeClass")
        if failure:
            return [unread("runtime_classes", failure.what)]
        return runtime_class_findings(classes, None if self.no_pods else self.pods, self.pod_spec.get("runtimeClassName") or "")

    def _room(self):
        if self.no_pods:
            return [unread("room", self.no_pods.what)]
        priority, may_preempt, shown = self._priority()
        self._judge_rooms(priority, may_preempt)
        found = room.room_findings(self.rooms, shown, self._side_by_side()[1])
        return found or [finding("room", "skipped", "no eligible node is up")]

    def _sizing(self):
        names = {row["node"] for row in self._eligible_rows()}
        nodes = [node for node in self.nodes if node["metadata"]["name"] in names]
        agent = next(one for one in self.daemon_set["spec"]["template"]["spec"]["containers"] if one["name"] == container_name(self.options))
        limits = (agent.get("resources") or {}).get("limits") or {}
        return sizing_findings(limits, nodes, self.options["limit_warning_percent"])

    def _quota(self):
        namespace = self.options["namespace"]
        quotas, no_quotas = self._listed("ResourceQuota", namespace)
        ranges, no_ranges = self._listed("LimitRange", namespace)
        for failure in (no_quotas, no_ranges):
            if failure:
                return [unread("quota", failure.what)]
        # A pod that waits for a port counts too, so that a former one that holds it has to fit beside it all the same.
        workloads = [workload(self.pod_spec, len(self._eligible_rows()), [pod["spec"] for pod in self._live_pods()], *self._side_by_side())]
        workloads += [_of_deployment(step) for step in self.steps if _starts_deployment(step)]
        created = [step["desired"] for step in self.steps if step["action"] == "create" and identity(step["desired"])[1] == namespace]
        return quota_findings(quotas, ranges, workloads, created)

    def _pod_security(self):
        namespace = self.options["namespace"]
        makes = any(step["desired"] and step["desired"]["kind"] == "Namespace" for step in self.steps)
        home = self.looked["seen"]["namespace"] if self.looked else None
        if home is None and not makes:
            return [finding("pod_security", "skipped", f"the level of the namespace {namespace} is not known")]
        level, broken = pod_security.verdict(self.steps, home, self.daemon_set["spec"]["template"])
        subject = f"Namespace {namespace}"
        if not level:
            known = "and lets the pod in (dry run)" if self.pod_admitted else "which is privileged where nobody changed it"
            return [finding("pod_security", "ok", f"sets no level of pod security, so the API server's own default holds, {known}", subject=subject)]
        if not broken:
            return [finding("pod_security", "ok", f"enforces {level}, which the pod keeps", subject=subject)]
        text = pod_security.told(level, broken, 6)
        if self.pod_admitted:
            return [finding("pod_security", "ok", f"{text}; it is let in all the same (dry run), by an exemption", subject=subject)]
        fix = "label the namespace pod-security.kubernetes.io/enforce=privileged, or let the run make one of its own (pod_security: privileged)"
        return [finding("pod_security", "error", text, fix, subject)]

    def _admission(self):
        home = self.looked["seen"]["namespace"] if self.looked else None
        judged = self.planned["judged"] if self.planned else []
        found = []
        if self.planned:
            found += admission.judge_objects(self.cluster, judged, home is not None, self.options["force_conflicts"])
        if home is not None:
            node = next((row["node"] for row in self._eligible_rows()), "")
            missing = {identity(step["desired"]) for step in self.steps if step["action"] == "create"}
            leave = platform_rules.extra_objects(self.looked["options"], self.platforms, self.daemon_set)
            titles = [title(obj) for obj in leave if identity(obj) in missing]
            answers, made = admission.judge_pod(self.cluster, *admission.sample_pod(self.daemon_set, node, missing), titles, bool(self._live_pods()))
            found += answers
            if made:
                # A class that the installation makes first the pod of the dry run does without.
                given = self.daemon_set["spec"]["template"]["spec"]
                self.pod_spec = {**made["spec"], **({"priorityClassName": given["priorityClassName"]} if "priorityClassName" in given else {})}
                self.pod_admitted = True
        return found or [finding("admission", "skipped", "without a plan and a namespace there is nothing to be judged: see the checks plan and rights")]

    def _image(self):
        found = []
        names = {row["node"] for row in self._eligible_rows()}
        listed, failure = self._listed("Node", keep=node_images)
        architectures: dict[str, list[str]] = {}
        for row in self._eligible_rows():
            architectures.setdefault(row["arch"], []).append(row["node"])
        login = self.options["registry_login"] or {}
        for image, pull in sorted(_images(self.desired, self.options)):
            asked = None if pull == "Never" else ask_registry(image, self.options)
            held = None if failure else [name for name in holders(image, listed) if name in names]
            found += image_findings(image, asked, architectures, held, pull, login.get("registry") == parse_reference(image).host)
            if isinstance(asked, dict) and self.options["lock_file"]:
                given = [name for name, used in self.names.items() if used == image]
                found += [moved for name in given for moved in moved_tag_findings(image, name, self.options)]
            found += trust_findings(image, self.options, self.trust)
        return found

    def _egress(self):
        options = self.options
        urls = list(dict.fromkeys([*([options["orc_url"]] if options.get("orc_url") else []), *options["egress_urls"]]))
        image = options["egress_image"] or (options["image"] if options["profile"] == "bundled" else "")
        place = options["egress_namespace"] or options["namespace"]
        nodes = reach_job.chosen_nodes(self._eligible_rows(), options["egress_nodes"])
        try:
            reason = self._no_egress(urls, image, place, nodes)
            if reason:
                return [finding("egress", "skipped", *reason)]
            reach_job.sweep(self.cluster, options["name"], place)
            found = self.cluster.parallel([partial(self._reach, urls, image, place, node) for node in nodes])
        except Failure as failure:
            return self._untried(failure)
        return reach_job.gathered([one for each in found for one in each], len(nodes))

    def _tier(self):
        return [finding("tier", "warning", note) for note in tier_notes(self.options, len(self._eligible_rows()))]

    # -- parts of them

    def _reach(self, urls, image, place, node):
        """The findings of one node."""
        seconds = self.options["egress_timeout"]
        objects = reach_job.reach_objects(self.options, self.daemon_set["spec"]["template"], image, urls, node, seconds, self.platforms)
        try:
            found = reach_job.reach_findings(reach_job.run_reach(self.cluster, objects, len(urls), seconds), urls, place)
        except Failure as failure:
            found = self._untried(failure)
        return [{**one, "nodes": [node]} for one in found]

    def _untried(self, failure):
        if admission.is_missing_right(failure):
            return [unread("egress", failure.what)]
        return [finding("egress", "warning", f"could not be tried: {failure.what}", failure.next_step)]

    def _no_egress(self, urls, image, place, nodes):
        """(why the way out is not tried, what to do), or None."""
        if not urls:
            return "no URL to reach: the agent writes to standard output only", "name URLs in egress_urls to have them tried"
        if not image:
            return "egress_image is not set, and only this collection's collector image can ask URLs", "set egress_image to what collector_image returned"
        if not self.options["write"]:
            return "write is false: trying it needs a Job", "set write: true"
        if self.check_mode:
            return "check mode: trying it needs a Job", "run it without check mode"
        if not nodes:
            return "no eligible node is up and takes pods", ""
        if self.cluster.get("Namespace", place) is None:
            return f"the namespace {place} does not exist yet", "name one that does in egress_namespace, or run again when it is there"
        if self.options["ca_bundle_config_map"] and place != self.options["namespace"]:
            return f"ca_bundle_config_map is in namespace {self.options['namespace']}, not in {place}", "leave out egress_namespace, or give ca_bundle"
        return None

    def _eligible_rows(self):
        return [row for row in self.rows if row["eligible"]]

    def _judge_rooms(self, priority, may_preempt):
        wanted = {"requests": room.pod_requests(self.pod_spec), "ports": room.host_ports(self.pod_spec)}
        agents, side_by_side = {pod["metadata"]["uid"] for pod in self._live_pods()}, self._side_by_side()[0]
        others: dict[str, list[dict]] = {}
        former: dict[str, list[dict]] = {}
        for pod in self.pods:
            if pod["uid"] not in agents:
                others.setdefault(pod["node"], []).append(pod)
            elif side_by_side and not (self._is_made_anew() and room.share_a_port(wanted["ports"], pod["ports"])):
                former.setdefault(pod["node"], []).append(pod)
        names = {row["node"] for row in self._eligible_rows() if row["up"]}
        for node in self.nodes:
            name = node["metadata"]["name"]
            if name in names:
                self.rooms[name] = room.judge_room(wanted, node, others.get(name, []), priority, may_preempt, former.get(name, []))

    def _live_pods(self):
        """The agent's pods that are there, which the new ones take the place of."""
        return self.looked["seen"]["pods"] if self.looked else []

    def _side_by_side(self):
        """(how many of the agent's pods that are there stay at a time until their successor is ready, what makes them go first, as text)."""
        if self._is_made_anew():
            return len(self._live_pods()), _DELETE_FIRST
        step = self._daemon_set_step()
        # Of a DaemonSet that is only now taken over no more than its spec is named.
        replaces = changes_pods(step) or "spec" in step["fields"]
        surge = room.surge(self.daemon_set, len(self._eligible_rows())) if replaces else 0
        return (surge, _NO_SURGE) if surge else (0, "")

    def _is_made_anew(self):
        """Whether the DaemonSet is: its former pods stay, but where they hold a port of the node that the new ones need."""
        return self._daemon_set_step()["action"] == "recreate"

    def _daemon_set_step(self):
        return next(step for step in self.steps if step["desired"] and step["desired"]["kind"] == "DaemonSet")

    def _priority(self):
        """(value, whether pods of lower ones may be ended, as text) of the agent's priority class."""
        name = self.daemon_set["spec"]["template"]["spec"].get("priorityClassName") or ""
        made = next((obj for obj in self.desired if obj["kind"] == "PriorityClass" and obj["metadata"]["name"] == name), None)
        if made is None:
            classes, _failure = self._listed("PriorityClass")
            made = next((one for one in classes if (one["metadata"]["name"] == name if name else one.get("globalDefault"))), None)
        value = made["value"] if made else SYSTEM_VALUES.get(name, 0)
        may = (made or {}).get("preemptionPolicy", "PreemptLowerPriority") == "PreemptLowerPriority"
        return value, may, f"priority {value}" + (f" of class {name}" if name else "")

    def _node_row(self, row):
        judged = self.rooms.get(row["node"])
        kept = ("node", "os", "arch", "kernel", "os_image", "version", "up", "cordoned", "not_real", "eligible", "blockers")
        return {**{key: row[key] for key in kept}, "room": room.describe_room(judged) if judged else ""}

    def _plan_text(self):
        if not self.planned:
            return ""
        numbers = {action: sum(1 for step in self.steps if step["action"] == action) for action in ("create", "patch", "recreate", "release", "delete", "keep")}
        return ", ".join(f"{action} {number}" for action, number in numbers.items() if number or action in ("create", "keep"))


def _dotted(version):
    return f"{version[0]}.{version[1]}"


def _starts_deployment(step):
    if step["desired"] is None or step["desired"]["kind"] != "Deployment":
        return False
    return step["action"] in ("create", "recreate") or (step["action"] == "patch" and any(field.startswith("spec") for field in step["fields"]))


def _of_deployment(step):
    """The workload of the cluster monitor's Deployment, each pod of which goes when the new one is ready."""
    wanted, live = step["desired"]["spec"], at(step["live"], "spec") or {}
    former = [live["template"]["spec"]] * live.get("replicas", 1) if live else []
    replaced = any(field == "spec" or field.startswith("spec.template") for field in step["fields"])
    surge = len(former) if step["action"] == "recreate" else number(at(wanted, "strategy", "rollingUpdate", "maxSurge")) if replaced else 0
    return workload(wanted["template"]["spec"], wanted.get("replicas", 1), former, surge, admitted=False)


def _images(desired, options):
    """{(image, pull policy)} of every workload; the image that was named where nothing is known of the workloads."""
    found = set()
    for obj in desired:
        if obj["kind"] in _WORKLOADS:
            spec = obj["spec"]["template"]["spec"]
            found |= {(one["image"], one.get("imagePullPolicy") or "") for one in [*(spec.get("initContainers") or []), *spec["containers"]]}
    return found or {(options["image"], "")}
