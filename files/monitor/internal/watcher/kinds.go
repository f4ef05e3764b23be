package watcher

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nanoagent.io/monitor/internal/facts"
)

// Kind is a kind of objects that is followed.
type Kind struct {
	Version  schema.GroupVersion
	Resource string
	Name     string
	// Transient objects are news, not state: they are told as they come, and
	// neither kept nor missed.
	Transient bool

	newList func() runtime.Object
	record  func(runtime.Object) *Record
}

// Kinds are all kinds that are followed. No Secrets, no ConfigMaps.
var Kinds = []Kind{
	kind("nodes", "Node", corev1.SchemeGroupVersion, newOf[corev1.NodeList], facts.Node),
	kind("namespaces", "Namespace", corev1.SchemeGroupVersion, newOf[corev1.NamespaceList], facts.Namespace),
	kind("pods", "Pod", corev1.SchemeGroupVersion, newOf[corev1.PodList], facts.Pod),
	kind("services", "Service", corev1.SchemeGroupVersion, newOf[corev1.ServiceList], facts.Service),
	kind("serviceaccounts", "ServiceAccount", corev1.SchemeGroupVersion, newOf[corev1.ServiceAccountList], facts.ServiceAccount),
	transient(kind("events", "Event", corev1.SchemeGroupVersion, newOf[corev1.EventList], facts.Event)),
	kind("daemonsets", "DaemonSet", appsv1.SchemeGroupVersion, newOf[appsv1.DaemonSetList], facts.DaemonSet),
	kind("deployments", "Deployment", appsv1.SchemeGroupVersion, newOf[appsv1.DeploymentList], facts.Deployment),
	kind("replicasets", "ReplicaSet", appsv1.SchemeGroupVersion, newOf[appsv1.ReplicaSetList], facts.ReplicaSet),
	kind("statefulsets", "StatefulSet", appsv1.SchemeGroupVersion, newOf[appsv1.StatefulSetList], facts.StatefulSet),
	kind("cronjobs", "CronJob", batchv1.SchemeGroupVersion, newOf[batchv1.CronJobList], facts.CronJob),
	kind("jobs", "Job", batchv1.SchemeGroupVersion, newOf[batchv1.JobList], facts.Job),
	kind("endpointslices", "EndpointSlice", discoveryv1.SchemeGroupVersion, newOf[discoveryv1.EndpointSliceList], facts.EndpointSlice),
	kind("clusterrolebindings", "ClusterRoleBinding", rbacv1.SchemeGroupVersion, newOf[rbacv1.ClusterRoleBindingList], facts.ClusterRoleBinding),
	kind("clusterroles", "ClusterRole", rbacv1.SchemeGroupVersion, newOf[rbacv1.ClusterRoleList], facts.ClusterRole),
	kind("rolebindings", "RoleBinding", rbacv1.SchemeGroupVersion, newOf[rbacv1.RoleBindingList], facts.RoleBinding),
	kind("roles", "Role", rbacv1.SchemeGroupVersion, newOf[rbacv1.RoleList], facts.Role),
}

// Title is the resource with its group, as in a message about rights.
func (k *Kind) Title() string {
	if k.Version.Group == "" {
		return k.Resource
	}
	return k.Resource + "." + k.Version.Group
}

// Rule is one rule of a ClusterRole.
type Rule struct {
	APIGroups []string `json:"apiGroups"`
	Resources []string `json:"resources"`
	Verbs     []string `json:"verbs"`
}

// Rules are the rights that it takes to follow all kinds.
func Rules() []Rule {
	var rules []Rule
	for i := range Kinds {
		group := Kinds[i].Version.Group
		if last := len(rules) - 1; last < 0 || rules[last].APIGroups[0] != group {
			rules = append(rules, Rule{APIGroups: []string{group}, Verbs: []string{"list", "watch"}})
		}
		last := &rules[len(rules)-1]
		last.Resources = append(last.Resources, Kinds[i].Resource)
	}
	return rules
}

func newOf[L any, P interface {
	*L
	runtime.Object
}]() runtime.Object {
	return P(new(L))
}

func kind[O any, P interface {
	*O
	runtime.Object
	metav1.ObjectMetaAccessor
}](resource, name string, version schema.GroupVersion, list func() runtime.Object, tell func(P) facts.Facts) Kind {
	return Kind{
		Version: version, Resource: resource, Name: name, newList: list,
		record: func(object runtime.Object) *Record {
			typed := object.(P)
			return recordOf(typed.GetObjectMeta().(*metav1.ObjectMeta), tell(typed))
		},
	}
}

func transient(k Kind) Kind {
	k.Transient = true
	return k
}
