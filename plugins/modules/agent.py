#!/usr/bin/python
# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent
short_description: Install, render or remove the eBPF agent on a Kubernetes cluster
version_added: 0.1.0
description:
  - Puts the collector on every eligible node with one call. It makes the namespace, service accounts, rights of the
    verifier, priority class, pull secret, configuration and DaemonSet by server-side apply.
  - A second run with the same options reads only and writes nothing.
  - Waits by watching, and ends early with the cause where the rollout cannot succeed.
author:
  - The nanoagent.k8s maintainers (@nanoagent)
extends_documentation_fragment:
  - nanoagent.k8s.attributes
  - nanoagent.k8s.connection
  - nanoagent.k8s.wait
attributes:
  check_mode:
    support: full
    details:
      - Predicts the same O(ignore:actions) that the real run takes, also where the namespace does not exist yet.
  diff_mode:
    support: full
    details:
      - Shows only fields that the collection owns; values of Secrets are hidden.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) installs or repairs, V(absent) removes what this collection installed, V(rendered) returns the
        manifests and talks to no cluster; Secrets are left out of them.
    type: str
    choices: [present, absent, rendered]
    default: present
  render_dir:
    description:
      - Folder for the files of O(state=rendered), on the machine that the module runs on; it is made where its parent
        exists. It gets one numbered file an object in apply order, C(bundle.yaml) with all of them, and
        C(kustomization.yaml) that lists the numbered ones.
      - Files of an earlier rendering that no longer belong are removed; files of other origin are never touched.
    type: path
  kubernetes_version:
    description:
      - With O(state=rendered), the version of the API server that the manifests are for, such as V(1.29); the newest that is
        known without it. Other states ask the API server itself.
      - O(apparmor) becomes an annotation before 1.30.
    type: str
  profile:
    description:
      - Whose agent it is. V(bundled) is the collector of this collection; V(spyderbat) the vendor's image, with the names,
        variables and paths of its chart; V(custom) any image.
      - Options whose default depends on it say so.
    type: str
    choices: [bundled, spyderbat, custom]
    default: bundled
  command:
    description:
      - Command of the container, instead of the image's entry point. O(profile=custom) only.
    type: list
    elements: str
  args:
    description:
      - Arguments of the container. O(profile=custom) only.
    type: list
    elements: str
  name:
    description:
      - Name of the DaemonSet; other objects derive their names from it.
      - V(nanoagent) by default, V(spyderbat-nanoagent) with O(profile=spyderbat).
    type: str
  namespace:
    description:
      - Namespace of the agent; V(nanoagent) by default, V(spyderbat) with O(profile=spyderbat).
    type: str
  create_namespace:
    description:
      - Whether to make the namespace where it does not exist. A namespace that somebody else made is used and left as
        it is, and V(absent) keeps it.
    type: bool
    default: true
  namespace_annotations:
    description:
      - Annotations of a namespace that is made here.
    type: dict
    default: {}
  namespace_labels:
    description:
      - Further labels of a namespace that is made.
    type: dict
    default: {}
  pod_security:
    description:
      - Level of pod security (C(pod-security.kubernetes.io)) of a namespace that is made; V(unset) sets no label.
      - Below V(privileged) agents are let in only where the cluster exempts them, since they need host paths and capabilities.
    type: str
    choices: [privileged, baseline, restricted, unset]
    default: privileged
  image:
    description:
      - Reference of the agent's image, for O(profile=bundled) as M(nanoagent.k8s.collector_image) returns it. Needed unless
        O(state=absent).
      - With O(profile=spyderbat) it is C(ghcr.io/spyderbat/nano-agent:latest) by default, which needs O(require_digest=false).
    type: str
  require_digest:
    description:
      - Whether to refuse an O(image) that is not pinned by a digest.
    type: bool
    default: true
  image_pull_policy:
    description:
      - When the nodes pull the image. By default V(Always) for the tag C(latest) or none, V(Never) for C(local) and tags that
        begin with C(local-), V(IfNotPresent) for any other tag and for digests.
    type: str
    choices: [Always, IfNotPresent, Never]
  registry_login:
    description:
      - Login to the image's registry; it becomes a pull secret of the agent.
    type: dict
    suboptions:
      registry:
        description: The registry's host, with its port, as in O(image).
        type: str
        required: true
      username:
        description: User.
        type: str
        required: true
      password:
        description: Password or token.
        type: str
        required: true
      secret_name:
        description: Name of the Secret.
        type: str
        default: nanoagent-registry
  image_pull_secrets:
    description:
      - Names of existing pull secrets in the namespace.
    type: list
    elements: str
    default: []
  service_account:
    description:
      - Name of the agent's service account. It has no rights, and its token is not mounted.
      - By default C(nanoagent), with O(profile=spyderbat) C(spyderbat-serviceaccount).
    type: str
  create_service_account:
    description:
      - Whether to make O(service_account); otherwise it has to exist.
    type: bool
    default: true
  service_account_annotations:
    description:
      - Annotations of the service account, and of the cluster monitor's, as C(eks.amazonaws.com/role-arn).
    type: dict
    default: {}
  service_account_token:
    description:
      - Whether to mount the service account's token into the agent's pods.
    type: bool
    default: false
  rbac:
    description:
      - Rights of the cluster monitor's service account. V(read_only) reads workloads, nodes, services, roles and events, no
        Secrets and no ConfigMaps; V(respond) also deletes pods; V(cluster_admin) may do everything.
      - The node agent itself gets no rights.
    type: str
    choices: [read_only, respond, cluster_admin]
    default: read_only
  monitor:
    description:
      - The cluster monitor, one more agent that watches the Kubernetes API itself. O(profile=spyderbat) only, since a monitor
        of our own is not in this release.
    type: dict
    suboptions:
      enabled:
        description: Whether to install it.
        type: bool
        default: false
      name:
        description: Name of the Deployment.
        type: str
        default: clustermonitor-deployment
      image:
        description: Its image; by default O(image).
        type: str
      replicas:
        description: Number of pods.
        type: int
        default: 1
      resources:
        description: Requests and limits of its container; by default what O(resources) is by default.
        type: dict
      pod_disruption_budget:
        description: Whether to let at most one pod go at a time when nodes are drained. By default with more than one replica.
        type: bool
      tolerations:
        description: Tolerations of its pods.
        type: list
        elements: dict
      node_selector:
        description: Labels that its nodes must have.
        type: dict
  verifier:
    description:
      - Whether to make the service account C(<name>-verifier) with just the rights that
        M(nanoagent.k8s.agent_info) needs.
    type: bool
    default: true
  cluster_name:
    description:
      - Name of the cluster, in every event.
    type: str
    default: ""
  tags:
    description:
      - Tags in every event. With O(profile=spyderbat) they go out as C(KEY=value:KEY=value).
    type: dict
    default: {}
  events:
    description:
      - The kinds of events that the collector emits, all by default. O(profile=bundled) only.
    type: list
    elements: str
    choices: [exec, fork, exit, connect, accept]
  ring_bytes:
    description:
      - Size of the buffer between the kernel and the collector, in bytes; a power of two, by default C(4194304).
        O(profile=bundled) only.
    type: int
  orc_url:
    description:
      - URL of the vendor's backend, by default V(https://orc.spyderbat.com). O(profile=spyderbat) only.
    type: str
  registration_code:
    description:
      - The agent's registration code. It becomes a Secret, from which the container gets E(AGENT_REGISTRATION_CODE); a new
        code replaces the pods once. O(profile=spyderbat) and O(profile=custom) only.
    type: str
  credentials:
    description:
      - Where the registration code comes from instead of O(registration_code), one of the suboptions.
    type: dict
    suboptions:
      existing_secret:
        description: A Secret in the namespace.
        type: dict
        suboptions:
          name:
            description: Name of the Secret.
            type: str
            required: true
          key:
            description: Key of the registration code in it.
            type: str
            default: registration-code
          restart_on_change:
            description:
              - Whether the next run after a change of the value replaces the pods. It needs the right to read the Secret.
            type: bool
            default: false
      aws_secrets_manager:
        description: AWS Secrets Manager, by the Secrets Store CSI driver, which has to be in the cluster with its AWS provider.
        type: dict
        suboptions:
          secret_id:
            description: Name or ARN of the secret.
            type: str
            required: true
          key:
            description: Key in the secret's JSON; an empty one takes the secret's whole text.
            type: str
            default: spyderbat-registration-key
          region:
            description: Region, where it is not the node's.
            type: str
          role_arn:
            description: ARN of the AWS role that the service accounts of agent and monitor get.
            type: str
          sync_secret:
            description: Name of the Secret that the driver makes; by default C(<name>-credentials).
            type: str
      external_secret:
        description: A store of the External Secrets operator, which has to be in the cluster.
        type: dict
        suboptions:
          store:
            description: Name of the store.
            type: str
            required: true
          store_kind:
            description: Kind of the store.
            type: str
            choices: [ClusterSecretStore, SecretStore]
            default: ClusterSecretStore
          remote_key:
            description: Name of the secret in the store.
            type: str
            required: true
          property:
            description: Part of that secret.
            type: str
          refresh_interval:
            description: How often the operator looks for a new value.
            type: str
            default: 1h
  omit_environment:
    description:
      - Which environment variables of watched processes are left out, V(no) by default. V(everything) leaves out all,
        V(allbutredacted) all but those that look like secrets, which are sent encrypted. O(profile=spyderbat) only.
    type: str
    choices: ["no", everything, allbutredacted]
  extra_args:
    description:
      - Further arguments of the vendor's agent. O(profile=spyderbat) only.
    type: str
  curl_args:
    description:
      - Further arguments of the vendor's downloads. O(profile=spyderbat) only.
    type: str
  http_proxy:
    description:
      - Proxy of the agent's HTTP requests, without user and password, which would stand in the pod template.
    type: str
  https_proxy:
    description:
      - Proxy of the agent's HTTPS requests, as O(http_proxy).
    type: str
  proxy_exceptions:
    description:
      - Hosts, domains and networks that the agent reaches without a proxy (E(NO_PROXY)).
    type: list
    elements: str
    default: []
  ca_bundle:
    description:
      - Certificates, as PEM text, of the authorities that the agent trusts instead of its image's. They become a ConfigMap,
        and E(SSL_CERT_FILE) names the file.
    type: str
  ca_bundle_config_map:
    description:
      - An existing ConfigMap in the namespace with such certificates, instead of O(ca_bundle).
    type: dict
    suboptions:
      name:
        description: Name of the ConfigMap.
        type: str
        required: true
      key:
        description: Key in it.
        type: str
        default: ca.crt
  network_policy:
    description:
      - Whether to make a NetworkPolicy. In comes nothing but scrapes of O(metrics). Out goes nothing from our collector, which
        talks to no network; from other agents name service, HTTPS, the API server and the proxies.
      - It binds no pod in the host's network.
      - On by default with O(profile=bundled) where the pods are not in the node's network, else off.
    type: bool
  network_policy_egress:
    description:
      - Further egress rules of the NetworkPolicy, with C(to) and C(ports).
    type: list
    elements: dict
    default: []
  metrics:
    description:
      - How Prometheus finds the agents' metrics. With it the collector listens on a port of its pod; otherwise on none.
    type: dict
    suboptions:
      scrape:
        description:
          - V(annotations) sets C(prometheus.io/scrape), C(port) and C(path) on the pods; V(pod_monitor) makes a PodMonitor;
            V(service_monitor) makes a Service and a ServiceMonitor; V(auto) makes a PodMonitor where the API has them, else
            sets annotations.
        type: str
        choices: ["off", annotations, service_monitor, pod_monitor, auto]
        default: "off"
      port:
        description: Port of the metrics.
        type: int
        default: 9464
      interval:
        description: Time between two scrapes, as C(30s); by default Prometheus' own.
        type: str
  resources:
    description:
      - Requests and limits of the agent's container. By default requests of 100m cpu and 512Mi memory, limits of 6000m and
        10240Mi.
    type: dict
  limit_percent:
    description:
      - Sets the limits to this share, from 3 to 5 percent, of what the smallest eligible node can give to pods, and caps the
        requests at them; instead of O(resources). A smaller node that joins changes them at the next run.
    type: float
  priority_class:
    description:
      - Priority class of the pods; none by default. Without one an agent may never get a place on a full node, with too low a
        one it can be preempted.
    type: dict
    suboptions:
      name:
        description: Name of the class. C(system-node-critical) and C(system-cluster-critical) are never made.
        type: str
        required: true
      create:
        description: Whether to make the class; otherwise it has to exist.
        type: bool
        default: true
      value:
        description:
          - Value of the class that is made, up to 1,000,000,000. 100 to 1000 is low, 100,000 and more very high.
        type: int
        default: 1000
      preemption_policy:
        description: Whether the pods may preempt others; of a class that is made. The API server's default is V(PreemptLowerPriority).
        type: str
        choices: [PreemptLowerPriority, Never]
      resource_quota:
        description:
          - Whether to make a ResourceQuota for the class, without which GKE lets no pods of the system's classes into other
            namespaces than C(kube-system). By default for these classes outside of it.
        type: bool
  tolerations:
    description:
      - Tolerations of the pods. By default every taint is tolerated, so that no node is left out.
    type: list
    elements: dict
    default:
      - operator: Exists
  node_selector:
    description:
      - Labels that a node must have, beside C(kubernetes.io/os=linux).
    type: dict
    default: {}
  affinity:
    description:
      - Further affinity of the pods, as in a pod. What O(architectures), O(control_plane) and O(real_nodes_only) demand is
        added to each of its required node terms.
    type: dict
    default: {}
  architectures:
    description:
      - Architectures of the nodes that get an agent.
    type: list
    elements: str
    choices: [amd64, arm64]
    default: [amd64, arm64]
  control_plane:
    description:
      - Whether control-plane nodes get an agent.
    type: bool
    default: true
  real_nodes_only:
    description:
      - Whether to leave out nodes with no machine behind them, that is Fargate, virtual kubelet and kwok.
    type: bool
    default: true
  max_unavailable:
    description:
      - How many nodes may be without a ready agent during an update, as a number or a percentage. By default V(10%), with
        O(profile=spyderbat) V(1), and beside a O(max_surge) V(0).
    type: str
  max_surge:
    description:
      - On how many nodes a new agent may start beside the old one during an update, as a number or a percentage; then
        O(max_unavailable) has to be V(0).
    type: str
    default: "0"
  update_strategy:
    description:
      - V(RollingUpdate) replaces agents by itself, V(OnDelete) each when its pod is deleted.
    type: str
    choices: [RollingUpdate, OnDelete]
    default: RollingUpdate
  min_ready_seconds:
    description:
      - How long an agent has to be ready before it counts.
    type: int
    default: 0
  revision_history_limit:
    description:
      - How many old revisions the cluster keeps.
    type: int
    default: 10
  termination_grace_period:
    description:
      - Seconds that an agent has to end; by default 10, with O(profile=spyderbat) 30.
    type: int
  probes:
    description:
      - Changes to the probes of the container. The collector has its own; other agents have just those that are given here.
    type: dict
    suboptions:
      startup:
        description: The startup probe, that the others wait for.
        type: dict
        suboptions: &probe
          enabled:
            description: Whether there is such a probe.
            type: bool
            default: true
          command:
            description: Command in the container that says by its exit code whether all is well. Not with O(profile=bundled).
            type: list
            elements: str
          http_path:
            description: Path that answers with a status below 400 when all is well. Not with O(profile=bundled).
            type: str
          port:
            description: Port of O(probes.startup.http_path), or of the like of the other probes.
            type: int
          period_seconds:
            description: Seconds between two probes.
            type: int
          timeout_seconds:
            description: Seconds that a probe may take.
            type: int
          failure_threshold:
            description: How many failures in a row count.
            type: int
          initial_delay_seconds:
            description: Seconds from the container's start to the first probe.
            type: int
      readiness:
        description: The readiness probe, that decides whether an agent counts.
        type: dict
        suboptions: *probe
      liveness:
        description: The liveness probe, whose failure restarts the container.
        type: dict
        suboptions: *probe
  privileged:
    description:
      - Whether to run the container privileged, for kernels before 5.8 that lack CAP_BPF. Otherwise it has CAP_BPF and
        CAP_PERFMON only. By default V(false), with O(profile=spyderbat) V(true).
    type: bool
  capabilities:
    description:
      - Capabilities beside BPF and PERFMON, as V(SYS_PTRACE); without CAP_.
    type: list
    elements: str
    default: []
  run_as_user:
    description:
      - User of the container, by default 0, with O(profile=spyderbat) the image's. The collector has to be 0, since
        capabilities reach other users only by privilege escalation.
    type: int
  seccomp:
    description:
      - Seccomp profile of the container, the runtime's by default. A privileged container runs without.
    type: dict
    suboptions:
      type:
        description: Kind of profile. V(Localhost) is a file on the node.
        type: str
        choices: [RuntimeDefault, Localhost, Unconfined]
        default: RuntimeDefault
      profile:
        description: Path of a file that is on the nodes, below the kubelet's seccomp folder.
        type: str
      content:
        description:
          - A profile, as a mapping or as JSON text, that an init container of the same image puts on each node first. The file
            stays there when the agent is removed. O(profile=bundled) only.
        type: raw
      kubelet_root:
        description: The kubelet's folder (C(--root-dir)), where O(seccomp.content) goes.
        type: path
        default: /var/lib/kubelet
  apparmor:
    description:
      - AppArmor profile of the container; nothing is said by default. It is a field from Kubernetes 1.30 on, before that an
        annotation.
    type: dict
    suboptions:
      type:
        description: Kind of profile. V(Localhost) is one that is loaded on the nodes.
        type: str
        choices: [RuntimeDefault, Localhost, Unconfined]
        default: RuntimeDefault
      profile:
        description: Name of the loaded profile.
        type: str
  runtime_class:
    description:
      - Runtime class of the pods. In a sandbox such as gVisor or Kata an eBPF agent sees only the sandbox.
    type: str
  host_network:
    description:
      - Whether the pods are in the node's network. By default V(false), with O(profile=spyderbat) V(true).
    type: bool
  host_pid:
    description:
      - Whether the pods see the node's processes in C(/proc). The collector needs it not. By default V(false), with
        O(profile=spyderbat) V(true).
    type: bool
  dns_policy:
    description:
      - DNS policy of the pods. By default V(ClusterFirstWithHostNet) in the node's network, else the API server's.
    type: str
    choices: [ClusterFirst, ClusterFirstWithHostNet, Default, None]
  host_paths:
    description:
      - Further paths of the node that the container sees.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path on the node.
        type: str
        required: true
      mount_path:
        description: Path in the container.
        type: str
        required: true
      type:
        description: What has to be there; V(DirectoryOrCreate) and V(FileOrCreate) make it.
        type: str
        choices: [Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice]
        default: Directory
      read_only:
        description: Whether the container may only read.
        type: bool
        default: true
      name:
        description: Name of the volume; by default made from O(host_paths[].path).
        type: str
  extra_env:
    description:
      - Further environment variables, as in a container, with C(name) and C(value) or C(valueFrom). Secrets belong into
        C(valueFrom). The cluster monitor gets them too.
    type: list
    elements: dict
    default: []
  extra_volumes:
    description:
      - Further volumes of the pods, as in a pod.
    type: list
    elements: dict
    default: []
  extra_volume_mounts:
    description:
      - Further mounts of the container, as in a container.
    type: list
    elements: dict
    default: []
  labels:
    description:
      - Further labels of every object.
    type: dict
    default: {}
  annotations:
    description:
      - Further annotations of every object.
    type: dict
    default: {}
  pod_labels:
    description:
      - Further labels of the pods.
    type: dict
    default: {}
  pod_annotations:
    description:
      - Further annotations of the pods.
    type: dict
    default: {}
  canary:
    description:
      - A few nodes first. A change that starts or replaces pods goes to them, and to the others only after the new pods are
        ready there and, with O(canary.verify), have proven that they see.
      - On an agent that is installed already the other nodes keep their pods meanwhile. A first install is bound to
        the chosen nodes by their names; widening it afterwards replaces their pods once more.
      - Needs O(wait), and O(update_strategy=RollingUpdate).
    type: dict
    suboptions:
      nodes:
        description:
          - How many nodes, as a number or a percentage. They are spread over architectures and zones. This or O(canary.selector).
        type: str
      selector:
        description:
          - Labels of the nodes that go first.
        type: dict
      verify:
        description:
          - Whether the collectors on these nodes have to give a live proof, as in M(nanoagent.k8s.agent_info).
        type: bool
        default: true
      pause:
        description:
          - Seconds to let the new pods run before the other nodes follow; they have to be ready afterwards, too.
        type: int
        default: 0
  platform:
    description:
      - What the cluster runs on, where that asks for something special. V(auto) recognises it from the nodes, V(none) adapts
        nothing. What is adapted, and why, is told in RV(notes).
    type: str
    choices:
      - auto
      - none
      - openshift
      - gke
      - gke-autopilot
      - eks
      - eks-auto
      - eks-fargate
      - aks
      - virtual-kubelet
      - k3s
      - rke2
      - microk8s
      - kind
      - minikube
      - talos
      - bottlerocket
      - flatcar
      - cos
    default: auto
  selinux_type:
    description:
      - SELinux type of the containers, such as V(spc_t). The platforms that need one set it by themselves.
    type: str
  values_file:
    description:
      - Path of a values.yaml of the vendor's Helm chart. Its keys become options, with O(profile=spyderbat); options that are
        given to the module win. Keys that mean nothing here are named in RV(notes).
    type: path
  adopt_helm_release:
    description:
      - Name of a Helm release in O(namespace) whose objects are taken over. Nothing restarts that stays as it is; what will
        change is told in RV(notes). Helm's records of the release are removed, so that Helm does not remove our objects.
    type: str
  adopt_helm_leftovers:
    description:
      - What becomes of objects of O(adopt_helm_release) that are not wanted here, such as a ClusterRoleBinding that gives the
        agent rights; they are named in RV(notes) either way.
    type: str
    choices: [keep, delete]
    default: keep
  rollback:
    description:
      - Whether to go back to what was there before, where an update cannot succeed or does not within O(wait_timeout),
        and at least one agent was ready before. The task fails all the same, and says the cause.
    type: bool
    default: true
  force_conflicts:
    description:
      - Whether to take fields that another manager holds.
    type: bool
    default: false
