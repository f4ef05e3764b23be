# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of one node: is the agent there, does it work, and if not, why, and what to do. Pure."""

from __future__ import annotations

from collections import Counter

from ansible_collections.nanoagent.k8s.plugins.module_utils import node_facts
from ansible_collections.nanoagent.k8s.plugins.module_utils.daemon_sets import agent_container, full_name, is_behind, owners
from ansible_collections.nanoagent.k8s.plugins.module_utils.eligibility import decider
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import (
    condition_evidence,
    container_status,
    diagnose,
    event_evidence,
    event_last,
    has_ended,
    is_ready,
    newest,
    no_evidence,
    ready_condition,
    target_node,
)
from ansible_collections.nanoagent.k8s.plugins.module_utils.profile_bundled import CONTAINER as _COLLECTOR
from ansible_collections.nanoagent.k8s.plugins.module_utils.refusals import creation_cause
from ansible_collections.nanoagent.k8s.plugins.module_utils.shape import ago, at, mapping, number, one_line, records, seconds, text
from ansible_collections.nanoagent.k8s.plugins.module_utils.unreal_nodes import takes_them

STATES = ("ready", "rolling", "blocked", "not eligible", "node down", "joining", "not a real node", "unknown")
# Nodes in these states are as they should be; the others are grouped by cause.
WELL = ("ready", "not eligible", "not a real node")

# Seconds: a node is new, a taint that should pass has stood too long, an old event says nothing of now, clocks differ for sure.
_YOUNG, _TAINT_PATIENCE, _STALE_EVENT, _SKEW = 120, 600, 1200, 30


class Agent:
    """One DaemonSet with what every node asks of it."""

    def __init__(self, daemon_set, revision, pods, events, now):
        self.title = full_name(daemon_set)
        self.revision = revision
        self.decide = decider(daemon_set)
        self.container = agent_container(daemon_set)
        self.takes_unreal = takes_them(daemon_set)
        self.behind = is_behind(daemon_set)
        self.on_delete = at(daemon_set, "spec", "updateStrategy", "type") == "OnDelete"
        status = mapping(daemon_set.get("status"))
        available = number(status.get("numberAvailable"))
        settled = not self.behind and available > 0 and available == number(status.get("desiredNumberScheduled"))
        self.min_ready = 0 if settled else number(at(daemon_set, "spec", "minReadySeconds"))
        template = records(at(daemon_set, "spec", "template", "spec", "containers"))
        self.digest = _digest(text(template[0].get("image"))) if template else ""
        self.selector = mapping(at(daemon_set, "spec", "template", "spec", "nodeSelector"))
        self.paused = ""
        self.by_node: dict[str, list[dict]] = {}
        uid = text(at(daemon_set, "metadata", "uid"))
        for pod in pods:
            if uid in owners(pod) and target_node(pod):
                self.by_node.setdefault(target_node(pod), []).append(pod)
        self.denied = _creation_failure(daemon_set, [pod for group in self.by_node.values() for pod in group], events, now)

    def look_for_pause(self, nodes):
        """Notes the part of the node selector that no node has: the usual way to pause a DaemonSet."""
        for key, value in sorted(self.selector.items(), key=str):
            if nodes and not any(mapping(at(node, "metadata", "labels")).get(key) == value for node in nodes):
                self.paused = f"{key}={value}"
                return


def _creation_failure(daemon_set, pods, events, now):
    """What keeps the controller from making pods, as a state; None where nothing is known to. pods: those that it made."""

    def speaks_of_it(event):
        about = mapping(event.get("involvedObject"))
        same = about.get("kind") == "DaemonSet" and about.get("name") == at(daemon_set, "metadata", "name")
        uid = text(about.get("uid"))
        return same and event.get("reason") == "FailedCreate" and uid in ("", text(at(daemon_set, "metadata", "uid")))

    event = newest([event for event in events if speaks_of_it(event)])
    last = seconds(event_last(event)) if event else None
    # The controller tries again at least every 17 minutes; what it has not said since is over.
    if event is None or (now is not None and last is not None and now - last > _STALE_EVENT):
        return None
    message = text(event.get("message"))
    code, final, fix = creation_cause(message)
    # Whoever has made a pod since then was kept from it for a moment only, or on some nodes.
    made_since = last is not None and any((seconds(at(pod, "metadata", "creationTimestamp")) or 0) > last for pod in pods)
    return outcome("blocked", code, message, fix, final=final and not made_since, evidence=event_evidence(event))


