# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A large cluster made of one recorded node and pod, and an API server that serves it, for reading only."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "nanoagent"
_RECORDED = Path(__file__).resolve().parents[1] / "recorded"
# What a kubelet reports at most (nodeStatusMaxImages); the recorded node had few.
_IMAGES = 50
_ZONES, _POOLS = 3, 10
# One node in so many is down, and one in so many has a pod that cannot be scheduled: not all of a large cluster is ever well.
_DOWN, _PENDING = 200, 250
_VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.3", "platform": "linux/amd64"}


def nodes(count: int) -> Iterator[dict]:
    """Nodes as a kubelet reports them, each with a name, uid, pool, zone and images of its own."""
    for number in range(count):
        node = _recorded("node")
        metadata, status = node["metadata"], node["status"]
        metadata["name"], metadata["uid"] = _name(number), _uid("node", number)
        metadata["labels"] |= {
            "kubernetes.io/hostname": _name(number),
            "topology.kubernetes.io/zone": f"zone-{number % _ZONES}",
            "node.kubernetes.io/nodepool": f"pool-{number % _POOLS}",
        }
        status["images"] = [_image(number, each) for each in range(_IMAGES)]
        for condition in status["conditions"]:
            if condition["type"] == "Ready" and _is_down(number):
                condition |= {"status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
        yield node


def pods(count: int) -> Iterator[dict]:
    """A pod of the recorded DaemonSet for each node."""
    for number in range(count):
        pod = _recorded("pod")
        metadata, status = pod["metadata"], pod["status"]
        metadata["name"], metadata["uid"] = f"{metadata['generateName']}{number:05x}", _uid("pod", number)
        pod["spec"]["nodeName"] = _name(number)
        (field,) = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"][0]["matchFields"]
        field["values"] = [_name(number)]
        if number % _PENDING == 1:
            del pod["spec"]["nodeName"], status["containerStatuses"]
            status["phase"] = "Pending"
            why = "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
            status["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}]
        yield pod


def counts(count: int) -> dict[str, int]:
    """What a verdict has to find among so many nodes: {"nodes", "ready"}."""
    return {"nodes": count, "ready": sum(1 for number in range(count) if not _is_down(number) and number % _PENDING != 1)}


class Lists:
    """The cluster's answers, as text that is made once."""

    def __init__(self, count: int):
        self._lists = {
            "/api/v1/nodes": ("v1", "NodeList", _texts(nodes(count))),
            "/api/v1/pods": ("v1", "PodList", _texts(pods(count))),
            f"/apis/apps/v1/namespaces/{NAMESPACE}/controllerrevisions": ("apps/v1", "ControllerRevisionList", _texts([_recorded("controllerrevision")])),
        }
        self._lists[f"/api/v1/namespaces/{NAMESPACE}/pods"] = self._lists["/api/v1/pods"]
        self._objects = {
            "/version": _VERSION,
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [_resource("nodes", "Node", False), _resource("pods", "Pod", True)]},
            f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/nanoagent": _daemon_set(count),
        }

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        """(status, body) for a GET: lists by pages of `limit`, from where `continue` says; other lists are empty."""
        if path in self._objects:
            return 200, json.dumps(self._objects[path]).encode()
        if path.rpartition("/")[2] not in ("events", "nodes", "pods", "controllerrevisions", "deployments", "daemonsets"):
            return 404, json.dumps({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
        version, kind, texts = self._lists.get(path, ("v1", "List", []))
        start = int(query.get("continue") or 0)
        end = min(len(texts), start + (int(query.get("limit") or 0) or len(texts)))
        metadata = {"resourceVersion": "1000"} | ({"continue": str(end), "remainingItemCount": len(texts) - end} if end < len(texts) else {})
        head = json.dumps({"kind": kind, "apiVersion": version, "metadata": metadata})[:-1].encode()
        return 200, head + b', "items": [' + b",".join(texts[start:end]) + b"]}"


def serve(count: int) -> None:
    """Serves on loopback until the process is ended; the first line of output is the URL."""
    lists = Lists(count)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self):
            address = urlsplit(self.path)
            status, body = lists.answer(address.path, {key: values[0] for key, values in parse_qs(address.query).items()})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def _recorded(name):
    return json.loads((_RECORDED / f"{name}.json").read_text())


def _daemon_set(count):
    daemon_set = _recorded("daemonset")
    ready = counts(count)["ready"]
    daemon_set["status"] |= {"desiredNumberScheduled": count, "currentNumberScheduled": count, "updatedNumberScheduled": count, "numberReady": ready}
    return daemon_set


def _texts(objects):
    return [json.dumps(obj, separators=(",", ":")).encode() for obj in objects]


def _image(number, each):
    digest = hashlib.sha256(f"{number % _POOLS}/{each}".encode()).hexdigest()
    name = f"registry.example.com/team-{each % 7}/service-{each}"
    return {"names": [f"{name}@sha256:{digest}", f"{name}:v1.{each}"], "sizeBytes": 40_000_000 + each}


def _is_down(number):
    return number % _DOWN == 2


def _name(number):
    return f"node-{number:05d}.zone-{number % _ZONES}.example.com"


def _uid(kind, number):
    digest = hashlib.sha256(f"{kind}/{number}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _resource(name, kind, namespaced):
    return {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": ["get", "list", "watch"]}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
