package facts

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type pod struct {
	Deleting       string       `json:"deleting"`
	Node           string       `json:"node"`
	Phase          string       `json:"phase"`
	Reason         string       `json:"reason"`
	IPs            []string     `json:"ips"`
	ServiceAccount string       `json:"service_account"`
	MountsToken    *bool        `json:"automount_token"`
	HostPID        bool         `json:"host_pid"`
	HostNetwork    bool         `json:"host_network"`
	HostIPC        bool         `json:"host_ipc"`
	HostPaths      []string     `json:"host_paths"`
	RuntimeClass   *string      `json:"runtime_class"`
	Containers     []*container `json:"containers"`
}

type container struct {
	Name         string   `json:"name"`
	Kind         string   `json:"kind,omitempty"` // init or ephemeral
	Image        string   `json:"image"`
	ImageID      string   `json:"image_id,omitempty"`
	ID           string   `json:"id,omitempty"` // as in the collectors' events
	Restarts     int32    `json:"restarts,omitempty"`
	Privileged   bool     `json:"privileged,omitempty"`
	Escalation   *bool    `json:"allow_privilege_escalation,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"` // added ones
	User         *int64   `json:"run_as_user,omitempty"`
	Seccomp      string   `json:"seccomp,omitempty"`
	HostPorts    []int32  `json:"host_ports,omitempty"`
}

// Pod is told by where it runs, with which rights, and which containers it has.
func Pod(object *corev1.Pod) Facts {
	told := template(&object.Spec)
	told.Deleting = deleting(&object.ObjectMeta)
	told.Node = object.Spec.NodeName
	told.Phase = string(object.Status.Phase)
	told.Reason = object.Status.Reason
	for _, ip := range object.Status.PodIPs {
		told.IPs = append(told.IPs, ip.IP)
	}
	statuses := slices.Concat(object.Status.InitContainerStatuses, object.Status.ContainerStatuses, object.Status.EphemeralContainerStatuses)
	for _, status := range statuses {
		at := slices.IndexFunc(told.Containers, func(c *container) bool { return c.Name == status.Name })
		if at < 0 {
			continue
		}
		told.Containers[at].ImageID = status.ImageID
		told.Containers[at].ID = bareID(status.ContainerID)
		told.Containers[at].Restarts = status.RestartCount
	}
	return of(told)
}

// template is what a pod's spec says, also where it is a workload's template.
func template(spec *corev1.PodSpec) pod {
	told := pod{
		ServiceAccount: spec.ServiceAccountName,
		MountsToken:    spec.AutomountServiceAccountToken,
		HostPID:        spec.HostPID,
		HostNetwork:    spec.HostNetwork,
		HostIPC:        spec.HostIPC,
		RuntimeClass:   spec.RuntimeClassName,
	}
	for _, volume := range spec.Volumes {
		if volume.HostPath != nil {
			told.HostPaths = append(told.HostPaths, volume.HostPath.Path)
		}
	}
	for i := range spec.InitContainers {
		told.Containers = append(told.Containers, containerOf(&spec.InitContainers[i], "init", spec.SecurityContext))
	}
	for i := range spec.Containers {
		told.Containers = append(told.Containers, containerOf(&spec.Containers[i], "", spec.SecurityContext))
	}
	for i := range spec.EphemeralContainers {
		common := corev1.Container(spec.EphemeralContainers[i].EphemeralContainerCommon)
		told.Containers = append(told.Containers, containerOf(&common, "ephemeral", spec.SecurityContext))
	}
	return told
}

func containerOf(spec *corev1.Container, kind string, whole *corev1.PodSecurityContext) *container {
	told := &container{Name: spec.Name, Kind: kind, Image: spec.Image}
	if whole != nil {
		told.User = whole.RunAsUser
		told.Seccomp = seccomp(whole.SeccompProfile)
	}
	for _, port := range spec.Ports {
		if port.HostPort != 0 {
			told.HostPorts = append(told.HostPorts, port.HostPort)
		}
	}
	own := spec.SecurityContext
	if own == nil {
		return told
	}
	told.Privileged = own.Privileged != nil && *own.Privileged
	told.Escalation = own.AllowPrivilegeEscalation
	if own.Capabilities != nil {
		for _, capability := range own.Capabilities.Add {
			told.Capabilities = append(told.Capabilities, string(capability))
		}
	}
	if own.RunAsUser != nil {
		told.User = own.RunAsUser
	}
	if own.SeccompProfile != nil {
		told.Seccomp = seccomp(own.SeccompProfile)
	}
	return told
}

func seccomp(profile *corev1.SeccompProfile) string {
	if profile == nil {
		return ""
	}
	if profile.LocalhostProfile != nil {
		return string(profile.Type) + ":" + *profile.LocalhostProfile
	}
	return string(profile.Type)
}

// bareID is a container's id without its runtime's name.
func bareID(id string) string {
	if _, bare, found := strings.Cut(id, "://"); found {
		return bare
	}
	return id
}

func deleting(meta *metav1.ObjectMeta) string {
	if meta.DeletionTimestamp == nil {
		return ""
	}
	return meta.DeletionTimestamp.UTC().Format("2006-01-02T15:04:05Z")
}