def verdict(parts: list[Agent], node: dict, by_pod: dict[str, list[dict]], now: float | None) -> dict:
    """The verdict of one node, as coverage.united describes it; not yet compared with the others' images: that needs "_digest".

    by_pod: events by the uid of the pod that they are about.
    """
    row = node_facts.node_facts(node)
    decisions = [part.decide(node) for part in parts]
    part, decision = _responsible(parts, decisions, row)
    pods = part.by_node.get(row["node"], [])
    pod = _leading(pods, part.revision)
    # A node that is no machine counts only where our DaemonSet was told to take such: one that no label shows gets a pod nevertheless.
    unreal = row["not_real"] and not (decision["run"] and part.takes_unreal)
    row["eligible"] = bool(decision["run"] is not False and not unreal)
    row["blockers"] = [] if decision["run"] else _blockers(parts, decisions, node, now)
    row["daemon_set"] = part.title if row["eligible"] or pod else ""
    row["pod"] = one_line(text(at(pod, "metadata", "name")))
    row["pods"] = sorted(one_line(text(at(each, "metadata", "name"))) for other in parts for each in other.by_node.get(row["node"], []))
    status = container_status(pod, part.container) if pod else {}
    row["container_id"] = text(status.get("containerID")).rpartition("//")[2]
    row["revision"] = text(at(pod, "metadata", "labels", "controller-revision-hash"))
    row["current"] = row["revision"] == part.revision if pod and part.revision else None
    row["image_ok"], row["_digest"] = _image(part, pod, status) if pod else (None, "")
    # A pod that only means to be there, by its affinity, is not.
    row["ready"] = bool(pod and is_ready(pod) and at(pod, "spec", "nodeName") == row["node"])
    row["confidence"] = "" if not row["ready"] else "probed" if _probed(pod, part.container) else "started"
    if unreal:
        row.update(outcome("not a real node", "NotReal", f"{row['not_real']}: no machine that an agent could watch"))
    else:
        row.update(_conflict(parts, decisions, row) or _judge(row, node, decision, part, pod, by_pod, now))
    _mind_the_leaving(row, node, now)
    return row


def _responsible(parts, decisions, row):
    """The DaemonSet that a node belongs to, and its decision: one that runs there, one that cannot be read, one that has a pod there."""

    def rank(pair):
        part, decision = pair
        return (decision["run"] is True, decision["run"] is None, bool(part.by_node.get(row["node"])))

    return max(zip(parts, decisions), key=rank)


def _conflict(parts, decisions, row):
    """The state of a node that more than one agent watches, or is to watch; None where it is one at most."""
    if len(parts) == 1:
        return None

    def alive(part):
        return any(not has_ended(pod) and not at(pod, "metadata", "deletionTimestamp") for pod in part.by_node.get(row["node"], []))

    several = [part.title for part, decision in zip(parts, decisions) if decision["run"] or alive(part)]
    if len(several) < 2:
        return None
    detail = f"{' and '.join(several)} run an agent here: each event is taken twice"
    return outcome("blocked", "TwoAgents", detail, "let their node selectors exclude each other, or remove one", evidence=no_evidence())


def _blockers(parts, decisions, node, now):
    found = []
    for part, decision in zip(parts, decisions):
        for blocker in decision["blockers"]:
            detail = one_line(f"{part.title}: {blocker['detail']}" if len(parts) > 1 else blocker["detail"])
            taint = _taint(node, blocker)
            since = node_facts.taint_since(taint)
            kind = node_facts.taint_class(text(taint.get("key")))
            found.append({"kind": blocker["kind"], "detail": detail, "since": since, "passing": bool(kind) and _passes(kind, since, node, now)})
    return found


def _passes(kind, since, node, now):
    """Whether a taint of this class may still be taken off by itself: for want of its own time the node's counts."""
    if kind == "leaving":
        return True
    began = seconds(since)
    age = node_facts.age(node, now) if began is None or now is None else now - began
    return kind == "joining" and (age is None or age < _TAINT_PATIENCE)


def _leading(pods, revision):
    """The pod that counts on a node: alive before over, staying before ending, new revision before old, ready before not ready."""

    def rank(pod):
        metadata = pod["metadata"]
        current = text(at(metadata, "labels", "controller-revision-hash")) == revision
        return (not has_ended(pod), not metadata.get("deletionTimestamp"), current, is_ready(pod), text(metadata.get("creationTimestamp")))

    return max(pods, key=rank) if len(pods) > 1 else pods[0] if pods else None


def _probed(pod, container):
    spec = next((each for each in records(at(pod, "spec", "containers")) if each.get("name") == container), {})
    return bool(mapping(spec.get("readinessProbe")))


def _digest(image):
    return image.partition("@")[2]


def _image(part, pod, status):
    """(whether the image is the wanted one, None where that cannot be told; the digest that runs)."""
    running = _digest(text(status.get("imageID")))
    asked = next((text(each.get("image")) for each in records(at(pod, "spec", "containers")) if each.get("name") == part.container), "")
    if not part.digest:
        return None, running
    # Some runtimes report the digest of the architecture's manifest. A kubelet that was asked for a digest runs nothing else.
    if part.digest in (running, _digest(asked)):
        return True, running
    return (False if running or _digest(asked) else None), running


