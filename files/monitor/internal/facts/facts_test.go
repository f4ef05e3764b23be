package facts

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const canary = "canary-5ec2e7"

func text(t *testing.T, told Facts) string {
	t.Helper()
	found, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	return string(found)
}

func pointer[T any](value T) *T { return &value }

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{
		NodeName: "n1", ServiceAccountName: "sa", HostPID: true,
		Volumes: []corev1.Volume{
			{Name: "h", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}},
			{Name: "e"},
		},
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: pointer(int64(7)), SeccompProfile: &corev1.SeccompProfile{Type: "RuntimeDefault"}},
		InitContainers:  []corev1.Container{{Name: "i", Image: "first"}},
		Containers: []corev1.Container{{
			Name: "c", Image: "image", Args: []string{canary}, Command: []string{canary},
			Env:   []corev1.EnvVar{{Name: "PASSWORD", Value: canary}},
			Ports: []corev1.ContainerPort{{HostPort: 80}, {ContainerPort: 81}},
			SecurityContext: &corev1.SecurityContext{
				Privileged: pointer(true), RunAsUser: pointer(int64(0)),
				Capabilities:   &corev1.Capabilities{Add: []corev1.Capability{"NET_RAW"}, Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: "Localhost", LocalhostProfile: pointer("p.json")},
			},
		}},
	}
}

func TestPod(t *testing.T) {
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": canary}},
		Spec:       podSpec(),
		Status: corev1.PodStatus{
			Phase: "Running", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}},
			ContainerStatuses: []corev1.ContainerStatus{
				{Name: "c", ContainerID: "containerd://abc", ImageID: "sha256:1", RestartCount: 2},
				{Name: "unknown"},
			},
		},
	}
	want := `{"node":"n1","phase":"Running","ips":["10.0.0.1"],"service_account":"sa","host_pid":true,"host_paths":["/etc"],"containers":[` +
		`{"name":"i","kind":"init","image":"first","run_as_user":7,"seccomp":"RuntimeDefault"},` +
		`{"name":"c","image":"image","image_id":"sha256:1","id":"abc","restarts":2,"privileged":true,"capabilities":["NET_RAW"],` +
		`"run_as_user":0,"seccomp":"Localhost:p.json","host_ports":[80]}]}`
	if got := text(t, Pod(object)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestNothingSecretIsTold(t *testing.T) {
	meta := metav1.ObjectMeta{
		Name: "x", Labels: map[string]string{"l": canary}, Annotations: map[string]string{"a": canary},
		ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: &metav1.FieldsV1{Raw: []byte(canary)}}},
	}
	template := corev1.PodTemplateSpec{ObjectMeta: meta, Spec: podSpec()}
	all := []Facts{
		Pod(&corev1.Pod{ObjectMeta: meta, Spec: podSpec()}),
		Deployment(&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Template: template}}),
		ReplicaSet(&appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Template: template}}),
		StatefulSet(&appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Template: template}}),
		DaemonSet(&appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Template: template}}),
		Job(&batchv1.Job{ObjectMeta: meta, Spec: batchv1.JobSpec{Template: template}}),
		CronJob(&batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}}),
		Node(&corev1.Node{ObjectMeta: meta}), Namespace(&corev1.Namespace{ObjectMeta: meta}),
		Service(&corev1.Service{ObjectMeta: meta}), ServiceAccount(&corev1.ServiceAccount{ObjectMeta: meta}),
		EndpointSlice(&discoveryv1.EndpointSlice{ObjectMeta: meta}), Role(&rbacv1.Role{ObjectMeta: meta}),
	}
	for i, told := range all {
		if found := text(t, told); strings.Contains(found, canary) {
			t.Errorf("%d tells it: %s", i, found)
		}
	}
}

func TestWhatChanged(t *testing.T) {
	fact := func(name, value string) Fact { return Fact{name, json.RawMessage(value)} }
	before := Facts{fact("same", "1"), fact("other", "1"), fact("gone", "1")}
	after := Facts{fact("same", "1"), fact("other", "2"), fact("new", "1")}
	if got := strings.Join(Changed(before, after), " "); got != "other new gone" {
		t.Error(got)
	}
	if got := Changed(before, before); got != nil {
		t.Error(got)
	}
}

