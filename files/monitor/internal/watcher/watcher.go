package watcher

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Sink takes what happens to the objects of the kinds.
type Sink interface {
	// Replace gives all objects that there are.
	Replace(kind *Kind, records []*Record)
	// Set gives an object that is new or changed.
	Set(kind *Kind, record *Record)
	// Remove gives an object that is gone, as it was at last.
	Remove(kind *Kind, record *Record)
}

// Follow lists and watches a kind until the context ends. It goes on after
// every error; each answer's success or failure is noted.
func Follow(ctx context.Context, client rest.Interface, kind *Kind, sink Sink, state *State) {
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := listOnce(ctx, client, kind, options)
			state.note(kind, "list", err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			events, err := client.Get().Resource(kind.Resource).VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
			if !apierrors.IsInvalid(err) {
				// Older servers refuse to stream a list, and are asked for a plain one then.
				state.note(kind, "watch", err)
			}
			if err != nil {
				return nil, err
			}
			return watch.Filter(events, kind.slim), nil
		},
	}
	options := cache.ReflectorOptions{Name: kind.Resource, TypeDescription: kind.Resource}
	cache.NewReflectorWithOptions(source, &Record{}, &store{kind, sink, state}, options).RunWithContext(ctx)
}

func listOnce(ctx context.Context, client rest.Interface, kind *Kind, options metav1.ListOptions) (*recordList, error) {
	page := kind.newList()
	if err := client.Get().Resource(kind.Resource).VersionedParams(&options, metav1.ParameterCodec).Do(ctx).Into(page); err != nil {
		return nil, err
	}
	head, err := meta.ListAccessor(page)
	if err != nil {
		return nil, err
	}
	list := &recordList{ListMeta: metav1.ListMeta{
		ResourceVersion: head.GetResourceVersion(), Continue: head.GetContinue(), RemainingItemCount: head.GetRemainingItemCount(),
	}}
	err = meta.EachListItem(page, func(object runtime.Object) error {
		list.Items = append(list.Items, kind.record(object))
		return nil
	})
	return list, err
}

// slim turns an event's object into a record, before anything keeps it.
func (k *Kind) slim(in watch.Event) (watch.Event, bool) {
	switch in.Type {
	case watch.Error:
		return in, true
	case watch.Bookmark:
		accessor, err := meta.Accessor(in.Object)
		if err != nil {
			return in, false
		}
		// An annotation says that all objects have come that there were at the start.
		mark := &Record{ObjectMeta: metav1.ObjectMeta{ResourceVersion: accessor.GetResourceVersion(), Annotations: accessor.GetAnnotations()}}
		return watch.Event{Type: in.Type, Object: mark}, true
	default:
		return watch.Event{Type: in.Type, Object: k.record(in.Object)}, true
	}
}

// store gives the reflector's findings to the sink.
type store struct {
	kind  *Kind
	sink  Sink
	state *State
}

var errNoRecord = errors.New("the reflector gave no record")

func (s *store) Add(object any) error    { return s.give(object, s.sink.Set) }
func (s *store) Update(object any) error { return s.give(object, s.sink.Set) }
func (s *store) Delete(object any) error { return s.give(object, s.sink.Remove) }
func (s *store) Resync() error           { return nil }

func (s *store) give(object any, to func(*Kind, *Record)) error {
	record, ok := object.(*Record)
	if !ok {
		return errNoRecord
	}
	to(s.kind, record)
	return nil
}

func (s *store) Replace(objects []any, _ string) error {
	records := make([]*Record, 0, len(objects))
	for _, object := range objects {
		record, ok := object.(*Record)
		if !ok {
			return errNoRecord
		}
		records = append(records, record)
	}
	s.sink.Replace(s.kind, records)
	s.state.synced(s.kind)
	return nil
}
