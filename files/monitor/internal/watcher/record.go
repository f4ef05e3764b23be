// Package watcher follows the kinds of objects that the monitor may read, and
// keeps only what is told of each.
package watcher

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"nanoagent.io/monitor/internal/facts"
)

// Record is what is kept of an object: who it is, its controller, who wrote to
// it last, and its facts. All else is let go where an answer is decoded.
type Record struct {
	metav1.TypeMeta
	metav1.ObjectMeta
	Author *facts.Author
	Facts  facts.Facts
	// Owners are the controllers up to the root, once they are known.
	Owners []Owner
}

// Owner is one link of the chain from an object to its root workload.
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// DeepCopyObject makes a record a runtime.Object. What a record points to is
// never written to.
func (r *Record) DeepCopyObject() runtime.Object {
	copied := *r
	return &copied
}

// Controller is the record's managing owner; nil where there is none.
func (r *Record) Controller() *metav1.OwnerReference {
	if len(r.OwnerReferences) == 0 {
		return nil
	}
	return &r.OwnerReferences[0]
}

type recordList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []*Record
}

func (l *recordList) DeepCopyObject() runtime.Object {
	copied := *l
	return &copied
}

func recordOf(meta *metav1.ObjectMeta, told facts.Facts) *Record {
	kept := metav1.ObjectMeta{
		Namespace:         meta.Namespace,
		Name:              meta.Name,
		UID:               meta.UID,
		ResourceVersion:   meta.ResourceVersion,
		CreationTimestamp: meta.CreationTimestamp,
	}
	if controller := metav1.GetControllerOf(meta); controller != nil {
		kept.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: controller.APIVersion, Kind: controller.Kind, Name: controller.Name, UID: controller.UID,
		}}
	}
	return &Record{ObjectMeta: kept, Author: facts.LastAuthor(meta), Facts: told}
}