func TestNode(t *testing.T) {
	object := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"node-role.kubernetes.io/b": "", "node-role.kubernetes.io/a": "", "x": ""}},
		Spec:       corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "k", Value: "v", Effect: "NoSchedule"}}},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: "MemoryPressure", Status: "True"}, {Type: "Ready", Status: "False"}},
			Addresses:  []corev1.NodeAddress{{Type: "Hostname", Address: "h"}, {Type: "InternalIP", Address: "10.0.0.1"}},
		},
	}
	want := `{"ready":"False","cordoned":true,"roles":["a","b"],"taints":["k=v:NoSchedule"],"addresses":["10.0.0.1"]}`
	if got := text(t, Node(object)); got != want {
		t.Error(got)
	}
}

func TestALongMessageIsCutBetweenLetters(t *testing.T) {
	object := &corev1.Event{Message: strings.Repeat("ä", longestMessage), InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p"}}
	var told struct{ Message string }
	if err := json.Unmarshal([]byte(text(t, Event(object))), &told); err != nil {
		t.Fatal(err)
	}
	if told.Message != strings.Repeat("ä", longestMessage/2) {
		t.Error(len(told.Message))
	}
}

func TestRightsAreToldWhole(t *testing.T) {
	role := &rbacv1.ClusterRole{Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"p"}, Verbs: []string{"get"}},
		{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
	}}
	want := `{"rules":[{"groups":[""],"resources":["pods"],"names":["p"],"verbs":["get"]},{"urls":["/metrics"],"verbs":["get"]}]}`
	if got := text(t, ClusterRole(role)); got != want {
		t.Error(got)
	}
	binding := &rbacv1.RoleBinding{
		RoleRef:  rbacv1.RoleRef{Kind: "Role", Name: "r"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "n", Name: "s"}},
	}
	want = `{"role":{"kind":"Role","name":"r"},"subjects":[{"kind":"ServiceAccount","namespace":"n","name":"s"}]}`
	if got := text(t, RoleBinding(binding)); got != want {
		t.Error(got)
	}
}

func TestTheOrderOfEndpointsSaysNothing(t *testing.T) {
	one := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "p", UID: "u"}}
	two := discoveryv1.Endpoint{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: pointer(false)}}
	here := EndpointSlice(&discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{one, two}})
	there := EndpointSlice(&discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{two, one}})
	if changed := Changed(here, there); changed != nil {
		t.Error(changed)
	}
	if got := text(t, here); !strings.Contains(got, `{"addresses":["10.0.0.1"],"pod":"p","uid":"u"},{"addresses":["10.0.0.2"],"not_ready":true}`) {
		t.Error(got)
	}
}

func TestTheLastAuthor(t *testing.T) {
	at := func(minute int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)}
	}
	meta := &metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "old", Time: at(1)}, {Manager: "new", Operation: "Update", Subresource: "status", Time: at(3)}, {Manager: "mid", Time: at(2)}, {Manager: "none"},
	}}
	want := Author{"new", "Update", "status", "2026-01-01T00:03:00Z"}
	if got := LastAuthor(meta); got == nil || *got != want {
		t.Error(got)
	}
	if got := LastAuthor(&metav1.ObjectMeta{}); got != nil {
		t.Error(got)
	}
	controller, kubelet := metav1.ManagedFieldsEntry{Manager: "controller", Time: at(4)}, metav1.ManagedFieldsEntry{Manager: "kubelet", Subresource: "status", Time: at(4)}
	for _, entries := range [][]metav1.ManagedFieldsEntry{{controller, kubelet}, {kubelet, controller}} {
		if got := LastAuthor(&metav1.ObjectMeta{ManagedFields: entries}); got == nil || got.Manager != "kubelet" {
			t.Error(entries, got)
		}
	}
}
