package leader

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// leases is an API server that has one Lease, with the rule that a replacement needs the version that was read.
type leases struct {
	mu      sync.Mutex
	version int
	lease   coordinationv1.Lease
	// refuse is the answer to who asks, where it is not 0; by user agent.
	refuse map[string]int
}

func (l *leases) RoundTrip(request *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	l.answer(recorder, request)
	return recorder.Result(), nil
}

func (l *leases) answer(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if code := l.refuse[r.UserAgent()]; code != 0 {
		status(w, code)
		return
	}
	if r.Method == http.MethodPut {
		var wanted coordinationv1.Lease
		if err := json.NewDecoder(r.Body).Decode(&wanted); err != nil {
			panic(err)
		}
		if wanted.ResourceVersion != fmt.Sprint(l.version) {
			status(w, http.StatusConflict)
			return
		}
		l.lease = wanted
		l.version++
	}
	l.lease.ResourceVersion = fmt.Sprint(l.version)
	l.lease.APIVersion, l.lease.Kind = "coordination.k8s.io/v1", "Lease"
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(&l.lease)
}

func status(w http.ResponseWriter, code int) {
	reason := map[int]string{403: "Forbidden", 404: "NotFound", 409: "Conflict", 500: "InternalError"}[code]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
}

func (l *leases) set(identity string, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse[identity] = code
}

// replica is an elector of its own, and what it was told.
type replica struct {
	*Elector
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	leads   bool
	terms   []Term
	reasons []string
}

func (l *leases) start(t *testing.T, identity string, others ...*replica) *replica {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	config := &rest.Config{
		Host: "http://api", APIPath: "/apis", UserAgent: identity, Transport: l, QPS: -1,
		ContentConfig: rest.ContentConfig{
			GroupVersion: &coordinationv1.SchemeGroupVersion, NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
		},
	}
	client, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &replica{Elector: New(client, "n", "l", identity, clock.RealClock{}), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.Run(ctx, func(term Term) {
			for _, other := range others {
				if other.isLeading() {
					t.Errorf("%s begins while %s leads", identity, other.identity)
				}
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.leads = true
			r.terms = append(r.terms, term)
		}, func(reason string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.leads = false
			r.reasons = append(r.reasons, reason)
		})
	}()
	return r
}

func (r *replica) isLeading() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leads
}

func (r *replica) last() (Term, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var term Term
	var reason string
	if len(r.terms) > 0 {
		term = r.terms[len(r.terms)-1]
	}
	if len(r.reasons) > 0 {
		reason = r.reasons[len(r.reasons)-1]
	}
	return term, reason
}

func after(wait time.Duration) {
	time.Sleep(wait)
	synctest.Wait()
}

func TestTheFirstLeadsAndTheOtherWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &leases{refuse: map[string]int{}}
		a := server.start(t, "a")
		after(time.Second)
		b := server.start(t, "b", a)
		after(time.Hour)
		if !a.isLeading() || b.isLeading() || len(a.terms) != 1 {
			t.Error(a.terms, b.terms)
		}
		if term, _ := a.last(); term.Previous != "" || !term.Renewed.IsZero() {
			t.Error(term)
		}
		a.stop()
		b.stop()
		<-a.done
		<-b.done
	})
}

func TestWhoEndsGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &leases{refuse: map[string]int{}}
		a := server.start(t, "a")
		after(time.Second)
		b := server.start(t, "b", a)
		after(time.Minute)
		a.stop()
		<-a.done
		ended := time.Now()
		after(2 * pause)
		if _, reason := a.last(); reason != "it was asked to end" {
			t.Error(reason)
		}
		if term, _ := b.last(); !b.isLeading() || term.Previous != "a" || term.Since.After(ended) {
			t.Error(b.isLeading(), term)
		}
		b.stop()
		<-b.done
	})
}

func TestWhoIsCutOffFallsSilentBeforeTheOtherBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &leases{refuse: map[string]int{}}
		a := server.start(t, "a")
		after(time.Second)
		b := server.start(t, "b", a)
		after(time.Minute)
		server.set("a", http.StatusInternalServerError)
		cut := time.Now()
		after(deadline + pause)
		if _, reason := a.last(); a.isLeading() || !strings.HasPrefix(reason, "the Lease is lost: cannot get the Lease n/l") {
			t.Error(a.isLeading(), reason)
		}
		if b.isLeading() {
			t.Error("b did not wait")
		}
		after(duration)
		if term, _ := b.last(); !b.isLeading() || term.Previous != "a" || term.Since.After(cut) {
			t.Error(b.isLeading(), term)
		}
		server.set("a", 0)
		after(time.Minute)
		if a.isLeading() || !b.isLeading() {
			t.Error("a took it back")
		}
		a.stop()
		b.stop()
		<-a.done
		<-b.done
	})
}

func TestWhoIsKilledIsFollowedWhenTheLeaseHasRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &leases{refuse: map[string]int{}}
		a := server.start(t, "a")
		after(time.Minute)
		server.set("a", http.StatusInternalServerError)
		a.stop()
		<-a.done
		// A new replica does not know since when the Lease is old.
		b := server.start(t, "b")
		after(duration - time.Second)
		if b.isLeading() {
			t.Error("too early")
		}
		after(2 * pause)
		if !b.isLeading() {
			t.Error("too late")
		}
		b.stop()
		<-b.done
	})
}

func TestAContainerThatStartsAgainGoesOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &leases{refuse: map[string]int{}}
		a := server.start(t, "a")
		after(time.Minute)
		server.set("a", http.StatusInternalServerError)
		a.stop()
		<-a.done
		server.set("a", 0)
		again := server.start(t, "a")
		after(time.Second)
		if term, _ := again.last(); !again.isLeading() || term.Previous != "a" {
			t.Error(term)
		}
		again.stop()
		<-again.done
	})
}

func TestWhoseLeaseIsTakenFallsSilentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &leases{refuse: map[string]int{}}
		a := server.start(t, "a")
		after(time.Minute)
		server.mu.Lock()
		server.lease.Spec.HolderIdentity = value("thief")
		server.version++
		server.mu.Unlock()
		after(2*pause + time.Second)
		if _, reason := a.last(); a.isLeading() || reason == "" {
			t.Error(reason)
		}
		a.stop()
		<-a.done
	})
}

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	for code, says := range map[int]string{403: "no right to get the Lease n/l", 404: "there is no Lease n/l: install again", 500: "cannot get the Lease n/l"} {
		synctest.Test(t, func(t *testing.T) {
			server := &leases{refuse: map[string]int{"a": code}}
			a := server.start(t, "a")
			after(time.Minute)
			if trouble := a.Trouble(); !strings.HasPrefix(trouble, says) || strings.Contains(trouble, "\n") {
				t.Error(trouble)
			}
			server.set("a", 0)
			after(2 * pause)
			if !a.isLeading() || a.Trouble() != "" {
				t.Error(a.Trouble())
			}
			a.stop()
			<-a.done
		})
	}
}
