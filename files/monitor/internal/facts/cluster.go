package facts

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	podSecurity = "pod-security.kubernetes.io/"
	nodeRole    = "node-role.kubernetes.io/"

	longestMessage = 1024
)

type node struct {
	Deleting     string   `json:"deleting"`
	Ready        string   `json:"ready"` // True, False, Unknown
	Cordoned     bool     `json:"cordoned"`
	Roles        []string `json:"roles"`
	Taints       []string `json:"taints"`
	Addresses    []string `json:"addresses"`
	Architecture string   `json:"architecture"`
	System       string   `json:"os_image"`
	Kernel       string   `json:"kernel"`
	Runtime      string   `json:"runtime"`
	Kubelet      string   `json:"kubelet"`
	BootID       string   `json:"boot_id"`
	ProviderID   string   `json:"provider_id"`
}

// Node is told by what it runs on and whether it takes pods.
func Node(object *corev1.Node) Facts {
	info := object.Status.NodeInfo
	told := node{
		Deleting:     deleting(&object.ObjectMeta),
		Cordoned:     object.Spec.Unschedulable,
		Architecture: info.Architecture,
		System:       info.OSImage,
		Kernel:       info.KernelVersion,
		Runtime:      info.ContainerRuntimeVersion,
		Kubelet:      info.KubeletVersion,
		BootID:       info.BootID,
		ProviderID:   object.Spec.ProviderID,
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			told.Ready = string(condition.Status)
		}
	}
	for label := range object.Labels {
		if role, found := strings.CutPrefix(label, nodeRole); found {
			told.Roles = append(told.Roles, role)
		}
	}
	slices.Sort(told.Roles)
	for _, taint := range object.Spec.Taints {
		told.Taints = append(told.Taints, taint.ToString())
	}
	for _, address := range object.Status.Addresses {
		if address.Type != corev1.NodeHostName {
			told.Addresses = append(told.Addresses, address.Address)
		}
	}
	return of(told)
}

type namespace struct {
	Deleting    string            `json:"deleting"`
	Phase       string            `json:"phase"`
	PodSecurity map[string]string `json:"pod_security"`
}

// Namespace is told by its phase and the pod security levels it asks for.
func Namespace(object *corev1.Namespace) Facts {
	told := namespace{Deleting: deleting(&object.ObjectMeta), Phase: string(object.Status.Phase)}
	for label, value := range object.Labels {
		if mode, found := strings.CutPrefix(label, podSecurity); found {
			if told.PodSecurity == nil {
				told.PodSecurity = map[string]string{}
			}
			told.PodSecurity[mode] = value
		}
	}
	return of(told)
}

type serviceAccount struct {
	Deleting    string `json:"deleting"`
	MountsToken *bool  `json:"automount_token"`
}

// ServiceAccount is told by whether its pods get a token.
func ServiceAccount(object *corev1.ServiceAccount) Facts {
	return of(serviceAccount{Deleting: deleting(&object.ObjectMeta), MountsToken: object.AutomountServiceAccountToken})
}

type event struct {
	About   reference `json:"about"`
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Count   int32     `json:"count"`
	Source  string    `json:"source"`
}

type reference struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	UID       string `json:"uid,omitempty"`
}

// Event is told whole, but for a message of more than a kibibyte.
func Event(object *corev1.Event) Facts {
	about := object.InvolvedObject
	told := event{
		About:   reference{about.Kind, about.Namespace, about.Name, string(about.UID)},
		Type:    object.Type,
		Reason:  object.Reason,
		Message: strings.ToValidUTF8(object.Message[:min(len(object.Message), longestMessage)], ""),
		Count:   object.Count,
		Source:  object.ReportingController,
	}
	if object.Series != nil {
		told.Count = object.Series.Count
	}
	if told.Source == "" {
		told.Source = object.Source.Component
	}
	return of(told)
}