def compare_images(rows: list[dict], strict: bool) -> None:
    """Pods by a tag: on nodes of one architecture they should run the same image; the fewer are the odd ones."""
    seen: dict[tuple, Counter] = {}
    for row in rows:
        if row["image_ok"] is None and row["_digest"] and row["current"]:
            seen.setdefault((row["daemon_set"], row["arch"]), Counter())[row["_digest"]] += 1
    for row in rows:
        running = row.pop("_digest")
        images = seen.get((row["daemon_set"], row["arch"])) if row["image_ok"] is None and running and row["current"] else None
        if images and len(images) > 1 and running != images.most_common(1)[0][0]:
            row["image_ok"] = False
        if row["image_ok"] is False and strict and row["state"] == "ready":
            detail = f"runs {running[:19] or 'another image'}, not the image that is wanted: a tag has moved, or somebody changed the pod"
            row.update(outcome("blocked", "ImageDiffers", detail, "delete the pod, and pin the image by its digest", evidence=row["evidence"]))


def _judge(row, node, decision, part, pod, by_pod, now):
    if not row["node"]:
        return outcome("unknown", "Unreadable", "a node without a name", "correct the field that is named")
    if decision["run"] is None:
        return outcome("unknown", "Unreadable", _said(row), "correct the field that is named")
    age = node_facts.age(node, now)
    young = age is not None and age < _YOUNG
    if not decision["run"]:
        return _not_eligible(row, node, decision, part, pod)
    if not row["up"]:
        return _down(row, node, young)
    if row["os"] == "windows" and part.container == _COLLECTOR:
        fix = "add kubernetes.io/os: linux to node_selector"
        return outcome("blocked", "UnsupportedOs", "the node runs Windows, where the collector cannot", fix, final=True)
    if part.behind:
        detail = "the DaemonSet controller has not seen the newest change of the DaemonSet yet"
        return outcome("rolling", "ControllerBehind", detail, "check that kube-controller-manager runs, if it stays", passing=True)
    if pod is None:
        return _podless(part, age, young)
    if row["current"] is False:
        return _old_revision(row, part, pod, by_pod, now)
    if not row["ready"]:
        return _not_ready(row, part, pod, by_pod.get(text(at(pod, "metadata", "uid")), []), young, now)
    if row["current"] is None:
        fix = "give the right to list controllerrevisions, or look again when the rollout is over"
        return outcome("unknown", "RevisionUnknown", "whether the pod is of the newest revision is not known", fix)
    return _stale(row, pod, young) or _settling(part, pod, now) or outcome("ready", "Ready", "", evidence=condition_evidence(ready_condition(pod)))


def _said(row):
    return "; ".join(blocker["detail"] for blocker in row["blockers"])


def _not_eligible(row, node, decision, part, pod):
    taints = [_taint(node, blocker) for blocker in decision["blockers"] if "taint" in blocker]
    kinds = {node_facts.taint_class(text(taint.get("key"))) for taint in taints} if len(taints) == len(decision["blockers"]) else {""}
    evidence = _taint_evidence(taints[0]) if taints else no_evidence()
    if kinds <= {"down", "leaving", "joining"} and "down" in kinds and not row["up"]:
        return _down(row, node, False)
    said = _said(row)
    if kinds == {"joining"}:
        passing = all(blocker["passing"] for blocker in row["blockers"])
        return outcome("joining", "NodeJoining", said, "" if passing else "look at who has to take the taint off", passing=passing, evidence=evidence)
    if kinds == {"leaving"}:
        return outcome("not eligible", "NodeLeaving", f"{said}: the node is on its way out", passing=True, evidence=evidence)
    if pod:
        said += "; its pod stays until it is replaced" if decision["keep"] else "; its pod will be evicted"
    if part.paused:
        fix = "take it out of the node selector, or label nodes with it"
        return outcome("not eligible", "Paused", f"no node has {part.paused}: the DaemonSet is as good as paused; {said}", fix, evidence=evidence)
    fix = "change tolerations, node_selector or the node, if the agent shall run there"
    return outcome("not eligible", "NotEligible", said, fix, evidence=evidence)


def _taint(node, blocker):
    """The taint that a blocker speaks of; empty where it speaks of something else."""
    return mapping(node["spec"]["taints"][blocker["taint"]]) if "taint" in blocker else {}


def _taint_evidence(taint):
    since = node_facts.taint_since(taint)
    words = f"{text(taint.get('key'))}={text(taint.get('value'))}:{text(taint.get('effect'))}".replace("=:", ":")
    return {"source": "taint", "text": one_line(words), "first": since, "last": since, "count": 1}


