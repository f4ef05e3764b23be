package facts

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type workload struct {
	Deleting       string       `json:"deleting"`
	Replicas       *int32       `json:"replicas"`
	Paused         bool         `json:"paused"`
	Schedule       string       `json:"schedule"`
	Suspended      bool         `json:"suspended"`
	Outcome        string       `json:"outcome"` // of a Job: Complete or Failed
	ServiceAccount string       `json:"service_account"`
	MountsToken    *bool        `json:"automount_token"`
	HostPID        bool         `json:"host_pid"`
	HostNetwork    bool         `json:"host_network"`
	HostIPC        bool         `json:"host_ipc"`
	HostPaths      []string     `json:"host_paths"`
	RuntimeClass   *string      `json:"runtime_class"`
	Containers     []*container `json:"containers"`
}

func workloadOf(meta *metav1.ObjectMeta, spec *corev1.PodSpec) workload {
	pod := template(spec)
	return workload{
		Deleting:       deleting(meta),
		ServiceAccount: pod.ServiceAccount,
		MountsToken:    pod.MountsToken,
		HostPID:        pod.HostPID,
		HostNetwork:    pod.HostNetwork,
		HostIPC:        pod.HostIPC,
		HostPaths:      pod.HostPaths,
		RuntimeClass:   pod.RuntimeClass,
		Containers:     pod.Containers,
	}
}

// Deployment is told by its size and its pods' template.
func Deployment(object *appsv1.Deployment) Facts {
	told := workloadOf(&object.ObjectMeta, &object.Spec.Template.Spec)
	told.Replicas, told.Paused = object.Spec.Replicas, object.Spec.Paused
	return of(told)
}

// ReplicaSet is told by its size and its pods' template.
func ReplicaSet(object *appsv1.ReplicaSet) Facts {
	told := workloadOf(&object.ObjectMeta, &object.Spec.Template.Spec)
	told.Replicas = object.Spec.Replicas
	return of(told)
}

// StatefulSet is told by its size and its pods' template.
func StatefulSet(object *appsv1.StatefulSet) Facts {
	told := workloadOf(&object.ObjectMeta, &object.Spec.Template.Spec)
	told.Replicas = object.Spec.Replicas
	return of(told)
}

// DaemonSet is told by its pods' template.
func DaemonSet(object *appsv1.DaemonSet) Facts {
	return of(workloadOf(&object.ObjectMeta, &object.Spec.Template.Spec))
}

// Job is told by its pods' template, and by how it ended.
func Job(object *batchv1.Job) Facts {
	told := workloadOf(&object.ObjectMeta, &object.Spec.Template.Spec)
	told.Suspended = object.Spec.Suspend != nil && *object.Spec.Suspend
	for _, condition := range object.Status.Conditions {
		ended := condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed
		if ended && condition.Status == corev1.ConditionTrue {
			told.Outcome = string(condition.Type)
		}
	}
	return of(told)
}

// CronJob is told by its schedule and its pods' template.
func CronJob(object *batchv1.CronJob) Facts {
	told := workloadOf(&object.ObjectMeta, &object.Spec.JobTemplate.Spec.Template.Spec)
	told.Schedule = object.Spec.Schedule
	told.Suspended = object.Spec.Suspend != nil && *object.Spec.Suspend
	return of(told)
}
