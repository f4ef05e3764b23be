# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way out as the agent's pods will have it: a short Job of the collector's image that asks URLs, and what its lines mean."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from urllib.parse import urlsplit

from ansible_collections.nanoagent.k8s.plugins.module_utils import outbound, pull_secrets
from ansible_collections.nanoagent.k8s.plugins.module_utils.api_errors import ApiFailure
from ansible_collections.nanoagent.k8s.plugins.module_utils.client import Cluster
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.findings import count, finding
from ansible_collections.nanoagent.k8s.plugins.module_utils.image_reference import pull_policy
from ansible_collections.nanoagent.k8s.plugins.module_utils.made_objects import own_pod_labels
from ansible_collections.nanoagent.k8s.plugins.module_utils.pod_status import diagnose
from ansible_collections.nanoagent.k8s.plugins.module_utils.run_as import run_as

BY_POOL = "pools"
# A firewall differs by pool and zone; every node of a large cluster would be thousands of Jobs.
MOST_POOLS, MOST_NODES = 10, 50
_CONTAINER = "reach"
_COMPONENT = "app.kubernetes.io/component"
_NAME_ROOM = 36
# Seconds after its end at which Kubernetes itself removes a Job that nobody could remove.
_KEPT = 120
_POLL = 0.5
# Seconds that the Job controller has for making the pod before its events are asked for the reason.
_DENIED_AFTER = 2
_LOG_LINES = 200
# Exit codes of the program when it has asked every URL: all are reached, one is not.
_HAS_ASKED = (0, 5)
# Seconds: a kubelet may tell that a container has ended before all of its log can be read.
_LOG_AFTER = 5
# Each URL gets this share of the Job's time, the rest is for starting.
_URL_SHARE, _LONGEST_URL = 3, 10
_ENVIRONMENT = ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "ssl_cert_file", "ssl_cert_dir")
_LIKE_THE_AGENT = ("tolerations", "hostNetwork", "dnsPolicy", "dnsConfig", "hostAliases", "imagePullSecrets")
_FIXES = {
    "dns": "make the name resolve in the cluster, or correct it",
    "connect": "open the way in firewalls and network policies (network_policy_egress), or set https_proxy",
    "proxy": "correct https_proxy, or have the proxy let this host through",
    "tls": "set ca_bundle to the authority that signed the certificate, or end the opening of TLS in between",
    "http": "look at what answers there, and at what is in between",
}


def check_urls(option: str, urls: list[str]) -> None:
    """Failure for what is no URL that a request can be sent to, or that carries a login, which would stand in a pod."""
    for url in urls:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
        except ValueError:
            parts, usable = None, False
        if not usable:
            raise Failure(f"{option} has {url!r}, which is no http or https URL of a host", "use for example https://orc.example.com")
        if parts.username is not None:
            raise Failure(f"{option} has a URL with a user or password in it", "leave them out: any HTTP answer shows that the way is open")


def reach_objects(options: dict, template: dict, image: str, urls: list[str], node: str, seconds: int, platforms: Iterable[dict] = ()) -> list[dict]:
    """The Job, and after it what its pod mounts or is pulled with; only the Job has a life of its own, the others need its uid. Its name is new each time.

    options: the module's. template: the agent's pod template, whose proxies, authorities, name service, network and
    tolerations the pod has. node: the node to run on. seconds: for the whole of it. platforms: of platforms.choose.
    """
    name = f"{options['name'][:_NAME_ROOM].rstrip('-.')}-preflight-{uuid.uuid4().hex[:8]}"
    namespace = options["egress_namespace"] or options["namespace"]
    labels = {**own_pod_labels(options["name"]), _COMPONENT: "preflight"}
    agent = template["spec"]
    authorities = outbound.ca_part(options)
    extras = [*outbound.objects(options), *pull_secrets.objects(options)]
    renamed = {obj["metadata"]["name"]: f"{name}-{number}" for number, obj in enumerate(extras)}
    container = {
        "name": _CONTAINER,
        "image": image,
        "imagePullPolicy": pull_policy(image),
        "args": ["reach", "--timeout", f"{max(1, min(_LONGEST_URL, seconds // _URL_SHARE))}s", *urls],
        "env": [one for one in agent["containers"][0].get("env") or [] if one["name"].lower() in _ENVIRONMENT],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
        "volumeMounts": authorities["mounts"],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **run_as(platforms)},
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_on(node)]}}},
        **{key: agent[key] for key in _LIKE_THE_AGENT if key in agent},
        "containers": [container],
        "volumes": [_with_name(volume, renamed) for volume in authorities["volumes"]],
    }
    if "imagePullSecrets" in spec:
        spec["imagePullSecrets"] = [{"name": renamed.get(one["name"], one["name"])} for one in spec["imagePullSecrets"]]
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": _KEPT,
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    return [job, *({**obj, "metadata": {"name": renamed[obj["metadata"]["name"]], "namespace": namespace, "labels": labels}} for obj in extras)]


