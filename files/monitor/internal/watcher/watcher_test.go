package watcher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nanoagent.io/monitor/internal/api"
	"nanoagent.io/monitor/internal/config"
)

// server is an API server that has services, and answers as it is told.
type server struct {
	mu       sync.Mutex
	requests []string
	// refuse is the answer to a verb, where it is not 0.
	refuse map[string]int
	// noStreams is a server that cannot send a list as a stream.
	noStreams bool
	services  []string
	pageSize  int
	events    chan string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	verb := "list"
	if query.Get("watch") == "true" {
		verb = "watch"
	}
	s.mu.Lock()
	s.requests = append(s.requests, verb)
	code, services := s.refuse[verb], s.services
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch stream := query.Get("sendInitialEvents") == "true"; {
	case code != 0:
		refuse(w, code)
	case verb == "list":
		s.list(w, query.Get("continue"), services)
	case stream && s.noStreams:
		refuse(w, http.StatusUnprocessableEntity)
	default:
		if stream {
			for _, name := range services {
				fmt.Fprintln(w, event("ADDED", service(name, "1")))
			}
			fmt.Fprintln(w, `{"type":"BOOKMARK","object":{"kind":"Service","apiVersion":"v1","metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}`)
		}
		w.(http.Flusher).Flush()
		for {
			select {
			case <-r.Context().Done():
				return
			case line, open := <-s.events:
				if !open {
					return
				}
				fmt.Fprintln(w, line)
				w.(http.Flusher).Flush()
			}
		}
	}
}

func (s *server) list(w http.ResponseWriter, from string, services []string) {
	var first int
	fmt.Sscan(from, &first)
	last, next := len(services), ""
	if s.pageSize > 0 && first+s.pageSize < last {
		last = first + s.pageSize
		next = fmt.Sprint(last)
	}
	var items []string
	for _, name := range services[first:last] {
		items = append(items, service(name, "1"))
	}
	fmt.Fprintf(w, `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":%q},"items":[%s]}`, next, strings.Join(items, ","))
}

