# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What an installation of the agent is, for the modules that make it or look ahead to it; agent_options.py has the argument spec."""

    DOCUMENTATION = r"""
options:
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
        O(nanoagent.k8s.agent#module:state=absent).
      - With O(profile=spyderbat) it is C(ghcr.io/spyderbat/nano-agent:latest) by default, which needs O(require_digest=false).
    type: str
  require_digest:
    description:
      - Whether to refuse an O(image) that is not pinned by a digest.
    type: bool
    default: true
  rewrites:
    description:
      - The table of where images are mirrored, the same as for M(nanoagent.k8s.image_mirror) and M(nanoagent.k8s.registry_configuration).
      - O(image) and O(monitor.image), also where they are a profile's default, are used from where it says. Of several rows with
        a beginning of the name the longest counts; parts between slashes are compared whole.
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: Beginning of the images' names, a registry with or without a path. Without a registry it is Docker Hub's.
        type: str
        required: true
      destination:
        description: What stands in its place, a registry with or without a path.
        type: str
        required: true
  lock_file:
    description:
      - Path of the lock file that M(nanoagent.k8s.image_mirror) writes, on the machine that the module runs on.
      - O(image) and O(monitor.image) are used by the digest that it has for them, at the mirror that O(rewrites) says, without a row
        for them at the only one that it names, else at their source. A tag that it does not have is an error.
    type: path
  image_signature_policy:
    description:
      - Whether O(image) and O(monitor.image) have to be signed by one of O(image_signature_keys), by cosign and by key; V(require) refuses
        the installation where one is not, before anything is written, V(warn) says so, V(off) does not look.
      - It is asked at the image's registry, from the machine that the module runs on, for the digest that the image is named by.
        V(require) wants a digest. With V(warn) a tag is verified as what it is at that time.
      - Manifests of O(nanoagent.k8s.agent#module:state=rendered) are made of verified images too.
    type: str
    choices:
      - "off"
      - warn
      - require
    default: "off"
  image_signature_keys:
    description:
      - Public keys (PEM, or the paths of such files), any one of which is enough; ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more.
      - A private key is refused. The values are kept out of logs in case there is one.
    type: list
    elements: str
    default: []
  registry_access:
    description:
      - How the machine that the module runs on reaches the images' registry, for O(image_signature_policy) and for what
        M(nanoagent.k8s.preflight) asks there. The login is that of O(registry_login), where it is for that registry.
    type: dict
    suboptions:
      docker_config:
        description: Path of a Docker C(config.json) to take credentials from, where O(registry_login) gives none.
        type: path
      ca_cert:
        description: Path of the certificate authority (PEM) that signed the registry's certificate.
        type: path
      validate_certs:
        description: Whether the registry's certificate is checked.
        type: bool
        default: true
      plain_http:
        description: Speak HTTP without TLS.
        type: bool
        default: false
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
        description: Name of the Secret. By default O(name) with C(-registry).
        type: str
  image_pull_secrets:
    description:
      - Names of existing pull secrets in the namespace.
    type: list
    elements: str
    default: []
  service_account:
    description:
      - Name of the agent's service account. It has no rights, and its token is not mounted.
      - By default as O(name), with O(profile=spyderbat) C(spyderbat-serviceaccount).
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
      - With O(profile=bundled) only V(read_only), since our own monitor never writes.
      - The node agent itself gets no rights.
    type: str
    choices: [read_only, respond, cluster_admin]
    default: read_only
  monitor:
    description:
      - The cluster monitor, one more agent that watches the Kubernetes API itself and says what changes. With O(profile=bundled)
        our own, with O(profile=spyderbat) the vendor's; O(profile=custom) has none.
    type: dict
    suboptions:
      enabled:
        description: Whether to install it.
        type: bool
        default: false
      name:
        description: Name of the Deployment, by default C(<name>-monitor), and C(clustermonitor-deployment) with O(profile=spyderbat).
        type: str
      image:
        description:
          - Its image, as M(nanoagent.k8s.collector_image) returns it with C(program=monitor). Required with O(profile=bundled);
            with O(profile=spyderbat) by default O(image).
        type: str
      replicas:
        description: Number of pods. Of several of our own one speaks, and the others take over when it is gone.
        type: int
        default: 1
      resources:
        description:
          - Requests and limits of its container. By default C(20m) and C(64Mi), C(1) and C(256Mi), and of ephemeral-storage C(64Mi)
            and C(1Gi) where all nodes report it; with O(profile=spyderbat) what O(resources) is by default.
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
      - URL of the backend, https only. With O(profile=spyderbat) the vendor's, by default V(https://orc.spyderbat.com).
      - With O(profile=bundled) the collector sends its events there too, by the proxies and authorities that are given;
        by default nowhere.
    type: str
  registration_code:
    description:
      - The agent's registration code. It becomes a Secret, from which the container gets E(AGENT_REGISTRATION_CODE); a new
        code replaces the pods once.
      - With O(profile=bundled) it is the bearer token for the backend O(orc_url), mounted as a file; a new one replaces no pods.
    type: str
  credentials:
    description:
      - Where the registration code comes from instead of O(registration_code), one of the suboptions.
      - Where a driver or an operator keeps it in a Secret, the first run that finds a new one there replaces the pods once, but
        for O(profile=bundled), which reads it again by itself. It needs the right to read the Secret.
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
            description: ARN of the AWS role that the agent's service account gets, with O(profile=spyderbat) the monitor's as well.
            type: str
          sync_secret:
            description:
              - Name of the Secret that the driver makes; by default C(<name>-credentials). Not with O(profile=bundled), which
                reads the driver's volume.
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
            description: How often the operator looks for a new value, as C(30m) or C(1h30m); V(0) fetches it once.
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
      - Whether to make a NetworkPolicy. In comes nothing but scrapes of O(metrics). Out goes nothing from our collector
        or, with O(orc_url), name service, its port and the proxies; from other agents name service, HTTPS, the API server,
        the port of O(orc_url) and the proxies.
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
      - The profile V(bundled) also requests 128Mi of ephemeral-storage by default, so that the agent is not among the first to go
        where a node's disk fills up. It is left out where a node for the agent reports no such storage, and then stays out, and with
        O(limit_percent). What is given here is taken as it is, so amounts without C(ephemeral-storage) turn it off.
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
      - Whether to leave out nodes with no machine behind them, that is Fargate, virtual kubelet, Liqo and kwok.
      - A node that only a taint or an annotation shows gets a pod nevertheless, which is neither waited for nor counted.
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
      - How long an agent has to be ready before it counts. By default V(0) where it has a readiness probe; without one, as with
        O(profile=spyderbat), V(3), since it counts as ready as soon as it runs, even if it ends right after that.
    type: int
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
      - Whether to run the container privileged, for container runtimes that do not know CAP_BPF and CAP_PERFMON, which are all that it has
        otherwise, and for other agents on kernels before 5.8. By default V(false), with O(profile=spyderbat) V(true).
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
        description: Kind of profile. V(Localhost) is one that is loaded on the nodes. A privileged container runs without V(RuntimeDefault).
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
      - V(None) asks just the servers of O(dns_config).
    type: str
    choices: [ClusterFirst, ClusterFirstWithHostNet, Default, None]
  dns_config:
    description:
      - Name servers and how they are asked, beside those of O(dns_policy).
    type: dict
    suboptions:
      nameservers:
        description: IP addresses of name servers, at most three.
        type: list
        elements: str
      searches:
        description: Domains in which short names are looked for.
        type: list
        elements: str
      options:
        description: Options of the resolver.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the option, as C(ndots).
            type: str
            required: true
          value:
            description: Its value, where it has one.
            type: str
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
      - Needs O(nanoagent.k8s.agent#module:wait), and O(update_strategy=RollingUpdate).
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
        nothing; any other counts beside what is recognised. What is adapted, and why, is told in RV(notes).
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
        agent rights; they are named in RV(notes) either way. What the pods need stays in any case.
    type: str
    choices: [keep, delete]
    default: keep
  rollback:
    description:
      - Whether to go back to what was there before, where an update cannot succeed or does not within O(nanoagent.k8s.agent#module:wait_timeout),
        and at least one agent was ready before. The task fails all the same, and says the cause.
    type: bool
    default: true
  force_conflicts:
    description:
      - Whether to take fields that another manager holds.
    type: bool
    default: false
requirements:
  - cryptography (Python; only with O(image_signature_policy), ansible-core brings it along)
"""
