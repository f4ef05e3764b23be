// Package leader agrees with other replicas, by a Lease, on the one that
// speaks. It is the scheme of Kubernetes' own components, so that kubectl and
// other tools understand the Lease; their package would link in every type of
// the API and make the program half as large again.
package leader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

const (
	// Who has not renewed the Lease for so long, by the others' clocks, has lost it.
	duration = 15 * time.Second
	// Who could not renew it for so long, by its own clock, falls silent: before the others take over.
	deadline = 10 * time.Second
	pause    = 2 * time.Second
)

// Term is how a time as leader begins.
type Term struct {
	// Previous is who led before, empty where nobody did; Renewed when that
	// one last said so, by its own clock.
	Previous string
	Renewed  time.Time
	// Since is a moment, by our own clock, from which on the previous one may have been silent.
	Since time.Time
}

// Elector tries to lead.
type Elector struct {
	client          rest.Interface
	namespace, name string
	identity        string
	clock           clock.Clock

	lease    *coordinationv1.Lease
	seen     string    // what the Lease said when it last changed
	observed time.Time // when that was, by our own clock
	other    string    // the latest holder that was seen
	leading  bool
	renewed  time.Time

	mu      sync.Mutex
	trouble string
}

// New makes an elector with an identity that no other replica has.
func New(client rest.Interface, namespace, name, identity string, clock clock.Clock) *Elector {
	return &Elector{client: client, namespace: namespace, name: name, identity: identity, clock: clock}
}

// Run leads whenever it can, until the context ends; then the Lease is given
// back. start and stop are called in turns, stop before anybody else leads.
func (e *Elector) Run(ctx context.Context, start func(Term), stop func(reason string)) {
	for ctx.Err() == nil {
		term, led, err := e.try(ctx)
		e.note(err)
		switch {
		case led && !e.leading:
			e.leading = true
			start(term)
		case e.leading && !led && (errors.Is(err, errHeld) || e.clock.Since(e.renewed) >= deadline):
			e.leading = false
			stop("the Lease is lost: " + e.Trouble())
		}
		select {
		case <-ctx.Done():
		case <-e.clock.After(pause):
		}
	}
	if e.leading {
		stop("it was asked to end")
		e.release()
	}
}

// Trouble says why the Lease could not be read or written at the last try.
func (e *Elector) Trouble() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trouble
}

var errHeld = errors.New("another one holds it")

func (e *Elector) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trouble = ""
	if err != nil && (e.leading || !errors.Is(err, errHeld)) {
		e.trouble = err.Error()
	}
}

// try takes or renews the Lease.
func (e *Elector) try(ctx context.Context) (Term, bool, error) {
	limit := deadline / 2
	if e.leading {
		limit = min(limit, max(deadline-e.clock.Since(e.renewed), time.Millisecond))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !e.leading || e.lease == nil {
		if err := e.read(ctx); err != nil {
			return Term{}, false, err
		}
	}
	holder, now := text(e.lease.Spec.HolderIdentity), e.clock.Now()
	if holder != e.identity && holder != "" && (e.leading || now.Sub(e.observed) <= duration) {
		return Term{}, false, errHeld
	}
	// The one before may have ended just after we last looked.
	term := Term{Previous: e.other, Since: e.observed.Add(-2 * pause)}
	if e.lease.Spec.RenewTime != nil {
		term.Renewed = e.lease.Spec.RenewTime.Time
	}
	wanted := e.lease.DeepCopy()
	if holder != e.identity {
		wanted.Spec.AcquireTime = &metav1.MicroTime{Time: now}
		wanted.Spec.LeaseTransitions = value(number(e.lease.Spec.LeaseTransitions) + 1)
	}
	wanted.Spec.HolderIdentity = value(e.identity)
	wanted.Spec.LeaseDurationSeconds = value(int32(duration / time.Second))
	wanted.Spec.RenewTime = &metav1.MicroTime{Time: now}
	if err := e.write(ctx, wanted); err != nil {
		return Term{}, false, err
	}
	e.renewed = now
	return term, true, nil
}

func (e *Elector) read(ctx context.Context) error {
	lease := &coordinationv1.Lease{}
	err := e.client.Get().Namespace(e.namespace).Resource("leases").Name(e.name).Do(ctx).Into(lease)
	if err != nil {
		e.lease = nil
		return e.explain("get", err)
	}
	e.lease = lease
	holder := text(lease.Spec.HolderIdentity)
	if holder != "" {
		e.other = holder
	}
	if now := fmt.Sprint(holder, lease.Spec.RenewTime, lease.Spec.AcquireTime); now != e.seen {
		e.seen, e.observed = now, e.clock.Now()
	}
	return nil
}

// write replaces the Lease as it was read: where somebody else was faster, it fails.
func (e *Elector) write(ctx context.Context, wanted *coordinationv1.Lease) error {
	written := &coordinationv1.Lease{}
	err := e.client.Put().Namespace(e.namespace).Resource("leases").Name(e.name).Body(wanted).Do(ctx).Into(written)
	if err != nil {
		// It may have been written all the same.
		e.lease = nil
		return e.explain("update", err)
	}
	e.lease = written
	return nil
}

// release lets others lead at once.
func (e *Elector) release() {
	if e.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), pause)
	defer cancel()
	wanted := e.lease.DeepCopy()
	wanted.Spec.HolderIdentity = value("")
	wanted.Spec.RenewTime = &metav1.MicroTime{Time: e.clock.Now()}
	// Where it fails, the others wait until the Lease has run out.
	_ = e.write(ctx, wanted)
}

func (e *Elector) explain(verb string, err error) error {
	name := e.namespace + "/" + e.name
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("no right to %s the Lease %s", verb, name)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no Lease %s: install again", name)
	}
	return fmt.Errorf("cannot %s the Lease %s: %s", verb, name, strings.Join(strings.Fields(err.Error()), " "))
}

func text(pointer *string) string {
	if pointer == nil {
		return ""
	}
	return *pointer
}

func number(pointer *int32) int32 {
	if pointer == nil {
		return 0
	}
	return *pointer
}

func value[T any](of T) *T {
	return &of
}