seealso:
  - module: nanoagent.k8s.collector_image
  - module: nanoagent.k8s.agent_info
"""

EXAMPLES = r"""
- name: Install the agent
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    cluster_name: production

- name: Install with a priority class, from a registry with a login
  nanoagent.k8s.agent:
    image: registry.example.com/security/collector@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    registry_login:
      registry: registry.example.com
      username: puller
      password: "{{ vault_registry_password }}"
    priority_class:
      name: nanoagent
      value: 100000

- name: Install the vendor's agent with its cluster monitor; the registration code becomes a Secret
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: ghcr.io/spyderbat/nano-agent:latest
    require_digest: false
    registration_code: "{{ vault_registration_code }}"
    cluster_name: production
    tags:
      team: platform
    https_proxy: http://proxy.example.com:3128
    proxy_exceptions: [.svc, .cluster.local]
    monitor:
      enabled: true
    rbac: respond

- name: Take the registration code from AWS Secrets Manager
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    credentials:
      aws_secrets_manager:
        secret_id: prod/spyderbat
        region: us-east-2
        role_arn: arn:aws:iam::111122223333:role/agent

- name: Take it from a Secret that is there, and replace the agents when it changes
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    credentials:
      existing_secret:
        name: spyderbat
        key: code
        restart_on_change: true

