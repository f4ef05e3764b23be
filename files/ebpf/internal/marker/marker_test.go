package marker

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answering is a collector that always gives one answer.
func answering(t *testing.T, status int, body func(*http.Request) string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := body(r)
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	})}
	go s.Serve(listener)
	t.Cleanup(func() { s.Close() })
	return socket
}

func eventText(kind string, at time.Time, argv ...string) string {
	words, _ := json.Marshal(argv)
	return fmt.Sprintf(`{"node":"n1","seen_after_us":5,"event":{"type":%q,"time":%q,"process":{"argv":%s}}}`, kind, at.Format(time.RFC3339Nano), words)
}

func TestProve(t *testing.T) {
	argv := []string{"/collector", "prove", "secret"}
	tests := []struct {
		name   string
		status int
		body   string
		code   int
		reason string
	}{
		{"proved", 200, eventText("exec", time.Now(), argv...), Proved, ""},
		{"not seen", 404, "no", NotSeen, "did not see this process"},
		{"other nonce", 200, eventText("exec", time.Now(), "/collector", "prove", "other"), NotSeen, "not this process's"},
		{"other program", 200, eventText("exec", time.Now(), "/other", "prove", "secret"), NotSeen, "not this process's"},
		{"old", 200, eventText("exec", time.Now().Add(-time.Hour), argv...), NotSeen, "not when this process started"},
		{"future", 200, eventText("exec", time.Now().Add(time.Hour), argv...), NotSeen, "not when this process started"},
		{"other type", 200, eventText("fork", time.Now(), argv...), NotSeen, "not exec"},
		{"no event", 200, `{}`, NotSeen, "not valid"},
		{"nonsense", 200, "hello", NoAnswer, "not valid"},
		{"refused", 500, "broken", NoAnswer, "broken"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var asked string
			socket := answering(t, test.status, func(r *http.Request) string {
				if r.URL.Path != "/prove" {
					return "no metrics here\n"
				}
				asked = r.URL.String()
				return test.body
			})
			result, code := Prove(socket, "secret", argv, time.Second)
			if code != test.code || result.OK != (code == Proved) || !strings.Contains(result.Reason, test.reason) {
				t.Errorf("exit %d: %+v", code, result)
			}
			if strings.Contains(asked, "secret") {
				t.Errorf("the nonce was sent: %s", asked)
			}
			if code == Proved && (result.Node != "n1" || result.LatencyUS <= 0 || result.SeenAfterUS != 5) {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestLostEventsAreTold(t *testing.T) {
	argv := []string{"/collector", "prove", "secret"}
	metrics := `# TYPE nanoagent_collector_events_lost_total counter
nanoagent_collector_events_lost_total{type="exec",cpu="0"} 3
nanoagent_collector_events_lost_total{type="exec",cpu="1"} 4
nanoagent_collector_events_dropped_total{type="exec"} 0
nanoagent_collector_backend_dropped_total{cause="full",type="exec"} 9
nanoagent_collector_events_written_total{type="exec"} 100
nanoagent_collector_hook_missed_total{hook="x"} many
`
	socket := answering(t, http.StatusOK, func(r *http.Request) string {
		if r.URL.Path == "/metrics" {
			return metrics
		}
		return eventText("exec", time.Now(), argv...)
	})
	result, code := Prove(socket, "secret", argv, time.Second)
	if want := map[string]uint64{"ring": 7, "backend": 9}; code != Proved || !maps.Equal(result.Lost, want) {
		t.Errorf("exit %d: %v, not %v", code, result.Lost, want)
	}
	text, err := json.Marshal(result)
	if err != nil || !strings.Contains(string(text), `"lost":{"backend":9,"ring":7}`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestNothingLostIsNotTold(t *testing.T) {
	argv := []string{"/collector", "prove", "secret"}
	socket := answering(t, http.StatusOK, func(*http.Request) string { return eventText("exec", time.Now(), argv...) })
	result, code := Prove(socket, "secret", argv, time.Second)
	text, err := json.Marshal(result)
	if code != Proved || err != nil || strings.Contains(string(text), "lost") {
		t.Errorf("exit %d: %s, %v", code, text, err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	if result, code := Prove("/nonexistent", "secret", nil, time.Second); code != NoAnswer || result.OK {
		t.Errorf("exit %d: %+v", code, result)
	}
}
