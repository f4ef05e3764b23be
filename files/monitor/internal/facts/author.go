package facts

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Author is who wrote to an object last, by the name that the writer gave
// itself.
type Author struct {
	Manager     string `json:"manager"`
	Operation   string `json:"operation"`
	Subresource string `json:"subresource,omitempty"`
	Time        string `json:"time"`
}

// LastAuthor is the newest of the managers of an object's fields; nil where
// there is none. The API keeps none for a deletion. It keeps whole seconds: of
// two writes in one of them, that of a subresource counts as the later, since
// an object is there before its status is.
func LastAuthor(meta *metav1.ObjectMeta) *Author {
	var newest *metav1.ManagedFieldsEntry
	for i := range meta.ManagedFields {
		entry := &meta.ManagedFields[i]
		if entry.Time == nil {
			continue
		}
		if newest == nil || newest.Time.Before(entry.Time) || (newest.Time.Equal(entry.Time) && newest.Subresource == "" && entry.Subresource != "") {
			newest = entry
		}
	}
	if newest == nil {
		return nil
	}
	return &Author{
		Manager: newest.Manager, Operation: string(newest.Operation), Subresource: newest.Subresource,
		Time: newest.Time.UTC().Format("2006-01-02T15:04:05Z"),
	}
}