- name: Take it from a store of the External Secrets operator
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    credentials:
      external_secret:
        store: vault
        remote_key: security/spyderbat

- name: Run any other agent
  nanoagent.k8s.agent:
    profile: custom
    image: registry.example.com/security/agent@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
    args: [--verbose]
    capabilities: [SYS_PTRACE]
    host_pid: true
    host_paths:
      - path: /etc
        mount_path: /host/etc
    extra_env:
      - name: LOG_LEVEL
        value: info
    extra_volumes:
      - name: scratch
        emptyDir: {}
    extra_volume_mounts:
      - name: scratch
        mountPath: /tmp
    probes:
      readiness:
        http_path: /healthz
        port: 8080

- name: Limit the agents to 5 percent of the smallest node, and let no workload displace them
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    limit_percent: 5
    priority_class:
      name: system-node-critical

- name: Place them on a pool of nodes, and update a quarter of them at a time
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    affinity:
      nodeAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms:
            - matchExpressions:
                - {key: pool, operator: In, values: [general, memory]}
    max_unavailable: 25%
    min_ready_seconds: 10

- name: Harden the agents
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    seccomp:
      type: Localhost
      content: "{{ lookup('ansible.builtin.file', 'seccomp.json') }}"
    apparmor:
      type: RuntimeDefault
    network_policy: true