def run_reach(cluster: Cluster, objects: list[dict], urls: int, seconds: int) -> dict:
    """Makes the Job, waits for its pod's end and removes all of it: {"results": of parse_lines, "node", "problem": text, "fix": text}.

    objects: of reach_objects. urls: how many it asks.
    Whatever happens here, Kubernetes ends the Job after `seconds` and removes it soon after.
    """
    job = cluster.apply(objects[0], True)
    owner = {"apiVersion": job["apiVersion"], "kind": job["kind"], "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    try:
        for obj in objects[1:]:
            cluster.apply({**obj, "metadata": {**obj["metadata"], "ownerReferences": [owner]}}, True)
        return _outcome(cluster, job, urls, seconds)
    finally:
        _remove(cluster, job)


def sweep(cluster: Cluster, name: str, namespace: str) -> None:
    """Removes ended Jobs that an earlier run could not remove; one that still runs may be somebody else's."""
    labels = {**own_pod_labels(name), _COMPONENT: "preflight"}
    jobs, _version = cluster.list("Job", namespace, labelSelector=",".join(f"{key}={value}" for key, value in sorted(labels.items())))
    for job in jobs:
        if any(one.get("status") == "True" and one.get("type") in ("Complete", "Failed") for one in (job.get("status") or {}).get("conditions") or []):
            _remove(cluster, job)


def check_nodes(wanted: str) -> None:
    """Failure for what is neither `pools` nor a number of nodes that so many Jobs are worth."""
    if wanted != BY_POOL and not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= MOST_NODES):
        raise Failure(f"egress_nodes {wanted!r} is neither {BY_POOL} nor a number from 1 to {MOST_NODES}", f"use {BY_POOL}, or for example 1")


def chosen_nodes(rows: list[dict], wanted: str) -> list[str]:
    """Names of the nodes that the way out is tried from: one of each pool and zone, at most MOST_POOLS; or as many as wanted, in turns of each. Pure.

    rows: verdicts of eligible nodes. wanted: `pools`, or a number.
    """
    places: dict[tuple, list[str]] = {}
    for row in rows:
        if row["up"] and not row["cordoned"]:
            places.setdefault((row["pool"], row["zone"]), []).append(row["node"])
    turns = [[names[turn] for names in places.values() if turn < len(names)] for turn in range(max(map(len, places.values()), default=0))]
    if wanted == BY_POOL:
        return turns[0][:MOST_POOLS] if turns else []
    return [node for turn in turns for node in turn][: int(wanted)]


def gathered(found: list[dict], tried: int) -> list[dict]:
    """The findings of several nodes, those that are alike as one. found: of reach_findings, each with its node; tried: number of nodes. Pure."""
    alike: dict[tuple, list[dict]] = {}
    for one in found:
        alike.setdefault((one["object"], one["result"], one["fix"]), []).append(one)
    if tried == 1:
        return found
    told = []
    for group in alike.values():
        others = f"; the same from {count(len(group) - 1, 'other node')}" if len(group) > 1 else ""
        told.append({**group[0], "evidence": group[0]["evidence"] + others, "nodes": sorted(node for one in group for node in one["nodes"])})
    return told


def parse_lines(log: str) -> list[dict]:
    """The objects that `/collector reach` printed, one a line; whatever else a log holds is left out. Pure."""
    found = []
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("url"), str) and isinstance(entry.get("ok"), bool):
            found.append(entry)
    return found


