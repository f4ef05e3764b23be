package facts

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

type service struct {
	Deleting     string            `json:"deleting"`
	Type         string            `json:"type"`
	ClusterIPs   []string          `json:"cluster_ips"`
	ExternalIPs  []string          `json:"external_ips"`
	ExternalName string            `json:"external_name"`
	LoadBalancer []string          `json:"load_balancer"`
	Ports        []string          `json:"ports"`
	Selector     map[string]string `json:"selector"`
}

// Service is told by its addresses and ports, and whose pods it stands for.
func Service(object *corev1.Service) Facts {
	told := service{
		Deleting:     deleting(&object.ObjectMeta),
		Type:         string(object.Spec.Type),
		ClusterIPs:   object.Spec.ClusterIPs,
		ExternalIPs:  object.Spec.ExternalIPs,
		ExternalName: object.Spec.ExternalName,
		Selector:     maps.Clone(object.Spec.Selector),
	}
	for _, ingress := range object.Status.LoadBalancer.Ingress {
		told.LoadBalancer = append(told.LoadBalancer, ingress.IP+ingress.Hostname)
	}
	for _, port := range object.Spec.Ports {
		text := fmt.Sprintf("%s/%d", port.Protocol, port.Port)
		if port.NodePort != 0 {
			text += fmt.Sprintf(":%d", port.NodePort)
		}
		told.Ports = append(told.Ports, text)
	}
	return of(told)
}

type endpointSlice struct {
	Deleting  string     `json:"deleting"`
	Service   string     `json:"service"`
	Ports     []string   `json:"ports"`
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	Addresses []string `json:"addresses"`
	Pod       string   `json:"pod,omitempty"`
	UID       string   `json:"uid,omitempty"`
	Node      string   `json:"node,omitempty"`
	NotReady  bool     `json:"not_ready,omitempty"`
}

// EndpointSlice is told by the pods behind a service.
func EndpointSlice(object *discoveryv1.EndpointSlice) Facts {
	told := endpointSlice{Deleting: deleting(&object.ObjectMeta), Service: object.Labels[discoveryv1.LabelServiceName]}
	for _, port := range object.Ports {
		if port.Protocol != nil && port.Port != nil {
			told.Ports = append(told.Ports, fmt.Sprintf("%s/%d", *port.Protocol, *port.Port))
		}
	}
	for _, found := range object.Endpoints {
		one := endpoint{Addresses: found.Addresses, NotReady: found.Conditions.Ready != nil && !*found.Conditions.Ready}
		if found.TargetRef != nil && found.TargetRef.Kind == "Pod" {
			one.Pod, one.UID = found.TargetRef.Name, string(found.TargetRef.UID)
		}
		if found.NodeName != nil {
			one.Node = *found.NodeName
		}
		told.Endpoints = append(told.Endpoints, one)
	}
	// Which address comes first says nothing.
	slices.SortFunc(told.Endpoints, func(a, b endpoint) int { return slices.Compare(a.Addresses, b.Addresses) })
	return of(told)
}