- name: Let Prometheus scrape them
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    metrics:
      scrape: auto
    pod_labels:
      team: platform

- name: Trust a certificate authority of one's own
  nanoagent.k8s.agent:
    profile: spyderbat
    name: spyderbat-nanoagent
    namespace: spyderbat
    image: "{{ vendor_image }}"
    registration_code: "{{ vault_registration_code }}"
    orc_url: https://orc.example.com
    ca_bundle: "{{ lookup('ansible.builtin.file', 'ca.pem') }}"

- name: Use a namespace with labels, and a service account that is there
  nanoagent.k8s.agent:
    image: "{{ collector_image_result.image }}"
    namespace: security
    namespace_labels:
      team: platform
    create_service_account: false
    service_account: existing

- name: Remove it
  nanoagent.k8s.agent:
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, to each object.
  type: list
  elements: dict
  returned: O(state) is V(present) or V(absent)
  sample:
    - action: create
      object: DaemonSet nanoagent/nanoagent
      fields: []
kept:
  description: What was left in place on purpose, and why.
  type: list
  elements: str
  returned: O(state=absent)
owed:
  description:
    - Pods that only the kubelet of a node that is down can end, and the namespace that waits for them. They do not make
      the uninstall fail.
  type: list
  elements: dict
  returned: O(state=absent)
  contains:
    object:
      description: Kind, namespace and name.
      type: str
    node:
      description: The pod's node; empty for other kinds.
      type: str
    reason:
      description: What holds it, and how it ends.
      type: str