def reach_findings(outcome: dict, urls: list[str], namespace: str) -> list[dict]:
    """The findings of the check egress, one a URL. outcome: of run_reach. Pure."""
    where = f"from a pod in namespace {namespace}" + (f" on {outcome['node']}" if outcome["node"] else "")
    answers = {entry["url"]: entry for entry in outcome["results"]}
    found = []
    for url in urls:
        entry = answers.get(url)
        if entry is None:
            evidence = f"could not be tried {where}: {outcome['problem'] or 'the pod said nothing of it'}"
            found.append(finding("egress", "warning", evidence, outcome["fix"] or "run again, or look at the pod's image", url))
            continue
        through = f" through the proxy {entry['proxy']}" if entry.get("proxy") else ""
        if entry["ok"]:
            seal = f", {entry['tls']['version']}" if entry.get("tls") else ""
            found.append(finding("egress", "ok", f"answers {entry.get('status')} in {entry.get('ms') or 0:.0f} ms{seal}, {where}{through}", subject=url))
            continue
        stage = entry.get("stage") or "http"
        shown = entry.get("tls") or {}
        issuer = f" (the certificate of {shown.get('subject') or '?'} is signed by {shown.get('issuer') or '?'})" if shown else ""
        evidence = f"no answer, the way ends at {stage}: {entry.get('error') or 'no reason given'}{issuer}, {where}{through}"
        found.append(finding("egress", "error", evidence, _FIXES.get(stage, _FIXES["http"]), url))
    return found


def _on(node):
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}


def _with_name(volume, renamed):
    source = volume["configMap"]
    return {**volume, "configMap": {**source, "name": renamed.get(source["name"], source["name"])}}


def _remove(cluster, job):
    try:
        cluster.delete(job)
    except ApiFailure as failure:
        # Who may not delete it leaves that to Kubernetes, which knows how long it is kept.
        if failure.status != 403:
            raise


def _outcome(cluster, job, urls, seconds):
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    begin = time.monotonic()
    deadline = begin + seconds
    problem, fix, node = "", "", ""
    while True:
        pods, _version = cluster.list("Pod", namespace, labelSelector=f"job-name={name}")
        pod = next(iter(pods), None)
        if pod is not None:
            node = (pod.get("spec") or {}).get("nodeName") or ""
            ended = _ended(pod)
            if ended is not None:
                log, unread = _whole_log(cluster, pod["metadata"], ended, urls)
                return {"results": parse_lines(log), "node": node, **(_said(ended, log) if unread is None else unread)}
            cause = diagnose(pod)
            problem, fix = f"{cause['reason']}: {cause['detail']}", cause["fix"]
            if cause["final"]:
                break
        elif time.monotonic() > begin + _DENIED_AFTER:
            denied = _denied(cluster, job)
            if denied:
                problem, fix = denied, "change what the message names: quota, pod security level, admission webhook"
                break
            problem, fix = "the Job has no pod", "look at the namespace's quota, pod security level and admission webhooks"
        if time.monotonic() > deadline:
            problem = f"no end within {seconds} s" + (f" ({problem})" if problem else "")
            break
        time.sleep(_POLL)
    return {"results": [], "node": node, "problem": problem, "fix": fix}


def _ended(pod):
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if (status.get("state") or {}).get("terminated"):
            return status["state"]["terminated"]
    return None


def _whole_log(cluster, pod, ended, urls):
    """(the log, None), or what is to be told where it cannot be read."""
    give_up = time.monotonic() + _LOG_AFTER
    while True:
        log, unread = "", None
        try:
            log = cluster.logs(pod["namespace"], pod["name"], _CONTAINER, _LOG_LINES)
        except Failure as failure:
            unread = {"problem": f"the pod's log could not be read: {failure.what}", "fix": failure.next_step}
            if isinstance(failure, ApiFailure) and failure.status == 403:
                return log, unread
        said_all = unread is None and (ended.get("exitCode") not in _HAS_ASKED or len(parse_lines(log)) >= urls)
        if said_all or time.monotonic() > give_up:
            return log, unread
        time.sleep(_POLL)


def _said(ended, log):
    if ended.get("exitCode") in _HAS_ASKED:
        return {"problem": "", "fix": ""}
    last = next(iter(reversed([line for line in log.splitlines() if line.strip()])), ended.get("message") or ended.get("reason") or "no output")
    return {
        "problem": f"the program ended with exit code {ended.get('exitCode')}: {last[:200]}",
        "fix": "set egress_image to this collection's collector image",
    }


def _denied(cluster, job):
    """The controller's own word why it cannot make the pod; empty without one, or where events cannot be read."""
    selector = f"involvedObject.kind=Job,involvedObject.name={job['metadata']['name']}"
    try:
        events, _version = cluster.list("Event", job["metadata"]["namespace"], fieldSelector=selector)
    except Failure:
        # Without that right the pod has to do, which may only be late.
        return ""
    return next((event.get("message") or "" for event in events if event.get("reason") == "FailedCreate"), "")