def _down(row, node, young):
    condition = node_facts.ready_condition(node)
    evidence = condition_evidence(condition) if condition else no_evidence()
    why = node_facts.why_down(node)
    if young:
        return outcome("joining", "NodeJoining", f"the node is new: {why}", passing=True, evidence=evidence)
    out = any(taint.get("key") == "node.kubernetes.io/out-of-service" for taint in records(at(node, "spec", "taints")))
    detail = f"{why}; it is marked as out of service" if out else why
    return outcome("node down", "NodeDown", detail, "bring the node's kubelet back", evidence=evidence)


def _podless(part, age, young):
    if part.denied:
        return dict(part.denied)
    if young:
        return outcome("joining", "NodeJoining", f"the node is {ago(max(0, age))} old and has no pod yet", passing=True)
    return outcome("rolling", "NoPod", "the DaemonSet controller has not made a pod yet", "check that kube-controller-manager runs, if it stays", passing=True)


def _old_revision(row, part, pod, by_pod, now):
    if part.on_delete:
        detail = "runs an earlier revision, and the update strategy OnDelete leaves it as it is"
        return outcome("rolling", "OldRevision", detail, f"delete pod {row['pod']} when its turn has come")
    if row["ready"]:
        return outcome("rolling", "OldRevision", "runs the previous revision and waits for its turn", passing=True)
    cause = diagnose(pod, by_pod.get(text(at(pod, "metadata", "uid")), []), now)
    return outcome("rolling", "OldRevision", f"the previous revision's pod is not ready: {cause['detail']}", passing=True, evidence=cause["evidence"])


def _not_ready(row, part, pod, events, young, now):
    cause = diagnose(pod, events, now)
    on_its_way = cause.pop("on_its_way")
    if on_its_way and young and cause["passing"]:
        return {"state": "joining", **cause}
    if part.container == _COLLECTOR and cause["reason"] in ("Crashed", "CrashLoopBackOff") and _too_old(row["kernel"]):
        detail = f"the collector needs Linux 5.11 or newer with BTF, the node has {row['kernel']}; {cause['detail']}"
        fix = "upgrade the node's kernel, or leave the node out"
        return {**outcome("blocked", "KernelTooOld", detail, fix, final=True, evidence=cause["evidence"]), "container": cause["container"]}
    return {"state": "rolling" if on_its_way else "blocked", **cause}


def _too_old(kernel):
    numbers = [int(part) for part in kernel.split("-")[0].split(".")[:2] if part.isascii() and part.isdigit() and len(part) < 6]
    return len(numbers) == 2 and tuple(numbers) < (5, 11)


def _stale(row, pod, young):
    """The state of a ready pod that was made for an earlier machine of the same name."""
    made, joined = seconds(at(pod, "metadata", "creationTimestamp")), seconds(row["created"])
    if not young or made is None or joined is None or made >= joined - 1:
        return None
    return outcome("joining", "NodeRecreated", "the node was made anew; what its pod says may be of the machine before", passing=True)


def _settling(part, pod, now):
    """The state of a pod that is ready and does not count as available yet; None where it does."""
    if part.min_ready <= 0 or now is None:
        return None
    condition = ready_condition(pod)
    since = seconds(condition.get("lastTransitionTime"))
    if since is not None and now - since >= part.min_ready:
        return None
    evidence = condition_evidence(condition)
    if since is not None and since - now > _SKEW:
        detail = f"ready since a time that is {ago(since - now)} ahead of the API server's clock"
        return outcome("rolling", "Settling", detail, "set the clocks of the node and of the control plane", evidence=evidence)
    return outcome("rolling", "Settling", f"ready for less than minReadySeconds {part.min_ready}", passing=True, evidence=evidence)


def _mind_the_leaving(row, node, now):
    """What is wrong with a node that is about to go passes with it."""
    if row["state"] in WELL:
        return
    taint = next((taint for taint in records(at(node, "spec", "taints")) if node_facts.taint_class(text(taint.get("key"))) == "leaving"), None)
    if taint is None and not at(node, "metadata", "deletionTimestamp"):
        return
    since = seconds(node_facts.taint_since(taint or {}))
    when = f", for {ago(max(0, now - since))}" if since is not None and now is not None else ""
    sign = f"taint {taint['key']}" if taint else "it is being deleted"
    row["passing"] = True
    row["detail"] = one_line(f"{row['detail']}; the node is on its way out ({sign}{when})")


def outcome(state: str, reason: str, detail: str, fix: str = "", final: bool = False, passing: bool = False, evidence: dict | None = None) -> dict:
    """The part of a verdict that says how the node is."""
    return {
        "state": state,
        "reason": reason,
        "detail": one_line(detail),
        "fix": fix,
        "final": final,
        "passing": passing,
        "evidence": evidence or no_evidence(),
        "container": "",
    }