leftovers:
  description: What else was still there when the time was up, in the same shape.
  type: list
  elements: dict
  returned: O(state=absent) failed
manifests:
  description: The objects in apply order.
  type: list
  elements: dict
  returned: O(state=rendered)
manifest:
  description: The same as one multi-document YAML text, the same bytes at every run.
  type: str
  returned: O(state=rendered)
left_out:
  description: One line for each Secret, which no manifest holds, with the command that makes it from files of yours.
  type: list
  elements: str
  returned: O(state=rendered)
files:
  description: What was done, or in check mode would be done, to each file.
  type: list
  elements: dict
  returned: O(render_dir) is set
  sample:
    - action: create
      path: /srv/manifests/001-namespace-nanoagent.yml
rolled_back:
  description: Whether the previous revision is back and verified.
  type: bool
  returned: the rollout failed
notes:
  description: What is done differently on this platform, what a values file or a Helm release leaves open; a line each.
  type: list
  elements: str
  returned: O(state) is V(present) or V(rendered)
summary:
  description: Number of nodes, of eligible and of ready ones, and of nodes in each state.
  type: dict
  returned: O(state=present) and O(wait=true)
  sample: {nodes: 3, eligible: 3, ready: 3, states: {ready: 3}}
table:
  description: One line a node, to be read.
  type: list
  elements: str
  returned: O(state=present) and O(wait=true)