func refuse(w http.ResponseWriter, code int) {
	reason := map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 422: "Invalid", 500: "InternalError"}[code]
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"two\nlines","code":%d}`, reason, code)
}

func service(name, version string) string {
	return fmt.Sprintf(`{"kind":"Service","apiVersion":"v1","metadata":{"name":%q,"uid":%q,"resourceVersion":%q,"labels":{"much":"text"}},"spec":{"type":"ClusterIP"}}`, name, name, version)
}

func event(kind, object string) string {
	return fmt.Sprintf(`{"type":%q,"object":%s}`, kind, object)
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// heard is a sink that keeps what it was given, in short.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) add(what string, records ...*Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, record := range records {
		what += fmt.Sprintf(" %s@%s", record.Name, record.ResourceVersion)
		if record.Labels != nil || len(record.Facts) != 1 {
			what += " which is not slim"
		}
	}
	h.lines = append(h.lines, what)
}

func (h *heard) Replace(_ *Kind, records []*Record) { h.add("all", records...) }
func (h *heard) Set(_ *Kind, record *Record)        { h.add("set", record) }
func (h *heard) Remove(_ *Kind, record *Record)     { h.add("remove", record) }

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "; ")
}

func follow(t *testing.T, s *server) (*heard, *State) {
	t.Helper()
	if s.refuse == nil {
		s.refuse = map[string]int{}
	}
	s.events = make(chan string)
	listening := httptest.NewServer(s)
	clients, err := api.Connect(config.API{Server: listening.URL}, "test")
	if err != nil {
		t.Fatal(err)
	}
	kind := find(t, "services")
	sink, state := &heard{}, NewState(func() {})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Follow(ctx, clients[kind.Version], kind, sink, state)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		listening.Close()
	})
	return sink, state
}

func find(t *testing.T, resource string) *Kind {
	t.Helper()
	for i := range Kinds {
		if Kinds[i].Resource == resource {
			return &Kinds[i]
		}
	}
	t.Fatal(resource)
	return nil
}

// until waits for what another goroutine brings about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come:", what)
		}
	}
}

func says(sink *heard, want string) func() bool {
	return func() bool { return sink.text() == want }
}

func TestAStream(t *testing.T) {
	s := &server{services: []string{"a", "b"}}
	sink, state := follow(t, s)
	until(t, "the first objects", func() bool { return strings.HasPrefix(sink.text(), "all ") })
	if got := sink.text(); got != "all a@1 b@1" && got != "all b@1 a@1" {
		t.Error(got)
	}
	first := sink.text()
	s.events <- event("MODIFIED", service("a", "10"))
	s.events <- event("DELETED", service("a", "11"))
	s.events <- event("ADDED", service("c", "12"))
	until(t, "the changes", says(sink, first+"; set a@10; remove a@11; set c@12"))
	if missing := state.Missing(time.Now().Add(time.Hour)); len(missing) != 0 {
		t.Error(missing)
	}
	s.set(func() {
		if fmt.Sprint(s.requests) != "[watch]" {
			t.Error(s.requests)
		}
	})
}

func TestAServerThatCannotStreamIsAskedForPages(t *testing.T) {
	s := &server{services: []string{"a", "b", "c"}, noStreams: true, pageSize: 2}
	sink, state := follow(t, s)
	until(t, "the first objects", says(sink, "all a@1 b@1 c@1"))
	s.events <- event("ADDED", service("d", "10"))
	until(t, "the change", says(sink, "all a@1 b@1 c@1; set d@10"))
	if missing := state.Missing(time.Now().Add(time.Hour)); len(missing) != 0 {
		t.Error(missing)
	}
}

func TestWhatWasMissedComesWithTheNextList(t *testing.T) {
	s := &server{services: []string{"a"}}
	sink, _ := follow(t, s)
	until(t, "the first objects", says(sink, "all a@1"))
	s.set(func() { s.services = []string{"b"} })
	s.events <- `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`
	until(t, "the new list", says(sink, "all a@1; all b@1"))
}

func TestAMissingRightIsNamedAndItsReturnSeen(t *testing.T) {
	for code, why := range map[int]string{
		403: "no right to list",
		401: "the API server does not know this service account's token",
		404: "the API server has no such kind",
	} {
		s := &server{services: []string{"a"}, refuse: map[string]int{"list": code, "watch": code}}
		sink, state := follow(t, s)
		until(t, why, func() bool { return state.Missing(time.Now())["services"] == why })
		s.set(func() { clear(s.refuse) })
		until(t, "the right", says(sink, "all a@1"))
		until(t, "nothing missing", func() bool { return len(state.Missing(time.Now().Add(time.Hour))) == 0 })
	}
}

func TestWithoutTheRightToWatchTheListIsStillRead(t *testing.T) {
	s := &server{services: []string{"a"}, refuse: map[string]int{"watch": 403}}
	sink, state := follow(t, s)
	until(t, "the list", func() bool { return strings.HasPrefix(sink.text(), "all a@1") })
	until(t, "the reason", func() bool { return state.Missing(time.Now())["services"] == "no right to watch" })
}

func TestAServerThatIsAwayIsGivenAMinute(t *testing.T) {
	s := &server{refuse: map[string]int{"list": 500, "watch": 500}}
	_, state := follow(t, s)
	until(t, "an error", func() bool { return state.Errors()["services"] > 0 })
	if missing := state.Missing(time.Now()); len(missing) != 0 {
		t.Error(missing)
	}
	until(t, "both errors", func() bool { return state.Errors()["services"] > 1 })
	why := state.Missing(time.Now().Add(patience + time.Second))["services"]
	if !strings.HasPrefix(why, "cannot list: ") || strings.Contains(why, "\n") {
		t.Error(why)
	}
}

func TestItIsSettledWhenEachKindIsReadOrRefused(t *testing.T) {
	state := NewState(func() {})
	for i := range Kinds {
		if state.Settled() {
			t.Fatal("too early")
		}
		state.synced(&Kinds[i])
	}
	if !state.Settled() || len(state.Unread()) != 0 {
		t.Error(state.Unread())
	}
	state = NewState(func() {})
	refused := apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	for i := range Kinds {
		state.note(&Kinds[i], "watch", refused)
		if state.Settled() {
			t.Fatal("before a list was asked for")
		}
		state.note(&Kinds[i], "list", refused)
	}
	if !state.Settled() || len(state.Unread()) != len(Kinds) {
		t.Error(state.Unread())
	}
}

func TestTheRulesNameEachKindOnce(t *testing.T) {
	text, err := json.Marshal(Rules())
	if err != nil {
		t.Fatal(err)
	}
	for i := range Kinds {
		if count := strings.Count(string(text), fmt.Sprintf("%q", Kinds[i].Resource)); count != 1 {
			t.Error(Kinds[i].Resource, count)
		}
	}
	for _, never := range []string{"secrets", "configmaps", "*", "get", "create", "delete"} {
		if strings.Contains(string(text), fmt.Sprintf("%q", never)) {
			t.Error(never)
		}
	}
}
