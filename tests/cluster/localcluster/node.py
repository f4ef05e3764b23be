# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node: a network and a mount namespace in which a containerd, a kubelet and a kube-proxy of its own run."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import yaml

from localcluster import image, network, registry
from localcluster.addresses import node_names
from localcluster.api import FAILURES, Api
from localcluster.cgroups import SERVICES
from localcluster.errors import StepFailed
from localcluster.machine import cni_folder
from localcluster.parts import Parts
from localcluster.pki import kubeconfig
from localcluster.state import write_atomically

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
SOCKET = "/run/containerd/containerd.sock"
# The kubelet's sockets are below it, and the kernel takes no socket's path of more than 107 bytes.
KUBELET_ROOT = "/var/lib/kubelet"
SECONDS = 60
# A node that has just become ready may get the taint for the time before once more, from a controller that lags behind.
STEADY = 1.0
FAILS_ON_CGROUP_V1_FROM = (1, 31)

# The kubelet insists on these values. It finds them in files laid over the machine's settings, which stay as they are.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


class Node:
    """One node of a cluster."""

    def __init__(self, parts: Parts, name: str):
        self.name = name
        self._parts = parts
        self._index = node_names(parts.facts.nodes).index(name)
        self._folder = parts.folder.node(name)

    @property
    def containerd(self) -> str:
        """The name of the containerd process."""
        return f"{self.name}-containerd"

    @property
    def kubelet(self) -> str:
        """The name of the kubelet process."""
        return f"{self.name}-kubelet"

    @property
    def proxy(self) -> str:
        """The name of the kube-proxy process."""
        return f"{self.name}-kube-proxy"

    @property
    def holder(self) -> str:
        """The name of the process that does nothing but keep the node's namespaces."""
        return f"{self.name}-namespaces"

    @property
    def processes(self) -> list[str]:
        """The names of all processes that make the node."""
        return [self.holder, self.containerd, self.kubelet, self.proxy]

    def start_runtime(self) -> None:
        """Make the namespaces and start containerd in them; a node whose namespaces are lost begins anew."""
        parts = self._parts
        if not parts.processes.running(self.holder):
            self.clear()
        network.create_node(parts.facts.name, parts.plan, self.name, self._index)
        parts.cgroups.create_pods(self.name)
        self._write_configuration()
        self._hold_namespaces()
        if self._start(self.containerd, "containerd", "--config", str(self._folder / "containerd.toml")):
            self._import_pause()

    def start_kubelet(self) -> None:
        """Start the kubelet and kube-proxy."""
        folder = self._folder
        kube = self._parts.kube
        self._start(
            self.kubelet,
            kube,
            "kubelet",
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={folder / 'kubelet.kubeconfig'}",
            f"--hostname-override={self.name}",
            f"--node-ip={self._parts.plan.node(self._index)}",
            f"--root-dir={KUBELET_ROOT}",
            f"--cert-dir={folder / 'kubelet-certificates'}",
        )
        self._start(self.proxy, kube, "kube-proxy", f"--config={folder / 'kube-proxy.yaml'}", f"--hostname-override={self.name}")

    def wait(self) -> None:
        """Wait until the API server sees the node as ready, and give a control-plane node its label."""
        api = self._parts.api()
        since = None

        def steady() -> bool:
            nonlocal since
            if not self.works(api):
                since = None
                return False
            since = since or time.monotonic()
            return time.monotonic() - since >= STEADY

        self._parts.processes.wait(self.kubelet, steady, SECONDS, f"node {self.name}")
        if self._index == 0:
            # A kubelet may not give itself this label.
            api.request("PATCH", f"/api/v1/nodes/{self.name}", {"metadata": {"labels": {CONTROL_PLANE: ""}}})

    def works(self, api: Api) -> bool:
        """Whether the node is ready; asks the kubelet too, since the API server believes in a dead one for a while."""
        try:
            return api.ready_nodes().get(self.name, False) and api.kubelet_answers(self.name)
        except FAILURES:
            return False

    def clear(self) -> None:
        """Remove all that runs or is mounted for this node, and its files."""
        parts = self._parts
        parts.cgroups.remove(self.name, f"{SERVICES}/{self.name}")
        for process in self.processes:
            parts.processes.forget(process)
        network.remove_namespace(network.namespace(parts.facts.name, self.name))
        shutil.rmtree(self._folder, ignore_errors=True)

    def enter(self) -> list[str]:
        """The beginning of a command that runs inside of the node."""
        holder = self._parts.processes.identity(self.holder)
        if holder is None:
            raise StepFailed(f"node {self.name}", "its namespaces are gone")
        return ["nsenter", f"--target={holder.pid}", "--mount", "--net"]

    def _start(self, name: str, *command: str) -> bool:
        return self._parts.start(name, *self.enter(), *command, owner=self.name)

    def _hold_namespaces(self) -> None:
        parts = self._parts
        inside = f"{mount_script(self._folder)}\nexec {shlex.quote(str(Path(parts.facts.binaries) / 'pause'))}"
        own_network = network.NAMESPACES / network.namespace(parts.facts.name, self.name)
        parts.start(self.holder, "nsenter", f"--net={own_network}", "unshare", "--mount", "--propagation=slave", "sh", "-ec", inside, owner=self.name)
        identity = parts.processes.identity(self.holder)
        parts.processes.wait(self.holder, Path(f"/proc/{identity.pid}/root/run/node-ready").exists, SECONDS, f"node {self.name}")

    def _import_pause(self) -> None:
        command = [*self.enter(), "ctr", f"--address={SOCKET}", "--namespace=k8s.io"]

        def answers() -> bool:
            return subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0

        self._parts.processes.wait(self.containerd, answers, SECONDS, f"node {self.name}")
        archive = self._parts.folder.path / "pause.tar"
        done = subprocess.run([*command, "images", "import", str(archive)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise StepFailed(f"node {self.name}", f"import of {archive.name}: {done.stderr.strip()}", self._parts.processes.log(self.containerd))

    def _write_configuration(self) -> None:
        parts, folder = self._parts, self._folder
        for each in ("log", "cni", "kernel", "kubelet"):
            (folder / each).mkdir(parents=True, exist_ok=True)
        for setting, value in KERNEL_SETTINGS.items():
            write_atomically(folder / "kernel" / setting, value + "\n")
        user = f"kubelet-{self.name}"
        write_atomically(folder / "kubelet.kubeconfig", kubeconfig(parts.folder.pki, user, parts.facts.name, parts.server), 0o600)
        write_atomically(
            folder / "kubelet.yaml",
            yaml.safe_dump(
                kubelet_configuration(
                    parts.facts.kubernetes,
                    str(parts.plan.node(self._index)),
                    str(parts.plan.dns_service),
                    parts.cgroups.pods(self.name),
                    folder,
                    parts.folder.pki,
                    user,
                    self._index == 0,
                ),
                sort_keys=False,
            ),
        )
        write_atomically(
            folder / "kube-proxy.yaml",
            yaml.safe_dump(proxy_configuration(parts.folder.pki / "kube-proxy.kubeconfig", str(parts.plan.node(self._index))), sort_keys=False),
        )
        write_atomically(folder / "cni" / "10-pods.conflist", json.dumps(cni_configuration(str(parts.plan.pods(self._index))), indent=2))
        write_atomically(folder / "containerd.toml", containerd_configuration(folder, str(cni_folder())))
        hosts = folder / "registries"
        write_atomically(hosts / registry.plain_address(parts) / "hosts.toml", hosts_configuration(f"http://{registry.plain_address(parts)}"))
        write_atomically(
            hosts / registry.tls_address(parts) / "hosts.toml",
            hosts_configuration(f"https://{registry.tls_address(parts)}", parts.folder.pki / "registry-ca.crt"),
        )


def mount_script(folder: Path) -> str:
    """Shell lines that give a fresh mount namespace the folders that a node has for itself.

    Mounts of the machine still come in, so that the machine can take them away; none goes out.
    """
    lines = [
        "mount -t tmpfs -o mode=0755 node-run /run",
        "mkdir -m 0755 /run/netns /run/lock",
        "mount -t tmpfs -o mode=0755 node-lib /var/lib",
        f"mkdir -m 0750 {KUBELET_ROOT}",
        f"mount --bind {shlex.quote(str(folder / 'kubelet'))} {KUBELET_ROOT}",
        f"mount --bind {shlex.quote(str(folder / 'log'))} /var/log",
    ]
    for setting in KERNEL_SETTINGS:
        lines.append(f"mount --bind {shlex.quote(str(folder / 'kernel' / setting))} /proc/sys/{setting}")
    return "\n".join([*lines, "mount --make-rshared /", "touch /run/node-ready"])


def kubelet_configuration(minor: str, address: str, dns: str, cgroup_root: str, folder: Path, pki: Path, user: str, control_plane: bool) -> dict:
    """The kubelet's configuration file."""
    content = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "tlsCertFile": str(pki / f"{user}.crt"),
        "tlsPrivateKeyFile": str(pki / f"{user}.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup_root,
        "failSwapOn": False,
        "resolvConf": "",
        "clusterDomain": "cluster.local",
        "clusterDNS": [dns],
        "volumePluginDir": str(folder / "volume-plugins"),
        # The disk belongs to the machine: a node neither measures it nor evicts because others fill it.
        "localStorageCapacityIsolation": False,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
    }
    if tuple(map(int, minor.split("."))) >= FAILS_ON_CGROUP_V1_FROM:
        content["failCgroupV1"] = False
    if control_plane:
        content["registerWithTaints"] = [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
    return content


def proxy_configuration(kubeconfig_file: Path, address: str) -> dict:
    """kube-proxy's configuration file; it leaves the machine's connection tracking limits alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig_file)},
        "mode": "iptables",
        "bindAddress": address,
        "detectLocalMode": "BridgeInterface",
        "detectLocal": {"bridgeInterface": "cni0"},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def cni_configuration(subnet: str) -> dict:
    """The network of a node's pods."""
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"},
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def containerd_configuration(folder: Path, cni_plugins: str) -> str:
    """containerd's configuration file; without the right to lower out-of-memory scores a container could not start unless told so."""
    return f"""version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", \
"io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image.NAME}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_plugins}"
conf_dir = "{folder}/cni"
"""


def hosts_configuration(server: str, authority: Path | None = None) -> str:
    """How containerd reaches one registry."""
    lines = [f'server = "{server}"', "", f'[host."{server}"]', 'capabilities = ["pull", "resolve"]']
    if authority is not None:
        lines.append(f'ca = "{authority}"')
    return "\n".join(lines) + "\n"