requests:
  description: How many requests went to the API server.
  type: dict
  returned: O(state) is V(present) or V(absent)
  sample: {read: 14, write: 0}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.nanoagent.k8s.plugins.module_utils.agent import work
from ansible_collections.nanoagent.k8s.plugins.module_utils.connection import connection_argument_spec
from ansible_collections.nanoagent.k8s.plugins.module_utils.job import finish
from ansible_collections.nanoagent.k8s.plugins.module_utils.platforms import CHOICES as PLATFORM_CHOICES

RULES = {}


def _probe():
    return {
        "type": "dict",
        "options": {
            "enabled": {"type": "bool", "default": True},
            "command": {"type": "list", "elements": "str"},
            "http_path": {"type": "str"},
            "port": {"type": "int"},
            "period_seconds": {"type": "int"},
            "timeout_seconds": {"type": "int"},
            "failure_threshold": {"type": "int"},
            "initial_delay_seconds": {"type": "int"},
        },
    }


def _credentials():
    return {
        "type": "dict",
        "options": {
            "existing_secret": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "name": {"type": "str", "required": True},
                    "key": {"type": "str", "default": "registration-code", "no_log": False},
                    "restart_on_change": {"type": "bool", "default": False},
                },
            },
            "aws_secrets_manager": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "secret_id": {"type": "str", "required": True, "no_log": False},
                    "key": {"type": "str", "default": "spyderbat-registration-key", "no_log": False},
                    "region": {"type": "str"},
                    "role_arn": {"type": "str"},
                    "sync_secret": {"type": "str", "no_log": False},
                },
            },
            "external_secret": {
                "type": "dict",
                "no_log": False,
                "options": {
                    "store": {"type": "str", "required": True},
                    "store_kind": {"type": "str", "choices": ["ClusterSecretStore", "SecretStore"], "default": "ClusterSecretStore"},
                    "remote_key": {"type": "str", "required": True, "no_log": False},
                    "property": {"type": "str"},
                    "refresh_interval": {"type": "str", "default": "1h"},
                },
            },
        },
    }


def argument_spec():
    return {
        **connection_argument_spec(),
        "state": {"type": "str", "choices": ["present", "absent", "rendered"], "default": "present"},
        "render_dir": {"type": "path"},
        "kubernetes_version": {"type": "str"},
        "profile": {"type": "str", "choices": ["bundled", "spyderbat", "custom"], "default": "bundled"},
        "command": {"type": "list", "elements": "str"},
        "args": {"type": "list", "elements": "str"},
        "name": {"type": "str"},
        "namespace": {"type": "str"},
        "create_namespace": {"type": "bool", "default": True},
        "namespace_annotations": {"type": "dict", "default": {}},
        "namespace_labels": {"type": "dict", "default": {}},
        "pod_security": {"type": "str", "choices": ["privileged", "baseline", "restricted", "unset"], "default": "privileged"},
        "image": {"type": "str"},
        "require_digest": {"type": "bool", "default": True},
        "image_pull_policy": {"type": "str", "choices": ["Always", "IfNotPresent", "Never"]},
        "registry_login": {
            "type": "dict",
            "options": {
                "registry": {"type": "str", "required": True},
                "username": {"type": "str", "required": True},
                "password": {"type": "str", "required": True, "no_log": True},
                "secret_name": {"type": "str", "default": "nanoagent-registry", "no_log": False},
            },
        },
        "image_pull_secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "service_account": {"type": "str"},
        "create_service_account": {"type": "bool", "default": True},
        "service_account_annotations": {"type": "dict", "default": {}},
        "service_account_token": {"type": "bool", "default": False, "no_log": False},
        "rbac": {"type": "str", "choices": ["read_only", "respond", "cluster_admin"], "default": "read_only"},
        "monitor": {
            "type": "dict",
            "options": {
                "enabled": {"type": "bool", "default": False},
                "name": {"type": "str", "default": "clustermonitor-deployment"},
                "image": {"type": "str"},
                "replicas": {"type": "int", "default": 1},
                "resources": {"type": "dict"},
                "pod_disruption_budget": {"type": "bool"},
                "tolerations": {"type": "list", "elements": "dict"},
                "node_selector": {"type": "dict"},
            },
        },
        "verifier": {"type": "bool", "default": True},
        "cluster_name": {"type": "str", "default": ""},
        "tags": {"type": "dict", "default": {}},
        "events": {"type": "list", "elements": "str", "choices": ["exec", "fork", "exit", "connect", "accept"]},
        "ring_bytes": {"type": "int"},
        "orc_url": {"type": "str"},
        "registration_code": {"type": "str", "no_log": True},
        "credentials": _credentials(),
        "omit_environment": {"type": "str", "choices": ["no", "everything", "allbutredacted"]},
        "extra_args": {"type": "str"},
        "curl_args": {"type": "str"},
        "http_proxy": {"type": "str"},
        "https_proxy": {"type": "str"},
        "proxy_exceptions": {"type": "list", "elements": "str", "default": []},
        "ca_bundle": {"type": "str"},
        "ca_bundle_config_map": {
            "type": "dict",
            "options": {"name": {"type": "str", "required": True}, "key": {"type": "str", "default": "ca.crt", "no_log": False}},
        },
        "network_policy": {"type": "bool"},
        "network_policy_egress": {"type": "list", "elements": "dict", "default": []},
        "metrics": {
            "type": "dict",
            "options": {
                "scrape": {"type": "str", "choices": ["off", "annotations", "service_monitor", "pod_monitor", "auto"], "default": "off"},
                "port": {"type": "int", "default": 9464},
                "interval": {"type": "str"},
            },
        },
        "resources": {"type": "dict"},
        "limit_percent": {"type": "float"},
        "priority_class": {
            "type": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "create": {"type": "bool", "default": True},
                "value": {"type": "int", "default": 1000},
                "preemption_policy": {"type": "str", "choices": ["PreemptLowerPriority", "Never"]},
                "resource_quota": {"type": "bool"},
            },
        },
        "tolerations": {"type": "list", "elements": "dict", "default": [{"operator": "Exists"}]},
        "node_selector": {"type": "dict", "default": {}},
        "affinity": {"type": "dict", "default": {}},
        "architectures": {"type": "list", "elements": "str", "choices": ["amd64", "arm64"], "default": ["amd64", "arm64"]},
        "control_plane": {"type": "bool", "default": True},
        "real_nodes_only": {"type": "bool", "default": True},
        "max_unavailable": {"type": "str"},
        "max_surge": {"type": "str", "default": "0"},
        "update_strategy": {"type": "str", "choices": ["RollingUpdate", "OnDelete"], "default": "RollingUpdate"},
        "min_ready_seconds": {"type": "int", "default": 0},
        "revision_history_limit": {"type": "int", "default": 10},
        "termination_grace_period": {"type": "int"},
        "probes": {"type": "dict", "options": {"startup": _probe(), "readiness": _probe(), "liveness": _probe()}},
        "privileged": {"type": "bool"},
        "capabilities": {"type": "list", "elements": "str", "default": []},
        "run_as_user": {"type": "int"},
        "seccomp": {
            "type": "dict",
            "options": {
                "type": {"type": "str", "choices": ["RuntimeDefault", "Localhost", "Unconfined"], "default": "RuntimeDefault"},
                "profile": {"type": "str"},
                "content": {"type": "raw"},
                "kubelet_root": {"type": "path", "default": "/var/lib/kubelet"},
            },
        },
        "apparmor": {
            "type": "dict",
            "options": {
                "type": {"type": "str", "choices": ["RuntimeDefault", "Localhost", "Unconfined"], "default": "RuntimeDefault"},
                "profile": {"type": "str"},
            },
        },
        "runtime_class": {"type": "str"},
        "host_network": {"type": "bool"},
        "host_pid": {"type": "bool"},
        "dns_policy": {"type": "str", "choices": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
        "host_paths": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "str", "required": True},
                "mount_path": {"type": "str", "required": True},
                "type": {
                    "type": "str",
                    "choices": ["Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice"],
                    "default": "Directory",
                },
                "read_only": {"type": "bool", "default": True},
                "name": {"type": "str"},
            },
        },
        "extra_env": {"type": "list", "elements": "dict", "default": []},
        "extra_volumes": {"type": "list", "elements": "dict", "default": []},
        "extra_volume_mounts": {"type": "list", "elements": "dict", "default": []},
        "labels": {"type": "dict", "default": {}},
        "annotations": {"type": "dict", "default": {}},
        "pod_labels": {"type": "dict", "default": {}},
        "pod_annotations": {"type": "dict", "default": {}},
        "canary": {
            "type": "dict",
            "options": {
                "nodes": {"type": "str"},
                "selector": {"type": "dict"},
                "verify": {"type": "bool", "default": True},
                "pause": {"type": "int", "default": 0},
            },
        },
        "platform": {"type": "str", "choices": list(PLATFORM_CHOICES), "default": "auto"},
        "selinux_type": {"type": "str"},
        "values_file": {"type": "path"},
        "adopt_helm_release": {"type": "str"},
        "adopt_helm_leftovers": {"type": "str", "choices": ["keep", "delete"], "default": "keep"},
        "rollback": {"type": "bool", "default": True},
        "force_conflicts": {"type": "bool", "default": False},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
    }


def main():
    finish(AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True, **RULES), work)


if __name__ == "__main__":
    main()
